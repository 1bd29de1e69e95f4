from pathlib import Path

import dagster as dg
import pytest

import sync_pipelines
from sync_pipelines.definitions import defs

PROJECT = Path(sync_pipelines.__file__).parent.parent


def test_the_schedule_is_on_and_runs_every_15_minutes() -> None:
    schedule = defs.resolve_schedule_def("wtl_every_15_minutes")
    assert schedule.cron_schedule == "*/15 * * * *"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert schedule.job_name == "wtl_sync"


def test_a_tick_without_settings_is_skipped_and_says_which_are_missing() -> None:
    tick = defs.resolve_schedule_def("wtl_every_15_minutes").evaluate_tick(dg.build_schedule_context())
    assert tick.run_requests == []
    assert "WTL_API_URL and WTL_API_TOKEN" in (tick.skip_message or "")


def test_a_tick_with_settings_asks_for_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WTL_API_URL", "https://a.elms.pl/api/v1")
    monkeypatch.setenv("WTL_API_TOKEN", "hunter22")
    tick = defs.resolve_schedule_def("wtl_every_15_minutes").evaluate_tick(dg.build_schedule_context())
    assert len(tick.run_requests or []) == 1
