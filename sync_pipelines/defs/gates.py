"""The checks that a sync's own step evaluates: whether it read everything, and may be believed.

Those that are blocking stop what comes after: a step that fails one fails.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from sync_pipelines.core import SyncReport
from sync_pipelines.defs.config import asset_key
from sync_pipelines.defs.metadata import report_metadata
from sync_pipelines.errors import GuardTripped, SyncError
from sync_pipelines.flows.spec import AnyFlow, Flow, LocalFlow, PartitionedFlow
from sync_pipelines.log import redact

__all__ = ["COMPLETE", "COVERAGE", "GUARD", "evaluations", "gates", "guarded_streams", "incomplete"]

COMPLETE, COVERAGE, GUARD = "complete", "coverage", "guard"
_COMPLETE = "The last run provably read everything there is. Where it did not, nothing is taken for gone."
_COVERAGE = "Whether the last reading of every partition gave all that was asked for."
_GUARD = "No more rows vanished at once than is believable. If more did, none is marked until a person approves."


def gates(flow: AnyFlow) -> list[dg.AssetCheckSpec]:
    """The checks of a flow's own step; what is made here has none: it reads all there is, or fails."""
    if isinstance(flow, LocalFlow):
        return []
    key = asset_key(flow.stream)
    if isinstance(flow, Flow):
        complete = dg.AssetCheckSpec(COMPLETE, asset=key, blocking=True, description=_COMPLETE)
        return [complete, _guard(flow.stream)]
    coverage = dg.AssetCheckSpec(COVERAGE, asset=key, description=_COVERAGE)
    return [coverage, *map(_guard, guarded_streams(flow))]


def guarded_streams(flow: PartitionedFlow) -> list[str]:
    """The streams from which rows may vanish, as they are shown."""
    return [stream for stream in flow.streams if flow.stage is None or stream != flow.stream]


def _guard(stream: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(GUARD, asset=asset_key(stream), blocking=True, description=_GUARD)


def incomplete(
    key: dg.AssetKey, report: SyncReport, metadata: Mapping[str, dg.MetadataValue[Any]] | None = None
) -> dg.AssetObservation:
    """Of a run whose requests are used up: incomplete, and no failure. `metadata` is added to the report's."""
    said = redact(report.errors[-1]) if report.errors else "incomplete"
    return dg.AssetObservation(
        key,
        description=f"incomplete: {said}; the next run goes on",
        metadata={**report_metadata(report), **(metadata or {})},
    )


def evaluations(
    key: dg.AssetKey, report: SyncReport, error: SyncError | None = None, *, goes_on: bool = False
) -> Iterator[dg.AssetCheckResult]:
    """What a run that ended like this says of both; nothing of what it did not come to.

    `goes_on`: what is missing will be read by the next run, so there is nothing to be done about it.
    """
    counted = {"fetched": report.fetched, "failed": report.failed}
    stopped = isinstance(error, GuardTripped)
    said = redact(report.errors[-1]) if report.errors and not report.complete else f"{report.fetched} records read"
    if error is None or stopped:
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=COMPLETE,
            passed=report.complete or stopped,
            severity=dg.AssetCheckSeverity.WARN if goes_on else dg.AssetCheckSeverity.ERROR,
            description=f"{report.fetched} records read" if stopped else said,
            metadata=counted,
        )
    if stopped or report.complete or goes_on:
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=GUARD,
            passed=not stopped,
            description=said if stopped else f"{report.deleted} rows marked as gone",
            metadata={"deleted": report.deleted},
        )
