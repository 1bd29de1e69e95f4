"""A backfill of courses here and there: Dagster queues a run for each range; the first does the work of all."""

import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from sync_pipelines.definitions import defs
from sync_pipelines.defs.launch import launch
from sync_pipelines.flows.registry import FLOWS, partitioned_flows_of
from sync_pipelines.flows.runner import Runner
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.settings import Settings

_ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("sync_pipelines"), "__repository__"), "wtl_courses_sync"
)
_CODE = JobPythonOrigin("wtl_courses_sync", RepositoryPythonOrigin(sys.executable, ModuleCodePointer("m", "defs")))
BY_COURSE = partitioned_flows_of("wtl")
USERS = dg.AssetKey(["wtl", "course_users"])
ASSETS = [dg.AssetKey(flow.stream.split("/")) for flow in BY_COURSE]


class Backfill:
    """One with the name "b": `queue` is what the daemon does, `run_first` what a worker does with the first."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.job = defs.resolve_job_def("wtl_courses_sync")
        self.noted = PartitionBackfill(
            "b",
            BulkActionStatus.REQUESTED,
            from_failure=False,
            tags={},
            backfill_timestamp=0.0,
            asset_selection=ASSETS,
        )

    def note(self, noted: PartitionBackfill | None = None) -> None:
        """Have the instance know of it; as it is when all of its runs are queued."""
        self.instance.add_backfill(noted or self.noted)

    def queue(
        self, first: str, last: str, *, backfill: str = "b", assets: Sequence[dg.AssetKey] | None = ASSETS
    ) -> str:
        return self._queue(self._tags(first, last, backfill), frozenset(assets) if assets else None)

    def queue_of_job(self, key: str) -> str:
        """As for a backfill of the job: a run a partition, of whatever assets the job has."""
        return self._queue({"dagster/backfill": "b", "dagster/partition": key}, None)

    def _queue(self, tags: dict[str, str], assets: frozenset[dg.AssetKey] | None) -> str:
        run = self.instance.create_run_for_job(
            self.job,
            status=dg.DagsterRunStatus.QUEUED,
            tags=tags,
            asset_selection=assets,
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

    def run_first_of_job(self, key: str) -> dg.ExecuteInProcessResult:
        return self.job.execute_in_process(
            instance=self.instance,
            tags={"dagster/backfill": "b"},
            partition_key=key,
            raise_on_error=False,
        )

    def left(self, *run_ids: str) -> list[str | None]:
        """What became of queued runs: their status, None of those that are gone."""
        runs = map(self.instance.get_run_by_id, run_ids)
        return [run and run.status.value for run in runs]

    def materialized(self, asset: dg.AssetKey) -> set[str]:
        return set(self.instance.get_materialized_partitions(asset))

    def failed(self, asset: dg.AssetKey) -> set[str]:
        """The partitions that the asset's page shows as failed, and its dialogs select as such."""
        definition = defs.resolve_assets_def(asset).partitions_def
        status = get_and_update_asset_status_cache_value(self.instance, asset, definition)
        assert status is not None
        assert definition is not None
        return set(status.deserialize_failed_partition_subsets(definition).get_partition_keys())

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
) -> Generator[Backfill, None, None]:
    runner = Runner(sync_settings(serve(platform)))
    launch(defs.resolve_job_def("wtl_sync"), FLOWS, runner)
    with dg.DagsterInstance.get() as instance:
        yield Backfill(instance)


def test_the_first_run_does_the_work_of_those_behind_it_and_removes_them(
    backfill: Backfill, keys: list[str]
) -> None:
    backfill.note()
    behind = [backfill.queue(keys[3], keys[3]), backfill.queue(keys[6], keys[8])]
    assert backfill.run_first(keys[0], keys[1]).success
    assert backfill.left(*behind) == [None, None]
    for asset in ASSETS:
        assert backfill.materialized(asset) == {keys[n] for n in (0, 1, 3, 6, 7, 8)}


def test_a_backfill_of_the_job_is_one_run_too_and_none_of_its_assets_is_left_out(
    backfill: Backfill, keys: list[str]
) -> None:
    backfill.note()
    behind = [backfill.queue_of_job(key) for key in keys[1:6]]
    assert backfill.run_first_of_job(keys[0]).success
    assert backfill.left(*behind) == [None] * 5
    for asset in ASSETS:
        assert backfill.materialized(asset) == set(keys[:6])


def test_runs_of_other_backfills_and_of_other_assets_are_left_alone(backfill: Backfill, keys: list[str]) -> None:
    backfill.note()
    others = [
        backfill.queue(keys[3], keys[3], backfill="another"),
        backfill.queue(keys[4], keys[4], assets=ASSETS[:1]),
    ]
    assert backfill.run_first(keys[0], keys[0]).success
    assert backfill.left(*others) == ["QUEUED", "QUEUED"]
    assert backfill.materialized(ASSETS[0]) == {keys[0]}


