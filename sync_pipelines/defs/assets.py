"""One asset a flow, made by one factory."""

import dagster as dg

from sync_pipelines.core import SyncReport
from sync_pipelines.defs.metadata import definition_metadata, report_metadata
from sync_pipelines.errors import SyncError
from sync_pipelines.flows.registry import FLOWS
from sync_pipelines.flows.runner import Runner
from sync_pipelines.flows.spec import Flow
from sync_pipelines.log import redact

__all__ = ["FLOW_ASSETS", "asset_key"]


def asset_key(stream: str) -> dg.AssetKey:
    """The stream wtl/courses is the asset wtl/courses."""
    return dg.AssetKey(stream.split("/"))


def _failure(message: str, report: SyncReport | None, *, transient: bool) -> dg.Failure:
    metadata = report_metadata(report) if report is not None else {}
    return dg.Failure(description=redact(message), metadata=metadata, allow_retries=transient)


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
    def sync(runner: dg.ResourceParam[Runner]) -> dg.MaterializeResult:
        try:
            report = runner.run(flow)
        except SyncError as error:
            raise _failure(str(error), error.report, transient=error.transient) from error
        if not report.complete:
            raise _failure("; ".join(report.errors[-1:]) or "incomplete", report, transient=False)
        return dg.MaterializeResult(metadata=report_metadata(report))

    return sync


FLOW_ASSETS: list[dg.AssetsDefinition] = [_flow_asset(flow) for flow in FLOWS]
