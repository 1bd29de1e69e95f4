"""How the tests run a command: as a process with an environment, an exit status and two streams."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["COMMAND", "Run", "one_clear_line", "result"]

Run = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = [sys.executable, "-m", "sync_pipelines"]


def result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON object on standard output."""
    assert done.stdout.count("\n") == 1, done
    return json.loads(done.stdout)


def one_clear_line(done: subprocess.CompletedProcess[str], status: int) -> str:
    """The only error line of a command that failed as it should."""
    assert done.returncode == status, done
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line
