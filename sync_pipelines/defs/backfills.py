"""Dagster makes a run of each unbroken range of a backfill's partitions, or of each. Here they become one.

The first run syncs the partitions of those queued behind it too, and removes each that it leaves nothing to do:
sixty courses here and there are one run, and not sixty that each start a Python. dagster.yaml lets one run of a
backfill go on at a time. Of a run that was canceled, what is not materialized counts as failed.
"""

import time
from collections.abc import Collection, Sequence

import dagster as dg

__all__ = ["partitions_of_run", "settle_those_behind"]

_BACKFILL, _PARTITION = "dagster/backfill", "dagster/partition"
_FIRST, _LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
# Queueing costs Dagster some tenths of a second a run; whoever queues them may have died over it.
_LONGEST_WAIT_SECONDS, _POLL_SECONDS = 180.0, 0.5


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

    Once all of this run's assets had their turn, cancel those of which something failed: they would fail again.
    """
    there = _all_partitions(context)
    behind = [(run, taken) for run in _queued_behind(context) if (taken := _partitions(run, there))]
    behind = [(run, taken) for run, taken in behind if set(taken) <= set(keys)]
    if not behind:
        return
    assets = context.job_def.asset_layer.executable_asset_keys
    made, had_their_turn = _materialized(context), _ended_steps(context) | {context.op_execution_context.op.name}
    removed = 0
    for run, taken in behind:
        if not _is_still_queued(context, run):
            continue  # of a dagster.yaml without the limit on a backfill's runs: it does its work itself
        if all((asset, key) in made for asset in assets for key in taken):
            context.instance.delete_run(run.run_id)
            removed += 1
        elif had_their_turn.issuperset(context.job_def.graph.node_dict):
            said = f"run {context.run.run_id} tried these partitions too, and failed: it says why"
            context.instance.report_run_canceled(run, message=said)
    if removed:
        context.log.info(f"the work of {removed} more queued runs of this backfill is done: they are removed")


def _is_still_queued(context: dg.AssetExecutionContext, run: dg.DagsterRun) -> bool:
    now = context.instance.get_run_by_id(run.run_id)
    return now is not None and now.status is dg.DagsterRunStatus.QUEUED


def _materialized(context: dg.AssetExecutionContext) -> set[tuple[dg.AssetKey, str | None]]:
    logs = context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    return {(m.asset_key, m.partition) for entry in logs if (m := entry.asset_materialization)}


def _ended_steps(context: dg.AssetExecutionContext) -> set[str | None]:
    ends = {dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE}
    return {entry.step_key for entry in context.instance.all_logs(context.run.run_id, of_type=ends)}


def _wait_until_all_are_queued(context: dg.AssetExecutionContext) -> None:
    until = time.monotonic() + _LONGEST_WAIT_SECONDS
    while not _all_are_queued(context) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)


def _all_are_queued(context: dg.AssetExecutionContext) -> bool:
    if _BACKFILL not in context.run.tags:
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
    if _BACKFILL not in run.tags:
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
