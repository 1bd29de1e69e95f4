"""When the report, the checks and the tidying run, and what belongs to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import cron_string_iterator

from sync_pipelines.defs.assets import FLOW_ASSETS, LOCAL_ASSETS, PARTITIONED_ASSETS
from sync_pipelines.defs.checks import CHECKS
from sync_pipelines.defs.health import HEALTH_JOBS, HEALTH_SCHEDULES, cron_between
from sync_pipelines.defs.report import REPORT_ASSETS
from sync_pipelines.defs.resources import RESOURCES
from sync_pipelines.flows.checks import checks_of
from sync_pipelines.flows.registry import UPSTREAMS

DEFS = dg.Definitions(
    assets=[*FLOW_ASSETS, *PARTITIONED_ASSETS, *LOCAL_ASSETS, *REPORT_ASSETS],
    asset_checks=CHECKS,
    jobs=HEALTH_JOBS,
    schedules=HEALTH_SCHEDULES,
    resources=RESOURCES,
    executor=dg.in_process_executor,
)


def ticks(cron: str, zone: str, start: datetime, number: int) -> list[datetime]:
    found = cron_string_iterator(start.timestamp(), cron, zone)
    return [at.astimezone(UTC) for at in islice(found, number)]


@pytest.mark.parametrize("minutes", [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60])
def test_it_runs_as_often_as_the_syncs_and_not_when_they_begin(minutes: int) -> None:
    found = ticks(cron_between(minutes), "UTC", datetime(2026, 3, 28, 22, tzinfo=UTC), 200)
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=minutes)}
    assert minutes == 1 or all(at.minute % minutes for at in found)


def test_every_15_minutes_it_is_3_minutes_before_the_next_sync() -> None:
    assert cron_between(15) == "9,24,39,54 * * * *"


def test_the_health_job_reports_and_asks_every_check_that_warns() -> None:
    job = DEFS.resolve_job_def("health_sync")
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == {"health/sync_report"}
    checks = {f"{k.asset_key.to_user_string()} {k.name}" for k in job.asset_layer.asset_graph.asset_check_keys}
    assert checks >= {f"{s} {name}" for upstream in UPSTREAMS for s, name in checks_of(upstream)}
    assert set(job.graph.node_dict) == {"health__sync_report", *(f"{upstream}_checks" for upstream in UPSTREAMS)}


def test_both_jobs_end_by_themselves_and_wait_for_nothing_but_themselves() -> None:
    tags = [DEFS.resolve_job_def(name).tags for name in ("health_sync", "housekeeping")]
    assert all(int(each["dagster/max_runtime"]) > 0 for each in tags)
    assert [each["sync/queue"] for each in tags] == ["health", "housekeeping"]


def test_schedules_are_on_and_name_their_time_zone() -> None:
    zones = {s.name: s.execution_timezone for s in HEALTH_SCHEDULES}
    assert zones == {"health_sync_schedule": "UTC", "housekeeping_schedule": "Europe/Prague"}
    assert {s.default_status for s in HEALTH_SCHEDULES} == {dg.DefaultScheduleStatus.RUNNING}


def test_tidying_is_once_a_night_on_the_nights_the_clocks_change_too() -> None:
    schedule = DEFS.resolve_schedule_def("housekeeping_schedule")
    for start in (datetime(2026, 3, 27, 12, tzinfo=UTC), datetime(2026, 10, 23, 12, tzinfo=UTC)):
        found = ticks(str(schedule.cron_schedule), "Europe/Prague", start, 4)
        local = [at.astimezone(ZoneInfo("Europe/Prague")) for at in found]
        assert [(at.hour, at.minute) for at in local] == [(3, 20)] * 4
        assert len({at.date() for at in local}) == 4


def test_without_a_database_a_tick_is_skipped_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = DEFS.resolve_schedule_def("health_sync_schedule")
    tick = schedule.evaluate_tick(dg.build_schedule_context())
    assert "SYNC_DATABASE_URL" in (tick.skip_message or "")
    monkeypatch.setenv("SYNC_DATABASE_URL", "postgresql://u@127.0.0.1/d")
    assert len(schedule.evaluate_tick(dg.build_schedule_context()).run_requests or []) == 1
