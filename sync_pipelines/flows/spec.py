"""What a flow is, and the upstream it comes from. A new one is a value of these and a line in the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sync_pipelines.core import Mapper, Source
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.settings import Settings

__all__ = ["Finding", "Flow", "OnRead", "Upstream", "clock_finding"]

#: Hears how many rows are read, of how many, while a source reads: (rows, total or None).
OnRead = Callable[[int, int | None], None]

_MAX_CLOCK_SKEW_SECONDS = 60


@dataclass(frozen=True)
class Finding:
    """One thing looked at before a sync: its state, and what it is or what to do about it."""

    name: str
    state: Literal["ok", "warning", "problem", "not set"]
    detail: str


def clock_finding(name: str, theirs: datetime) -> Finding:
    """Whether somebody's clock agrees with this machine's."""
    skew = (theirs - datetime.now(UTC)).total_seconds()
    if abs(skew) > _MAX_CLOCK_SKEW_SECONDS:
        return Finding(name, "warning", f"{skew:+.0f} s from this machine's: set both by NTP")
    return Finding(name, "ok", "agrees with this machine's")


@dataclass(frozen=True)
class Upstream:
    """A system that flows read. `name` is what it is run by ("wtl"), `group` what its assets are shown under.

    `origin` is the address it is read from, and raises SettingsError where it is not set up. `probe` asks it
    whether a sync could run, and raises SyncError where not.
    """

    name: str
    group: str
    time_zone: str
    origin: Callable[[Settings], str]
    probe: Callable[[Settings], Iterator[Finding]]

    def require_settings(self, settings: Settings) -> None:
        """Raise SettingsError where it is not set up."""
        self.origin(settings)


@dataclass(frozen=True)
class Flow:
    """One stream from one upstream into one table.

    `stream` is its name everywhere ("wtl/courses"), `system` that of its records' keys ("wtl:course"), `view`
    what consumers read. `open_source` connects to the upstream. `after` are the streams whose rows this one
    refers to.
    """

    stream: str
    system: str
    upstream: Upstream
    description: str
    table: TableSpec
    view: str
    mapper: Mapper[Any]
    open_source: Callable[[Settings, OnRead], AbstractContextManager[Source[Any]]]
    after: tuple[str, ...] = ()
