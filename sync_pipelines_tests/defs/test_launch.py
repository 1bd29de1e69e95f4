"""Runs through Dagster on a real instance, and what its history then holds."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sync_pipelines.definitions import defs
from sync_pipelines.defs.config import SyncConfig
from sync_pipelines.defs.launch import launch
from sync_pipelines.flows.registry import FLOWS
from sync_pipelines.flows.runner import Finished, Runner
from sync_pipelines.flows.spec import Flow
from sync_pipelines.flows.webtolearn import USERS
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.settings import Settings


@pytest.fixture
def run(
    instance_home: Path, serve: Callable[[Any], str], sync_settings: Callable[..., Settings]
) -> Callable[..., Finished]:
    def start(
        platform: Platform, token: str = "sandbox-token", flows: Sequence[Flow] = FLOWS, **config: bool
    ) -> Finished:
        runner = Runner(sync_settings(serve(platform), token))
        return launch(defs.resolve_job_def("wtl_sync"), flows, runner, SyncConfig(**config))

    return start


def test_every_counter_of_a_run_is_a_number_in_its_metadata(run: Callable[..., Finished]) -> None:
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
            facts = said.pop("facts")
            del said["stream"], said["partition"], said["errors"]
            assert kept.pop("dagster/row_count") == report.created
            assert kept.keys() - said.keys() - facts.keys() == {"changes", "report"}
            assert {name: kept[name] for name in (*said, *facts)} == said | facts
            assert facts["requests_left_minute"] > 0


def test_the_history_is_kept_in_the_database_in_a_schema_of_its_own(
    run: Callable[..., Finished], query: Callable[..., list[Any]], instance_home: Path
) -> None:
    launched = run(Platform.invented(courses=1))
    assert query("SELECT run_id, status FROM dagster.runs") == [(launched.run_id, "SUCCESS")]
    assert query("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'") == [0]
    assert not list(instance_home.rglob("*.db"))


def test_a_failed_flow_is_reported_and_what_waits_for_it_does_not_run(run: Callable[..., Finished]) -> None:
    launched = run(Platform.invented(), token="hunter22")
    assert not launched.success
    courses, lessons, users = launched.reports
    assert "WTL_API_TOKEN" in courses.errors[0]
    assert lessons.errors == ("not run: wtl/courses did not succeed",)
    assert (courses.requests, lessons.requests, users.requests) == (1, 0, 1)


def test_no_secret_or_person_is_in_the_history(
    run: Callable[..., Finished], query: Callable[..., list[Any]]
) -> None:
    people = Platform(users=[{"id": "1", "email": "anna.nowak@szkola.example"}, {"id": "2", "email": "a" * 300}])
    run(people)
    run(people, token="hunter22")
    history = str(query("SELECT event FROM dagster.event_logs")) + str(query("SELECT run_body FROM dagster.runs"))
    for word in ("hunter22", "sandbox-token", "nowak", "aaaaaaaa"):
        assert word not in history


def test_the_guard_is_told_from_other_failures_and_the_ui_says_how_to_approve_a_run(
    run: Callable[..., Finished], query: Callable[..., list[Any]]
) -> None:
    platform = Platform.invented(courses=1, lessons=100, users=3)
    assert run(platform).guarded == frozenset()
    del platform.lessons[50:]
    stopped = run(platform)
    assert (stopped.success, stopped.guarded) == (False, {"wtl/lesson_catalog"})
    assert "50 of 100" in stopped.reports[1].errors[-1]
    with dg.DagsterInstance.get() as instance:
        (failure,) = [
            entry.dagster_event.step_failure_data.user_failure_data
            for entry in instance.all_logs(stopped.run_id or "", of_type=dg.DagsterEventType.STEP_FAILURE)
            if entry.dagster_event
        ]
    assert failure is not None
    assert "ops: {wtl__lesson_catalog: {config: {allow_mass_vanish: true}}}" in (failure.description or "")
    assert "--allow-mass-vanish" in (failure.description or "")
    approved = run(platform, allow_mass_vanish=True)
    assert (approved.success, approved.reports[1].deleted) == (True, 50)
    assert run(platform).success


def test_the_launchpad_takes_what_the_failure_says_to_put_there(
    run: Callable[..., Finished], sync_settings: Callable[..., Settings], serve: Callable[[Any], str]
) -> None:
    platform = Platform.invented(lessons=100)
    run(platform)
    platform.lessons.clear()
    config = {"ops": {"wtl__lesson_catalog": {"config": {"allow_mass_vanish": True}}}}
    runner = Runner(sync_settings(serve(platform)))
    with dg.DagsterInstance.get() as instance:
        done = defs.resolve_job_def("wtl_sync").execute_in_process(
            config, instance=instance, resources={"runner": runner}
        )
    assert done.success


def test_some_of_a_jobs_flows_can_run_alone(run: Callable[..., Finished]) -> None:
    launched = run(Platform.invented(courses=1, users=3), flows=[USERS])
    assert launched.success
    assert [report.stream for report in launched.reports] == ["wtl/users"]


def test_a_run_into_a_table_of_the_settings_says_so_in_its_metadata(
    run: Callable[..., Finished], query: Callable[..., list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query("CREATE TABLE people (id uuid PRIMARY KEY, wtl_user_id text NOT NULL UNIQUE, email text)")
    (tmp_path / "tables.toml").write_text(
        '["wtl/users"]\ntable = "public.people"\nnatural_key = ["wtl_user_id"]\nowned = ["email"]\n'
        'vanished_at = ""\nsynced_at = ""\nwritten_at = ""\n'
    )
    monkeypatch.setenv("SYNC_TABLES_FILE", str(tmp_path / "tables.toml"))
    run(Platform.invented(users=3), flows=[USERS])
    with dg.DagsterInstance.get() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(["wtl", "users"]))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["dagster/table_name"].value == "public.people"
