"""Runs partitioned flows: any set of partitions in one go, each with a report of its own.

A partition's failure is its own. What concerns them all (the credentials, the hour's requests, the database) ends
the run; what was done by then is done, and the next run begins with what was not.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any

from sync_pipelines.core import SyncJob, SyncReport
from sync_pipelines.errors import (
    AccessRefused,
    DatabaseError,
    GuardTripped,
    OriginChanged,
    RateLimited,
    SettingsError,
    SourceUnavailable,
    StateError,
    SyncError,
)
from sync_pipelines.flows.lookup import StoredIds
from sync_pipelines.flows.registry import FLOWS, placed_part, sharing
from sync_pipelines.flows.runner import (
    Finished,
    Progress,
    Quiet,
    open_database,
    origin_of,
    read_only,
    require_schema,
)
from sync_pipelines.flows.spec import Flow, PartitionedFlow, PartitionRead, Partitions
from sync_pipelines.postgres import migrate
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines.postgres.streams import last_complete, never_complete
from sync_pipelines.postgres.target import PostgresTarget
from sync_pipelines.settings import Settings

__all__ = ["PartitionDone", "PartitionRunner"]

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


@dataclass(frozen=True)
class PartitionDone:
    """What became of one partition: its report, and the error that ended it, if one did."""

    report: SyncReport
    error: SyncError | None = None

    @property
    def key(self) -> str:
        """The partition."""
        return self.report.partition or ""

    @property
    def guarded(self) -> bool:
        """Whether the mass-change guard stopped it."""
        return isinstance(self.error, GuardTripped)


class PartitionRunner:
    """Runs partitions of a flow. Making one reads and connects to nothing."""

    def __init__(self, settings: Settings, progress: Progress | None = None) -> None:
        self.settings = settings
        self._progress = progress or Quiet()

    def keys(self, partitions: Partitions) -> list[str]:
        """The partitions there are, in order of their numbers: vanished ones for a time too."""
        with open_database(self.settings, partitions.name).session() as session:
            known = _known(PostgresStateStore(session), partitions)
        oldest = datetime.now(UTC) - partitions.keep
        return sorted((k for k, gone in known.items() if gone is None or gone > oldest), key=lambda k: (len(k), k))

    def stalest_first(self, flow: PartitionedFlow) -> list[str]:
        """The partitions that are there upstream: first those never read to the end, then the longest ago."""
        with open_database(self.settings, flow.stream).session() as session:
            store = PostgresStateStore(session)
            there = [key for key, gone in _known(store, flow.partitions).items() if gone is None]
            read = last_complete(session, flow.stream)
        return sorted(there, key=lambda key: (key in read, read.get(key), len(key), key))

    def needed_first(self, flows: Sequence[PartitionedFlow]) -> list[Flow]:
        """The flows that these refer to, and that were never synced to their end."""
        after = tuple(dict.fromkeys(chain.from_iterable(flow.after for flow in flows)))
        with open_database(self.settings, "looking").session() as session:
            missing = never_complete(session, after)
        return [flow for flow in FLOWS if flow.stream in missing]

    def plan_all(
        self, flows: Sequence[PartitionedFlow], keys: Sequence[str], *, allow_mass_vanish: bool = False
    ) -> Finished:
        """What `run` would do to these partitions of each flow; without keys, to all that are there."""
        reports: list[SyncReport] = []
        guarded: set[str] = set()
        for flow in flows:
            asked = keys or self.stalest_first(flow)
            try:
                for done in self.run(flow, asked, allow_mass_vanish=allow_mass_vanish, plan=True):
                    reports.append(done.report)
                    guarded.update([flow.stream] if done.guarded else ())
            except SyncError as error:
                reports.append(SyncReport(flow.stream, errors=(str(error),)))
        return Finished(reports, all(report.complete for report in reports), guarded=frozenset(guarded))

    def run(
        self,
        flow: PartitionedFlow,
        keys: Sequence[str],
        *,
        allow_mass_vanish: bool = False,
        full: bool = False,
        plan: bool = False,
    ) -> Generator[PartitionDone, None, None]:
        """Sync these partitions and say of each what became of it, as soon as that is known.

        `plan` writes nothing. Raises the SyncError that concerns them all.
        """
        database = open_database(self.settings, f"plan {flow.stream}" if plan else flow.stream)
        if plan:
            require_schema(database)
        else:
            migrate.upgrade(database)
        with database.session() as session:
            if plan:
                read_only(session)
            store, origin = PostgresStateStore(session), origin_of(flow.upstream, self.settings)
            for part in flow.parts:
                (store.check_origin if plan else store.claim)(part.stream, origin)
            known = _known(store, flow.partitions)
            keys = list(dict.fromkeys(keys))
            there = dict.fromkeys(key for key in keys if key in known and known[key] is None)
            yield from (_not_there(flow, key, vanished=key in known) for key in keys if key not in there)
            if there:
                job = partial(SyncJob[Any], allow_mass_vanish=allow_mass_vanish, full=full, plan=plan)
                heard = partial(self._progress.reading, flow.stream)
                with flow.open_reader(self.settings, list(there), heard) as reader:
                    yield from _synced(flow, reader, session, self.settings, job)


def _known(store: PostgresStateStore, partitions: Partitions) -> dict[str, datetime | None]:
    """The partitions that ever were, and since when they are gone upstream."""
    return {b.key.key: b.remote_deleted_at for b in store.iter_bindings(partitions.system)}


def _not_there(flow: PartitionedFlow, key: str, *, vanished: bool) -> PartitionDone:
    if vanished:
        facts = {flow.partitions.system: "vanished upstream: not asked for"}
        return PartitionDone(SyncReport(flow.stream, key, complete=True, facts=facts))
    said = f"{flow.partitions.system} {key} is not known here: run {flow.partitions.stream}, or look the id up"
    return _failed(flow, key, StateError(said))


def _failed(flow: PartitionedFlow, key: str, error: SyncError) -> PartitionDone:
    report = error.report or SyncReport(flow.stream, key, errors=(str(error),))
    return PartitionDone(report, error)


def _synced(
    flow: PartitionedFlow,
    reader: Iterator[tuple[str, PartitionRead]],
    session: Session,
    settings: Settings,
    job: Callable[..., SyncJob[Any]],
) -> Generator[PartitionDone, None, None]:
    store = PostgresStateStore(session)
    lookup = StoredIds(store)
    parts = [placed_part(part, settings) for part in flow.parts]
    targets = [PostgresTarget(session, part.table) for part in parts]
    unanswered = 0
    for key, read in reader:
        reports: list[SyncReport] = []
        try:
            if isinstance(read, SyncError):
                raise read
            for part, target, source in zip(parts, targets, read, strict=True):
                mapper, shared = part.mapper(lookup, key), sharing(part)
                run = job(part.stream, source, mapper, target, store, partition=key, shares_with=shared).run
                reports.append(run())
        except _EVERYBODYS:
            raise
        except SyncError as error:
            failed = _failed(flow, key, error)
            yield PartitionDone(_merged(flow.stream, [*reports, failed.report]), error)
            unanswered = unanswered + 1 if error.transient else 0
            if unanswered == _MOST_UNANSWERED:
                said = f"{_MOST_UNANSWERED} partitions in a row failed like this: {error}"
                raise SourceUnavailable(said) from error
        else:
            unanswered = 0
            yield PartitionDone(_merged(flow.stream, reports))


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
        **counters,
    )
