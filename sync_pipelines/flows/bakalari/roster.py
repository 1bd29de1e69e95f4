"""A school is read once, what that changes is worked out and landed, and the tables are synced from there.

While a school is read nobody else reads it: an older look that landed later would take new things for gone.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import partial
from threading import Event
from zoneinfo import ZoneInfo

from cryptography.fernet import MultiFernet

from sync_pipelines.core import SyncReport, fingerprint
from sync_pipelines.core.report import Fact
from sync_pipelines.errors import DatabaseError, SettingsError, SourceError, StateError, SyncError
from sync_pipelines.flows.bakalari.concluding import Conclusion, concluded
from sync_pipelines.flows.bakalari.landed import sources_of
from sync_pipelines.flows.bakalari.merging import Merged, merged
from sync_pipelines.flows.bakalari.observing import Refusal
from sync_pipelines.flows.bakalari.reading import SchoolReading, read_school
from sync_pipelines.flows.bakalari.schools import BAKALARI, schools_by_id
from sync_pipelines.flows.bakalari.snapshot import Kind, Snapshot
from sync_pipelines.flows.bakalari.vault import DatabaseVault, the_key
from sync_pipelines.flows.database import open_database
from sync_pipelines.flows.origins import host_of
from sync_pipelines.flows.spec import Landed, OnRead, PartitionRead
from sync_pipelines.postgres import rosters
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines.settings import School, Settings

__all__ = ["ROSTER", "STREAMS", "open_landed", "open_preview", "open_reader"]

ROSTER = "bakalari/roster"
#: The stream of each kind of thing.
STREAMS: dict[Kind, str] = {
    "class": "bakalari/classes",
    "subject": "bakalari/subjects",
    "user": "bakalari/users",
    "enrollment": "bakalari/enrollments",
}
_NAMED = 5
#: So many schools are read at a time: each waits for its own server.
_SCHOOLS_AT_ONCE = 6

Reading = Iterator[tuple[str, PartitionRead]]


@contextmanager
def open_reader(
    settings: Settings, keys: Sequence[str], on_read: OnRead, *, keep: bool = True, today: date | None = None
) -> Generator[Reading, None, None]:
    """Reads schools side by side, and gives them in order. With `keep` what was read has landed.

    `today` is the schools' date: it says whether lessons go on.
    """
    stop = Event()
    pool = ThreadPoolExecutor(_SCHOOLS_AT_ONCE, thread_name_prefix="schools")

    def read() -> Reading:
        secret = the_key(settings)
        day = today or datetime.now(ZoneInfo(BAKALARI.time_zone)).date()
        named = schools_by_id(settings)
        futures = [pool.submit(_read, settings, named[key], secret, stop, day, keep=keep) for key in keys]
        for number, (key, future) in enumerate(zip(keys, futures, strict=True), 1):
            try:
                came: PartitionRead = future.result()
            except (SettingsError, DatabaseError):
                raise
            except SyncError as error:
                came = error
            on_read(number, len(keys))
            yield key, came

    try:
        yield read()
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)


open_preview = partial(open_reader, keep=False)


@contextmanager
def open_landed(settings: Settings, keys: Sequence[str], on_read: OnRead) -> Generator[Reading, None, None]:
    """Gives what has landed. Nobody is asked."""
    named = schools_by_id(settings)
    with open_database(settings, ROSTER).session() as session:

        def read() -> Reading:
            for number, key in enumerate(keys, 1):
                lies_there = rosters.landed(session, key)
                on_read(number, len(keys))
                if lies_there is None:
                    yield key, StateError(f"nothing of school {key} has landed yet: run {ROSTER} first")
                    continue
                snapshot = Snapshot.from_plain(lies_there.snapshot)
                refusals = [Refusal(*row) for row in lies_there.coverage["refused"]]
                sources = sources_of(named[key], lies_there.coverage["school"], snapshot, refusals)
                yield key, Landed(SyncReport(ROSTER, key, complete=True), sources)

        yield read()


def _read(
    settings: Settings, school: School, secret: MultiFernet, stop: Event, today: date, *, keep: bool
) -> Landed:
    began = time.monotonic()
    database = open_database(settings, f"{ROSTER}/{school.id}")
    with database.session() as session:
        store, stream = PostgresStateStore(session), f"{ROSTER}/{school.id}"
        (store.claim if keep else store.check_origin)(stream, host_of(school.url))
        with store.exclusive(stream):
            if keep:
                store.run_started(stream)
            try:
                reading = read_school(school, DatabaseVault(database, school.id, secret), stop)
            except SourceError as error:
                error.report = SyncReport(ROSTER, school.id, errors=(str(error),), duration_ms=_since(began))
                if keep:
                    store.run_ended(stream, error.report)
                raise
            result = _worked_out(session, school, reading, today)
            if keep:
                result.land(session)
            report = result.report(_since(began))
            if keep:
                store.run_ended(stream, report)
    return Landed(report, sources_of(school, result.name, result.merged.snapshot, result.conclusion.refusals))


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _worked_out(session: Session, school: School, reading: SchoolReading, today: date) -> _Result:
    lies_there = rosters.landed(session, school.id)
    before = Snapshot() if lies_there is None else Snapshot.from_plain(lies_there.snapshot)
    conclusion = concluded(reading, today)
    synced = rosters.synced_since(session, school.id, [f"{stream}/{school.id}" for stream in STREAMS.values()])
    settled: list[Kind] = [kind for kind, stream in STREAMS.items() if f"{stream}/{school.id}" in synced]
    change = merged(before, conclusion.sightings, conclusion.whole, held=conclusion.held, settled=settled)
    names = [account.user.school_name for account in reading.accounts if account.user and account.user.school_name]
    known = None if lies_there is None else lies_there.coverage["school"]
    return _Result(school, reading, conclusion, change, names[0] if names else known)


@dataclass(frozen=True)
class _Result:
    """A reading, and what it changes."""

    school: School
    reading: SchoolReading
    conclusion: Conclusion
    merged: Merged
    name: str | None

    def land(self, session: Session) -> None:
        whole = asdict(self.conclusion.whole)
        coverage = {
            "school": self.name,
            "asked": [asdict(asked) for asked in self.reading.asked],
            "whole": {name: sorted(v) if isinstance(v, frozenset) else v for name, v in whole.items()},
            "warnings": self._warnings(),
            "refused": [list(refusal) for refusal in self.conclusion.refusals],
        }
        snapshot = self.merged.snapshot.to_json()
        rosters.land(session, self.school.id, snapshot, fingerprint(snapshot), coverage)

    def report(self, duration_ms: int) -> SyncReport:
        """Counted are things: classes, subjects, people and enrollments, as the snapshot gained or lost them."""
        change, reading = self.merged, self.reading
        refused = len(self.conclusion.refusals)
        missing = [asked for asked in reading.asked if not asked.complete]
        errors = [f"{asked.source}: {asked.outcome}: {asked.said}" for asked in missing[:_NAMED]]
        if missing:
            named = ", ".join(asked.source for asked in missing[:_NAMED])
            more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
            of = f"{len(missing)} of {len(reading.asked)}"
            errors.append(f"incomplete: {of} sources did not give all they have: {named}{more}")
        return SyncReport(
            ROSTER,
            self.school.id,
            fetched=change.created + change.updated + change.unchanged + refused,
            created=change.created,
            updated=change.updated,
            skipped=change.unchanged,
            deleted=change.gone,
            restored=change.restored,
            failed=refused,
            complete=not missing,
            requests=reading.spent.requests,
            retries=reading.spent.retries,
            duration_ms=duration_ms,
            errors=tuple(errors),
            facts=self._facts(),
        )

    def _facts(self) -> dict[str, Fact]:
        there = self.merged.snapshot.there
        counts = {stream.partition("/")[2]: sum(1 for _ in there(kind)) for kind, stream in STREAMS.items()}
        rows = [asdict(asked) for asked in self.reading.asked]
        return {**counts, **self._warnings(), "coverage": rows}

    def _warnings(self) -> Mapping[str, int]:
        conflicts = {f"conflicts of {what}": count for what, count in self.merged.conflicts.items()}
        return {**self.conclusion.warnings, **conflicts}
