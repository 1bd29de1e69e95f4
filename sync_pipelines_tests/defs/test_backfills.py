"""A backfill of courses here and there: Dagster queues a run for each gap, and the first does the work of all."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from sync_pipelines.definitions import defs
from sync_pipelines.defs.launch import launch
from sync_pipelines.flows.registry import FLOWS, PARTITIONED_FLOWS
from sync_pipelines.flows.runner import Runner
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.settings import Settings

_ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("sync_pipelines"), "__repository__"), "wtl_courses_sync"
)
_CODE = JobPythonOrigin("wtl_courses_sync", RepositoryPythonOrigin(sys.executable, ModuleCodePointer("m", "defs")))
ASSETS = [dg.AssetKey(flow.stream.split("/")) for flow in PARTITIONED_FLOWS]


class Backfill:
    """One with the name "b": `queue` is what the daemon does, `run_first` what a worker does with the first."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.job = defs.resolve_job_def("wtl_courses_sync")

    def queue(self, first: str, last: str, *, backfill: str = "b", assets: Sequence[dg.AssetKey] = ASSETS) -> str:
        run = self.instance.create_run_for_job(
            self.job,
            status=dg.DagsterRunStatus.QUEUED,
            tags=self._tags(first, last, backfill),
            asset_selection=frozenset(assets),
            remote_job_origin=_ORIGIN,
            job_code_origin=_CODE,
        )
        return run.run_id

    def run_first(self, first: str, last: str) -> dg.ExecuteInProcessResult:
        return self.job.execute_in_process(
            instance=self.instance,
            tags=self._tags(first, last, "b"),
            asset_selection=ASSETS,
            raise_on_error=False,
        )

    def status(self, run_id: str) -> str:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status.value

    def materialized(self, asset: dg.AssetKey) -> set[str]:
        return set(self.instance.get_materialized_partitions(asset))

    @staticmethod
    def _tags(first: str, last: str, backfill: str) -> dict[str, str]:
        return {
            "dagster/backfill": backfill,
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        }


@pytest.fixture
def platform() -> Platform:
    platform = Platform.invented(courses=12, lessons=10, users=30)
    platform.limit_minute = platform.limit_hour = 10**9
    return platform


@pytest.fixture
def keys(platform: Platform) -> list[str]:
    return [course["id"] for course in platform.courses]


@pytest.fixture
def backfill(
    platform: Platform, instance_home: object, serve: Callable[[Any], str], sync_settings: Callable[..., Settings]
):
    runner = Runner(sync_settings(serve(platform)))
    launch(defs.resolve_job_def("wtl_sync"), FLOWS, runner)
    with dg.DagsterInstance.get() as instance:
        yield Backfill(instance)


def test_the_first_run_does_the_work_of_those_behind_it_and_cancels_them(
    backfill: Backfill, keys: list[str]
) -> None:
    behind = [backfill.queue(keys[3], keys[3]), backfill.queue(keys[6], keys[8])]
    assert backfill.run_first(keys[0], keys[1]).success
    assert [backfill.status(run) for run in behind] == ["CANCELED", "CANCELED"]
    for asset in ASSETS:
        assert backfill.materialized(asset) == {keys[n] for n in (0, 1, 3, 6, 7, 8)}


def test_runs_of_other_backfills_and_of_other_assets_are_left_alone(backfill: Backfill, keys: list[str]) -> None:
    others = [
        backfill.queue(keys[3], keys[3], backfill="another"),
        backfill.queue(keys[4], keys[4], assets=ASSETS[:1]),
    ]
    assert backfill.run_first(keys[0], keys[0]).success
    assert [backfill.status(run) for run in others] == ["QUEUED", "QUEUED"]
    assert backfill.materialized(ASSETS[0]) == {keys[0]}


def test_a_run_behind_whose_course_failed_stays_to_try_again(
    backfill: Backfill, keys: list[str], platform: Platform
) -> None:
    good, bad = backfill.queue(keys[3], keys[3]), backfill.queue(keys[5], keys[6])
    platform.switch_on("null", path=f"/training/{keys[6]}/user/list")
    assert not backfill.run_first(keys[0], keys[0]).success
    assert (backfill.status(good), backfill.status(bad)) == ("CANCELED", "QUEUED")
    assert backfill.materialized(dg.AssetKey(["wtl", "course_users"])) == {keys[n] for n in (0, 3, 5)}
