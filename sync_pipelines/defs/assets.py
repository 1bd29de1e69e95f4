"""One asset a stream. Three factories: for what is read whole, made here, or read a partition at a time."""

import warnings
from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from sync_pipelines.core import SyncReport
from sync_pipelines.defs.config import PartitionsConfig, SyncConfig, asset_key
from sync_pipelines.defs.gates import COVERAGE, evaluations, gates, incomplete
from sync_pipelines.defs.metadata import (
    code_references,
    definition_metadata,
    failure_metadata,
    report_metadata,
    shown_metadata,
    stage_metadata,
)
from sync_pipelines.defs.partitions import (
    PARTITIONS_DEFS,
    coverage_check,
    keep_in_step,
    sync_partitions,
)
from sync_pipelines.defs.retries import retry
from sync_pipelines.errors import GuardTripped, RateLimited, SyncError
from sync_pipelines.flows.naming import step_of
from sync_pipelines.flows.registry import FLOWS, LOCAL_FLOWS, PARTITIONED_FLOWS, PARTITIONS, placed
from sync_pipelines.flows.runner import Runner
from sync_pipelines.flows.spec import Flow, LocalFlow, Part, PartitionedFlow, WholeFlow
from sync_pipelines.log import redact
from sync_pipelines.settings import Pace

__all__ = ["FLOW_ASSETS", "LOCAL_ASSETS", "PARTITIONED_ASSETS"]

_INTERVAL = timedelta(minutes=Pace.load().every_minutes)
_FRESHNESS = dg.FreshnessPolicy.time_window(warn_window=2 * _INTERVAL, fail_window=3 * _INTERVAL)


def _failure(flow: WholeFlow, error: SyncError) -> dg.Failure:
    message = redact(str(error))
    if isinstance(error, GuardTripped):
        step = step_of(flow.stream)
        message += f"; or run it from the launchpad with ops: {{{step}: {{config: {{allow_mass_vanish: true}}}}}}"
    return dg.Failure(description=message, metadata=failure_metadata(error, error.report), allow_retries=False)


def _incomplete(report: SyncReport) -> dg.Failure:
    said = redact(report.errors[-1]) if report.errors else "incomplete"
    return dg.Failure(description=said, metadata=report_metadata(report), allow_retries=False)


def _elsewhere(flow: Flow, runner: Runner) -> dict[str, str]:
    """The table, where the settings put the rows into another than the definition shows."""
    table = placed(flow, runner.settings).table.kind
    return {} if table == flow.table.kind else {"dagster/table_name": table}


def _flow_asset(flow: Flow) -> dg.AssetsDefinition:
    key = asset_key(flow.stream)

    @dg.asset(
        key=key,
        deps=[asset_key(stream) for stream in flow.after],
        group_name=flow.upstream.group,
        description=flow.description,
        metadata={**definition_metadata(flow.table, flow.view), **code_references(flow)},
        owners=["team:data"],
        kinds={"python", "postgres"},
        tags={"sync/upstream": flow.upstream.name},
        check_specs=gates(flow),
        freshness_policy=_FRESHNESS,
        output_required=False,  # a run whose requests are used up ends, and goes on the next time
    )
    def sync(context: dg.AssetExecutionContext, config: SyncConfig, runner: dg.ResourceParam[Runner]):
        try:
            report = runner.run(flow, allow_mass_vanish=config.allow_mass_vanish, full=config.full)
        except RateLimited as error:
            report = error.report or SyncReport(flow.stream, errors=(str(error),))
            context.log_event(incomplete(key, report))
            yield from evaluations(key, report, goes_on=True)
            return
        except SyncError as error:
            if again := retry(context.retry_number, error, runner.settings):
                raise again from error
            report = error.report or SyncReport(flow.stream, errors=(str(error),))
            yield from evaluations(key, report, error)
            raise _failure(flow, error) from error
        if not report.complete:
            yield from evaluations(key, report)
            raise _incomplete(report)
        if flow.stream in PARTITIONS:
            keep_in_step(context.instance, PARTITIONS[flow.stream], runner)
        yield dg.MaterializeResult(
            metadata={**report_metadata(report), **_elsewhere(flow, runner)},
            check_results=list(evaluations(key, report)),
        )

    return sync


