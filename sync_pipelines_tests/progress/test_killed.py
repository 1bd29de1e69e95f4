"""A process that is killed leaves the old state or the new one: at any step of a write, and at any moment."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from sync_pipelines.progress import ProgressStore

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks and SIGKILL")

# Forks children that kill themselves before their n-th call into the operating system, each one step later.
AT_EVERY_STEP = """
import json, os, signal, sys
from pathlib import Path
from sync_pipelines.progress import ProgressStore, folder

def steps(limit):
    left = limit
    def step(frame, event, called):
        nonlocal left
        if event == "c_call" and frame.f_code.co_filename.startswith(str(Path(folder.__file__).parent)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    return step

place, seen = Path(sys.argv[1]), set()
for limit in range(1, 10_000):
    child = os.fork()
    if not child:
        sys.setprofile(steps(limit))
        ProgressStore(place).add_time(1, 1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    before = json.loads((place / "pp_progress_v1.json").read_bytes())["lessons"]["1"]["own_time_ms"]
    print(limit, before, status)
    if status == 0:
        break
"""

READS_ON = """
import sys
from sync_pipelines.progress import ProgressStore
store = ProgressStore(sys.argv[1])
while True:
    store.add_time(1, 1)
    print(flush=True)
"""


def run(script: str, folder: Path) -> list[str]:
    """The lines that the script prints."""
    done = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_killed_before_any_step_the_old_state_or_the_new_is_there_whole(tmp_path: Path) -> None:
    store = ProgressStore(tmp_path)
    store.add_time(1, 1)
    device = store.device_id
    told = [tuple(map(int, line.split())) for line in run(AT_EVERY_STEP, tmp_path)]
    times = [1, *(ms for _, ms, _ in told)]
    assert len(told) > 30
    assert told[-1][2] == 0, "at last it was not killed"
    assert {after - before for before, after in pairwise(times)} == {0, 1}
    assert (store.device_id, store.set_aside) == (device, [])


def test_killed_while_a_broken_file_is_set_aside_nothing_of_it_is_lost(tmp_path: Path) -> None:
    script = AT_EVERY_STEP.replace('"lessons"]["1"]["own_time_ms"]', '"schema_version"]')
    (tmp_path / "pp_progress_v1.json").write_text('{"schema_version": 2}')
    versions = [int(line.split()[1]) for line in run(script, tmp_path)]
    assert versions == sorted(versions, reverse=True)
    assert set(versions) == {1, 2}
    kept = [path.read_bytes() for path in ProgressStore(tmp_path).set_aside]
    assert b'{"schema_version": 2}' in kept


def test_killed_at_any_moment_all_that_was_done_is_there_and_no_more(tmp_path: Path) -> None:
    spent = 0
    for patience in random.Random(7).choices(range(1, 40), k=6):
        child = subprocess.Popen([sys.executable, "-c", READS_ON, tmp_path], stdout=subprocess.PIPE)
        assert child.stdout
        for _ in range(patience):
            child.stdout.readline()
        child.kill()
        told = patience + len(child.stdout.read().splitlines())
        child.wait()
        child.stdout.close()
        kept = json.loads((tmp_path / "pp_progress_v1.json").read_bytes())["lessons"]["1"]["own_time_ms"]
        assert kept - spent in (told, told + 1)
        spent = kept
    assert ProgressStore(tmp_path).set_aside == []
