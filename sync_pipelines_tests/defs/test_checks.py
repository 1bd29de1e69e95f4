"""The warning checks on a real instance: in a job of no partition, alone, and beside a sync."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from sync_pipelines.defs.assets import FLOW_ASSETS, LOCAL_ASSETS, PARTITIONED_ASSETS
from sync_pipelines.defs.checks import CHECKS
from sync_pipelines.defs.resources import RESOURCES
from sync_pipelines.flows.checks import checks_of
from sync_pipelines.flows.partitions import PartitionRunner
from sync_pipelines.flows.registry import FLOWS, UPSTREAMS
from sync_pipelines.flows.runner import Runner
from sync_pipelines.flows.webtolearn import COURSE_USERS
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.settings import Settings

Query = Callable[..., list[Any]]
DEFS = dg.Definitions(
    assets=[*FLOW_ASSETS, *PARTITIONED_ASSETS, *LOCAL_ASSETS],
    asset_checks=CHECKS,
    jobs=[dg.define_asset_job("checks", selection=dg.AssetSelection.checks(*CHECKS))],
    resources=RESOURCES,
    executor=dg.in_process_executor,
)
KEY = dg.AssetKey(["wtl", "course_users"])


@pytest.fixture
def instance(
    instance_home: object, serve: Callable[[Any], str], sync_settings: Callable[..., Settings]
) -> dg.DagsterInstance:
    """One whose lists and partitions are synced."""
    platform = Platform.invented(courses=3, lessons=6, users=9)
    platform.limit_minute = platform.limit_hour = 10**9
    sync_settings(serve(platform))
    runner = Runner(Settings.load())
    assert all(runner.run(flow).complete for flow in FLOWS)
    courses = PartitionRunner(runner.settings)
    keys = courses.stalest_first(COURSE_USERS)
    assert all(done.bad is None for done in courses.run(COURSE_USERS, keys))
    instance = dg.DagsterInstance.get()
    instance.add_dynamic_partitions("wtl_courses", keys)
    instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition=keys[0]))
    return instance


def run(instance: dg.DagsterInstance, *only: dg.AssetCheckKey) -> dg.ExecuteInProcessResult:
    job = DEFS.resolve_job_def("checks")
    if only:
        job = DEFS.resolve_implicit_global_asset_job_def().get_subset(
            asset_selection=set(), asset_check_selection=set(only)
        )
    return job.execute_in_process(instance=instance, raise_on_error=False)


def verdicts(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    found = result.get_asset_check_evaluations()
    return {f"{e.asset_key.to_user_string()} {e.check_name}": e for e in found}


def test_all_checks_of_an_upstream_are_one_step_that_no_partition_is_asked_for(
    instance: dg.DagsterInstance,
) -> None:
    result = run(instance)
    assert result.success
    steps = {event.step_key for event in result.all_events if event.is_step_success}
    assert steps == {f"{upstream}_checks" for upstream in UPSTREAMS}
    found = verdicts(result)
    assert set(found) == {f"{s} {check}" for upstream in UPSTREAMS for s, check in checks_of(upstream)}
    assert all(e.passed and e.severity is dg.AssetCheckSeverity.WARN and not e.blocking for e in found.values())


def test_a_check_is_executed_alone(instance: dg.DagsterInstance) -> None:
    result = run(instance, dg.AssetCheckKey(KEY, "orphans"))
    assert result.success
    assert set(verdicts(result)) == {"wtl/course_users orphans"}


def test_a_finding_fails_the_check_and_not_the_run(instance: dg.DagsterInstance, query: Query) -> None:
    query("UPDATE wtl.users SET remote_deleted_at = now()")
    result = run(instance)
    assert result.success
    orphans = verdicts(result)["wtl/course_users orphans"]
    assert not orphans.passed
    (grants,) = query("SELECT count(*) FROM wtl.course_users")
    assert orphans.metadata["orphans"].value == grants > 0
    assert str(orphans.description).startswith(f"{grants} of {grants} rows refer to one that vanished")
    table = orphans.metadata["first"]
    assert isinstance(table, dg.TableMetadataValue)
    assert {row.data["which is"] for row in table.records} == {"vanished"}
    assert "@" not in str(table.records)


def test_the_check_of_a_partitioned_asset_leaves_a_run_of_its_partitions_alone(
    instance: dg.DagsterInstance,
) -> None:
    first, *_, last = instance.get_dynamic_partitions("wtl_courses")
    job = DEFS.resolve_implicit_global_asset_job_def().get_subset(asset_selection={KEY})
    some: list[dict[str, str]] = [
        {"dagster/partition": first},
        {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
        {},
    ]
    for tags in some:
        result = job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
        assert "wtl_checks" not in {event.step_key for event in result.all_events if event.is_step_failure}


def test_a_database_that_does_not_answer_fails_the_step_and_is_named(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", "postgresql://u:hunter22@127.0.0.1:1/d")
    result = run(instance)
    assert not result.success
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    said = [failure.user_failure_data.description for failure in failures if failure.user_failure_data]
    assert len(said) == len(UPSTREAMS)
    assert all(str(text).startswith("cannot connect to 127.0.0.1:1/d") for text in said)
    assert "hunter22" not in str(failures)
