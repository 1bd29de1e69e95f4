"""What the orchestrator is asked. `defs.alerts` answers for Dagster; no one else here knows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sync_pipelines.alerts.problems import EndedRun

__all__ = ["History", "Tick"]


@dataclass(frozen=True)
class Tick:
    """A schedule's turn, at the time when it really came. `asked_for` are the partitions that it wanted synced.

    `asked` says that it wanted something at all, or failed while it found out.
    """

    at: datetime
    asked: bool
    asked_for: frozenset[str] | None = None

    def wanted(self, partition: str | None) -> bool:
        """Whether it wanted this partition synced, or the flow."""
        return self.asked and (partition is None or self.asked_for is None or partition in self.asked_for)


class History(Protocol):
    """Runs, schedules and daemons. Each may raise DatabaseUnavailable."""

    def newest(self) -> int:
        """The position of the last event there is."""
        ...

    def ended_after(self, position: int, until: datetime) -> tuple[Sequence[EndedRun], int]:
        """The runs that ended after a position, the first of them, and how far that reads.

        What ended after `until` is left for the next time: an event with a lower position may not be there yet.
        """
        ...

    def ticks(self, flow: str, since: datetime | None) -> Sequence[Tick]:
        """The turns of a flow's schedules, in order; the last of them, where there are many."""
        ...

    def busy(self) -> frozenset[str]:
        """The flows that have a run queued or under way."""
        ...

    def silent_daemons(self, before: datetime) -> Sequence[tuple[str, datetime]]:
        """The daemons that have ticked, but not since `before`, and when each last did."""
        ...
