"""The core's state store on the schema `sync`: bindings, checkpoints, rejects, runs, and one lock a stream."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from sync_pipelines.core import Binding, ExternalKey, Reject, StateError, SyncReport
from sync_pipelines.core.fingerprint import canonical_json
from sync_pipelines.errors import DatabaseUnavailable, OriginChanged, StreamBusy
from sync_pipelines.postgres.engine import Session

__all__ = ["PostgresStateStore"]

_log = logging.getLogger(__name__)


class PostgresStateStore:
    """State in the session's database. `lock_timeout` is how long a run waits for another of its stream."""

    def __init__(self, session: Session, *, lock_timeout: timedelta = timedelta(seconds=60)) -> None:
        self._session = session
        self._lock_timeout = lock_timeout
        self._refs = session.table("sync.external_refs")
        self._streams = session.table("sync.streams")
        self._rejects = session.table("sync.rejects")

    @contextmanager
    def exclusive(self, stream: str) -> Generator[None, None, None]:
        """Hold the stream's advisory lock. It belongs to the connection: a killed run lets go of it at once."""
        name = {"name": f"sync-pipelines {self._session.schemas.get('sync')} {stream}"}
        if not self._session.try_lock(name["name"]):
            _log.info("%s: waiting for another run of this stream", stream)
            self._wait_for_lock(stream, name)
        try:
            yield
        finally:
            # A connection that is lost has lost the lock with it.
            with suppress(DatabaseUnavailable), self._session.transaction() as connection:
                connection.execute(sa.text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))"), name)

    def _wait_for_lock(self, stream: str, name: dict[str, str]) -> None:
        milliseconds = int(self._lock_timeout.total_seconds() * 1000)
        connection = self._session.connection
        try:
            with connection.begin():
                connection.execute(
                    sa.text("SELECT set_config('lock_timeout', :ms, true)"), {"ms": str(milliseconds)}
                )
                connection.execute(sa.text("SELECT pg_advisory_lock(hashtextextended(:name, 0))"), name)
        except exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != "55P03":
                raise DatabaseUnavailable("the database stopped answering while waiting for a lock") from error
            raise StreamBusy(
                f"{stream} is still being synced by {self._holder(name)} "
                f"after {milliseconds / 1000:g} s of waiting: let that run end, or end it"
            ) from error

    def _holder(self, name: dict[str, str]) -> str:
        query = sa.text(
            "SELECT a.pid, a.application_name, to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS TZ') AS since "
            "FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
            "AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(:name, 0)"
        )
        with self._session.transaction() as connection:
            row = connection.execute(query, name).first()
        return f"{row.application_name} (server process {row.pid}, since {row.since})" if row else "another run"

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        with self._session.transaction():
            yield

    def get_binding(self, key: ExternalKey) -> Binding | None:
        return self.get_bindings([key]).get(key)

    def get_bindings(self, keys: Sequence[ExternalKey]) -> Mapping[ExternalKey, Binding]:
        query = sa.text(
            f"SELECT external_id, internal_id, version, remote_deleted_at FROM {self._refs} "
            "WHERE system = :system AND type = :type AND external_id = ANY(:ids)"
        )
        found: dict[ExternalKey, Binding] = {}
        with self._session.transaction() as connection:
            for system, ids in _by_system(keys).items():
                rows = connection.execute(query, {**_split(system), "ids": ids})
                found.update({b.key: b for b in (_binding(system, row) for row in rows)})
        return found

    def iter_bindings(self, system: str) -> Iterator[Binding]:
        query = sa.text(
            f"SELECT external_id, internal_id, version, remote_deleted_at FROM {self._refs} "
            "WHERE system = :system AND type = :type ORDER BY external_id"
        )
        with self._session.transaction() as connection:
            rows = connection.execution_options(yield_per=5000).execute(query, _split(system))
            for row in rows:
                yield _binding(system, row)

    def validate_binding(self, binding: Binding) -> None:
        if not binding.internal_id:
            raise StateError("the binding has no internal id")

    def bind(self, key: ExternalKey, internal_id: str, version: str | None) -> None:
        self.bind_many([Binding(key, internal_id, version)])

    def bind_many(self, bindings: Sequence[Binding]) -> None:
        if not bindings:
            return
        parts = [_split(b.key.system) for b in bindings]
        with self._session.transaction() as connection:
            connection.execute(
                sa.text(
                    f"INSERT INTO {self._refs} AS r (system, type, external_id, internal_id, version) "
                    "SELECT * FROM unnest(CAST(:systems AS text[]), CAST(:types AS text[]), CAST(:ids AS text[]), "
                    "CAST(:internal_ids AS uuid[]), CAST(:versions AS text[])) "
                    "ON CONFLICT (system, type, external_id) DO UPDATE SET internal_id = excluded.internal_id, "
                    "version = excluded.version, updated_at = now(), remote_deleted_at = NULL "
                    "WHERE (r.internal_id, r.version, r.remote_deleted_at) "
                    "IS DISTINCT FROM (excluded.internal_id, excluded.version, NULL::timestamptz)"
                ),
                {
                    "systems": [p["system"] for p in parts],
                    "types": [p["type"] for p in parts],
                    "ids": [b.key.key for b in bindings],
                    "internal_ids": [b.internal_id for b in bindings],
                    "versions": [b.version for b in bindings],
                },
            )

    def get_checkpoint(self, stream: str) -> str | None:
        with self._session.transaction() as connection:
            return connection.scalar(
                sa.text(f"SELECT checkpoint->>'token' FROM {self._streams} WHERE stream = :stream"),
                {"stream": stream},
            )

    def save_checkpoint(self, stream: str, token: str) -> None:
        self._set_stream(stream, {"checkpoint": "jsonb_build_object('token', CAST(:token AS text))"}, token=token)

    def save_rejects(self, rejects: Sequence[Reject]) -> None:
        statement = sa.text(
            f"INSERT INTO {self._rejects} AS r (system, type, external_id, stage, error, payload) "
            "VALUES (:system, :type, :id, :stage, :error, CAST(:payload AS jsonb)) "
            "ON CONFLICT (system, type, external_id) DO UPDATE SET stage = excluded.stage, "
            "error = excluded.error, payload = excluded.payload, last_seen_at = now(), "
            "occurrences = r.occurrences + 1, resolved_at = NULL"
        )
        rows = [
            {
                **_split(reject.key.system),
                "id": _storable(reject.key.key),
                "stage": str(reject.stage),
                "error": _storable(reject.error),
                "payload": _whole_json(reject.payload),
            }
            for reject in rejects
        ]
        if rows:
            with self._session.transaction() as connection:
                connection.execute(statement, rows)

    def resolve_rejects(self, keys: Sequence[ExternalKey]) -> None:
        statement = sa.text(
            f"UPDATE {self._rejects} SET resolved_at = now() "
            "WHERE system = :system AND type = :type AND external_id = ANY(:ids) AND resolved_at IS NULL"
        )
        with self._session.transaction() as connection:
            for system, ids in _by_system(keys).items():
                connection.execute(statement, {**_split(system), "ids": ids})

    def claim(self, stream: str, origin: str) -> None:
        """Note which upstream the stream is read from. Raises OriginChanged where it was another one.

        Two platforms number their records alike: one read into the other's tables would rename every row.
        """
        with self._session.transaction() as connection:
            known = connection.scalar(
                sa.text(
                    f"INSERT INTO {self._streams} AS s (stream, origin) VALUES (:stream, :origin) "
                    "ON CONFLICT (stream) DO UPDATE SET origin = excluded.origin WHERE s.origin IS NULL "
                    "RETURNING origin"
                ),
                {"stream": stream, "origin": origin},
            ) or connection.scalar(
                sa.text(f"SELECT origin FROM {self._streams} WHERE stream = :stream"), {"stream": stream}
            )
        if known != origin:
            raise OriginChanged(
                f"{stream} was filled from {known}, and the settings now name {origin}: use another database for "
                "it. Only if the same platform moved: "
                f"UPDATE {self._streams} SET origin = NULL WHERE stream = '{stream}'"
            )

    def run_started(self, stream: str) -> None:
        self._set_stream(stream, {"last_started_at": "now()"})

    def run_ended(self, stream: str, report: SyncReport) -> None:
        values = {"last_report": "CAST(:report AS jsonb)"}
        if report.complete:
            values["last_complete_at"] = "now()"
        self._set_stream(stream, values, report=json.dumps(report.to_dict()))

    def _set_stream(self, stream: str, columns: Mapping[str, str], **parameters: str) -> None:
        """Set columns of the stream's row to SQL expressions, which may name the parameters."""
        names, values = ", ".join(columns), ", ".join(columns.values())
        assignments = ", ".join(f"{name} = excluded.{name}" for name in columns)
        with self._session.transaction() as connection:
            connection.execute(
                sa.text(
                    f"INSERT INTO {self._streams} (stream, {names}) VALUES (:stream, {values}) "
                    f"ON CONFLICT (stream) DO UPDATE SET {assignments}"
                ),
                {"stream": stream, **parameters},
            )


def _split(system: str) -> dict[str, str]:
    """ "bakalari:gymnazium:class" is the source instance "bakalari:gymnazium" and its entity "class"."""
    instance, colon, entity = system.rpartition(":")
    return {"system": instance, "type": entity} if colon else {"system": system, "type": ""}


def _by_system(keys: Sequence[ExternalKey]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for key in keys:
        grouped.setdefault(key.system, []).append(_storable(key.key))
    return grouped


def _binding(system: str, row: sa.Row[Any]) -> Binding:
    return Binding(ExternalKey(system, row.external_id), str(row.internal_id), row.version, row.remote_deleted_at)


def _storable(text: str) -> str:
    """Text that PostgreSQL takes; what it cannot hold stands escaped."""
    return text.replace("\x00", "\\u0000").encode("utf-8", "backslashreplace").decode()


def _whole_json(payload: object) -> str:
    """The payload as JSON that jsonb takes. What jsonb cannot hold is kept as the text of its JSON."""
    text = canonical_json(payload)
    storable = _storable(text)
    if text == storable and "\\u0000" not in text:
        return text
    return json.dumps({"json": storable})
