"""The checks that stop what comes after: an asset's own run says whether it read everything, and may be believed.

They are evaluated where that is known, in the step itself; a step that fails one fails.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from sync_pipelines.core import SyncReport
from sync_pipelines.defs.metadata import report_metadata
from sync_pipelines.errors import GuardTripped, SyncError
from sync_pipelines.log import redact

__all__ = ["COMPLETE", "GUARD", "gate_specs", "gates_of", "guard_spec", "incomplete"]

COMPLETE, GUARD = "complete", "guard"


def guard_spec(key: dg.AssetKey) -> dg.AssetCheckSpec:
    """Of an asset that a mass-change guard watches over."""
    said = (
        "No more rows vanished at once than is believable. Where more did, none is marked until a person approves."
    )
    return dg.AssetCheckSpec(GUARD, asset=key, blocking=True, description=said)


def gate_specs(key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Of an asset that is read whole."""
    said = "The last run provably read everything there is. Where it did not, nothing is taken for gone."
    return [dg.AssetCheckSpec(COMPLETE, asset=key, blocking=True, description=said), guard_spec(key)]


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


def gates_of(
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
