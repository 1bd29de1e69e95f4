"""Syncs the partitions that a reader gives: each part into its table, and what became of each partition."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sync_pipelines.core import Fetch, Payload, Source, SyncJob, SyncReport
from sync_pipelines.core.reading import Reading
from sync_pipelines.errors import (
    AccessRefused,
    DatabaseError,
    GuardTripped,
    OriginChanged,
    RateLimited,
    SettingsError,
    SourceUnavailable,
    SyncError,
)
from sync_pipelines.flows.lookup import StoredIds
from sync_pipelines.flows.origins import host_of
from sync_pipelines.flows.registry import placed_part, sharing
from sync_pipelines.flows.spec import Landed, Part, PartitionedFlow, PartitionRead, Sites
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines.postgres.target import PostgresTarget
from sync_pipelines.settings import Settings

__all__ = ["PartitionDone", "Syncing", "report_of"]

_COUNTERS = (
    "fetched",
    "created",
    "updated",
    "skipped",
    "deleted",
    "restored",
    "failed",
    "requests",
    "retries",
    "duration_ms",
)
# An upstream that is down is not asked for a thousand partitions more.
_MOST_UNANSWERED = 10
_EVERYBODYS = (AccessRefused, RateLimited, SettingsError, OriginChanged, DatabaseError)
# Of Sites each is an upstream of its own.
_ALL_SITES = (SettingsError, DatabaseError)


@dataclass(frozen=True)
class PartitionDone:
    """What became of one partition: a report of each stream that ran, in order, and the error that ended the last.

    That of the stream named `landing` may be incomplete without one: what was read has landed, and the rest ran.
    """

    key: str
    reports: tuple[SyncReport, ...]
    error: SyncError | None = None
    landing: str | None = None

    @property
    def report(self) -> SyncReport:
        """The last one."""
        return self.reports[-1]

    @property
    def good(self) -> tuple[SyncReport, ...]:
        """The reports of what was done."""
        return tuple(report for report in self.reports if report is not self.bad)

    @property
    def bad(self) -> SyncReport | None:
        """The report of what was not done, if anything was not: the last, for nothing runs after it."""
        done = self.report.complete or self.report.stream == self.landing
        return None if done and self.error is None else self.report

    @property
    def guarded(self) -> bool:
        """Whether the mass-change guard stopped it."""
        return isinstance(self.error, GuardTripped)


class Syncing:
    """Syncs a flow's partitions, one after the other, as they come from its reader."""

    def __init__(
        self,
        flow: PartitionedFlow,
        session: Session,
        settings: Settings,
        job: Callable[..., SyncJob[Any]],
        streams: Collection[str],
        *,
        plan: bool,
    ) -> None:
        self._flow = flow
        self._store = PostgresStateStore(session)
        self._lookup = StoredIds(self._store)
        self._parts = [placed_part(part, settings) for part in flow.parts]
        self._targets = [PostgresTarget(session, part.table) for part in self._parts]
        self._job = job
        self._streams = streams
        self._plan = plan
        self._sites = flow.partitions.addresses(settings) if isinstance(flow.partitions, Sites) else None

    def all_of(self, reader: Iterator[tuple[str, PartitionRead]]) -> Generator[PartitionDone, None, None]:
        """What became of each. Raises the SyncError that concerns them all."""
        unanswered = 0
        for key, read in reader:
            done = self._one(key, read)
            yield done
            unanswered = unanswered + 1 if done.error and done.error.transient else 0
            if done.error and unanswered == _MOST_UNANSWERED and self._sites is None:
                said = f"{_MOST_UNANSWERED} partitions in a row failed like this: {done.error}"
                raise SourceUnavailable(said) from done.error

    def _one(self, key: str, read: PartitionRead) -> PartitionDone:
        reports: list[SyncReport] = []
        stream = self._flow.stream
        try:
            if isinstance(read, SyncError):
                raise read
            if not isinstance(read, Landed):
                for part, target, source in zip(self._parts, self._targets, read, strict=True):
                    reports.append(self._part(part, target, source, key))
                return PartitionDone(key, (_merged(stream, reports),))
            reports += [read.report] if stream in self._streams else []
            for part, target, source in zip(self._parts, self._targets, read.sources, strict=True):
                if part.stream in self._streams:
                    stream = part.stream
                    reports.append(self._part(part, target, source, key))
                    if not reports[-1].complete:
                        break
        except SyncError as error:
            if isinstance(error, _EVERYBODYS if self._sites is None else _ALL_SITES):
                raise
            reports.append(report_of(stream, key, error))
            shown = tuple(reports) if self._flow.stage else (_merged(stream, reports),)
            return PartitionDone(key, shown, error, self._flow.stream)
        return PartitionDone(key, tuple(reports), None, self._flow.stream)

    def _part(self, part: Part, target: PostgresTarget, source: Source[Any], key: str) -> SyncReport:
        if self._sites is not None:
            claim = self._store.check_origin if self._plan else self._store.claim
            claim(f"{part.stream}/{key}", host_of(self._sites[key]))
        if self._plan:
            source = _Expecting(source, self._lookup)
        mapper = part.mapper(self._lookup, key)
        job = self._job(part.stream, source, mapper, target, self._store, partition=key, shares_with=sharing(part))
        return job.run()


@dataclass(frozen=True)
class _Expecting:
    """A source of whose records a plan would make rows: what refers to them finds them. All else is its own."""

    source: Source[Any]
    lookup: StoredIds

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def fetch(self, since: str | None) -> Fetch[Any]:
        reading = Reading(self.source.fetch(since))
        for item in reading:
            if isinstance(item, tuple):
                self.lookup.expect(item[0])
            yield item
        return reading.coverage

    def validate(self, key: Any, payload: Payload[Any]) -> None:
        self.source.validate(key, payload)


def _merged(stream: str, reports: Sequence[SyncReport]) -> SyncReport:
    """A partition's parts as one: their counters are added up."""
    counters = {name: sum(getattr(r, name) for r in reports) for name in _COUNTERS}
    return SyncReport(
        stream,
        reports[0].partition,
        complete=all(report.complete for report in reports),
        errors=tuple(chain.from_iterable(report.errors for report in reports)),
        differences=tuple(chain.from_iterable(report.differences for report in reports)),
        facts=reports[0].facts,
        rows=reports[-1].rows,
        **counters,
    )


def report_of(stream: str, key: str, error: SyncError) -> SyncReport:
    """The report of a partition that an error ended."""
    return error.report or SyncReport(stream, key, errors=(str(error),))
