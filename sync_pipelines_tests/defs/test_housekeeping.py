"""Old runs go with their events and logs; what shows the state of things stays. Alerts go too."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sync_pipelines.defs.housekeeping import HOUSEKEEPING_JOB, Deleted, delete_runs
from sync_pipelines.defs.resources import RESOURCES
from sync_pipelines.flows.naming import QUEUE_TAG
from sync_pipelines_tests.defs.past import made_run

NOW = datetime.now(UTC)
BEFORE = NOW - timedelta(days=30)
OLD, OLDER, YOUNG = NOW - timedelta(days=40), NOW - timedelta(days=50), NOW - timedelta(days=29)
Query = Callable[..., list[Any]]


@pytest.fixture
def instance(instance_home: object, database_url: str, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
    return dg.DagsterInstance.get()


def left(instance: dg.DagsterInstance) -> set[str]:
    return {run.run_id for run in instance.get_runs()}


def tidy(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    defs = dg.Definitions(jobs=[HOUSEKEEPING_JOB], resources=RESOURCES, executor=dg.in_process_executor)
    return defs.resolve_job_def("housekeeping").execute_in_process(instance=instance, raise_on_error=False)


def told(result: dg.ExecuteInProcessResult, op: str) -> dict[str, Any]:
    """The metadata of a step."""
    (output,) = [e.step_output_data for e in result.events_for_node(op) if e.is_successful_output]
    return {name: value.value for name, value in output.metadata.items()}


def test_old_runs_go_and_young_ones_stay(instance: dg.DagsterInstance, query: Query) -> None:
    young = made_run(instance, YOUNG)
    ends = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    old = [made_run(instance, OLD, status=status) for status in ends]
    assert delete_runs(instance, BEFORE) == Deleted(deleted=3, kept=0, more=False)
    assert left(instance) == {young}
    assert set(query("SELECT DISTINCT run_id FROM dagster.event_logs")) == {young}
    assert not any(instance.all_logs(run_id) for run_id in old)


def test_a_run_that_has_not_ended_stays_however_old_it_is(instance: dg.DagsterInstance) -> None:
    run_id = made_run(instance, OLD, status=dg.DagsterRunStatus.STARTED)
    assert delete_runs(instance, BEFORE).deleted == 0
    assert left(instance) == {run_id}


def test_the_run_of_an_assets_last_materialization_stays(instance: dg.DagsterInstance) -> None:
    made_run(instance, OLDER, made=[("wtl/courses", None, {"created": 1})])
    last = made_run(instance, OLD, made=[("wtl/courses", None, {"created": 2})])
    assert delete_runs(instance, BEFORE) == Deleted(deleted=1, kept=1, more=False)
    assert left(instance) == {last}
    event = instance.get_latest_materialization_event(dg.AssetKey(["wtl", "courses"]))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["created"].value == 2


def test_no_partition_that_was_materialized_shows_as_missing_afterwards(instance: dg.DagsterInstance) -> None:
    key, stream = dg.AssetKey(["wtl", "course_users"]), "wtl/course_users"
    first = made_run(instance, OLDER, made=[(stream, course, {}) for course in ("1", "2", "3")])
    made_run(instance, OLDER, made=[(stream, "2", {})])
    second = made_run(instance, OLD, made=[(stream, "2", {})])
    third = made_run(instance, NOW, made=[(stream, "3", {})])
    assert delete_runs(instance, BEFORE) == Deleted(deleted=1, kept=2, more=False)
    assert left(instance) == {first, second, third}
    assert instance.get_materialized_partitions(key) == {"1", "2", "3"}
    made_run(instance, NOW, made=[(stream, "1", {})])
    assert delete_runs(instance, BEFORE).deleted == 1
    assert instance.get_materialized_partitions(key) == {"1", "2", "3"}


def test_the_oldest_go_first_and_the_next_time_goes_on(instance: dg.DagsterInstance) -> None:
    runs = [made_run(instance, BEFORE - timedelta(days=days)) for days in range(9, 0, -1)]
    assert delete_runs(instance, BEFORE, at_most=4) == Deleted(deleted=4, kept=0, more=True)
    assert left(instance) == set(runs[4:])
    assert delete_runs(instance, BEFORE, at_most=5) == Deleted(deleted=5, kept=0, more=False)
    assert delete_runs(instance, BEFORE) == Deleted(deleted=0, kept=0, more=False)


def test_when_the_time_is_over_it_ends(instance: dg.DagsterInstance) -> None:
    made_run(instance, OLD)
    assert delete_runs(instance, BEFORE, within=timedelta(seconds=-1)) == Deleted(deleted=0, kept=0, more=True)


def test_a_runs_logs_go_with_it_and_nobody_elses(instance: dg.DagsterInstance, instance_home: Path) -> None:
    old, young = made_run(instance, OLD), made_run(instance, YOUNG)
    logs = {run_id: instance_home / "storage" / run_id / "compute_logs" for run_id in (old, young)}
    for folder in logs.values():
        folder.mkdir(parents=True)
        (folder / "step.out").write_text("said")
    delete_runs(instance, BEFORE)
    assert not logs[old].parent.exists()
    assert (logs[young] / "step.out").read_text() == "said"


def test_the_job_keeps_what_the_settings_say_and_reports_for_a_week(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_KEEP_RUNS_DAYS", "90")
    report = ("health/sync_report", None, {})
    tags = {QUEUE_TAG: "health"}
    for days in (9, 8):
        made_run(instance, NOW - timedelta(days=days), tags=tags, made=[report])
    kept = {
        made_run(instance, NOW - timedelta(days=6), tags=tags, made=[report]),
        made_run(instance, NOW - timedelta(days=89), tags={QUEUE_TAG: "wtl"}),
    }
    made_run(instance, NOW - timedelta(days=91), tags={QUEUE_TAG: "wtl"})
    result = tidy(instance)
    assert result.success
    assert left(instance) == kept | {result.run_id}
    assert told(result, "delete_old_runs") == {"deleted": 3, "kept": 0, "more": False}


def test_the_job_deletes_alerts_of_incidents_that_ended_90_days_ago(
    instance: dg.DagsterInstance, query: Query
) -> None:
    incident = (
        "INSERT INTO sync.incidents (kind, subject, started_at, closed_at, told_to, details) "
        "VALUES ('failure', :subject, :at, :closed_at, '{}', '{}')"
    )
    alert = (
        "INSERT INTO sync.alerts (event, incidents, title, body, created_at) VALUES ('end', '{1}', 't', 'b', :at)"
    )
    for days in (100, 91, 89):
        at = NOW - timedelta(days=days)
        query(incident, subject=f"wtl {days}", at=at, closed_at=at)
        query(alert, at=at)
    query(incident, subject="lasts", at=NOW - timedelta(days=100), closed_at=None)
    result = tidy(instance)
    assert told(result, "delete_old_alerts") == {"incidents": 2, "messages": 2}
    assert query("SELECT subject FROM sync.incidents ORDER BY id") == ["wtl 89", "lasts"]


def test_the_job_forgets_imports_that_came_90_days_ago(instance: dg.DagsterInstance, query: Query) -> None:
    note = (
        "INSERT INTO learning.progress_imports "
        "(user_id, device_id, import_key, payload_sha256, received_at, result) "
        "VALUES ('anna', '', :key, '', :at, '{}')"
    )
    for days in (91, 89):
        query(note, key=f"{days} days", at=NOW - timedelta(days=days))
    assert told(tidy(instance), "delete_old_imports") == {"imports": 1}
    assert query("SELECT import_key FROM learning.progress_imports") == ["89 days"]


def test_the_job_forgets_calls_that_came_90_days_ago_and_had_their_run(
    instance: dg.DagsterInstance, query: Query
) -> None:
    call = (
        "INSERT INTO sync.webhook_calls (upstream, call_id, received_at, keys, batch, run_id) "
        "VALUES ('wtl', :id, :at, '{}', 'a batch', :run_id)"
    )
    for days in (91, 89):
        query(call, id=f"{days} days", at=NOW - timedelta(days=days), run_id="a run")
    query(call, id="waits", at=NOW - timedelta(days=91), run_id=None)
    assert told(tidy(instance), "delete_old_calls") == {"calls": 1}
    assert query("SELECT call_id FROM sync.webhook_calls ORDER BY call_id") == ["89 days", "waits"]


def test_a_database_that_does_not_answer_keeps_old_runs_from_nothing(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_run(instance, OLD)
    monkeypatch.setenv("SYNC_DATABASE_URL", "postgresql://u:hunter22@127.0.0.1:1/d")
    result = tidy(instance)
    assert not result.success
    assert left(instance) == {result.run_id}
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert len(failures) == 3
    for failure in failures:
        assert failure.user_failure_data is not None
        assert str(failure.user_failure_data.description).startswith("cannot connect to 127.0.0.1:1/d")
