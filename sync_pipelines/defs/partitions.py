"""What is read a partition at a time: any set of them in one run, each with an event of its own.

Events cost tens of milliseconds each, so they are logged as the partitions are done: a run that dies has said
what it did.
"""

from collections.abc import Iterable, Sequence

import dagster as dg

from sync_pipelines.core import SyncReport
from sync_pipelines.defs.backfills import partitions_of_run, settle_those_behind
from sync_pipelines.defs.config import PartitionsConfig, asset_key
from sync_pipelines.defs.metadata import partition_failure_metadata, report_metadata
from sync_pipelines.errors import RateLimited, SyncError
from sync_pipelines.flows.partitions import PartitionDone, PartitionRunner
from sync_pipelines.flows.registry import PARTITIONED_FLOWS
from sync_pipelines.flows.runner import Runner
from sync_pipelines.flows.spec import PartitionedFlow, Partitions
from sync_pipelines.log import redact

__all__ = ["PARTITIONS_DEFS", "keep_in_step", "sync_partitions"]

PARTITIONS_DEFS = {
    name: dg.DynamicPartitionsDefinition(name=name)
    for name in dict.fromkeys(flow.partitions.name for flow in PARTITIONED_FLOWS)
}
_NAMED = 10


def keep_in_step(instance: dg.DagsterInstance, partitions: Partitions, runner: Runner) -> None:
    """Make the instance's partitions those that there are: new ones come, those long gone upstream go."""
    there = PartitionRunner(runner.settings).keys(partitions)
    before = set(instance.get_dynamic_partitions(partitions.name))
    if new := [key for key in there if key not in before]:
        instance.add_dynamic_partitions(partitions.name, new)
    for key in before.difference(there):
        instance.delete_dynamic_partition(partitions.name, key)


def sync_partitions(
    context: dg.AssetExecutionContext, flow: PartitionedFlow, runner: Runner, config: PartitionsConfig
) -> None:
    """Sync the partitions that were asked for, and log a materialization of each that is done.

    Raises dg.Failure, which names the partitions that are not done.
    """
    keys = _asked_for(context, flow, runner, config)
    bad: list[PartitionDone] = []
    done = 0
    ended_by: SyncError | None = None
    running = PartitionRunner(runner.settings, runner.progress).run(
        flow, keys, allow_mass_vanish=config.allow_mass_vanish, full=config.full
    )
    try:
        for result in running:
            if result.report.complete:
                done += 1
                context.log_event(_materialized(flow, result.report))
            else:
                bad.append(result)
    except SyncError as error:
        ended_by = error
    settle_those_behind(context, keys)
    if bad or ended_by is not None:
        raise _failure(flow, bad, len(keys) - done - len(bad), len(keys), ended_by)


def _asked_for(
    context: dg.AssetExecutionContext, flow: PartitionedFlow, runner: Runner, config: PartitionsConfig
) -> Sequence[str]:
    keys = list(dict.fromkeys([*partitions_of_run(context), *config.keys]))
    return (keys or PartitionRunner(runner.settings).stalest_first(flow))[: config.at_most]


def _materialized(flow: PartitionedFlow, report: SyncReport) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        asset_key(flow.stream), partition=report.partition, metadata=report_metadata(report)
    )


def _failure(
    flow: PartitionedFlow, bad: Sequence[PartitionDone], left: int, of: int, ended_by: SyncError | None
) -> dg.Failure:
    said = [f"{len(bad)} of {of} partitions failed: {_named(result.key for result in bad)}"] if bad else []
    said += [
        f"{result.key}: {redact(result.report.errors[-1])}" for result in bad[:_NAMED] if result.report.errors
    ]
    if ended_by is not None:
        said.append(f"{left} of {of} were not reached: {redact(str(ended_by))}")
        if isinstance(ended_by, RateLimited):
            said.append("run those again then; what was done need not be")
    if any(result.guarded for result in bad):
        said.append(
            "if the rows are really gone, approve it for one run with allow_mass_vanish: true in its config"
        )
    return dg.Failure(
        description="\n".join(said),
        metadata=partition_failure_metadata(bad, ended_by, left),
        allow_retries=ended_by is not None and ended_by.transient and not isinstance(ended_by, RateLimited),
    )


def _named(keys: Iterable[str]) -> str:
    named = list(keys)
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more
