"""Dagster makes a run of each unbroken range of a backfill's partitions, or of each. Here they become one.

The first run syncs the partitions of those queued behind it too, and removes each that it leaves nothing to do:
sixty courses here and there are one run, and not sixty that each start a Python. dagster.yaml lets one run of a
backfill go on at a time.
"""

import logging
import time
from collections.abc import Collection, Sequence

import dagster as dg
from dagster._core.events import (
    AssetMaterializationPlannedData,
    DagsterEventBatchMetadata,
    generate_event_batch_id,
)

__all__ = ["count_as_failed", "is_backfill", "partitions_of_run", "settle_those_behind"]

_BACKFILL, _PARTITION = "dagster/backfill", "dagster/partition"
_MADE, _PLANNED = dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
_ENDS = {dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE}
_FIRST, _LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
# Queueing costs Dagster some tenths of a second a run; whoever queues them may have died over it.
_LONGEST_WAIT_SECONDS, _POLL_SECONDS = 180.0, 0.5


def is_backfill(run: dg.DagsterRun) -> bool:
    """Whether somebody began it, with others or alone, as a backfill."""
    return _BACKFILL in run.tags


def partitions_of_run(context: dg.AssetExecutionContext) -> list[str]:
    """The partitions that were selected for this run and for those queued behind it; none where none was."""
    if not (context.has_partition_key or context.has_partition_key_range):
        return []
    _wait_until_all_are_queued(context)
    there = _all_partitions(context)
    behind = [key for run in _queued_behind(context) for key in _partitions(run, there)]
    return list(dict.fromkeys([*context.partition_keys, *behind]))


def settle_those_behind(context: dg.AssetExecutionContext, keys: Collection[str]) -> None:
    """Remove the runs behind this one of which it has materialized all; `keys` are the partitions it took.

    To be called at the end of an asset's last try. What it did not materialize of the others counts as failed, in
    this run; once all of the run's assets had their turn, they are canceled: they would fail again.
    """
    there = _all_partitions(context)
    behind = [(run, taken) for run in _queued_behind(context) if (taken := _partitions(run, there))]
    # Of a dagster.yaml without the limit on a backfill's runs some have begun: they do their work themselves.
    behind = [(run, taken) for run, taken in behind if set(taken) <= set(keys) and _is_still_queued(context, run)]
    if not behind:
        return
    assets, made = context.job_def.asset_layer.executable_asset_keys, _pairs(context, _MADE)
    removed, left = 0, list[tuple[dg.DagsterRun, Sequence[str]]]()
    for run, taken in behind:
        if all((asset, key) in made for asset in assets for key in taken):
            context.instance.delete_run(run.run_id)
            removed += 1
        else:
            left.append((run, taken))
    if removed:
        context.log.info(f"the work of {removed} more queued runs of this backfill is done: they are removed")
    count_as_failed(context, [key for _, taken in left for key in taken])
    for run, _ in left if _all_had_their_turn(context) else ():
        said = f"run {context.run.run_id} tried these partitions too, and failed: it says why"
        context.instance.report_run_canceled(run, message=said)


def count_as_failed(context: dg.AssetExecutionContext, keys: Collection[str]) -> None:
    """Have Dagster show these partitions as failed where the run fails, and has not materialized them.

    It shows as failed what a failed run had said that it would make. A run says so at its beginning of the
    partitions it was begun for; of those it took from another, or that its config names, it has to be said here.
    """
    said = _pairs(context, _MADE) | _pairs(context, _PLANNED)
    missing = [(asset, key) for asset in sorted(context.selected_asset_keys) for key in keys]
    missing = [pair for pair in dict.fromkeys(missing) if pair not in said]
    batch = generate_event_batch_id()
    for number, (asset, key) in enumerate(missing, 1):
        event = dg.DagsterEvent.build_asset_materialization_planned_event(
            context.run.job_name,
            str(context.op_execution_context.op_handle),
            AssetMaterializationPlannedData(asset, partition=key),
        )
        context.instance.report_dagster_event(
            event,
            context.run.run_id,
            logging.DEBUG,
            batch_metadata=DagsterEventBatchMetadata(batch, is_end=number == len(missing)),
        )


def _is_still_queued(context: dg.AssetExecutionContext, run: dg.DagsterRun) -> bool:
    now = context.instance.get_run_by_id(run.run_id)
    return now is not None and now.status is dg.DagsterRunStatus.QUEUED


def _pairs(context: dg.AssetExecutionContext, kind: dg.DagsterEventType) -> set[tuple[dg.AssetKey, str | None]]:
    """Of which asset and partition this run has logged such an event."""
    logs = context.instance.all_logs(context.run.run_id, of_type=kind)
    events = [entry.dagster_event for entry in logs if entry.dagster_event]
    return {(event.asset_key, event.partition) for event in events if event.asset_key}


def _all_had_their_turn(context: dg.AssetExecutionContext) -> bool:
    """Whether every step of the run that makes assets has ended, but for this one, which is about to."""
    steps = {str(data.node_handle) for data in context.job_def.asset_layer.data if data.assets_def.keys}
    logs = context.instance.all_logs(context.run.run_id, of_type=_ENDS)
    return steps <= {str(context.op_execution_context.op_handle), *(entry.step_key for entry in logs)}


def _wait_until_all_are_queued(context: dg.AssetExecutionContext) -> None:
    until = time.monotonic() + _LONGEST_WAIT_SECONDS
    while not _all_are_queued(context) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)


def _all_are_queued(context: dg.AssetExecutionContext) -> bool:
    if not is_backfill(context.run):
        return True
    backfill = context.instance.get_backfill(context.run.tags[_BACKFILL])
    if backfill is None:
        return False  # `dagster job backfill` queues first, and notes the backfill afterwards
    if backfill.status.value != "REQUESTED":
        return True
    names = backfill.partition_names  # of a job's backfill; an asset's has requests instead
    return not backfill.submitting_run_requests and (
        not names or names[-1] == backfill.last_submitted_partition_name
    )


def _queued_behind(context: dg.AssetExecutionContext) -> Sequence[dg.DagsterRun]:
    """Runs of the same backfill, of the same job and assets, that have not begun."""
    run = context.run
    if not is_backfill(run):
        return []
    tags = {_BACKFILL: run.tags[_BACKFILL]}
    queued = context.instance.get_runs(dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.QUEUED]))
    return [other for other in queued if _what_runs(other) == _what_runs(run)]


def _what_runs(run: dg.DagsterRun) -> tuple[str, frozenset[dg.AssetKey]]:
    return run.job_name, frozenset(run.asset_selection or ())  # none: all of the job's


def _all_partitions(context: dg.AssetExecutionContext) -> Sequence[str]:
    definition = context.assets_def.partitions_def
    assert definition is not None
    return definition.get_partition_keys(dynamic_partitions_store=context.instance)


def _partitions(run: dg.DagsterRun, there: Collection[str]) -> Sequence[str]:
    """A run's partitions; none where one of its range's ends is no partition any more."""
    if _PARTITION in run.tags:
        return [run.tags[_PARTITION]]
    keys, ends = list(there), (run.tags.get(_FIRST), run.tags.get(_LAST))
    if not all(end in keys for end in ends):
        return []
    first, last = (keys.index(end) for end in ends if end is not None)
    return keys[first : last + 1]
