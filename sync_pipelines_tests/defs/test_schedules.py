"""When the jobs run, in local time and over both changes of the clock, and when a tick asks for nothing."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.definitions import defs
from sync_pipelines.defs.schedules import every

ON = ["wtl_sync_schedule", "wtl_courses_sync_schedule", "bakalari_sync_schedule"]
QUARTER = timedelta(minutes=15)
# The nights in which Europe's clocks go forward and back, and the days around them.
CHANGES = [datetime(2027, 3, 27, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)]


def schedule(name: str) -> dg.ScheduleDefinition:
    return defs.resolve_schedule_def(name)


def ticks(name: str, begin: datetime, days: int = 3) -> list[datetime]:
    found = schedule_execution_time_iterator(
        begin.timestamp(), schedule(name).cron_schedule, schedule(name).execution_timezone
    )
    end = begin + timedelta(days=days)
    return list(takewhile(lambda tick: tick < end, (tick.astimezone(UTC) for tick in found)))


@pytest.fixture
def instance(instance_home: object, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def webtolearn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WTL_API_URL", "https://a.elms.pl/api/v1")
    monkeypatch.setenv("WTL_API_TOKEN", "hunter22")


def tick(name: str, instance: dg.DagsterInstance) -> Any:
    context = dg.build_schedule_context(instance=instance, repository_def=defs.get_repository_def())
    return schedule(name).evaluate_tick(context)


@pytest.mark.parametrize("name", ON)
def test_each_is_on_and_runs_its_job_every_15_minutes_of_a_named_time_zone(name: str) -> None:
    assert schedule(name).default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule(name).job_name == name.removesuffix("_schedule")
    assert ZoneInfo(schedule(name).execution_timezone or "").key.startswith("Europe/")


@pytest.mark.parametrize("name", ON)
@pytest.mark.parametrize("begin", CHANGES)
def test_no_change_of_the_clock_leaves_out_a_run_or_makes_one_twice(name: str, begin: datetime) -> None:
    found = ticks(name, begin)
    assert len(found) == 3 * 96
    assert {later - earlier for earlier, later in pairwise(found)} == {QUARTER}


@pytest.mark.parametrize("begin", [*CHANGES, datetime(2026, 11, 23, tzinfo=UTC)])
def test_in_school_hours_is_from_seven_to_before_six_on_weekdays_there(begin: datetime) -> None:
    name = "bakalari_school_hours"
    assert schedule(name).default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule(name).cron_schedule == "0,15,30,45 7-17 * * 1-5"
    there = [tick.astimezone(ZoneInfo("Europe/Prague")) for tick in ticks(name, begin, days=7)]
    assert len(there) == 5 * 11 * 4
    assert {tick.isoweekday() for tick in there} == {1, 2, 3, 4, 5}
    assert {tick.hour for tick in there} == set(range(7, 18))


def test_lists_and_courses_are_not_asked_for_at_once() -> None:
    minutes = [{tick.minute for tick in ticks(name, CHANGES[0], days=1)} for name in ON[:2]]
    assert minutes == [{0, 15, 30, 45}, {5, 20, 35, 50}]


@given(minutes=st.sampled_from([1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60]), past=st.integers(0, 59))
def test_every_so_many_minutes_is_every_so_many_minutes(minutes: int, past: int) -> None:
    found = schedule_execution_time_iterator(CHANGES[0].timestamp(), every(minutes, past=past), "UTC")
    times = [next(found) for _ in range(70)]
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(minutes=minutes)}
    assert {time.minute % minutes for time in times} == {past % minutes}


@pytest.mark.parametrize("name", ON)
def test_a_tick_without_settings_is_skipped_and_says_which_are_missing(
    name: str, instance: dg.DagsterInstance
) -> None:
    evaluated = tick(name, instance)
    assert evaluated.run_requests == []
    assert "WTL_API_URL and WTL_API_TOKEN" in evaluated.skip_message or "BAKALARI_URL" in evaluated.skip_message


def test_a_tick_with_settings_asks_for_a_run(webtolearn: None, instance: dg.DagsterInstance) -> None:
    for name in ON[:2]:
        assert len(tick(name, instance).run_requests) == 1


@pytest.mark.parametrize("name", ON[:2])
@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_where_the_last_run_goes_on_another_is_not_asked_for(
    webtolearn: None, instance: dg.DagsterInstance, name: str, status: dg.DagsterRunStatus
) -> None:
    job = defs.resolve_job_def(name.removesuffix("_schedule"))
    run = instance.create_run_for_job(job, status=status)
    assert "under way" in tick(name, instance).skip_message
    instance.report_run_failed(run)
    assert len(tick(name, instance).run_requests) == 1


def test_a_tick_for_courses_asks_for_some_of_them_that_are_due(
    webtolearn: None, instance: dg.DagsterInstance
) -> None:
    (request,) = tick("wtl_courses_sync_schedule", instance).run_requests
    asked = {step: op["config"] for step, op in request.run_config["ops"].items()}
    some = {"older_than_minutes": 14, "at_most": 120}
    assert asked == {"wtl__lessons": some, "wtl__course_users": some}


def test_a_school_whose_run_goes_on_waits_and_the_others_do_not(
    instance: dg.DagsterInstance,
    set_up_schools: Callable[..., dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sync_pipelines.sandbox.bakalari import School

    schools = [School.invented(f"skola-{n}", classes=1, students=1, teachers=1) for n in range(3)]
    for name, value in set_up_schools(*schools).items():
        monkeypatch.setenv(name, value)
    asked = [request.partition_key for request in tick("bakalari_sync_schedule", instance).run_requests]
    assert asked == ["skola-0", "skola-1", "skola-2"]
    job = defs.resolve_job_def("bakalari_sync")
    tags = {"dagster/partition": "skola-1"}
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
    asked = [request.partition_key for request in tick("bakalari_sync_schedule", instance).run_requests]
    assert asked == ["skola-0", "skola-2"]
