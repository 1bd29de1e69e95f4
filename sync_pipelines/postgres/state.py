"""The core's state store on the schema `sync`: bindings, checkpoints, rejects, runs, and one lock a stream."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from sync_pipelines.core import Binding, BulkTarget, ExternalKey, Reject, StateError, SyncReport, TargetError
from sync_pipelines.core.fingerprint import canonical_json
from sync_pipelines.errors import DatabaseUnavailable, OriginChanged, StreamBusy
from sync_pipelines.postgres.copying import copy_in
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.target import LONGEST_KEY, PostgresTarget

__all__ = ["PostgresStateStore"]

_BINDING = "r.external_id, r.internal_id::text, r.version, r.remote_deleted_at"
_ROWS_AT_A_TIME = 20_000
_ESCAPED = "\x1b"

_log = logging.getLogger(__name__)


class PostgresStateStore:
    """State in the session's database. `lock_timeout` is how long a run waits for another of its stream."""

    def __init__(self, session: Session, *, lock_timeout: timedelta = timedelta(seconds=60)) -> None:
        self._session = session
        self._lock_timeout = lock_timeout
        self._refs = session.table("sync.external_refs")
        self._streams = session.table("sync.streams")
        self._rejects = session.table("sync.rejects")
        self._generation = session.table("sync.bindings_generation")

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
            "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
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
        found: dict[ExternalKey, Binding] = {}
        with self._session.cursor() as cursor:
            for system, ids in _by_system(keys).items():
                cursor.execute(
                    f"SELECT {_BINDING} FROM {self._refs} r "
                    "WHERE system = %s AND type = %s AND external_id = ANY(%s)",
                    [*_split(system), ids],
                )
                found.update({b.key: b for b in (_binding(system, row) for row in cursor)})
        return found

    def iter_bindings(self, system: str) -> Iterator[Binding]:
        query = f"SELECT {_BINDING} FROM {self._refs} r WHERE system = %s AND type = %s"
        for rows in self._streamed(query, _split(system)):
            yield from (_binding(system, row) for row in rows)

    def iter_versions(self, system: str, target: BulkTarget) -> Iterator[Sequence[tuple[str, str | None]]]:
        where = "WHERE r.system = %s AND r.type = %s AND r.remote_deleted_at IS NULL"
        if isinstance(target, PostgresTarget):
            # Rows are hardly ever gone, and to ask whether any is costs half of asking each.
            alive = "" if self.all_alive(system, target) else f"AND {target.has_row('r')}"
            query = f"SELECT r.external_id, r.version FROM {self._refs} r {where} {alive}"
            yield from self._streamed(query, _split(system))
            return
        query = f"SELECT r.external_id, r.version, r.internal_id::text FROM {self._refs} r {where}"
        for rows in self._streamed(query, _split(system)):
            alive = target.alive({row[2] for row in rows})
            yield [row[:2] for row in rows if row[2] in alive]

    def all_alive(self, system: str, target: BulkTarget) -> bool:
        if not isinstance(target, PostgresTarget):
            bound = (b for b in self.iter_bindings(system) if b.remote_deleted_at is None)
            return all(target.alive({b.internal_id}) for b in bound)
        query = (
            f"SELECT NOT EXISTS (SELECT FROM {self._refs} r WHERE r.system = %s AND r.type = %s "
            f"AND r.remote_deleted_at IS NULL AND NOT {target.has_row('r')})"
        )
        with self._session.cursor() as cursor:
            (alive,) = cursor.execute(query, _split(system)).fetchone() or (False,)
        return alive

    def remembered_pages(self, stream: str) -> Mapping[str, tuple[str, int]]:
        with self._session.cursor() as cursor:
            row = cursor.execute(
                f"SELECT pages->'pages' FROM {self._streams}, {self._generation} g "
                "WHERE stream = %s AND (pages->>'generation')::bigint = g.last_value",
                [stream],
            ).fetchone()
        return {digest: (system, count) for digest, (system, count) in row[0].items()} if row else {}

    def remember_pages(self, stream: str, pages: Mapping[str, tuple[str, int]]) -> None:
        with self._session.cursor() as cursor:
            cursor.execute(
                f"UPDATE {self._streams} SET pages = jsonb_build_object('generation', "
                f"(SELECT last_value FROM {self._generation}), 'pages', %s::jsonb) WHERE stream = %s",
                [json.dumps(pages), stream],
            )

    def _streamed(self, query: str, parameters: Sequence[Any]) -> Iterator[list[Any]]:
        """A query's rows, many at a time, by a cursor on the server: the client holds one portion."""
        with self._session.cursor() as outer, outer.connection.cursor(name="sync_stream") as cursor:
            cursor.execute(query, parameters)
            while rows := cursor.fetchmany(_ROWS_AT_A_TIME):
                yield rows

    def count_bindings(self, system: str) -> int:
        with self._session.cursor() as cursor:
            (count,) = cursor.execute(
                f"SELECT count(*) FROM {self._refs} WHERE system = %s AND type = %s AND remote_deleted_at IS NULL",
                _split(system),
            ).fetchone() or (0,)
        return count

    def validate_binding(self, binding: Binding) -> None:
        if not binding.internal_id:
            raise StateError("the binding has no internal id")

    def bind(self, key: ExternalKey, internal_id: str, version: str | None) -> None:
        self.bind_many([Binding(key, internal_id, version)])

    def bind_many(self, bindings: Sequence[Binding], *, new: bool = False) -> None:
        if not bindings:
            return
        parts = {system: _split(system) for system in {b.key.system for b in bindings}}
        columns = [
            [parts[b.key.system][0] for b in bindings],
            [parts[b.key.system][1] for b in bindings],
            _stored_keys([b.key.key for b in bindings]),
            [b.internal_id for b in bindings],
            _stored_versions([b.version for b in bindings]),
        ]
        with self._session.cursor() as cursor:
            if new:
                try:
                    self._copy_bindings(columns)
                except TargetError:
                    _log.debug("a binding that was to be new is there: merging")
                else:
                    return
            _require_uuids(columns[3])
            cursor.execute(
                f"INSERT INTO {self._refs} AS r (system, type, external_id, internal_id, version) "
                "SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::uuid[], %s::text[]) "
                "ON CONFLICT (system, type, external_id) DO UPDATE SET internal_id = excluded.internal_id, "
                "version = excluded.version, updated_at = now(), remote_deleted_at = NULL "
                "WHERE (r.internal_id, r.version, r.remote_deleted_at) "
                "IS DISTINCT FROM (excluded.internal_id, excluded.version, NULL::timestamptz)",
                columns,
            )

    def load_bindings(
        self, system: str, keys: Sequence[str], internal_ids: Sequence[str], versions: Sequence[str | None]
    ) -> None:
        """Bind keys of one system. Raises TargetError, and keeps nothing, if any is bound already."""
        if any(len(key) > LONGEST_KEY for key in keys):
            raise TargetError(f"a key has more than {LONGEST_KEY} characters")
        instance, entity = _split(system)
        constants = [[instance] * len(keys), [entity] * len(keys)]
        self._copy_bindings([*constants, _stored_keys(keys), internal_ids, _stored_versions(versions)])

    def _copy_bindings(self, columns: Sequence[Sequence[Any]]) -> None:
        with self._session.savepoint() as cursor:
            copy_in(cursor, f"{self._refs} (system, type, external_id, internal_id, version)", columns)

    def mark_vanished(self, keys: Sequence[ExternalKey]) -> None:
        with self._session.cursor() as cursor:
            for system, ids in _by_system(keys).items():
                cursor.execute(
                    f"UPDATE {self._refs} SET remote_deleted_at = now(), updated_at = now() WHERE system = %s "
                    "AND type = %s AND external_id = ANY(%s) AND remote_deleted_at IS NULL",
                    [*_split(system), ids],
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
        if not rejects:
            return
        parts = [_split(reject.key.system) for reject in rejects]
        columns = [
            [p[0] for p in parts],
            [p[1] for p in parts],
            [_stored_key(reject.key.key) for reject in rejects],
            [str(reject.stage) for reject in rejects],
            [_storable(reject.error) for reject in rejects],
            [_whole_json(reject.payload) for reject in rejects],
        ]
        with self._session.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {self._rejects} AS r (system, type, external_id, stage, error, payload) "
                "SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::jsonb[]) "
                "ON CONFLICT (system, type, external_id) DO UPDATE SET stage = excluded.stage, "
                "error = excluded.error, payload = excluded.payload, last_seen_at = now(), "
                "occurrences = r.occurrences + 1, resolved_at = NULL",
                columns,
            )

    def resolve_rejects(self, keys: Sequence[ExternalKey]) -> None:
        with self._session.cursor() as cursor:
            for system, ids in _by_system(keys).items():
                cursor.execute(
                    f"UPDATE {self._rejects} SET resolved_at = now() "
                    "WHERE system = %s AND type = %s AND external_id = ANY(%s) AND resolved_at IS NULL",
                    [*_split(system), ids],
                )

    def open_rejects(self, system: str) -> Iterator[ExternalKey]:
        query = f"SELECT external_id FROM {self._rejects} WHERE system = %s AND type = %s AND resolved_at IS NULL"
        for rows in self._streamed(query, _split(system)):
            yield from (ExternalKey(system, _key_of(row[0])) for row in rows)

    def claim(self, stream: str, origin: str) -> None:
        """Note which upstream the stream is read from. Raises OriginChanged where it was another one.

        Two platforms number their records alike: one read into the other's tables would rename every row.
        """
        with self._session.transaction() as connection:
            connection.execute(
                sa.text(
                    f"INSERT INTO {self._streams} AS s (stream, origin) VALUES (:stream, :origin) "
                    "ON CONFLICT (stream) DO UPDATE SET origin = excluded.origin WHERE s.origin IS NULL"
                ),
                {"stream": stream, "origin": origin},
            )
            self.check_origin(stream, origin)

    def check_origin(self, stream: str, origin: str) -> None:
        """Raise OriginChanged where the stream was read from another upstream."""
        query = sa.text(f"SELECT origin FROM {self._streams} WHERE stream = :stream")
        with self._session.transaction() as connection:
            known = connection.scalar(query, {"stream": stream})
        if known not in (None, origin):
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


