"""Results on standard output: one JSON object, or a table for people; and the exit status they mean."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from sync_pipelines.core import Difference, SyncReport
from sync_pipelines.core.absence import NOT_MARKED
from sync_pipelines.flows.runner import Finished
from sync_pipelines.log import redact

__all__ = ["printable", "show", "show_rows"]

_COUNTERS = ("fetched", "created", "updated", "skipped", "deleted", "restored", "failed", "requests")
_LONGEST_VALUE = 60
# Of more partitions than these, those that went well are one line.
_MOST_PARTITIONS = 20


def show(
    finished: Finished, *, as_json: bool, differences: bool = False, more: Mapping[str, Any] | None = None
) -> int:
    """Print what a run did or would do, errors to standard error; gives the exit status.

    `differences` shows those of the reports too; `more` adds to the JSON object.
    """
    if as_json:
        said = {"success": finished.success, "run_id": finished.run_id, **(more or {})}
        click.echo(json.dumps({**said, "flows": [_as_json(report, differences) for report in finished.reports]}))
    else:
        _show_table(finished.reports)
        for report in finished.reports if differences else ():
            _show_differences(report)
        if left := _requests_left(finished.reports):
            click.echo(left, err=True)
    _show_errors(finished)
    if finished.guarded:
        return 3
    return 0 if finished.success else 1


def _as_json(report: SyncReport, differences: bool) -> dict[str, Any]:
    said = {**report.to_dict(), "errors": [redact(error) for error in report.errors]}
    if differences:
        said["differences"] = [
            {"system": d.key.system, "key": d.key.key, "change": d.change, "fields": dict(d.fields)}
            for d in report.differences
        ]
    return said


def _show_errors(finished: Finished) -> None:
    """Flows that fail for one reason say it once; one that waited for another has no error of its own."""
    failures: dict[str, list[str]] = {}
    for report in finished.reports:
        name = report.stream if report.partition is None else f"{report.stream}/{report.partition}"
        if not report.complete and report.stream not in finished.not_run:
            said = redact(report.errors[-1]).removeprefix(f"{name}: ")
            failures.setdefault(said, []).append(name)
        elif report.failed:
            click.echo(f"{name}: {report.failed} records refused: {redact(report.errors[0])}", err=True)
            if NOT_MARKED in report.errors[-1]:
                click.echo(f"{name}: {redact(report.errors[-1])}", err=True)
        elif report.complete:
            for said in report.errors:
                click.echo(f"{name}: {redact(said)}", err=True)
    for error, names in failures.items():
        click.echo(f"error: {', '.join(names)}: {error}", err=True)


def _requests_left(reports: Sequence[SyncReport]) -> str:
    """What the last flow that asked an upstream with limits knew to be left of them."""
    known = [report for report in reports if {"requests_left_minute", "requests_left_hour"} <= report.facts.keys()]
    if not known:
        return ""
    used = sum(report.requests for report in known)
    minute, hour = known[-1].facts["requests_left_minute"], known[-1].facts["requests_left_hour"]
    return f"{used} requests sent; {minute} are left this minute, {hour} this hour"


def _show_table(reports: Sequence[SyncReport]) -> None:
    rows: list[list[str]] = []
    for stream in dict.fromkeys(report.stream for report in reports):
        mine = [report for report in reports if report.stream == stream]
        well = [report for report in mine if report.partition is not None and report.complete]
        if len(well) > _MOST_PARTITIONS:
            rows.append(_table_row(f"{stream} × {len(well)}", well))
            mine = [report for report in mine if report not in well]
        rows += [_table_row(f"{stream}/{r.partition}" if r.partition else stream, [r]) for r in mine]
    show_rows(("flow", *_COUNTERS, "ms", "complete"), rows, right=(*_COUNTERS, "ms"))


def _table_row(name: str, reports: Sequence[SyncReport]) -> list[str]:
    counters = [
        str(sum(getattr(report, counter) for report in reports)) for counter in (*_COUNTERS, "duration_ms")
    ]
    return [name, *counters, "yes" if all(report.complete for report in reports) else "no"]


def show_rows(names: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[str] = ()) -> None:
    """A table for people; its last column may take several lines."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in names:
        table.add_column(
            name, justify="right" if name in right else "left", no_wrap=name != names[-1], overflow="fold"
        )
    for row in rows:
        table.add_row(*row)
    on_terminal = Console().is_terminal
    Console(width=None if on_terminal else 140, highlight=False, markup=False, emoji=False).print(table)


def _show_differences(report: SyncReport) -> None:
    """A line for each row that would change: its key, what would happen, and each field's old and new value."""
    if not report.differences:
        return
    changes = report.created + report.updated + report.deleted
    shown = len(report.differences)
    name = report.stream if report.partition is None else f"{report.stream}/{report.partition}"
    click.echo(f"\n{name}" + (f": the first {shown} of {changes} changes" if changes > shown else ""))
    width = max(len(printable(d.key.key)) for d in report.differences)
    for difference in report.differences:
        line = f"  {printable(difference.key.key):<{width}}  {difference.change:<8}  {_fields(difference)}"
        click.echo(line.rstrip())


def _fields(difference: Difference) -> str:
    """A new row has no old values, and its key needs no second mention."""
    new_row = difference.change == "created"
    return ", ".join(
        f"{name}: {_value(new)}" if new_row else f"{name}: {_value(old)} → {_value(new)}"
        for name, (old, new) in difference.fields.items()
        if not (new_row and new == difference.key.key)
    )


def _value(value: object) -> str:
    text = "nothing" if value is None else printable(str(value))
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def printable(text: str) -> str:
    """The text with what would move a terminal's cursor, or hide, escaped as JSON would."""
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
