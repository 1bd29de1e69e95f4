"""What runs, ticks and daemons of a real instance become: incidents, each of the right kind and subject."""

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo

from sync_pipelines.alerts.evaluating import look_and_deliver
from sync_pipelines.definitions import defs
from sync_pipelines.defs.alerts import ALERTS_SENSOR, DagsterHistory, open_history
from sync_pipelines.defs.ended_runs import flows_of_run
from sync_pipelines.defs.schedules import SCHEDULES
from sync_pipelines.errors import DatabaseUnavailable
from sync_pipelines.flows.naming import FLOWS_BY_NAME
from sync_pipelines.sandbox.bakalari import School
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.settings import Settings
from sync_pipelines_tests.alerts.listening import Forward, Listener

Query = Callable[..., list[Any]]
Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def platform() -> Platform:
    return Platform.invented(courses=3, lessons=100, users=3)


@pytest.fixture
def schools() -> list[School]:
    return [School.invented(f"skola-{n}", classes=1, students=3, teachers=2) for n in range(3)]


@pytest.fixture
def instance(
    platform: Platform,
    schools: list[School],
    instance_home: object,
    serve: Callable[[Any], str],
    sync_settings: Callable[..., Settings],
    set_up_schools: Callable[..., dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> Generator[dg.DagsterInstance, None, None]:
    # What a process learns of a limit is of an address and a token.
    platform.token = "of-its-own"
    sync_settings(serve(platform), platform.token)
    for name, value in set_up_schools(*schools).items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("bakalari_schools", [school.id for school in schools])
        yield instance


@pytest.fixture
def run(instance: dg.DagsterInstance) -> Run:
    def start(job: str, **options: Any) -> dg.ExecuteInProcessResult:
        return defs.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False, **options)

    return start


@pytest.fixture
def look(instance: dg.DagsterInstance, query: Query) -> Callable[..., list[tuple[str, str]]]:
    """Looks, some seconds from now; gives the incidents that last."""

    def look(seconds: float = 10, *, daemons: bool = False) -> list[tuple[str, str]]:
        settings = Settings.load()
        history = DagsterHistory(instance, settings.slow_after)
        now = datetime.now(UTC) + timedelta(seconds=seconds)
        look_and_deliver(settings, history, daemons=daemons, now=lambda: now)
        return query("SELECT kind, subject FROM sync.incidents WHERE ended_at IS NULL ORDER BY kind, subject")

    look()
    return look


Look = Callable[..., list[tuple[str, str]]]


def details(query: Query) -> dict[str, Any]:
    (found,) = query("SELECT details FROM sync.incidents")
    return found


def test_a_run_that_fails_is_an_incident_until_one_succeeds(
    run: Run, look: Look, platform: Platform, query: Query
) -> None:
    platform.switch_on("server-error", path="/training/list")
    failed = run("wtl_sync")
    assert look() == [("failure", "wtl")]
    assert look() == [("failure", "wtl")]
    found = details(query)
    assert (found["run_id"], found["runs"], found["streams"]) == (failed.run_id, 1, ["wtl/courses"])
    assert "500" in found["said"]
    platform.faults.clear()
    run("wtl_sync")
    assert look() == []


def test_the_guard_and_a_refused_token_are_told_as_such(run: Run, look: Look, platform: Platform) -> None:
    run("wtl_sync")
    del platform.lessons[50:]
    run("wtl_sync")
    assert look() == [("guard", "wtl")]
    platform.switch_on("bad-token", path="/training/*/user/list")
    run("wtl_courses_sync")
    assert look() == [("credentials", "wtl_courses"), ("guard", "wtl")]


def test_a_run_of_something_else_does_not_end_it(
    run: Run, look: Look, platform: Platform, instance: dg.DagsterInstance
) -> None:
    platform.switch_on("server-error", path="/training/list")
    run("wtl_sync")
    run("wtl_sync", asset_selection=[dg.AssetKey(["wtl", "users"])])
    assert look() == [("failure", "wtl")]


def test_used_up_requests_are_no_incident(run: Run, look: Look, platform: Platform) -> None:
    platform.switch_on("hour-used-up", path="/training/list")
    assert run("wtl_sync").success
    assert look() == []


def test_a_run_whose_requests_were_used_up_ends_no_incident_of_what_it_did_not_do(
    run: Run, look: Look, platform: Platform
) -> None:
    platform.switch_on("server-error", path="/training/list")
    run("wtl_sync")
    platform.faults.clear()
    platform.switch_on("hour-used-up", path="/training/list")
    assert run("wtl_sync").success
    assert look() == [("failure", "wtl")]


def test_of_schools_in_one_run_each_is_a_subject_of_its_own(
    run: Run, look: Look, schools: list[School], query: Query
) -> None:
    schools[1].down = "unavailable"
    run("bakalari_sync")
    assert look() == [("failure", "bakalari/skola-1")]
    assert details(query)["said"]
    schools[1].down, schools[0].down = None, "unavailable"
    run("bakalari_sync")
    assert look() == [("failure", "bakalari/skola-0")]
    schools[0].down = None
    run("bakalari_sync", partition_key="skola-2")
    assert look() == [("failure", "bakalari/skola-0")]
    run("bakalari_sync", run_config={"ops": {"bakalari__roster": {"config": {"keys": ["skola-0"]}}}})
    assert look() == []


def test_of_courses_all_are_one_subject(run: Run, look: Look, platform: Platform, query: Query) -> None:
    run("wtl_sync")
    platform.switch_on("not-found", path=f"/training/{platform.courses[1]['id']}/user/list")
    run("wtl_courses_sync")
    assert look() == [("failure", "wtl_courses")]
    assert details(query)["counts"] == {"partitions": 1}
    assert details(query)["said"].startswith(f"{platform.courses[1]['id']}: ")
    platform.faults.clear()
    run("wtl_courses_sync")
    assert look() == []


def began(instance: dg.DagsterInstance, job: str, **tags: str) -> dg.DagsterRun:
    """A run that is under way, in a process that is none of ours."""
    run = instance.create_run_for_job(defs.resolve_job_def(job), tags={**defs.resolve_job_def(job).tags, **tags})
    instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job), run.run_id)
    return run


