"""The progress flows on a real instance: what the sensor asks for, and what a run shows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sync_pipelines.definitions import defs
from sync_pipelines.defs.sensors import progress_inbox

Query = Callable[..., list[Any]]
STATE = {"schema_version": 1, "device_id": "phone", "user_id": "anna"}
LESSON = {"percent": 40, "seen": True, "time_ms": 1000, "updated_at": "2026-05-01T10:00:00.000Z"}


@pytest.fixture
def inbox(
    instance_home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, query: Query, tmp_path: Path
) -> Path:
    monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
    monkeypatch.setenv("SYNC_HOME", str(tmp_path / "home"))
    query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('1', 'a lesson')")
    query("INSERT INTO wtl.courses (wtl_course_id, title) VALUES ('1', 'a course')")
    query("INSERT INTO wtl.course_lessons SELECT c.id, l.id, 1 FROM wtl.courses c, wtl.lessons l")
    return tmp_path / "home" / "inbox"


@pytest.fixture
def instance(inbox: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as instance:
        yield instance


def drop(inbox: Path, name: str, **more: Any) -> None:
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / name).write_text(json.dumps({**STATE, "lessons": {"1": LESSON}, **more}))


def look(instance: dg.DagsterInstance, cursor: str | None = None) -> tuple[int, str, str | None]:
    """How many runs are asked for, why not, and what is remembered."""
    context = dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=defs.get_repository_def())
    tick = progress_inbox.evaluate_tick(context)
    return len(tick.run_requests or []), tick.skip_message or "", tick.cursor


def test_new_files_are_asked_for_once_and_others_that_come_later_again(
    instance: dg.DagsterInstance, inbox: Path
) -> None:
    assert "no inbox" in look(instance)[1]
    inbox.mkdir(parents=True)
    assert look(instance)[:2] == (0, "the inbox is empty")
    drop(inbox, "half.json.part")
    assert look(instance)[0] == 0
    drop(inbox, "a.json")
    asked, _, cursor = look(instance)
    assert asked == 1
    assert look(instance, cursor)[:2] == (0, "a run was asked for when these files came")
    drop(inbox, "b.json")
    assert look(instance, cursor)[0] == 1
    os.utime(inbox / "a.json", (1, 1))
    (inbox / "b.json").unlink()
    assert look(instance, cursor)[0] == 1, "another file under the old name"


def test_a_run_that_is_under_way_is_waited_for(instance: dg.DagsterInstance, inbox: Path) -> None:
    drop(inbox, "a.json")
    instance.create_run_for_job(defs.resolve_job_def("progress_sync"), status=dg.DagsterRunStatus.STARTED)
    asked, why, cursor = look(instance)
    assert (asked, "under way" in why, cursor) == (0, True, None)


def test_a_run_takes_files_to_a_summary_with_a_table_and_a_plot(
    instance: dg.DagsterInstance, inbox: Path, query: Query
) -> None:
    drop(inbox, "a.json")
    drop(inbox, "b.json", lessons={"1": {**LESSON, "percent": 400}}, device_id="tablet")
    (inbox / "c.json").write_text("{")
    result = defs.resolve_job_def("progress_sync").execute_in_process(instance=instance, raise_on_error=False)
    assert result.success
    made = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in result.all_events
        if event.is_step_materialization and event.asset_key
    }
    assert list(made) == ["progress/imports", "progress/lesson_progress", "progress/course_summary"]
    imports, merged, summary = made.values()
    assert [imports[name].value for name in ("created", "failed", "lessons", "refused_lessons")] == [2, 1, 1, 1]
    assert [merged[name].value for name in ("created", "waiting")] == [1, 0]
    assert str(summary["summary"].value).count("data:image/png;base64,") == 1
    table = summary["table"]
    assert isinstance(table, dg.TableMetadataValue)
    (row,) = table.records
    assert row.data == {
        "course": "a course", "lessons": 1, "learners": 1, "seen": 1, "completed": 0, "average percent": 40.0,
        "hours": 0.0,
    }  # fmt: skip
    assert "anna" not in str(result.all_events)
    assert query("SELECT percent FROM learning.lesson_progress") == [40]
    assert [(e.check_name, e.passed) for e in result.get_asset_check_evaluations()] == [("rejects_open", False)]


def test_a_database_that_is_down_fails_the_run_and_loses_no_file(
    instance: dg.DagsterInstance, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(inbox, "a.json")
    monkeypatch.setenv("SYNC_DATABASE_URL", "postgresql://u:hunter22@127.0.0.1:1/d")
    result = defs.resolve_job_def("progress_sync").execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    assert [path.name for path in inbox.rglob("*.json")] == ["a.json"]
    assert "hunter22" not in str(result.all_events)
