"""Checks that warn: rows that do not fit together, whatever the runs said. An upstream's are one step."""

from collections.abc import Iterator

import dagster as dg

from sync_pipelines.defs.config import asset_key
from sync_pipelines.errors import SyncError
from sync_pipelines.flows import checks
from sync_pipelines.flows.registry import UPSTREAMS
from sync_pipelines.flows.runner import Runner
from sync_pipelines.log import redact

__all__ = ["CHECKS"]


def _checks(upstream: str) -> dg.AssetChecksDefinition:
    specs = {
        dg.AssetCheckKey(asset_key(stream), name): (stream, name) for stream, name in checks.checks_of(upstream)
    }

    @dg.multi_asset_check(
        name=f"{upstream}_checks",
        specs=[
            dg.AssetCheckSpec(name, asset=asset_key(stream), description=checks.CHECKS[name])
            for stream, name in specs.values()
        ],
        description="Whether the rows fit together. Asks the database alone, and stops nothing.",
        can_subset=True,
    )
    def check(
        context: dg.AssetCheckExecutionContext, runner: dg.ResourceParam[Runner]
    ) -> Iterator[dg.AssetCheckResult]:
        asked = {specs[key] for key in context.selected_asset_check_keys}
        try:
            for verdict in checks.examine(runner.settings, upstream, asked):
                yield _result(verdict)
        except SyncError as error:
            raise dg.Failure(redact(str(error))) from error

    return check


def _result(verdict: checks.Verdict) -> dg.AssetCheckResult:
    rows = [
        dg.TableRecord({name: redact(value) if isinstance(value, str) else value for name, value in row.items()})
        for row in verdict.rows
    ]
    return dg.AssetCheckResult(
        asset_key=asset_key(verdict.stream),
        check_name=verdict.check,
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=verdict.said,
        metadata={
            **{name: dg.MetadataValue.int(number) for name, number in verdict.counts.items()},
            **({"first": dg.MetadataValue.table(rows)} if rows else {}),
        },
    )


CHECKS: list[dg.AssetChecksDefinition] = [_checks(upstream) for upstream in UPSTREAMS]
