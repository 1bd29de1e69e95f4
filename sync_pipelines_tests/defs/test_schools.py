"""Schools on a real instance: partitions from the settings, runs of one and of many, the check, the schedule."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from sync_pipelines.definitions import defs
from sync_pipelines.flows.naming import QUEUE_TAG
from sync_pipelines.sandbox.bakalari import School

SetUp = Callable[..., dict[str, str]]
Query = Callable[..., list[Any]]
ROSTER, USERS = dg.AssetKey(["bakalari", "roster"]), dg.AssetKey(["bakalari", "users"])
STREAMS = ["roster", "schools", "classes", "subjects", "users", "enrollments"]


@pytest.fixture
def schools() -> list[School]:
    return [School.invented(f"skola-{n}", classes=2, students=9, teachers=3) for n in range(3)]


@pytest.fixture
def instance(
    schools: list[School], set_up_schools: SetUp, instance_home: object, monkeypatch: pytest.MonkeyPatch
) -> dg.DagsterInstance:
    for name, value in set_up_schools(*schools).items():
        monkeypatch.setenv(name, value)
    instance = dg.DagsterInstance.get()
    instance.add_dynamic_partitions("bakalari_schools", [schools[1].id])
    return instance


def run(instance: dg.DagsterInstance, **options: Any) -> dg.ExecuteInProcessResult:
    job = defs.resolve_job_def("bakalari_sync")
    return job.execute_in_process(instance=instance, raise_on_error=False, **options)


def materialized(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> list[tuple[str, str | None]]:
    logs = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    made = [entry.asset_materialization for entry in logs if entry.asset_materialization]
    return [(m.asset_key.path[-1], m.partition) for m in made]


def coverage(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    logs = instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [entry.dagster_event.asset_check_evaluation_data for entry in logs if entry.dagster_event]
    (evaluation,) = [one for one in found if one.check_name == "coverage"]
    return evaluation


def test_a_school_is_a_run_with_an_event_for_each_of_its_streams(instance: dg.DagsterInstance) -> None:
    result = run(instance, partition_key="skola-1")
    assert result.success
    assert materialized(instance, result) == [(stream, "skola-1") for stream in STREAMS]


def test_a_reading_shows_who_was_asked_and_what_came_of_it(instance: dg.DagsterInstance) -> None:
    result = run(instance)
    (roster, *_) = [
        entry.asset_materialization
        for entry in instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        if entry.asset_materialization and entry.asset_materialization.asset_key == ROSTER
    ]
    table = roster.metadata["coverage"]
    assert isinstance(table, dg.TableMetadataValue)
    rows = [(row.data["source"], row.data["type"], row.data["outcome"]) for row in table.records]
    assert rows == [("account #1", "superuser", "ok"), ("public timetable", "", "ok")]
    assert all(isinstance(row.data["requests"], int) for row in table.records)


def test_of_many_schools_in_one_run_one_that_is_down_fails_alone(
    instance: dg.DagsterInstance, schools: list[School]
) -> None:
    schools[1].down = "unavailable"
    result = run(instance)
    assert not result.success
    made = materialized(instance, result)
    assert set(made) == {(stream, key) for stream in STREAMS for key in ("skola-0", "skola-2")}
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    said = failure.user_failure_data.description or "" if failure.user_failure_data else ""
    assert said.startswith("1 of 3 partitions failed: skola-1\nskola-1: ")
    check = coverage(instance, result)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.description == "2 of 3 were read completely"


def test_the_check_is_of_all_schools_whichever_a_run_has_read(
    instance: dg.DagsterInstance, schools: list[School]
) -> None:
    schools[2].down = "unavailable"
    run(instance)
    assert not coverage(instance, run(instance, partition_key="skola-0")).passed
    schools[2].down = None
    assert coverage(instance, run(instance, partition_key="skola-2")).passed


def test_an_incomplete_reading_materializes_and_the_check_warns(
    instance: dg.DagsterInstance, schools: list[School], query: Query
) -> None:
    assert run(instance).success
    schools[0].switch_on("forbidden", path="/api/3/marking/marks/*", times=1)
    result = run(instance)
    assert result.success
    assert len(materialized(instance, result)) == len(STREAMS) * 3
    assert not coverage(instance, result).passed
    assert query("SELECT count(*) FROM bakalari.enrollments WHERE remote_deleted_at IS NOT NULL") == [0]


def test_one_stream_alone_is_synced_from_what_has_landed_and_asks_nobody(
    instance: dg.DagsterInstance, schools: list[School], query: Query
) -> None:
    assert run(instance, partition_key="skola-1").success
    query("UPDATE bakalari.users SET full_name = 'somebody else'")
    query("UPDATE sync.external_refs SET version = NULL WHERE type = 'user'")
    for school in schools:
        school.requests.clear()
        school.down = "unavailable"
    result = run(instance, asset_selection=[USERS], partition_key="skola-1")
    assert result.success
    assert materialized(instance, result) == [("users", "skola-1")]
    assert query("SELECT count(*) FROM bakalari.users WHERE full_name = 'somebody else'") == [0]
    assert not any(school.requests for school in schools)


def test_the_check_alone_asks_nobody(instance: dg.DagsterInstance, schools: list[School]) -> None:
    assert run(instance).success
    for school in schools:
        school.requests.clear()
    check = dg.AssetCheckKey(ROSTER, "coverage")
    job = defs.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection=set(), asset_check_selection={check}
    )
    result = job.execute_in_process(instance=instance)
    assert coverage(instance, result).passed
    assert materialized(instance, result) == []
    assert not any(school.requests for school in schools)


def test_a_tick_asks_for_a_run_a_school_each_in_a_queue_of_its_own(instance: dg.DagsterInstance) -> None:
    tick = defs.resolve_schedule_def("bakalari_sync_schedule").evaluate_tick(
        dg.build_schedule_context(instance=instance, repository_def=defs.get_repository_def())
    )
    requests = tick.run_requests or []
    assert [request.partition_key for request in requests] == ["skola-0", "skola-1", "skola-2"]
    assert len({request.tags[QUEUE_TAG] for request in requests}) == 3
    assert set(instance.get_dynamic_partitions("bakalari_schools")) == {"skola-0", "skola-1", "skola-2"}


def test_without_settings_a_tick_is_skipped_and_says_what_is_missing() -> None:
    with dg.instance_for_test() as instance:
        context = dg.build_schedule_context(instance=instance)
        tick = defs.resolve_schedule_def("bakalari_sync_schedule").evaluate_tick(context)
    assert tick.run_requests == []
    assert "BAKALARI_URL" in (tick.skip_message or "")


def test_the_partitions_follow_the_settings(
    instance: dg.DagsterInstance, schools: list[School], set_up_schools: SetUp
) -> None:
    sensor = defs.resolve_sensor_def("bakalari_schools_in_step")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING

    def requests() -> list[tuple[str, list[str]]]:
        context = dg.build_sensor_context(instance=instance, definitions=defs)
        asked = sensor.evaluate_tick(context).dynamic_partitions_requests or []
        for request in asked:
            if isinstance(request, dg.AddDynamicPartitionsRequest):
                instance.add_dynamic_partitions("bakalari_schools", request.partition_keys)
            else:
                instance.delete_dynamic_partition("bakalari_schools", request.partition_keys[0])
        return [(type(request).__name__, list(request.partition_keys)) for request in asked]

    assert requests() == [("AddDynamicPartitionsRequest", ["skola-0", "skola-2"])]
    assert requests() == []
    set_up_schools(schools[0], schools[2], School.invented("skola-3", classes=1, students=1, teachers=1))
    assert requests() == [
        ("AddDynamicPartitionsRequest", ["skola-3"]),
        ("DeleteDynamicPartitionsRequest", ["skola-1"]),
    ]
