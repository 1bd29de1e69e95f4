"""What data engineers see in Dagster: keys, order, schedule, metadata. A change here changes their day."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import yaml

import sync_pipelines
from sync_pipelines.definitions import defs
from sync_pipelines.defs.jobs import UPSTREAM_TAG
from sync_pipelines.flows.naming import QUEUE_TAG
from sync_pipelines.flows.registry import FLOWS, LOCAL_FLOWS, PARTITIONED_FLOWS, partitioned_flows_of, sites_of
from sync_pipelines.flows.spec import AnyFlow, PartitionedFlow

PROJECT = Path(sync_pipelines.__file__).parent.parent
SYNC_JOBS = ["wtl_sync", "wtl_courses_sync", "bakalari_sync", "progress_sync"]


def streams_of(flow: AnyFlow) -> set[str]:
    return set(flow.streams) if isinstance(flow, PartitionedFlow) else {flow.stream}


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
        "wtl/lessons": ("webtolearn", ["wtl/courses", "wtl/lesson_catalog"]),
        "wtl/course_users": ("webtolearn", ["wtl/courses", "wtl/users"]),
        "bakalari/roster": ("bakalari", []),
        "bakalari/schools": ("bakalari", ["bakalari/roster"]),
        "bakalari/classes": ("bakalari", ["bakalari/schools"]),
        "bakalari/subjects": ("bakalari", ["bakalari/classes"]),
        "bakalari/users": ("bakalari", ["bakalari/subjects"]),
        "bakalari/enrollments": ("bakalari", ["bakalari/users"]),
        "progress/imports": ("progress", []),
        "progress/lesson_progress": ("progress", ["progress/imports"]),
        "progress/course_summary": ("progress", ["progress/lesson_progress"]),
        "health/sync_report": ("health", []),
    }
    assert set(shape) - {"health/sync_report"} == {f.stream for f in (*FLOWS, *LOCAL_FLOWS)} | {
        stream for f in PARTITIONED_FLOWS for stream in f.streams
    }


def test_what_is_read_by_course_or_by_school_is_divided_by_those_and_backfilled_as_one_run() -> None:
    for flow in PARTITIONED_FLOWS:
        for stream in flow.streams:
            asset = defs.resolve_assets_def(stream.split("/"))
            assert isinstance(asset.partitions_def, dg.DynamicPartitionsDefinition)
            assert (
                asset.partitions_def.name
                == {"wtl": "wtl_courses", "bakalari": "bakalari_schools"}[flow.upstream.name]
            )
            assert asset.backfill_policy == dg.BackfillPolicy.single_run()


def test_every_asset_says_what_it_is_whose_it_is_and_where_its_rows_are() -> None:
    for key, spec in specs().items():
        assert spec.description
        assert spec.owners == ["team:data"]
        if key == "health/sync_report":
            continue
        assert spec.freshness_policy is not None
        assert spec.metadata["dagster/code_references"]
        assert spec.kinds >= {"python", "postgres"}
        schema = {"progress": "learning"}.get(spec.key.path[0], spec.key.path[0])
        assert spec.metadata["dagster/table_name"].startswith(f"{schema}.")
        columns = {column.name for column in spec.metadata["dagster/column_schema"].columns}
        if schema == "learning":
            continue
        landed = {"school_id", "snapshot", "coverage", "read_at"}
        assert landed <= columns or {"id", "remote_deleted_at", "last_sync_at"} <= columns


def test_there_is_a_job_for_lists_and_one_for_partitions_and_each_ends_by_itself() -> None:
    streams = {
        "wtl_sync": {flow.stream for flow in FLOWS},
        "wtl_courses_sync": {flow.stream for flow in partitioned_flows_of("wtl")},
        "bakalari_sync": {stream for flow in sites_of("bakalari") for stream in flow.streams},
        "progress_sync": {flow.stream for flow in LOCAL_FLOWS},
    }
    for name, expected in streams.items():
        assert set(defs.resolve_job_def(name).graph.node_dict) - {"wtl_checks", "progress_checks"} == {
            flow.stream.replace("/", "__")
            for flow in (*FLOWS, *PARTITIONED_FLOWS, *LOCAL_FLOWS)
            if expected.intersection(streams_of(flow))
        }
        job = defs.resolve_job_def(name)
        assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == expected
        assert int(job.tags["dagster/max_runtime"]) > 0
        assert job.tags["sync/upstream"] == name.split("_")[0]
        assert job.executor_def.name == "in_process"


def test_the_checks_are_these_and_run_with_the_sync_or_where_they_only_warn_with_the_report() -> None:
    graph = defs.resolve_asset_graph()
    found: dict[str, set[str]] = {}
    for key in graph.asset_check_keys:
        found.setdefault(key.asset_key.to_user_string(), set()).add(key.name)
    warning, lists = {"duplicates", "counts", "rejects_open"}, {"complete", "guard"}
    assert found == {
        "wtl/courses": warning | lists,
        "wtl/lesson_catalog": warning | lists,
        "wtl/users": warning | lists,
        "wtl/lessons": warning | {"coverage", "guard", "orphans"},
        "wtl/course_users": warning | {"coverage", "guard", "orphans"},
        "bakalari/roster": {"coverage"},
        "progress/imports": {"rejects_open"},
        "bakalari/schools": warning | {"guard"},
        **{
            f"bakalari/{name}": warning | {"guard", "orphans"}
            for name in ("classes", "subjects", "users", "enrollments")
        },
    }
    blocking = {key for key in graph.asset_check_keys if graph.get_check_spec(key).blocking}
    assert {key.name for key in blocking} == lists
    synced = [defs.resolve_job_def(name) for name in SYNC_JOBS]
    lists_own = {dg.AssetKey(flow.stream.split("/")) for flow in (*FLOWS, *LOCAL_FLOWS)}
    assert {key for job in synced for key in job.asset_layer.asset_graph.asset_check_keys} == {
        key
        for key in graph.asset_check_keys
        if key in blocking or key.name == "coverage" or key.asset_key in lists_own
    }
    health = defs.resolve_job_def("health_sync").asset_layer.asset_graph.asset_check_keys
    assert health == {key for key in graph.asset_check_keys if key.name in warning | {"orphans"}}


def test_schedules_and_sensors_are_these() -> None:
    repository = defs.get_repository_def()
    assert {
        schedule.name: (schedule.job_name, schedule.cron_schedule, schedule.execution_timezone)
        for schedule in repository.schedule_defs
    } == {
        "wtl_sync_schedule": ("wtl_sync", "*/15 * * * *", "Europe/Warsaw"),
        "wtl_courses_sync_schedule": ("wtl_courses_sync", "5,20,35,50 * * * *", "Europe/Warsaw"),
        "bakalari_sync_schedule": ("bakalari_sync", "*/15 * * * *", "Europe/Prague"),
        "bakalari_school_hours": ("bakalari_sync", "0,15,30,45 7-17 * * 1-5", "Europe/Prague"),
        "progress_sync_schedule": ("progress_sync", "*/15 * * * *", "UTC"),
        "health_sync_schedule": ("health_sync", "9,24,39,54 * * * *", "UTC"),
        "housekeeping_schedule": ("housekeeping", "20 3 * * *", "Europe/Prague"),
    }
    off = {s.name for s in repository.schedule_defs if s.default_status is dg.DefaultScheduleStatus.STOPPED}
    assert off == {"bakalari_school_hours"}
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "alerts",
        "bakalari_schools_in_step",
        "progress_inbox",
        "webhook_syncs",
    }
    for job in repository.get_all_jobs():
        assert job.name == "__ASSET_JOB" or int(job.tags["dagster/max_runtime"]) > 0


def test_no_job_runs_twice_at_once_and_a_backfill_of_hours_does_not_hold_up_the_lists() -> None:
    config = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    limits = config["concurrency"]["runs"]["tag_concurrency_limits"]
    one_a_value = {"applyLimitPerUniqueValue": True}
    assert {"key": QUEUE_TAG, "value": one_a_value, "limit": 1} in limits
    assert {"key": "dagster/backfill", "value": one_a_value, "limit": 1} in limits
    assert {"key": "dagster/partition", "value": one_a_value, "limit": 1} in limits
    assert {"key": UPSTREAM_TAG, "value": one_a_value, "limit": 4} in limits
    names = [*SYNC_JOBS, "health_sync", "housekeeping"]
    assert len({defs.resolve_job_def(name).tags[QUEUE_TAG] for name in names}) == len(names)


def test_definitions_validate_with_no_network_no_database_and_no_environment() -> None:
    clean = {"PATH": os.environ["PATH"], "SYNC_HOME": str(Path.cwd() / "home")}
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    done = subprocess.run(command, cwd=PROJECT, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "All code locations passed validation" in done.stdout + done.stderr
