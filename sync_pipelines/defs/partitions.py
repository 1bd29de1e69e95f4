"""What is read a partition at a time: any set of them in one run, each with an event of its own.

Events cost tens of milliseconds each, so they are logged as the partitions are done: a run that dies has said
what it did.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta

import dagster as dg

from sync_pipelines.core import SyncReport
from sync_pipelines.defs.backfills import count_as_failed, is_backfill, partitions_of_run, settle_those_behind
from sync_pipelines.defs.config import PartitionsConfig, asset_key
from sync_pipelines.defs.gates import COVERAGE, GUARD, guarded_streams, incomplete
from sync_pipelines.defs.metadata import partition_failure_metadata, report_metadata
from sync_pipelines.defs.retries import retry
from sync_pipelines.errors import RateLimited, SyncError
from sync_pipelines.flows.partitions import PartitionRunner
from sync_pipelines.flows.registry import PARTITIONED_FLOWS
from sync_pipelines.flows.runner import Runner
from sync_pipelines.flows.spec import PartitionedFlow, Partitions, Sites
from sync_pipelines.flows.syncing import PartitionDone
from sync_pipelines.log import redact

__all__ = [
    "PARTITIONS_DEFS",
    "coverage_check",
    "keep_in_step",
    "steps_towards",
    "sync_partitions",
]

PARTITIONS_DEFS = {
    name: dg.DynamicPartitionsDefinition(name=name)
    for name in dict.fromkeys(flow.partitions.name for flow in PARTITIONED_FLOWS)
}
_NAMED = 10


def keep_in_step(instance: dg.DagsterInstance, partitions: Partitions | Sites, runner: Runner) -> list[str]:
    """Make the instance's partitions those that there are, and give them: new ones come, those long gone go."""
    there = PartitionRunner(runner.settings).keys(partitions)
    new, gone = steps_towards(there, instance.get_dynamic_partitions(partitions.name))
    if new:
        instance.add_dynamic_partitions(partitions.name, new)
    for key in gone:
        instance.delete_dynamic_partition(partitions.name, key)
    return there


def steps_towards(there: Sequence[str], before: Sequence[str]) -> tuple[list[str], list[str]]:
    """The partitions to add and those to delete, so that there are these; each in its order."""
    return [key for key in there if key not in set(before)], [key for key in before if key not in set(there)]


def sync_partitions(
    context: dg.AssetExecutionContext, flow: PartitionedFlow, runner: Runner, config: PartitionsConfig
) -> dg.Failure | None:
    """Sync the partitions that were asked for, and log a materialization of each stream of each that is done.

    Gives the failure to be raised, which names the partitions that are not done, if any is not. Raises
    RetryRequested where that may help: those that are done are not done again.
    """
    if isinstance(flow.partitions, Sites):
        keep_in_step(context.instance, flow.partitions, runner)
    finished = _done_before(context) if context.retry_number else set[str]()
    asked = _asked_for(context, flow, runner, config, finished)
    keys = [key for key in asked if key not in finished]
    done, bad, ended_by = _run(context, flow, runner, config, keys)
    errors = [result.error for result in bad if result.error] + ([ended_by] if ended_by else [])
    for error in errors:
        if again := retry(context.retry_number, error, runner.settings):
            raise again from error
    _log_guards(context, flow, bad)
    count_as_failed(context, [result.key for result in bad])
    settle_those_behind(context, asked)
    if not bad and ended_by is None:
        return None
    failure = _failure(flow, bad, len(keys) - done - len(bad), len(keys) + len(finished), ended_by)
    if _goes_on(context, bad, errors):
        report = SyncReport(flow.stream, errors=(failure.description or "",))
        context.log_event(incomplete(asset_key(flow.stream), report, failure.metadata))
        return None
    return failure


