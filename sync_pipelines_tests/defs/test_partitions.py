"""What is read a course at a time, on a real instance: partitions, runs of any of them, what the history holds."""

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.automation_tick_evaluation_context import build_run_requests_with_backfill_policies
from dagster._core.definitions.events import AssetKeyPartitionKey
from dagster._core.definitions.partitions.context import partition_loading_context
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.definitions import defs
from sync_pipelines.defs.config import PartitionsConfig, SyncConfig
from sync_pipelines.defs.launch import launch, launch_partitions
from sync_pipelines.defs.partitions import steps_towards
from sync_pipelines.flows.registry import FLOWS, partitioned_flows_of
from sync_pipelines.flows.runner import Finished, Runner
from sync_pipelines.flows.spec import PartitionedFlow
from sync_pipelines.flows.webtolearn import COURSE_LESSONS, COURSE_USERS, COURSES
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.settings import Settings

Query = Callable[..., list[Any]]
BY_COURSE = partitioned_flows_of("wtl")
USERS_KEY = dg.AssetKey(["wtl", "course_users"])


@pytest.fixture
def platform() -> Platform:
    platform = Platform.invented(courses=8, lessons=40, users=60)
    platform.limit_minute = platform.limit_hour = 10**9
    platform.token = "of-its-own"  # what a process learns of a limit is of an address and a token
    return platform


@pytest.fixture
def runner(
    platform: Platform,
    instance_home: object,
    serve: Callable[[Any], str],
    sync_settings: Callable[..., Settings],
) -> Runner:
    return Runner(sync_settings(serve(platform), platform.token))


@pytest.fixture
def lists(runner: Runner) -> Callable[[], Finished]:
    """Runs the job of whole lists."""
    return lambda: launch(defs.resolve_job_def("wtl_sync"), FLOWS, runner)


@pytest.fixture
def courses(runner: Runner) -> Callable[..., Finished]:
    """Runs partitions, named or all."""

    def run(*keys: str, flows: Sequence[PartitionedFlow] = BY_COURSE, **config: Any) -> Finished:
        job = defs.resolve_job_def("wtl_courses_sync")
        return launch_partitions(job, flows, runner, PartitionsConfig(keys=list(keys), **config))

    return run


def partitions() -> list[str]:
    with dg.DagsterInstance.get() as instance:
        return list(instance.get_dynamic_partitions("wtl_courses"))


def materialized(key: dg.AssetKey = USERS_KEY) -> set[str]:
    with dg.DagsterInstance.get() as instance:
        return set(instance.get_materialized_partitions(key))


def ids(platform: Platform) -> list[str]:
    return [course["id"] for course in platform.courses]


def test_partitions_are_the_courses_in_the_order_of_their_numbers(
    platform: Platform, lists: Callable[[], Finished]
) -> None:
    lists()
    assert partitions() == ids(platform)
    platform.put("courses", "900", {"id": "900", "name": "Nowy kurs"})
    lists()
    assert partitions() == ids(platform)


def test_a_vanished_course_stays_a_partition_for_a_time(
    platform: Platform, lists: Callable[[], Finished], query: Query
) -> None:
    lists()
    gone, *others = ids(platform)
    platform.remove("courses", gone)
    lists()
    assert partitions() == [gone, *others]
    query("UPDATE sync.external_refs SET remote_deleted_at = now() - interval '31 days' WHERE external_id = :id "
          "AND type = 'course'", id=gone)  # fmt: skip
    lists()
    assert partitions() == others


def test_any_set_of_courses_is_one_run_with_an_event_for_each(
    platform: Platform, lists: Callable[[], Finished], courses: Callable[..., Finished], query: Query
) -> None:
    lists()
    chosen = ids(platform)[::3]
    done = courses(*chosen)
    assert done.success
    assert [(r.stream, r.partition) for r in done.reports] == [
        (flow.stream, course) for flow in BY_COURSE for course in chosen
    ]
    assert materialized() == materialized(dg.AssetKey(["wtl", "lessons"])) == set(chosen)
    assert query("SELECT count(*) FROM dagster.runs WHERE pipeline_name = 'wtl_courses_sync'") == [1]
    assert set(query("SELECT DISTINCT wtl_course_id FROM wtl.course_users_current")) == set(chosen)


def test_sixty_partitions_of_a_backfill_are_one_run(instance_home: object) -> None:
    keys = [str(number) for number in range(100, 160)]
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("wtl_courses", [*map(str, range(90, 200))])
        wanted = {AssetKeyPartitionKey(dg.AssetKey(flow.stream.split("/")), k) for flow in BY_COURSE for k in keys}
        with partition_loading_context(dynamic_partitions_store=instance):
            (request,) = build_run_requests_with_backfill_policies(wanted, defs.resolve_asset_graph(), instance)
    assert request.tags["dagster/asset_partition_range_start"] == "100"
    assert request.tags["dagster/asset_partition_range_end"] == "159"
    assert {key.to_user_string() for key in request.asset_selection or ()} == {f.stream for f in BY_COURSE}


def test_a_backfills_run_syncs_its_range(
    platform: Platform, lists: Callable[[], Finished], runner: Runner
) -> None:
    lists()
    first, *_, last = ids(platform)[2:6]
    job = defs.resolve_job_def("wtl_courses_sync")
    with dg.DagsterInstance.get() as instance:
        done = job.execute_in_process(
            instance=instance,
            resources={"runner": runner},
            tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
        )
    assert done.success
    assert materialized() == set(ids(platform)[2:6])


