"""Results on standard output: one JSON object, or a table for people; and the exit status they mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.table import Table

from sync_pipelines.core import SyncReport
from sync_pipelines.log import redact

if TYPE_CHECKING:
    from sync_pipelines.defs.launch import Launched

__all__ = ["show"]

_COUNTERS = ("fetched", "created", "updated", "skipped", "deleted", "restored", "failed", "requests")


def show(launched: Launched, *, as_json: bool) -> int:
    """Print what a run did, errors to standard error; gives the exit status."""
    if as_json:
        flows = [{**report.to_dict(), "errors": [redact(e) for e in report.errors]} for report in launched.reports]
        said = {"success": launched.success, "run_id": launched.run_id, "flows": flows}
        click.echo(json.dumps(said))
    else:
        _show_table(launched.reports)
    _show_errors(launched)
    return 0 if launched.success else 1


def _show_errors(launched: Launched) -> None:
    """Flows that fail for one reason say it once; one that waited for another has no error of its own."""
    failures: dict[str, list[str]] = {}
    for report in launched.reports:
        if not report.complete and report.stream not in launched.not_run:
            failures.setdefault(redact(report.errors[-1]), []).append(report.stream)
        elif report.failed:
            click.echo(f"{report.stream}: {report.failed} records refused: {redact(report.errors[0])}", err=True)
    for error, streams in failures.items():
        click.echo(f"error: {', '.join(streams)}: {error}", err=True)


def _show_table(reports: Sequence[SyncReport]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("flow", no_wrap=True)
    for name in (*_COUNTERS, "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("complete", no_wrap=True)
    for report in reports:
        counters = [str(getattr(report, name)) for name in _COUNTERS]
        table.add_row(report.stream, *counters, str(report.duration_ms), "yes" if report.complete else "no")
    on_terminal = Console().is_terminal
    Console(width=None if on_terminal else 120, highlight=False).print(table)
