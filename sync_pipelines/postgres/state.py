"""The core's state store on the schema `sync`: bindings, checkpoints, rejects and runs."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from sync_pipelines.core import Binding, BulkTarget, ExternalKey, Reject, StateError, SyncReport, TargetError
from sync_pipelines.errors import OriginChanged
from sync_pipelines.postgres.copying import copy_in
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.lock import stream_lock
from sync_pipelines.postgres.storable import key_of, storable, stored_key, stored_keys, stored_versions, whole_json
from sync_pipelines.postgres.target import LONGEST_KEY, PostgresTarget

__all__ = ["PostgresStateStore"]

_BINDING = "r.external_id, r.internal_id::text, r.version, r.remote_deleted_at"
_LIVING = "WHERE r.system = %s AND r.type = %s AND r.remote_deleted_at IS NULL"
_ROWS_AT_A_TIME = 20_000

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

    def exclusive(self, stream: str) -> AbstractContextManager[None]:
        return stream_lock(self._session, stream, self._lock_timeout)

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
        if isinstance(target, PostgresTarget):
            # Rows are hardly ever gone, and to ask whether any is costs half of asking each.
            alive = "" if self.all_alive(system, target) else f"AND {target.relation.has_row('r')}"
            query = f"SELECT r.external_id, r.version FROM {self._refs} r {_LIVING} {alive}"
            yield from self._streamed(query, _split(system))
            return
        query = f"SELECT r.external_id, r.version, r.internal_id::text FROM {self._refs} r {_LIVING}"
        for rows in self._streamed(query, _split(system)):
            alive = target.alive({row[2] for row in rows})
            yield [row[:2] for row in rows if row[2] in alive]

    def all_alive(self, system: str, target: BulkTarget) -> bool:
        if not isinstance(target, PostgresTarget):
            query = f"SELECT r.internal_id::text FROM {self._refs} r {_LIVING}"
            for rows in self._streamed(query, _split(system)):
                ids = {row[0] for row in rows}
                if not ids <= set(target.alive(ids)):
                    return False
            return True
        gone = f"SELECT FROM {self._refs} r {_LIVING} AND NOT {target.relation.has_row('r')}"
        query = f"SELECT NOT EXISTS ({gone})"
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
                f"SELECT count(*) FROM {self._refs} r {_LIVING}", _split(system)
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
            stored_keys([b.key.key for b in bindings]),
            [b.internal_id for b in bindings],
            stored_versions([b.version for b in bindings]),
            [None if b.metadata is None else whole_json(b.metadata) for b in bindings],
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
                f"INSERT INTO {self._refs} AS r (system, type, external_id, internal_id, version, metadata) "
                "SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::uuid[], %s::text[], %s::jsonb[]) "
                "ON CONFLICT (system, type, external_id) DO UPDATE SET internal_id = excluded.internal_id, "
                "version = excluded.version, updated_at = now(), remote_deleted_at = NULL, "
                "metadata = coalesce(excluded.metadata, r.metadata) "
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
        metadata = [None] * len(keys)
        self._copy_bindings([*constants, stored_keys(keys), internal_ids, stored_versions(versions), metadata])

    def _copy_bindings(self, columns: Sequence[Sequence[Any]]) -> None:
        with self._session.savepoint() as cursor:
            copy_in(cursor, f"{self._refs} (system, type, external_id, internal_id, version, metadata)", columns)

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
            [stored_key(reject.key.key) for reject in rejects],
            [str(reject.stage) for reject in rejects],
            [storable(reject.error) for reject in rejects],
            [whole_json(reject.payload) for reject in rejects],
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
            yield from (ExternalKey(system, key_of(row[0])) for row in rows)

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
        grouped.setdefault(key.system, []).append(stored_key(key.key))
    return grouped


def _binding(system: str, row: Sequence[Any]) -> Binding:
    return Binding(ExternalKey(system, key_of(row[0])), row[1], row[2], row[3])


def _require_uuids(internal_ids: Sequence[str]) -> None:
    for internal_id in internal_ids:
        try:
            uuid.UUID(internal_id)
        except ValueError:
            raise StateError(
                "the target's row ids are no uuids, which is what sync.external_refs keeps: let its `upsert` "
                "return uuids (uuid.uuid5 makes one of any name)"
            ) from None
