"""One asset a flow, made by one factory."""

import dagster as dg
from pydantic import Field

from sync_pipelines.core import SyncReport
from sync_pipelines.defs.metadata import definition_metadata, failure_metadata, report_metadata
from sync_pipelines.errors import GuardTripped, SyncError
from sync_pipelines.flows.registry import FLOWS, placed
from sync_pipelines.flows.runner import Runner
from sync_pipelines.flows.spec import Flow
from sync_pipelines.log import redact

__all__ = ["FLOW_ASSETS", "SyncConfig", "asset_key"]


class SyncConfig(dg.Config):
    """What a person may ask of one run, in the launchpad or on the command line."""

    allow_mass_vanish: bool = Field(
        default=False, description="Believe the upstream, for this run, that so many rows are gone as it says."
    )
    full: bool = Field(
        default=False, description="Read from the beginning what is else read from where the last run ended."
    )


def asset_key(stream: str) -> dg.AssetKey:
    """The stream wtl/courses is the asset wtl/courses."""
    return dg.AssetKey(stream.split("/"))


def _failure(flow: Flow, error: SyncError) -> dg.Failure:
    message = redact(str(error))
    if isinstance(error, GuardTripped):
        step = asset_key(flow.stream).to_python_identifier()
        message += f"; or run it from the launchpad with ops: {{{step}: {{config: {{allow_mass_vanish: true}}}}}}"
    return dg.Failure(
        description=message, metadata=failure_metadata(error, error.report), allow_retries=error.transient
    )


def _incomplete(report: SyncReport) -> dg.Failure:
    said = redact(report.errors[-1]) if report.errors else "incomplete"
    return dg.Failure(description=said, metadata=report_metadata(report), allow_retries=False)


def _elsewhere(flow: Flow, runner: Runner) -> dict[str, str]:
    """The table, where the settings put the rows into another than the definition shows."""
    table = placed(flow, runner.settings).table.kind
    return {} if table == flow.table.kind else {"dagster/table_name": table}


def _flow_asset(flow: Flow) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(flow.stream),
        deps=[asset_key(stream) for stream in flow.after],
        group_name=flow.upstream.group,
        description=flow.description,
        metadata=definition_metadata(flow.table, flow.view),
        owners=["team:data"],
        kinds={"python", "postgres"},
        tags={"sync/upstream": flow.upstream.name},
    )
    def sync(config: SyncConfig, runner: dg.ResourceParam[Runner]) -> dg.MaterializeResult:
        try:
            report = runner.run(flow, allow_mass_vanish=config.allow_mass_vanish, full=config.full)
        except SyncError as error:
            raise _failure(flow, error) from error
        if not report.complete:
            raise _incomplete(report)
        return dg.MaterializeResult(metadata={**report_metadata(report), **_elsewhere(flow, runner)})

    return sync


FLOW_ASSETS: list[dg.AssetsDefinition] = [_flow_asset(flow) for flow in FLOWS]
