"""How far a run is: bars on a terminal, one line a step where nobody watches."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from sync_pipelines.core import SyncReport

__all__ = ["Bars", "Lines", "shown_progress", "stderr_console"]


@contextmanager
def stderr_console() -> Generator[Console, None, None]:
    """A console on a copy of standard error: Dagster points the original into a file while a step runs."""
    with os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace") as stream:
        yield Console(file=stream, force_terminal=stream.isatty(), highlight=False)


class Bars:
    """One bar a flow: rows read, then rows settled."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def reading(self, stream: str, rows: int, total: int | None) -> None:
        self._show(stream, "reading", rows, total)

    def writing(self, report: SyncReport) -> None:
        self._show(report.stream, "done" if report.complete else "syncing", report.fetched, None)

    def _show(self, stream: str, doing: str, rows: int, total: int | None) -> None:
        if stream not in self._tasks:
            self._tasks[stream] = self._progress.add_task(stream, doing=doing, total=total)
        task = self._tasks[stream]
        if total is not None:
            self._progress.update(task, total=total)
        self._progress.update(task, doing=doing, completed=rows)


class Lines:
    """A line for each page read, at most some twenty a flow, and one when a flow is through."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: dict[str, int] = {}

    def reading(self, stream: str, rows: int, total: int | None) -> None:
        before = self._rows.get(stream)
        step = -(-(total or 0) // 20) or 1
        if before is None or rows < before or rows - before >= step or (rows == total != before):
            self._rows[stream] = rows
            self._console.print(f"{stream}: {rows} of {'?' if total is None else total} read", soft_wrap=True)

    def writing(self, report: SyncReport) -> None:
        if report.complete:
            self._console.print(f"{report.stream}: done, {report.duration_ms} ms", soft_wrap=True)


@contextmanager
def shown_progress() -> Generator[Bars | Lines, None, None]:
    """Bars or lines, whichever fits standard error."""
    with stderr_console() as console:
        if not console.is_terminal:
            yield Lines(console)
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:<20}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[doing]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console) as progress:
            yield Bars(progress)
