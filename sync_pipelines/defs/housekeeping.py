"""The daily job that keeps the instance small: old runs go, with their events and logs.

A run that made the last materialization of an asset or of one of its partitions stays, however old it is: without
that the partition would show as missing.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from sync_pipelines.errors import SyncError
from sync_pipelines.flows.database import open_database
from sync_pipelines.flows.naming import QUEUE_TAG
from sync_pipelines.flows.runner import Runner
from sync_pipelines.log import redact
from sync_pipelines.postgres import migrate
from sync_pipelines.postgres.alerts import purge_alerts
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.progress import purge_imports
from sync_pipelines.postgres.webhooks import purge_calls

__all__ = ["HEALTH_QUEUE", "HOUSEKEEPING_JOB", "Deleted", "delete_runs"]

#: The queue of the runs that report and check.
HEALTH_QUEUE = "health"
# A report of some 80 kB is made every quarter of an hour, and covers a week.
_KEEP_REPORTS = timedelta(days=7)
_KEEP_ALERTS = timedelta(days=90)
_KEEP_IMPORTS = timedelta(days=90)
_KEEP_CALLS = timedelta(days=90)
_PAGE = 500
_MOST_RUNS, _LONGEST = 20_000, timedelta(minutes=10)
_MAX_RUNTIME_SECONDS = 1800
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


@dataclass(frozen=True)
class Deleted:
    """How many runs were deleted, how many as old were kept, and whether the bounds left any for the next time."""

    deleted: int
    kept: int
    more: bool


def delete_runs(
    instance: dg.DagsterInstance,
    before: datetime,
    *,
    tags: Mapping[str, str] | None = None,
    at_most: int = _MOST_RUNS,
    within: timedelta = _LONGEST,
) -> Deleted:
    """Delete the finished runs that were created before a time, and have these tags; the oldest first."""
    until = time.monotonic() + within.total_seconds()
    last = _runs_of_last_materializations(instance)
    condemned: list[str] = []
    kept = 0
    # Which they are is known before any is deleted: a page is asked for by the last run of the one before.
    for run_id in _finished(instance, before, tags or {}):
        if run_id in last:
            kept += 1
        elif len(condemned) <= at_most:
            condemned.append(run_id)
        else:
            break
    deleted = 0
    for run_id in condemned[:at_most]:
        if time.monotonic() > until:
            break
        # Logs first: of a run that is gone nobody would find them any more.
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.delete_run(run_id)
        deleted += 1
    return Deleted(deleted, kept, more=deleted < len(condemned))


def _finished(instance: dg.DagsterInstance, before: datetime, tags: Mapping[str, str]) -> Iterator[str]:
    wanted = dg.RunsFilter(statuses=_FINISHED, created_before=before, tags=tags)
    cursor = None
    while page := instance.get_run_records(wanted, limit=_PAGE, cursor=cursor, ascending=True):
        yield from (record.dagster_run.run_id for record in page)
        cursor = page[-1].dagster_run.run_id


def _runs_of_last_materializations(instance: dg.DagsterInstance) -> set[str]:
    """Those of each asset, and of each partition of those that have any."""
    keys = instance.all_asset_keys()
    entries = [record.asset_entry for record in instance.get_asset_records(keys)]
    runs = {event.run_id for entry in entries if (event := entry.last_materialization)}
    for key in keys:
        by_partition = instance.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION)
        ids = list(by_partition.values())
        for start in range(0, len(ids), _PAGE):
            wanted = dg.AssetRecordsFilter(key, storage_ids=ids[start : start + _PAGE])
            runs |= {record.run_id for record in instance.fetch_materializations(wanted, limit=_PAGE).records}
    return runs


@dg.op(description="Deletes finished runs older than SYNC_KEEP_RUNS_DAYS, with their events and logs.")
def delete_old_runs(context: dg.OpExecutionContext, runner: dg.ResourceParam[Runner]) -> None:
    now, keep = datetime.now(UTC), timedelta(days=runner.settings.keep_runs_days)
    reports = delete_runs(context.instance, now - min(keep, _KEEP_REPORTS), tags={QUEUE_TAG: HEALTH_QUEUE})
    others = delete_runs(context.instance, now - keep)
    deleted, more = reports.deleted + others.deleted, reports.more or others.more
    context.log.info(
        f"{deleted} runs deleted, {others.kept} kept for what they made last"
        + ("; there are more, which the next time goes on with" if more else "")
    )
    context.add_output_metadata({"deleted": deleted, "kept": others.kept, "more": more})


@dg.op(description=f"Deletes incidents that ended, and messages made, more than {_KEEP_ALERTS.days} days ago.")
def delete_old_alerts(context: dg.OpExecutionContext, runner: dg.ResourceParam[Runner]) -> None:
    with _session(runner) as session:
        incidents, messages = purge_alerts(session, datetime.now(UTC) - _KEEP_ALERTS)
    context.log.info(f"{incidents} incidents and {messages} messages deleted")
    context.add_output_metadata({"incidents": incidents, "messages": messages})


@dg.op(description=f"Forgets which imports of learning progress came more than {_KEEP_IMPORTS.days} days ago.")
def delete_old_imports(context: dg.OpExecutionContext, runner: dg.ResourceParam[Runner]) -> None:
    with _session(runner) as session:
        imports = purge_imports(session, datetime.now(UTC) - _KEEP_IMPORTS)
    context.log.info(f"{imports} imports forgotten: one that came again would be merged again, and change nothing")
    context.add_output_metadata({"imports": imports})


@dg.op(description=f"Forgets which calls of webhooks came more than {_KEEP_CALLS.days} days ago.")
def delete_old_calls(context: dg.OpExecutionContext, runner: dg.ResourceParam[Runner]) -> None:
    with _session(runner) as session:
        calls = purge_calls(session, datetime.now(UTC) - _KEEP_CALLS)
    context.log.info(f"{calls} calls forgotten, of which each had its run")
    context.add_output_metadata({"calls": calls})


@contextmanager
def _session(runner: Runner) -> Iterator[Session]:
    try:
        database = open_database(runner.settings, "housekeeping")
        migrate.upgrade(database)
        with database.session() as session:
            yield session
    except SyncError as error:
        raise dg.Failure(redact(str(error))) from error


@dg.job(
    description="Deletes what is older than the settings say, once a day.",
    tags={"dagster/max_runtime": str(_MAX_RUNTIME_SECONDS), QUEUE_TAG: "housekeeping"},
)
def housekeeping() -> None:
    # An op each: one that fails keeps none of the others from running.
    delete_old_runs()
    delete_old_alerts()
    delete_old_imports()
    delete_old_calls()


HOUSEKEEPING_JOB: dg.JobDefinition = housekeeping