def test_a_run_whose_worker_was_killed_is_a_failure_of_what_it_was_for(
    instance: dg.DagsterInstance, look: Look, query: Query
) -> None:
    killed = began(instance, "bakalari_sync", **{"dagster/partition": "skola-2"})
    instance.report_run_failed(killed, "Run worker process ended unexpectedly (signal 9)")
    assert look() == [("failure", "bakalari/skola-2")]
    assert "signal 9" in details(query)["said"]


def test_a_run_that_somebody_canceled_says_nothing(instance: dg.DagsterInstance, look: Look) -> None:
    canceled = began(instance, "wtl_sync")
    instance.report_run_canceled(canceled)
    assert look() == []


def test_a_scheduled_run_that_takes_long_is_slow_and_one_that_somebody_started_is_not(
    instance: dg.DagsterInstance, run: Run, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_SLOW_SECONDS", "0, bakalari=1000")
    scheduled = {"dagster/schedule_name": "a schedule"}
    run("wtl_sync")
    run("bakalari_sync", partition_key="skola-0", tags=scheduled)
    assert look() == []
    run("wtl_sync", tags=scheduled)
    assert look() == [("slow", "wtl")]
    run("wtl_sync")
    assert look() == [("slow", "wtl")]
    monkeypatch.setenv("SYNC_SLOW_SECONDS", "1000")
    run("wtl_sync", tags=scheduled)
    assert look() == []


def test_a_run_that_waited_for_an_upstream_to_come_back_is_not_slow(
    run: Run, look: Look, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SYNC_SLOW_SECONDS": "0", "SYNC_RETRIES": "1", "SYNC_RETRY_SECONDS": "0"}.items():
        monkeypatch.setenv(name, value)
    platform.switch_on("server-error", path="/training/list", times=4)
    assert run("wtl_sync", tags={"dagster/schedule_name": "a schedule"}).success
    assert look() == []


def test_a_run_from_an_assets_page_carries_no_tags_and_is_told_by_its_assets(
    instance: dg.DagsterInstance, look: Look, platform: Platform, schools: list[School]
) -> None:
    job = defs.resolve_implicit_global_asset_job_def()
    platform.switch_on("server-error", path="/user/list")
    job.get_subset(asset_selection={dg.AssetKey(["wtl", "users"])}).execute_in_process(
        instance=instance, raise_on_error=False
    )
    schools[0].down = "unavailable"
    job.get_subset(asset_selection={dg.AssetKey(["bakalari", "roster"])}).execute_in_process(
        instance=instance, raise_on_error=False, partition_key="skola-0"
    )
    assert look() == [("failure", "bakalari/skola-0"), ("failure", "wtl")]


def test_a_defect_is_told_by_its_kind_alone(instance: dg.DagsterInstance, look: Look, query: Query) -> None:
    @dg.asset(key=["wtl", "courses"])
    def broken() -> None:
        raise KeyError("Eva Nováková")

    dg.materialize([broken], instance=instance, raise_on_error=False)
    assert look() == [("failure", "wtl")]
    assert "KeyError" in details(query)["said"]
    assert "Nov" not in str(details(query))


def test_a_job_of_no_flow_is_told_by_its_name(instance: dg.DagsterInstance, look: Look) -> None:
    @dg.op
    def fails() -> None:
        raise dg.Failure("no space left")

    @dg.job(name="housekeeping")
    def job() -> None:
        fails()

    job.execute_in_process(instance=instance, raise_on_error=False)
    assert look() == [("failure", "housekeeping")]


def test_what_ended_this_moment_is_looked_at_the_next_time(run: Run, look: Look, platform: Platform) -> None:
    platform.switch_on("server-error", path="/training/list")
    run("wtl_sync")
    assert look(0) == []
    assert look() == [("failure", "wtl")]


def test_every_schedule_belongs_to_a_flow_and_every_flow_has_one() -> None:
    jobs = {schedule.job_name for schedule in SCHEDULES}
    assert jobs == {flow.job for flow in FLOWS_BY_NAME.values()}


def test_a_run_is_for_the_flows_of_its_job_or_of_its_assets(instance: dg.DagsterInstance) -> None:
    for name, flow in FLOWS_BY_NAME.items():
        made = instance.create_run_for_job(defs.resolve_job_def(flow.job))
        assert [flow.name for flow in flows_of_run(made)] == [name]
        assert list(flows_of_run(made).values()) == [FLOWS_BY_NAME[name].streams]


def test_a_flow_is_busy_while_a_run_of_it_waits_or_goes_on(instance: dg.DagsterInstance) -> None:
    history = DagsterHistory(instance, lambda _: 60)
    assert history.busy() == frozenset()
    under_way = began(instance, "bakalari_sync", **{"dagster/partition": "skola-2"})
    assert history.busy() == {"bakalari"}
    instance.report_run_canceled(under_way)
    assert history.busy() == frozenset()


def test_ticks_are_those_of_the_flows_schedules_with_what_they_asked_for(instance: dg.DagsterInstance) -> None:
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("sync_pipelines"), "__repository__")
    at = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)

    def tick(schedule: str, minutes: float, status: TickStatus, *keys: str, late: float = 0) -> None:
        origin = RemoteInstigatorOrigin(repository, schedule)
        data = ScheduleInstigatorData("*/15 * * * *")
        state = InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.DECLARED_IN_CODE, data)
        if state.instigator_name not in {s.instigator_name for s in instance.all_instigator_state()}:
            instance.add_instigator_state(state)
        moment = (at + timedelta(minutes=minutes)).timestamp()
        instance.create_tick(
            TickData(
                state.instigator_origin_id,
                schedule,
                InstigatorType.SCHEDULE,
                status,
                moment,
                run_ids=[f"run-of-{key}" for key in keys],
                run_keys=list(keys),
                error=SerializableErrorInfo("said", [], None) if status is TickStatus.FAILURE else None,
                skip_reason="said" if status is TickStatus.SKIPPED else None,
                selector_id=state.selector_id,
                end_timestamp=moment + 60 * late,
            )
        )

    tick("bakalari_sync_schedule", 0, TickStatus.SUCCESS, "skola-0", "skola-1")
    tick("bakalari_school_hours", 5, TickStatus.SKIPPED, late=2)
    tick("bakalari_sync_schedule", 15, TickStatus.FAILURE)
    tick("bakalari_sync_schedule", 30, TickStatus.STARTED)
    tick("wtl_sync_schedule", 7, TickStatus.SUCCESS, "a")
    history = DagsterHistory(instance, lambda _: 60)
    found = [((t.at - at).total_seconds() / 60, t.asked, t.asked_for) for t in history.ticks("bakalari", None)]
    assert found == [(0, True, frozenset({"skola-0", "skola-1"})), (7, False, None), (15, True, None)]
    assert len(history.ticks("bakalari", at + timedelta(minutes=1))) == 2


