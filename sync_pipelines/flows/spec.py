"""What a flow is, and the upstream it comes from. A new one is a value of these and a line in the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol, TypeAlias

import sqlalchemy as sa

from sync_pipelines.core import Mapper, Source, SyncReport
from sync_pipelines.core.report import Fact, Tally
from sync_pipelines.errors import SyncError
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.settings import Settings

__all__ = [
    "AnyFlow",
    "Finding",
    "Flow",
    "Landed",
    "LocalFlow",
    "LocalRun",
    "Lookup",
    "OnRead",
    "Part",
    "PartitionRead",
    "PartitionedFlow",
    "Partitions",
    "Reader",
    "Shown",
    "Sites",
    "Stage",
    "Upstream",
    "WholeFlow",
    "clock_finding",
]

#: Hears how many rows are read, of how many, while a source reads: (rows, total or None).
OnRead = Callable[[int, int | None], None]

_MAX_CLOCK_SKEW_SECONDS = 60


@dataclass(frozen=True)
class Finding:
    """One thing looked at before a sync: its state, and what it is or what to do about it."""

    name: str
    state: Literal["ok", "warning", "problem", "not set", "unused"]
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

    `origin` is the address it is read from, of Sites all of theirs, and raises SettingsError where it is not set
    up. `probe` asks it whether a sync could run, and raises SyncError where not. `set_up` is for one that takes no
    more than that somebody means to use it.
    """

    name: str
    group: str
    time_zone: str
    origin: Callable[[Settings], str]
    probe: Callable[[Settings], Iterator[Finding]]
    set_up: Callable[[Settings], None] | None = None

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


@dataclass(frozen=True)
class LocalRun:
    """A run of a local flow, for its `work`: what it may use, and the tally that it counts in.

    The stream's lock is held. With `plan` nothing may be written, anywhere; `full` is from the beginning.
    """

    settings: Settings
    session: Session
    tally: Tally
    on_read: OnRead
    plan: bool = False
    full: bool = False
    facts: dict[str, Fact] = field(default_factory=dict[str, Fact])


@dataclass(frozen=True)
class Shown:
    """What a local flow made, for people to look at: the rows of a table, and markdown with a picture."""

    rows: Sequence[Mapping[str, str | int | float | None]]
    markdown: str


@dataclass(frozen=True)
class LocalFlow:
    """A stream that is made here: of files, or of what other streams brought. Nobody is asked over a network.

    `work` does all of it, counts it, and says in the tally whether it is complete. `system` is that of the keys of
    records that it may refuse. `show`, of one that is there to be looked at, reads what the last run made.
    """

    stream: str
    upstream: Upstream
    description: str
    table: sa.Table
    work: Callable[[LocalRun], None]
    after: tuple[str, ...] = ()
    system: str | None = None
    show: Callable[[Settings], Shown] | None = None


@dataclass(frozen=True)
class Partitions:
    """What flows are divided by: the records of another stream, by their upstream's ids ("12").

    One that vanished upstream stays a partition for `keep`.
    """

    name: str
    stream: str
    system: str
    keep: timedelta = timedelta(days=30)


@dataclass(frozen=True)
class Sites:
    """What flows are divided by: servers of their own, that the settings name. What one refuses is its own affair.

    `addresses` are theirs, by name, in order. Raises SettingsError.
    """

    name: str
    addresses: Callable[[Settings], Mapping[str, str]]


class Lookup(Protocol):
    """Finds the rows that other flows made."""

    def internal_id(self, system: str, key: str) -> str:
        """The id of the row that an upstream's key stands for. Raises MappingError where there is none."""
        ...


@dataclass(frozen=True)
class Part:
    """Records of one kind that each partition holds, and where they go.

    `stream` is their name, as a Flow's is. `system` is that of their keys, in which {} stands for the partition,
    so that a complete read of one partition says nothing of another. `mapper` makes that of a partition.
    `description` and `after` are as a Flow's, of a part that is shown by itself.
    """

    stream: str
    system: str
    table: TableSpec
    view: str
    mapper: Callable[[Lookup, str], Mapper[Any]]
    description: str = ""
    after: tuple[str, ...] = ()

    def system_of(self, partition: str) -> str:
        """The system of a partition's keys."""
        return self.system.replace("{}", partition)

    def partition_of(self, system: str) -> str | None:
        """The partition that a system of keys belongs to; None if to none."""
        before, found, after = self.system.partition("{}")
        if not found or not (system.startswith(before) and system.endswith(after)):
            return None
        return system[len(before) : len(system) - len(after)] or None


@dataclass(frozen=True)
class Landed:
    """A partition that was read and lies in the database: the report of that, and a source for each part."""

    report: SyncReport
    sources: Sequence[Source[Any]]


#: What came of reading a partition: a source for each part, in their order, or why it could not be read.
PartitionRead: TypeAlias = Sequence[Source[Any]] | Landed | SyncError
#: Connects to the upstream and gives, for each of the partitions in order, what came of reading it.
Reader: TypeAlias = Callable[
    [Settings, Sequence[str], OnRead], AbstractContextManager[Iterator[tuple[str, PartitionRead]]]
]


@dataclass(frozen=True)
class Stage:
    """Where a flow's partitions land, as they were read, before their parts are synced.

    `table` holds them. `open_landed` asks nobody, and gives what lies there. A partition whose read is incomplete
    lands too: its sources say what that leaves open.
    """

    table: sa.Table
    open_landed: Reader


@dataclass(frozen=True)
class PartitionedFlow:
    """A stream that is read a partition at a time: any of them, in any order, at any time.

    `open_reader` may read ahead. A partition's error leaves the others alone. `stream` is its name, and its first
    part's. With a `stage` it is the name of the reading alone, and each part is a stream that is shown by itself;
    `open_reader` is then also told whether to `keep` what it reads, and whether a person `approved`, for this run,
    what is else too odd to be believed.
    """

    stream: str
    upstream: Upstream
    description: str
    partitions: Partitions | Sites
    parts: tuple[Part, ...]
    open_reader: Callable[..., AbstractContextManager[Iterator[tuple[str, PartitionRead]]]]
    after: tuple[str, ...] = ()
    stage: Stage | None = None

    def __post_init__(self) -> None:
        if not self.parts or (self.stage is None and self.parts[0].stream != self.stream):
            raise ValueError(f"{self.stream}: its first part has another name")

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that are shown by themselves, in the order in which they run."""
        return (self.stream, *(part.stream for part in self.parts)) if self.stage else (self.stream,)


#: What is not divided.
WholeFlow: TypeAlias = Flow | LocalFlow
AnyFlow: TypeAlias = WholeFlow | PartitionedFlow
