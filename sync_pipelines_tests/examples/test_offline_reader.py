"""docs/offline-progress.md says what is so, and its example runs."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.offline_reader import Page, debug_view
from sync_pipelines.progress import ProgressStore, ProgressSync
from sync_pipelines_tests.progress.world import Clock, Line, Model

REPOSITORY = Path(__file__).parents[2]
GUIDE = REPOSITORY / "docs" / "offline-progress.md"
TEXT = GUIDE.read_text("utf-8")
SNIPPETS = re.findall(r"^\[(examples/[\w/.]+)\]\(\.\./\1\)\n```python\n(.*?)^```$", TEXT, re.M | re.S)


@pytest.mark.parametrize(("file", "code"), SNIPPETS)
def test_a_snippet_stands_verbatim_in_the_file_that_it_names(file: str, code: str) -> None:
    assert len(SNIPPETS) == 2
    assert code in (REPOSITORY / file).read_text("utf-8")


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert [link for link in links if "://" not in link and not (GUIDE.parent / link).exists()] == []


def test_every_call_that_is_shown_is_there() -> None:
    tables = "\n".join(line.split("|")[1] for line in TEXT.splitlines() if line.startswith("| `"))
    calls = set(re.findall(r"`(\w+)\(", tables))
    assert len(calls) > 10
    assert {
        call for call in calls if not hasattr(ProgressStore, call) and not hasattr(ProgressSync, call)
    } == set()


def test_a_page_that_is_left_has_been_read(tmp_path: Path) -> None:
    store = ProgressStore(tmp_path)
    times = iter([100.0, 160.5])
    Page(store, 12, lambda: next(times)).leave(finished=True)
    lesson = store.lesson(12)
    assert lesson
    assert (lesson.row.seen, lesson.row.completed, lesson.time_ms) == (True, True, 60_500)
    sync = ProgressSync(store, "http://127.0.0.1:9")
    assert debug_view(sync) == "last sync: never\nlast error: none\nlesson 12: 100 %, 60 s, pending"
    sync.close()


def test_the_command_reads_offline_and_syncs_later(serve: Callable[..., str], tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "examples.offline_reader", str(tmp_path / "progress"), *arguments],
            cwd=REPOSITORY,
            env={"READER_TOKEN": "anna", "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )

    offline = run("1", "2", "77", "--sync", "http://127.0.0.1:9")
    assert offline.returncode == 1
    assert offline.stdout.startswith("not now: the server cannot be reached")
    assert offline.stdout.count("pending") == 3
    model = Model(Clock(), [1, 2])
    online = run("--sync", serve(Line(model)))
    assert online.returncode == 0
    assert "lesson 1: 100 %, 0 s, synced\n" in online.stdout
    assert "lesson 77: 100 %, 0 s, unknown_lesson: none" in online.stdout
    assert model.lessons("anna").keys() == {1, 2}