def _run(
    context: dg.AssetExecutionContext,
    flow: PartitionedFlow,
    runner: Runner,
    config: PartitionsConfig,
    keys: Sequence[str],
) -> tuple[int, list[PartitionDone], SyncError | None]:
    """How many of these are done, what became of those that are not, and what ended it for all that were left."""
    done, bad = 0, list[PartitionDone]()
    running = PartitionRunner(runner.settings, runner.progress).run(
        flow,
        keys,
        streams={stream for stream in flow.streams if asset_key(stream) in context.selected_asset_keys},
        allow_mass_vanish=config.allow_mass_vanish,
        full=config.full,
    )
    try:
        for result in running:
            for report in result.good:
                context.log_event(_materialized(report))
            if result.bad is not None:
                bad.append(result)
            done += result.bad is None
    except SyncError as error:
        return done, bad, error
    return done, bad, None


def _done_before(context: dg.AssetExecutionContext) -> set[str]:
    """The partitions of which this run has materialized all that is selected."""
    made: dict[str, set[dg.AssetKey]] = {}
    logs = context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    for entry in logs:
        if (m := entry.asset_materialization) and m.partition:
            made.setdefault(m.partition, set()).add(m.asset_key)
    return {key for key, assets in made.items() if assets >= set(context.selected_asset_keys)}


def _goes_on(context: dg.AssetExecutionContext, bad: Sequence[PartitionDone], errors: Sequence[SyncError]) -> bool:
    """Whether the next scheduled run does what is missing: only requests were used up, and nobody waits for it.

    Who began a backfill does, and is told which partitions are missing.
    """
    used_up = all(isinstance(error, RateLimited) for error in errors) and all(result.error for result in bad)
    return used_up and not is_backfill(context.run)


def _log_guards(context: dg.AssetExecutionContext, flow: PartitionedFlow, bad: Sequence[PartitionDone]) -> None:
    """Of each stream that ran, whether the guard stopped it in any partition of this run."""
    for stream in guarded_streams(flow):
        key = asset_key(stream)
        if key not in context.selected_asset_keys:
            continue
        stopped = [result.key for result in bad if result.guarded and result.report.stream == stream]
        said = f"stopped in {_named(stopped)}" if stopped else "no more rows vanished than is believable"
        evaluation = dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=GUARD,
            passed=not stopped,
            description=said,
            blocking=True,
            metadata={"partitions": dg.MetadataValue.json(stopped)},
        )
        context.log_event(evaluation)  # pyright: ignore[reportArgumentType]


def coverage_check(flow: PartitionedFlow, runner: Runner) -> dg.AssetCheckEvaluation:
    """Of all partitions, whichever this run read: it says how things are, not how this run went.

    Not an AssetCheckResult, which asks the run for its one partition, and fails where it has several or none.
    """
    partitions = PartitionRunner(runner.settings)
    there = partitions.stalest_first(flow)
    uncovered = partitions.uncovered(flow, there)
    rows = [
        dg.TableRecord({"partition": key, "why": redact(why), "last complete": str(at or "never")})
        for key, why, at in uncovered
    ]
    return dg.AssetCheckEvaluation(
        asset_key=asset_key(flow.stream),
        check_name=COVERAGE,
        passed=not uncovered,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(there) - len(uncovered)} of {len(there)} were read completely",
        metadata={
            "complete": dg.MetadataValue.int(len(there) - len(uncovered)),
            "not_complete": dg.MetadataValue.int(len(uncovered)),
            **({"partitions": dg.MetadataValue.table(rows)} if rows else {}),
        },
    )


def _asked_for(
    context: dg.AssetExecutionContext,
    flow: PartitionedFlow,
    runner: Runner,
    config: PartitionsConfig,
    finished: Collection[str],
) -> Sequence[str]:
    """Those that were named; else those that are due, of which a retry does not begin others than were begun."""
    if named := list(dict.fromkeys([*partitions_of_run(context), *config.keys])):
        return named[: config.at_most]
    minutes = config.older_than_minutes
    older_than = None if minutes is None else timedelta(minutes=minutes)
    due = PartitionRunner(runner.settings).stalest_first(flow, older_than=older_than)
    left = [key for key in due if key not in finished]
    return left if config.at_most is None else left[: max(config.at_most - len(finished), 0)]


def _materialized(report: SyncReport) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        asset_key(report.stream), partition=report.partition, metadata=report_metadata(report)
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
        allow_retries=False,
    )


def _named(keys: Iterable[str]) -> str:
    named = list(keys)
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more
