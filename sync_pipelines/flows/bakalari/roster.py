"""A school is read once, what that changes is worked out and lands, and the tables are synced from there.

While a school is read nobody else reads it: an older look that landed later would take new things for gone.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from threading import Event
from zoneinfo import ZoneInfo

from cryptography.fernet import MultiFernet

from sync_pipelines.core import SyncReport
from sync_pipelines.errors import DatabaseError, SettingsError, SourceError, StateError, SyncError
from sync_pipelines.flows.bakalari.landed import sources_of
from sync_pipelines.flows.bakalari.observing import Refusal
from sync_pipelines.flows.bakalari.outcome import ROSTER, worked_out
from sync_pipelines.flows.bakalari.reading import read_school
from sync_pipelines.flows.bakalari.schools import BAKALARI, schools_by_id
from sync_pipelines.flows.bakalari.snapshot import Snapshot
from sync_pipelines.flows.bakalari.vault import DatabaseVault, the_key
from sync_pipelines.flows.database import open_database
from sync_pipelines.flows.origins import host_of
from sync_pipelines.flows.spec import Landed, OnRead, PartitionRead
from sync_pipelines.postgres import rosters
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines.settings import School, Settings

__all__ = ["open_landed", "open_reader"]

#: So many schools are read at a time: each waits for its own server.
_SCHOOLS_AT_ONCE = 6

Reading = Iterator[tuple[str, PartitionRead]]


@dataclass(frozen=True)
class _How:
    """How a run reads its schools: with which key of their tokens, on what day, and what becomes of it."""

    secret: MultiFernet
    today: date
    keep: bool
    approved: bool
    stop: Event


@contextmanager
def open_reader(
    settings: Settings,
    keys: Sequence[str],
    on_read: OnRead,
    *,
    keep: bool = True,
    approved: bool = False,
    today: date | None = None,
) -> Generator[Reading, None, None]:
    """Reads schools side by side, and gives them in order. With `keep` what was read has landed.

    `approved` believes sheets that show nobody any more. `today` is the schools' date.
    """
    stop = Event()
    pool = ThreadPoolExecutor(_SCHOOLS_AT_ONCE, thread_name_prefix="schools")

    def read() -> Reading:
        day = today or datetime.now(ZoneInfo(BAKALARI.time_zone)).date()
        how = _How(the_key(settings), day, keep, approved, stop)
        schools = schools_by_id(settings)
        waiting, window = iter(keys), deque[tuple[str, Future[Landed]]]()
        for number in range(1, len(keys) + 1):
            # No further ahead: what was read of a school is held until it is synced.
            for key in islice(waiting, _SCHOOLS_AT_ONCE - len(window)):
                window.append((key, pool.submit(_read, settings, schools[key], how)))
            key, future = window.popleft()
            came = _came(future)
            on_read(number, len(keys))
            yield key, came

    try:
        yield read()
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _came(future: Future[Landed]) -> PartitionRead:
    """What came of a school. Raises the SyncError that concerns all."""
    try:
        return future.result()
    except (SettingsError, DatabaseError):
        raise
    except SyncError as error:
        return error


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


def _read(settings: Settings, school: School, how: _How) -> Landed:
    began = time.monotonic()
    stream = f"{ROSTER}/{school.id}"
    database = open_database(settings, stream)
    with database.session() as session:
        store = PostgresStateStore(session)
        (store.claim if how.keep else store.check_origin)(stream, host_of(school.url))
        with store.exclusive(stream):
            if how.keep:
                store.run_started(stream)
            try:
                reading = read_school(school, DatabaseVault(database, school.id, how.secret), how.stop)
            except SourceError as error:
                error.report = SyncReport(ROSTER, school.id, errors=(str(error),), duration_ms=_since(began))
                if how.keep:
                    store.run_ended(stream, error.report)
                raise
            outcome = worked_out(session, reading, how.today, approved=how.approved)
            report = outcome.report(_since(began))
            if how.keep:
                outcome.land(session)
                store.run_ended(stream, report)
    return Landed(report, outcome.sources())


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
