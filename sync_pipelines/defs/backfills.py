"""Dagster makes a run of each unbroken range of a backfill's partitions. Here the first does the work of all.

It syncs the partitions of those that are still queued behind it, and cancels each whose work is done: sixty
courses here and there are one run, and not sixty that each start a Python. dagster.yaml lets one run of a backfill
go on at a time. Canceled earlier, their partitions would count as failed.
"""

from collections.abc import Sequence

import dagster as dg

__all__ = ["cancel_what_is_done", "partitions_of_run"]

_BACKFILL, _PARTITION = "dagster/backfill", "dagster/partition"
_FIRST, _LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def partitions_of_run(context: dg.AssetExecutionContext) -> list[str]:
    """The partitions that were selected for this run and for those queued behind it; none where none was."""
    if not (context.has_partition_key or context.has_partition_key_range):
        return []
    behind = [key for run in _queued_behind(context) for key in _partitions(context, run)]
    return list(dict.fromkeys([*context.partition_keys, *behind]))


def cancel_what_is_done(context: dg.AssetExecutionContext) -> None:
    """Cancel the runs queued behind this one that it leaves nothing to do."""
    queued = _queued_behind(context)
    if not queued:
        return
    logs = context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    made = {(m.asset_key, m.partition) for entry in logs if (m := entry.asset_materialization)}
    for run in queued:
        wanted = {(asset, key) for asset in run.asset_selection or () for key in _partitions(context, run)}
        if wanted <= made:
            context.instance.report_run_canceled(run, message=f"run {context.run.run_id} did its work too")


def _queued_behind(context: dg.AssetExecutionContext) -> Sequence[dg.DagsterRun]:
    """Runs of the same backfill, for the same assets, that have not begun."""
    run = context.run
    if _BACKFILL not in run.tags:
        return []
    tags = {_BACKFILL: run.tags[_BACKFILL]}
    queued = context.instance.get_runs(dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.QUEUED]))
    return [other for other in queued if other.asset_selection == run.asset_selection]


def _partitions(context: dg.AssetExecutionContext, run: dg.DagsterRun) -> list[str]:
    if _PARTITION in run.tags:
        return [run.tags[_PARTITION]]
    definition = context.assets_def.partitions_def
    assert definition is not None
    keys = list(definition.get_partition_keys(dynamic_partitions_store=context.instance))
    return keys[keys.index(run.tags[_FIRST]) : keys.index(run.tags[_LAST]) + 1]