@pytest.mark.parametrize("of_job", [False, True])
def test_a_run_behind_of_whose_courses_one_failed_is_canceled_and_not_tried_again(
    backfill: Backfill, keys: list[str], platform: Platform, of_job: bool
) -> None:
    backfill.note()
    if of_job:
        good, bad = backfill.queue_of_job(keys[3]), backfill.queue_of_job(keys[6])
    else:
        good, bad = backfill.queue(keys[3], keys[3]), backfill.queue(keys[5], keys[6])
    platform.switch_on("null", path=f"/training/{keys[6]}/user/list")
    first = backfill.run_first_of_job(keys[0]) if of_job else backfill.run_first(keys[0], keys[0])
    assert not first.success
    assert backfill.left(good, bad) == [None, "CANCELED"]
    done = {keys[n] for n in ((0, 3) if of_job else (0, 3, 5))}
    assert backfill.materialized(USERS) == done
    assert backfill.failed(USERS) == {keys[6]}
    assert backfill.failed(dg.AssetKey(["wtl", "lessons"])) == set()


def test_a_run_of_courses_that_are_no_partitions_any_more_is_left_to_say_so(
    backfill: Backfill, keys: list[str]
) -> None:
    backfill.note()
    behind = backfill.queue(keys[3], keys[4])
    backfill.instance.delete_dynamic_partition("wtl_courses", keys[4])
    assert backfill.run_first(keys[0], keys[0]).success
    assert backfill.left(behind) == ["QUEUED"]


def test_what_the_first_run_did_not_reach_is_canceled_and_not_asked_for_again(
    backfill: Backfill, keys: list[str], platform: Platform
) -> None:
    backfill.note()
    behind = [backfill.queue(keys[3], keys[3]), backfill.queue(keys[6], keys[8])]
    platform.switch_on("bad-token", path="/training/*/user/list")
    assert not backfill.run_first(keys[0], keys[1]).success
    assert backfill.left(*behind) == ["CANCELED", "CANCELED"]
    assert backfill.materialized(USERS) == set()
    assert backfill.failed(USERS) == {keys[n] for n in (0, 1, 3, 6, 7, 8)}


def _still_queueing(noted: PartitionBackfill, keys: list[str]) -> dict[str, PartitionBackfill | None]:
    return {
        "an asset's": noted.with_submitting_run_requests([dg.RunRequest()], ["r"]),
        "a job's": noted._replace(asset_selection=None, partition_names=keys),
        "the command line's": None,
    }


@pytest.mark.parametrize("whose", ["an asset's", "a job's", "the command line's"])
def test_what_is_queued_only_after_the_first_run_began_is_of_that_run_too(
    backfill: Backfill, keys: list[str], whose: str
) -> None:
    unfinished = _still_queueing(backfill.noted, keys)[whose]
    if unfinished is not None:
        backfill.note(unfinished)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(backfill.run_first, keys[0], keys[0])
        while not backfill.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            assert not first.done()
        late = backfill.queue(keys[5], keys[7])
        if unfinished is None:
            backfill.note(backfill.noted.with_status(BulkActionStatus.COMPLETED))
        else:
            backfill.instance.update_backfill(
                unfinished.with_submitting_run_requests([], []).with_partition_checkpoint(keys[-1])
            )
        assert first.result().success
    assert backfill.left(late) == [None]
    for asset in ASSETS:
        assert backfill.materialized(asset) == {keys[n] for n in (0, 5, 6, 7)}


def test_of_a_range_just_the_courses_that_failed_are_shown_as_failed_until_they_succeed(
    backfill: Backfill, keys: list[str], platform: Platform
) -> None:
    backfill.note()
    for n in (2, 4):
        platform.switch_on("null", path=f"/training/{keys[n]}/user/list")
    assert not backfill.run_first(keys[1], keys[5]).success
    assert backfill.failed(USERS) == {keys[2], keys[4]}
    assert backfill.materialized(USERS) == {keys[n] for n in (1, 3, 5)}
    platform.faults.clear()
    for n in (2, 4):
        assert backfill.run_first(keys[n], keys[n]).success
    assert backfill.failed(USERS) == set()


def test_courses_that_no_backfill_asked_for_are_shown_as_failed_too(
    backfill: Backfill, keys: list[str], platform: Platform
) -> None:
    platform.switch_on("null", path=f"/training/{keys[2]}/user/list")
    named = {"ops": {"wtl__course_users": {"config": {"keys": keys[1:4]}}}}
    result = backfill.job.execute_in_process(
        named, instance=backfill.instance, asset_selection=[USERS], raise_on_error=False
    )
    assert not result.success
    assert backfill.failed(USERS) == {keys[2]}
    assert backfill.materialized(USERS) == {keys[1], keys[3]}
