"""One at a time: an advisory lock of the server, waited for, and taken from nobody."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy import exc

from sync_pipelines.errors import DatabaseUnavailable, StreamBusy
from sync_pipelines.postgres.engine import Session

__all__ = ["named_lock", "stream_lock"]

_log = logging.getLogger(__name__)


def stream_lock(session: Session, stream: str, timeout: timedelta) -> AbstractContextManager[None]:
    """Hold the stream's lock: one run at a time. Raises StreamBusy, naming the holder, after `timeout`."""
    return named_lock(session, stream, f"{stream} is still being synced", timeout)


@contextmanager
def named_lock(session: Session, name: str, busy: str, timeout: timedelta) -> Generator[None, None, None]:
    """Hold the lock of that name. It belongs to the connection: a killed run lets go of it at once.

    Raises StreamBusy, which says `busy` and by whom, where another has it for longer than `timeout`.
    """
    parameters = {"name": f"sync-pipelines {session.schemas.get('sync')} {name}"}
    if not session.try_lock(parameters["name"]):
        _log.info("%s: waiting", busy)
        _wait(session, busy, parameters, timeout)
    try:
        yield
    finally:
        # A connection that is lost has lost the lock with it.
        with suppress(DatabaseUnavailable), session.transaction() as connection:
            connection.execute(sa.text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))"), parameters)


def _wait(session: Session, busy: str, name: dict[str, str], timeout: timedelta) -> None:
    milliseconds = int(timeout.total_seconds() * 1000)
    connection = session.connection
    try:
        with connection.begin():
            connection.execute(sa.text("SELECT set_config('lock_timeout', :ms, true)"), {"ms": str(milliseconds)})
            connection.execute(sa.text("SELECT pg_advisory_lock(hashtextextended(:name, 0))"), name)
    except exc.OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != "55P03":
            raise DatabaseUnavailable("the database stopped answering while waiting for a lock") from error
        raise StreamBusy(
            f"{busy} by {_holder(session, name)} "
            f"after {milliseconds / 1000:g} s of waiting: let that run end, or end it"
        ) from error


def _holder(session: Session, name: dict[str, str]) -> str:
    query = sa.text(
        "SELECT a.pid, a.application_name, to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS TZ') AS since "
        "FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
        "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
        "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(:name, 0)"
    )
    with session.transaction() as connection:
        row = connection.execute(query, name).first()
    return f"{row.application_name} (server process {row.pid}, since {row.since})" if row else "another run"