FLOW_ASSETS: list[dg.AssetsDefinition] = [_flow_asset(flow) for flow in FLOWS]


def _local_asset(flow: LocalFlow) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(flow.stream),
        deps=[asset_key(stream) for stream in flow.after],
        group_name=flow.upstream.group,
        description=flow.description,
        metadata={**stage_metadata(flow.table), **code_references(flow)},
        owners=["team:data"],
        kinds={"python", "postgres", *(("pandas",) if flow.show else ())},
        tags={"sync/upstream": flow.upstream.name},
        freshness_policy=_FRESHNESS,
    )
    def make(context: dg.AssetExecutionContext, config: SyncConfig, runner: dg.ResourceParam[Runner]):
        try:
            report = runner.run(flow, full=config.full)
            shown = flow.show(runner.settings) if flow.show else None
        except SyncError as error:
            if again := retry(context.retry_number, error, runner.settings):
                raise again from error
            raise _failure(flow, error) from error
        return dg.MaterializeResult(
            metadata={**report_metadata(report), **(shown_metadata(shown) if shown else {})}
        )

    return make


LOCAL_ASSETS: list[dg.AssetsDefinition] = [_local_asset(flow) for flow in LOCAL_FLOWS]


def _specs(flow: PartitionedFlow) -> Iterator[dg.AssetSpec]:
    """Skippable: what is materialized is said partition by partition, as soon as it is."""

    def spec(stream: str, after: tuple[str, ...], description: str, metadata: dict[str, object]) -> dg.AssetSpec:
        return dg.AssetSpec(
            asset_key(stream),
            deps=[asset_key(other) for other in after],
            skippable=True,
            group_name=flow.upstream.group,
            description=description,
            metadata=metadata,
            owners=["team:data"],
            kinds={"python", "postgres"},
            tags={"sync/upstream": flow.upstream.name},
            freshness_policy=_FRESHNESS,
        )

    def of_part(part: Part) -> dict[str, object]:
        return {**definition_metadata(part.table, part.view), **code_references(part)}

    if flow.stage is None:
        yield spec(flow.stream, flow.after, flow.description, {**of_part(flow.parts[0]), **code_references(flow)})
        return
    landing = {**stage_metadata(flow.stage.table), **code_references(flow)}
    yield spec(flow.stream, flow.after, flow.description, landing)
    for part in flow.parts:
        yield spec(part.stream, part.after, part.description, of_part(part))


def _partitioned_asset(flow: PartitionedFlow) -> dg.AssetsDefinition:
    """One op, whatever streams it has: a partition goes through all of them before the next one does."""

    @dg.multi_asset(
        name=step_of(flow.stream),
        specs=list(_specs(flow)),
        check_specs=gates(flow),
        partitions_def=PARTITIONS_DEFS[flow.partitions.name],
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,  # a check can be executed alone, and nothing need be materialized
    )
    def sync(context: dg.AssetExecutionContext, config: PartitionsConfig, runner: dg.ResourceParam[Runner]):
        failure = None
        if context.selected_asset_keys:  # none of them where somebody executes a check alone
            failure = sync_partitions(context, flow, runner, config)
        if dg.AssetCheckKey(asset_key(flow.stream), COVERAGE) in context.selected_asset_check_keys:
            context.log_event(coverage_check(flow, runner))  # pyright: ignore[reportArgumentType]
        if failure is not None:
            raise failure
        yield from ()

    return sync


with warnings.catch_warnings():
    # backfill_policy is in beta, says a warning for each asset and process.
    warnings.simplefilter("ignore", dg.BetaWarning)
    PARTITIONED_ASSETS: list[dg.AssetsDefinition] = [_partitioned_asset(flow) for flow in PARTITIONED_FLOWS]
