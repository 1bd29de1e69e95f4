"""health/sync_report: how the syncs of the last seven days went, as a table, as plots and as a page."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from sync_pipelines.defs.history import history
from sync_pipelines.errors import SyncError
from sync_pipelines.flows.runner import Runner
from sync_pipelines.log import redact

__all__ = ["REPORT_ASSETS", "REPORT_KEY"]

REPORT_KEY = dg.AssetKey(["health", "sync_report"])
_LENGTH = timedelta(days=7)


@dg.asset(
    key=REPORT_KEY,
    group_name="health",
    description=(
        "How the syncs of the last **seven days** went, by flow: how many runs, how many of them succeeded, how "
        "long they took, how old what we have is, and what they changed.\n\n"
        "`report` in the metadata shows the figures and plots; `page` is a file with the same. `wtl` are the "
        "platform's lists, `wtl_courses` what is read by course, `bakalari` the schools, `progress` what learners "
        "did offline."
    ),
    owners=["team:data"],
    kinds={"pandas", "matplotlib"},
)
def sync_report(context: dg.AssetExecutionContext, runner: dg.ResourceParam[Runner]) -> dg.MaterializeResult:
    # Here, and not where definitions are loaded: pandas and matplotlib take a second.
    from sync_pipelines.flows.reporting import page, plots
    from sync_pipelines.flows.reporting.figures import figures

    try:
        past = history(context.instance, runner.settings, datetime.now(UTC), _LENGTH)
    except SyncError as error:
        raise dg.Failure(redact(str(error))) from error
    found, pictures = figures(past), plots.draw(past)
    path = page.write(runner.settings.home / "reports", page.page(past, found, pictures), pictures)
    lines = {"flows": found.flows, "schools": found.sites}
    metadata: dict[str, dg.MetadataValue[Any]] = {
        "report": dg.MetadataValue.md(page.markdown(past, found, pictures)),
        **{name: _table(map(page.cells, some)) for name, some in lines.items() if some},
        "page": dg.MetadataValue.path(str(path)),
        "runs": dg.MetadataValue.int(found.runs),
        "failed_runs": dg.MetadataValue.int(found.failures),
    }
    if found.success_rate is not None:
        metadata["success_rate"] = dg.MetadataValue.float(found.success_rate)
    return dg.MaterializeResult(metadata=metadata)


def _table(rows: Iterable[dict[str, Any]]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows])


REPORT_ASSETS: list[dg.AssetsDefinition] = [sync_report]