def test_one_failing_course_fails_only_its_own_partition(
    platform: Platform, lists: Callable[[], Finished], courses: Callable[..., Finished]
) -> None:
    lists()
    bad, *good = ids(platform)
    platform.switch_on("not-found", path=f"/training/{bad}/user/list")
    done = courses(flows=[COURSE_USERS])
    assert not done.success
    assert materialized() == set(good)
    (failed,) = [report for report in done.reports if not report.complete]
    assert (failed.stream, failed.partition) == ("wtl/course_users", bad)
    assert bad in failed.errors[0]
    with dg.DagsterInstance.get() as instance:
        (failure,) = [
            entry.dagster_event.step_failure_data.user_failure_data
            for entry in instance.all_logs(done.run_id or "", of_type=dg.DagsterEventType.STEP_FAILURE)
            if entry.dagster_event
        ]
    assert failure is not None
    assert f"1 of 8 partitions failed: {bad}" in (failure.description or "")
    platform.faults.clear()
    assert courses(bad, flows=[COURSE_USERS]).success
    assert materialized() == set(ids(platform))


def test_a_guarded_course_is_told_and_can_be_approved(
    platform: Platform, lists: Callable[[], Finished], courses: Callable[..., Finished]
) -> None:
    lists()
    course = ids(platform)[0]
    assert courses(course, flows=[COURSE_USERS]).guarded == frozenset()
    platform.course_users[course] = []
    stopped = courses(course, flows=[COURSE_USERS])
    assert (stopped.success, stopped.guarded) == (False, {"wtl/course_users"})
    approved = courses(course, flows=[COURSE_USERS], allow_mass_vanish=True)
    assert approved.success
    assert approved.reports[0].deleted > 0


def test_when_the_hour_is_used_up_what_was_done_is_said_and_the_next_run_begins_with_the_rest(
    platform: Platform,
    lists: Callable[[], Finished],
    courses: Callable[..., Finished],
    serve: Callable[[Any], str],
    sync_settings: Callable[..., Settings],
) -> None:
    lists()
    platform.switch_on("hour-used-up", path="/training/*/user/list", after=5)
    stopped = courses(flows=[COURSE_USERS])
    assert not stopped.success
    with dg.DagsterInstance.get() as instance:
        run = instance.get_run_by_id(stopped.run_id or "")
    assert run is not None
    assert run.status is dg.DagsterRunStatus.SUCCESS, "used-up requests are no failure"
    done = {r.partition for r in stopped.reports if r.complete}
    assert 0 < len(done) < 8
    assert materialized() == done
    (rest,) = [report for report in stopped.reports if not report.complete]
    assert rest.partition is None
    assert f"{8 - len(done)} of 8 were not reached" in rest.errors[0]
    platform.faults.clear()
    # This process knows that the hour is used up there; of another address it knows nothing.
    later = Runner(sync_settings(serve(platform), platform.token))
    job = defs.resolve_job_def("wtl_courses_sync")
    after = launch_partitions(job, [COURSE_USERS], later, PartitionsConfig(at_most=8 - len(done)))
    assert {r.partition for r in after.reports} == set(ids(platform)) - done


def test_the_metadata_of_a_partition_has_counters_and_what_was_found_out(
    platform: Platform, lists: Callable[[], Finished], courses: Callable[..., Finished]
) -> None:
    lists()
    (report,) = courses(ids(platform)[0], flows=[COURSE_LESSONS]).reports
    assert str(report.facts["course_lessons"]).startswith("not available")
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(["wtl", "lessons"]))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["course_lessons"].value == report.facts["course_lessons"]
    assert metadata["requests"].value == report.requests > 0


def test_a_failed_list_leaves_the_partitions_as_they_are(
    platform: Platform, lists: Callable[[], Finished], runner: Runner
) -> None:
    lists()
    before = partitions()
    platform.courses.clear()
    stopped = launch(defs.resolve_job_def("wtl_sync"), [COURSES], runner, SyncConfig())
    assert stopped.guarded == {"wtl/courses"}
    assert partitions() == before


def test_an_upstream_that_is_down_is_not_asked_for_every_course(
    lists: Callable[[], Finished], courses: Callable[..., Finished], platform: Platform
) -> None:
    for number in range(900, 930):
        platform.put("courses", str(number), {"id": str(number), "name": f"Kurs {number}"})
    lists()
    platform.switch_on("server-error", path="/training/*/user/list")
    done = courses(flows=[COURSE_USERS])
    *failed, ended = done.reports
    assert (len(failed), ended.partition) == (10, None)
    assert "28 of 38 were not reached: 10 partitions in a row" in ended.errors[0]


@given(there=st.lists(st.text(), unique=True), before=st.lists(st.text(), unique=True))
def test_the_steps_lead_from_the_partitions_there_were_to_those_there_are(
    there: list[str], before: list[str]
) -> None:
    new, gone = steps_towards(there, before)
    assert (set(before) | set(new)) - set(gone) == set(there)
    assert not set(new) & set(before)
    assert set(gone) <= set(before)
