"""State files become rows: all of them, once, whatever else lies in the inbox and whenever the run was ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.errors import NotSetUp
from sync_pipelines.flows.progress import IMPORTS, LESSON_PROGRESS, PROGRESS
from sync_pipelines.flows.progress.inbox import Inbox
from sync_pipelines.flows.runner import Runner
from sync_pipelines.postgres.engine import Database
from sync_pipelines.postgres.progress import progress_of
from sync_pipelines.progress.merge import Lesson, Stored, merge_together
from sync_pipelines.progress.wire import change_of, stamp
from sync_pipelines.settings import Settings
from sync_pipelines_tests.flows.progress.conftest import LESSONS, drop, lies_in, state

SINCE = datetime(2026, 5, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 1, tzinfo=UTC)

moments = st.integers(0, 2000).map(lambda n: stamp(SINCE + timedelta(minutes=n)))
said = st.fixed_dictionaries(
    {
        "seen": st.booleans(),
        "completed": st.booleans(),
        "percent": st.integers(0, 100),
        "time_ms": st.integers(0, 10**9),
        "score_best": st.none() | st.integers(0, 100),
        "score_last": st.none() | st.integers(0, 100),
        "updated_at": moments,
        "last_seen_at": st.none() | moments,
    }
)
files = st.lists(
    st.tuples(
        st.sampled_from(["anna", "bruno"]),
        st.sampled_from(["phone", "tablet"]),
        st.dictionaries(st.sampled_from([str(n) for n in LESSONS]), said, max_size=4),
    ),
    max_size=8,
)


def run(settings: Settings) -> tuple[Any, Any]:
    runner = Runner(settings)
    return runner.run(IMPORTS), runner.run(LESSON_PROGRESS)


def rows(database: Database, *users: str) -> dict[tuple[str, int], Lesson]:
    with database.session() as session:
        return {(user, i): lesson for user in users for i, lesson in progress_of(session, user).items()}


@given(batches=st.lists(files, min_size=1, max_size=3))
@settings(max_examples=25)
def test_what_the_files_say_is_what_is_stored(
    lessons: None,
    inbox: Inbox,
    progress_settings: Settings,
    database: Database,
    query: Callable[..., Any],
    batches: list[Any],
) -> None:
    query("TRUNCATE learning.lesson_progress, learning.device_time, learning.progress_imports")
    model: dict[tuple[str, int], Stored | None] = {}
    for number, batch in enumerate(batches):
        for place, (user, device, lessons_said) in enumerate(batch):
            whose = {"user_id": user} if place % 2 else {}
            drop(
                inbox,
                ("" if whose else f"{user}/") + f"{number}-{place}.json",
                state(device, lessons_said, **whose),
            )
        imported, _ = run(progress_settings)
        assert (imported.fetched, imported.failed, imported.complete) == (len(batch), 0, True)
        # In the order of their names: those at the top first, and then those of each learner.
        changes: dict[tuple[str, int], list[Any]] = {}
        for user, device, lessons_said in (*batch[1::2], *batch[0::2]):
            for lesson, value in lessons_said.items():
                changes.setdefault((user, int(lesson)), []).append((device, change_of(value)))
        for key, of_lesson in changes.items():
            model[key] = merge_together(model.get(key), of_lesson, NOW)
    there = rows(database, "anna", "bruno")
    assert {key: (x.row, x.time_ms) for key, x in there.items()} == {
        key: (x.row, x.time_ms) for key, x in model.items() if x
    }
    assert query("SELECT count(*) FROM learning.device_states") == [0]
    assert list(inbox.waiting()) == list(inbox.claimed()) == []


def lesson(percent: int = 40, **more: Any) -> dict[str, Any]:
    return {"percent": percent, "time_ms": 1000, "updated_at": stamp(SINCE), **more}


def test_a_file_that_comes_again_changes_nothing_and_is_archived(
    lessons: None, inbox: Inbox, progress_settings: Settings, query: Callable[..., Any]
) -> None:
    body = state("phone", {"1": lesson()}, user_id="anna")
    drop(inbox, "a.json", body)
    run(progress_settings)
    before = query("SELECT xmin::text, * FROM learning.lesson_progress")
    drop(inbox, "b.json", body)
    drop(inbox, "anna/c.json", state("phone", {"1": lesson()}))
    imported, merged = run(progress_settings)
    assert (imported.created, imported.skipped) == (1, 1)
    assert (merged.created, merged.updated, merged.skipped) == (0, 0, 1)
    assert query("SELECT xmin::text, * FROM learning.lesson_progress") == before
    assert sorted(Path(name).name for name in lies_in(inbox)) == ["a.json", "b.json", "c.json"]


BAD = {
    "not-json.json": (b"{", "JSON"),
    "empty.json": (b"", "JSON"),
    "a-list.json": (b"[]", "object"),
    "newer.json": (b'{"schema_version": 2, "lessons": {}, "user_id": "anna"}', "schema_version"),
    "no-lessons.json": (b'{"schema_version": 1, "user_id": "anna"}', "lessons"),
    "nobody.json": (state("phone", {"1": lesson()}), "whose"),
    "bruno/of-anna.json": (state("phone", {"1": lesson()}, user_id="anna"), "user_id"),
    "odd-user.json": (state("phone", {"1": lesson()}, user_id=7), "user_id"),
    "odd-device.json": (json.dumps({"schema_version": 1, "device_id": 7, "lessons": {}}).encode(), "device_id"),
}


def test_a_file_that_nobody_can_import_is_set_aside_with_the_reason_and_stops_no_other(
    lessons: None, inbox: Inbox, progress_settings: Settings, database: Database
) -> None:
    for name, (body, _) in BAD.items():
        drop(inbox, name, body)
    drop(inbox, "good.json", state("phone", {"1": lesson()}, user_id="anna"))
    imported, _ = run(progress_settings)
    assert (imported.created, imported.failed, imported.complete) == (1, len(BAD), True)
    there = lies_in(inbox)
    for name, (body, reason) in BAD.items():
        assert there[f"_set_aside/{name}"] == body
        assert reason.encode() in there[f"_set_aside/{name}.reason.txt"]
    assert list(rows(database, "anna")) == [("anna", 1)]
    assert not any("anna" in sentence or "bruno" in sentence for sentence in imported.errors)


def test_a_folder_that_is_nobodys_id_and_a_file_of_no_device_are_set_aside(
    lessons: None, inbox: Inbox, progress_settings: Settings
) -> None:
    for name in (os.fsdecode(b"a\xffb"), "tab\there", "x" * 200 + "ż" * 20):
        drop(inbox, f"{name}/state.json", state("phone", {"1": lesson()}))
    with drop(inbox, "anna/large.json", b"").open("wb") as large:
        large.truncate(17 * 1024 * 1024)
    imported, merged = run(progress_settings)
    assert (imported.failed, imported.created, merged.created) == (3, 1, 1)
    assert inbox.set_aside_count() == 3


def test_a_lesson_that_is_refused_is_kept_whole_until_a_good_one_comes(
    lessons: None, inbox: Inbox, progress_settings: Settings, query: Callable[..., Any], database: Database
) -> None:
    long = "9" * 400
    bad = {"1": lesson(), "2": lesson(percent=101), "03": lesson(), long: lesson(percent=7)}
    drop(inbox, "anna/a.json", state("phone", bad))
    imported, _ = run(progress_settings)
    assert imported.facts["refused_lessons"] == 3
    rejects = "SELECT external_id, error, payload, resolved_at IS NULL FROM sync.rejects ORDER BY external_id"
    first, second, third = query(rejects)
    assert first[0] == '["anna", "phone", "03"]'
    assert third[2] == bad[long]
    assert second[:3] == ('["anna", "phone", "2"]', "percent: a whole number from 0 to 100 is expected", bad["2"])
    assert list(rows(database, "anna")) == [("anna", 1)]
    drop(inbox, "anna/b.json", state("phone", {"2": lesson()}))
    run(progress_settings)
    assert [open_ for _, _, _, open_ in query(rejects)] == [True, False, True]
    assert list(rows(database, "anna")) == [("anna", 1), ("anna", 2)]


def test_lessons_that_no_platform_has_wait_until_one_has(
    lessons: None, inbox: Inbox, progress_settings: Settings, query: Callable[..., Any], database: Database
) -> None:
    drop(inbox, "anna/a.json", state("phone", {"1": lesson(), "777": lesson(percent=70), "778": lesson()}))
    _, merged = run(progress_settings)
    assert (merged.created, merged.facts["waiting"]) == (1, 2)
    query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('777', 'new')")
    _, merged = run(progress_settings)
    assert (merged.created, merged.facts["waiting"]) == (1, 1)
    assert rows(database, "anna")["anna", 777].row.percent == 70
    # Of a platform whose lessons lie in another application's table.
    query(
        "INSERT INTO sync.external_refs (system, type, external_id, internal_id) "
        "VALUES ('wtl', 'lesson', '778', gen_random_uuid()), ('wtl', 'lesson', '777', gen_random_uuid())"
    )
    _, merged = run(progress_settings)
    assert (merged.created, merged.facts["waiting"]) == (1, 0)


def test_a_plan_says_how_much_there_is_and_touches_nothing(
    lessons: None, inbox: Inbox, progress_settings: Settings, query: Callable[..., Any]
) -> None:
    drop(inbox, "anna/a.json", state("phone", {"1": lesson()}))
    drop(inbox, "b.json", b"{")
    before = lies_in(inbox)
    planned = Runner(progress_settings).plan_all([IMPORTS, LESSON_PROGRESS])
    assert planned.success
    assert (planned.reports[0].created, planned.reports[0].failed) == (1, 1)
    assert lies_in(inbox) == before
    assert query("SELECT count(*) FROM learning.device_states") == [0]


def test_a_full_run_reads_the_archive_again(
    lessons: None, inbox: Inbox, progress_settings: Settings, query: Callable[..., Any], database: Database
) -> None:
    drop(inbox, "anna/a.json", state("phone", {"1": lesson()}))
    run(progress_settings)
    before, archive = rows(database, "anna"), lies_in(inbox)
    query("TRUNCATE learning.lesson_progress, learning.device_time")
    again = Runner(progress_settings).run(IMPORTS, full=True)
    Runner(progress_settings).run(LESSON_PROGRESS)
    assert (again.skipped, again.failed) == (1, 0)
    assert rows(database, "anna") == before
    assert lies_in(inbox) == archive


def test_a_run_that_is_killed_loses_nothing_and_imports_nothing_twice(
    lessons: None, inbox: Inbox, progress_settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed once its first files are archived: some are claimed, some are not, and what they said has landed."""
    count = 400
    for number in range(count):
        drop(inbox, f"user-{number}/state.json", state("phone", {"1": lesson(percent=number % 101)}))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    program = (
        "from sync_pipelines.flows.progress import IMPORTS\n"
        "from sync_pipelines.flows.runner import Runner\n"
        "from sync_pipelines.settings import Settings\n"
        "Runner(Settings.load()).run(IMPORTS)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program])
    while child.poll() is None and not (inbox.folder / "_archive").exists():
        pass
    child.send_signal(signal.SIGKILL)
    child.wait()
    run(progress_settings)
    users = [f"user-{number}" for number in range(count)]
    there = rows(database, *users)
    assert [there[user, 1].row.percent for user in users] == [number % 101 for number in range(count)]
    assert {x.time_ms for x in there.values()} == {1000}
    assert len(lies_in(inbox)) == len(list(inbox.archived())) == count


def test_nobody_means_to_use_it_before_there_is_an_inbox(progress_settings: Settings) -> None:
    with pytest.raises(NotSetUp, match="inbox"):
        PROGRESS.require_settings(progress_settings)
    assert PROGRESS.set_up is not None
    PROGRESS.set_up(progress_settings)
    PROGRESS.require_settings(progress_settings)
    assert [finding.state for finding in PROGRESS.probe(progress_settings)] == ["ok", "ok"]
