"""Runs through Dagster on a real instance, and what its history then holds."""

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