def _split(system: str) -> list[str]:
    """ "bakalari:gymnazium:class" is the source instance "bakalari:gymnazium" and its entity "class"."""
    instance, colon, entity = system.rpartition(":")
    return [instance, entity] if colon else [system, ""]


def _by_system(keys: Sequence[ExternalKey]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for key in keys:
        grouped.setdefault(key.system, []).append(_stored_key(key.key))
    return grouped


def _binding(system: str, row: Sequence[Any]) -> Binding:
    return Binding(ExternalKey(system, _key_of(row[0])), row[1], row[2], row[3])


def _require_uuids(internal_ids: Sequence[str]) -> None:
    for internal_id in internal_ids:
        try:
            uuid.UUID(internal_id)
        except ValueError:
            raise StateError(
                "the target's row ids are no uuids, which is what sync.external_refs keeps: let its `upsert` "
                "return uuids (uuid.uuid5 makes one of any name)"
            ) from None


def _stored_key(key: str) -> str:
    """The key as a text that PostgreSQL takes: itself, or in JSON's escapes after an ESC if it cannot be."""
    if key.isprintable():
        return key
    if "\x00" in key or key[0] == _ESCAPED or any("\ud800" <= c <= "\udfff" for c in key):
        return _ESCAPED + json.dumps(key)
    return key


def _stored_keys(keys: Sequence[str]) -> Sequence[str]:
    return keys if "".join(keys).isprintable() else [_stored_key(key) for key in keys]


def _key_of(stored: str) -> str:
    return json.loads(stored[1:]) if stored[0] == _ESCAPED else stored


def _stored_versions(versions: Sequence[str | None]) -> Sequence[str | None]:
    """A version that PostgreSQL cannot hold is kept in another form: its record is compared anew in each run."""
    texts = [version for version in versions if version is not None]
    if "".join(texts).isprintable():
        return versions
    return [None if version is None else _storable(version) for version in versions]


def _storable(text: str) -> str:
    """Text that PostgreSQL takes; what it cannot hold stands escaped."""
    return text.replace("\x00", "\\u0000").encode("utf-8", "backslashreplace").decode()


def _whole_json(payload: object) -> str:
    """The payload as JSON that jsonb takes. What jsonb cannot hold is kept as the text of its JSON."""
    text = canonical_json(payload)
    storable = _storable(text)
    if text == storable and "\\u0000" not in text and _has_only_numbers(text):
        return text
    return json.dumps({"json": storable})


def _has_only_numbers(text: str) -> bool:
    """Not NaN, nor Infinity: Python takes them for JSON."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True