def test_a_daemon_that_has_ticked_and_does_not_any_more_is_told(
    instance: dg.DagsterInstance, look: Look, query: Query
) -> None:
    def beat(seconds_ago: float, *daemons: str) -> None:
        for daemon in daemons:
            instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - seconds_ago, daemon, "one"))

    assert look(daemons=True) == []  # none has ever ticked
    beat(600, "SCHEDULER")
    beat(10, "SENSOR", "ASSET")
    assert look() == []
    assert look(daemons=True) == [("daemon", "dagster")]
    assert details(query)["said"] == "silent: SCHEDULER"
    beat(1, "SCHEDULER")
    assert look(daemons=True) == []


def test_the_sensor_tells_and_is_on_from_the_start(
    run: Run, instance: dg.DagsterInstance, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ALERTS_SENSOR.default_status == dg.DefaultSensorStatus.RUNNING
    assert ALERTS_SENSOR.minimum_interval_seconds == 30
    with ExitStack() as stack:
        receiver = stack.enter_context(Listener())
        monkeypatch.setenv("SYNC_ALERT_URLS", receiver.url)

        def evaluate() -> dg.SkipReason:
            said = ALERTS_SENSOR(dg.build_sensor_context(instance=instance))
            assert isinstance(said, dg.SkipReason)
            return said

        assert "alerts list" in str(evaluate().skip_message)
        platform.switch_on("server-error", path="/training/list")
        failed = run("wtl_sync")
        while not receiver.messages:  # what ended this moment is looked at some seconds later
            evaluate()
        evaluate()
        assert receiver.titles == ["✗ WebToLearn: sync fails"]
        assert f"/runs/{failed.run_id}" in receiver.messages[0]["message"]


def test_the_sensor_skips_where_there_are_no_tables_yet_and_says_what_to_do(
    instance: dg.DagsterInstance, create_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", create_database(empty=True))
    said = ALERTS_SENSOR(dg.build_sensor_context(instance=instance))
    assert isinstance(said, dg.SkipReason)
    assert "db upgrade" in str(said.skip_message)
    monkeypatch.delenv("SYNC_DATABASE_URL")
    said = ALERTS_SENSOR(dg.build_sensor_context(instance=instance))
    assert isinstance(said, dg.SkipReason)
    assert "SYNC_DATABASE_URL" in str(said.skip_message)


def test_a_database_that_stops_answering_is_said_to_in_our_words(
    database_url: str, instance_home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Forward(sa.make_url(database_url)) as way:
        way.mend()
        monkeypatch.setenv("SYNC_DATABASE_URL", way.url)
        with open_history() as history:
            of = history(Settings.load())
            assert of.newest() == 0
            way.cut()
            with pytest.raises(DatabaseUnavailable, match="Dagster's database"):
                of.newest()
