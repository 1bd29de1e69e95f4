"""Runs one command and writes what it cost: `launch.py RESULT_FILE COMMAND…`. Standard library only.

It stands between because Linux lets a process begin with its parent's peak memory: this parent is small.
"""

import json
import os
import sys
import time


def main() -> None:
    """Wait for the command and take its exit status for ours."""
    result, command = sys.argv[1], sys.argv[2:]
    started = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - started
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    cost = {"process": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak_mib": usage.ru_maxrss / unit}
    with open(result, "w") as file:  # noqa: PTH123, pathlib would be most of this process's memory
        json.dump(cost, file)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
