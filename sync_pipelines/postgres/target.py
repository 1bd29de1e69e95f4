"""The core's bulk target on a PostgreSQL table: a batch is a COPY and one or two statements, whatever its size.

It works inside the state store's transaction, on the same session. A row that the server refuses fails alone: the
batch is halved, each half under a savepoint, until the row is found.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sync_pipelines.core import (
    Binding,
    Change,
    Difference,
    ExternalKey,
    Outcome,
    Projection,
    Projections,
    TargetError,
    Written,
)
from sync_pipelines.postgres.batches import Fields, alike, columns_of, halving
from sync_pipelines.postgres.copying import copy_in, to_text
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.preview import Preview
from sync_pipelines.postgres.relation import NUMBER, ROW, Relation, quoted
from sync_pipelines.postgres.spec import TableSpec

__all__ = ["LONGEST_KEY", "PostgresTarget"]

_NOT_EMPTY = 2
#: An index entry holds 2,704 bytes, and a character may take four.
LONGEST_KEY = 500


class PostgresTarget:
    """Rows of `spec.table`. An existing row gets only the columns the sync owns, and only where they differ.

    Raises SchemaError, when made, for a table that is not as the spec says.
    """

    def __init__(self, session: Session, spec: TableSpec) -> None:
        self._session = session
        self._spec = spec
        self.relation = Relation(session, spec)
        self._preview = Preview(session, self.relation)
        self._kind = spec.kind
        self._shapes: dict[Fields, list[tuple[str, int, int | None]]] = {}

    # --- validation ---------------------------------------------------------------------------------------

    def validate(self, key: ExternalKey, projection: Projection) -> None:
        """Raise TargetError for a projection that the table cannot hold, naming the column and not the value."""
        if len(key.key) > LONGEST_KEY:
            raise TargetError(f"the key has {len(key.key)} characters, and {LONGEST_KEY} can be kept")
        kind, fields = projection
        checks = self._shapes.get(tuple(fields))
        if checks is None or kind != self._kind:
            checks = self._checks_for(kind, fields)
        for value, (name, required, length) in zip(fields.values(), checks, strict=True):
            if type(value) is str:
                if "\x00" in value or not value.isascii() or (length is not None and len(value) > length):
                    _check_text(name, length, value)
                if not value and required == _NOT_EMPTY:
                    raise TargetError(f"{name} is empty")
            elif value is None and required:
                raise TargetError(f"{name} is {'empty' if required == _NOT_EMPTY else 'missing'}")

    def _checks_for(self, kind: str, fields: Mapping[str, Any]) -> list[tuple[str, int, int | None]]:
        """What to look at in each field of projections with these fields: name, how required, longest text."""
        spec = self._spec
        if kind != self._kind:
            raise TargetError(f"a projection of {kind} does not belong into {self._kind}")
        if foreign := sorted(fields.keys() - set(spec.fields)):
            raise TargetError(f"{self._kind} has no column {foreign[0]} that a sync may write")
        if lacking := [name for name in spec.natural_key if name not in fields]:
            raise TargetError(f"{lacking[0]} is empty")
        checks: list[tuple[str, int, int | None]] = []
        for name in fields:
            column = self.relation.definition(name)
            required = _NOT_EMPTY if name in spec.natural_key else int(not column.nullable)
            checks.append((name, required, getattr(column.type, "length", None)))
        return self._shapes.setdefault(tuple(fields), checks)

    # --- writing ------------------------------------------------------------------------------------------

    def upsert_many(self, changes: Sequence[Change]) -> Sequence[Written | TargetError]:
        """Write the batch: rows with a binding are updated, the others made, or adopted where the spec says so."""
        results: list[Written | TargetError | None] = [None] * len(changes)
        for (is_new, fields), group in alike(changes):
            write = self._insert if is_new else self._update
            for number, result in halving(group, lambda part, w=write, f=fields: w(part, f), self._kind):
                results[number] = result
        return results  # pyright: ignore[reportReturnType]

    def _insert(self, changes: Sequence[Change], fields: Fields) -> Sequence[Written | TargetError]:
        try:
            return self._copy(changes, fields)
        except TargetError:
            return self._adopt_or_insert(changes, fields)

    def _copy(self, changes: Sequence[Change], fields: Fields) -> Sequence[Written]:
        """New rows straight into the table: by far the quickest, and refused where one is there already."""
        return [Written(i, Outcome.CREATED) for i in self._copy_columns(fields, columns_of(changes, fields))]

    def _copy_columns(self, fields: Fields, rows: list[Sequence[Any]]) -> Sequence[str]:
        spec = self._spec
        ids = list(_new_ids(len(rows[0])))
        names = [self.relation.id, *map(self.relation.column, fields)]
        columns: list[Sequence[Any]] = [ids, *rows]
        if spec.synced_at:
            names.append(quoted(spec.synced_at))
            columns.append(["now"] * len(ids))
        with self._session.savepoint() as cursor:
            copy_in(cursor, f"{self.relation} ({', '.join(names)})", columns)
        return ids

    def load_rows(self, rows: Projections) -> Sequence[str]:
        """New rows in columns, straight into the table. Raises TargetError where the server refuses any."""
        kind, columns = rows
        fields = tuple(columns)
        if kind != self._kind or fields not in self._shapes:
            self._checks_for(kind, columns)
        for name in self._spec.natural_key:
            if not all(columns[name]):
                raise TargetError(f"{name} is empty")
        return self._copy_columns(fields, list(columns.values()))

    def _adopt_or_insert(self, changes: Sequence[Change], fields: Fields) -> Sequence[Written | TargetError]:
        """New rows of which some have a natural key that is taken: by a row of the table, or by one another."""
        natural = self._spec.natural_key
        results: dict[int, Written | TargetError] = {}
        first: dict[tuple[str | None, ...], int] = {}
        for number, change in enumerate(changes):
            natural_key = tuple(to_text(change.projection.fields[name]) for name in natural)
            if first.setdefault(natural_key, number) != number:
                results[number] = TargetError(f"another record of this batch has the same {', '.join(natural)}")
        with self._session.savepoint() as cursor:
            self._stage(cursor, changes, fields, ids=[None] * len(changes))
            for number, internal_id, bound in self._there_already(cursor, fields):
                if number not in results:
                    results[number] = self.relation.taken(internal_id, bound)
            adopted = {n: r.internal_id for n, r in results.items() if isinstance(r, Written)}
            if adopted:
                results.update(self._adopt(cursor, adopted, fields))
            rest = [(n, change) for n, change in enumerate(changes) if n not in results]
            if rest:
                made = self._copy([change for _, change in rest], fields)
                results.update({number: written for (number, _), written in zip(rest, made, strict=True)})
        return [results[number] for number in range(len(changes))]

    def _there_already(self, cursor: Any, fields: Fields) -> list[tuple[int, str, bool]]:
        """For each staged record whose natural key a row has: its number, the row's id, whether that is bound."""
        table = self.relation
        same = " AND ".join(f"t.{table.column(name)} = i.{quoted(name)}" for name in self._spec.natural_key)
        return cursor.execute(
            f"SELECT i.{NUMBER}, t.{table.id}::text, {table.is_bound('t')} "
            f"FROM {self._incoming(fields)} i JOIN {table} t ON {same}"
        ).fetchall()

    def _adopt(self, cursor: Any, adopted: dict[int, str], fields: Fields) -> dict[int, Written]:
        cursor.execute(
            f"UPDATE {self._incoming(fields)} i SET {ROW} = a.id "
            f"FROM unnest(%s::int[], %s::uuid[]) AS a (n, id) WHERE i.{NUMBER} = a.n",
            [list(adopted), list(adopted.values())],
        )
        touched = self._merge(cursor, fields)
        return {n: _written(internal_id, touched) for n, internal_id in adopted.items()}

    def _update(self, changes: Sequence[Change], fields: Fields) -> Sequence[Written]:
        """Rows whose binding says which they are."""
        ids = [change.binding.internal_id for change in changes if change.binding]
        with self._session.savepoint() as cursor:
            self._stage(cursor, changes, fields, ids)
            touched = self._merge(cursor, fields)
        return [_written(internal_id, touched) for internal_id in ids]

    def _stage(self, cursor: Any, changes: Sequence[Change], fields: Fields, ids: Sequence[str | None]) -> None:
        """The batch in a temporary table, with columns of the table's own types."""
        incoming = self._incoming(fields)
        columns = ", ".join(f"{self.relation.column(name)} AS {quoted(name)}" for name in fields)
        cursor.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS {incoming} ON COMMIT DELETE ROWS AS "
            f"SELECT 0 AS {NUMBER}, NULL::uuid AS {ROW}, {columns} FROM {self.relation} WITH NO DATA"
        )
        cursor.execute(f"DELETE FROM {incoming}")
        names = ", ".join(map(quoted, fields))
        columns = [range(len(ids)), ids, *columns_of(changes, fields)]
        copy_in(cursor, f"{incoming} ({NUMBER}, {ROW}, {names})", columns)

    def _incoming(self, fields: Fields) -> str:
        """The temporary table for batches with these fields; one a session, for a new one costs catalog rows."""
        return f"pg_temp.sync_incoming_{zlib.crc32(repr((str(self.relation), fields)).encode()):08x}"

    def _merge(self, cursor: Any, fields: Fields) -> set[str]:
        """Bring the staged records with an id into their rows, where they differ; gives the ids touched."""
        spec, table = self._spec, self.relation
        owned = [name for name in fields if name not in spec.initial]
        sets = [f"{table.column(name)} = i.{quoted(name)}" for name in owned]
        tests = [f"t.{table.column(name)} IS DISTINCT FROM i.{quoted(name)}" for name in owned]
        if spec.vanished_at:
            sets.append(f"{quoted(spec.vanished_at)} = NULL")
            tests.append(f"t.{quoted(spec.vanished_at)} IS NOT NULL")
        if spec.synced_at:
            sets.append(f"{quoted(spec.synced_at)} = now()")
            tests.append(f"t.{quoted(spec.synced_at)} IS NULL")
        if spec.written_at:
            sets.append(f"{quoted(spec.written_at)} = now()")
        same = f"t.{table.id} = {table.as_id(f'i.{ROW}')}"
        cursor.execute(
            f"UPDATE {table} AS t SET {', '.join(sets)} FROM {self._incoming(fields)} AS i "
            f"WHERE {same} AND ({' OR '.join(tests)}) RETURNING t.{table.id}::text"
        )
        return {row[0] for row in cursor}

    # --- looking, and marking ---------------------------------------------------------------------------------

    def alive(self, internal_ids: Collection[str]) -> Collection[str]:
        """Which of these ids are rows of the table."""
        if not internal_ids:
            return frozenset()
        table = self.relation
        query = f"SELECT {table.id}::text FROM {table} WHERE {table.id} = ANY({table.as_id('%s', '[]')})"
        with self._session.cursor() as cursor:
            return {row[0] for row in cursor.execute(query, [list(internal_ids)])}

    def vanish_many(self, bindings: Sequence[Binding]) -> Sequence[TargetError | None]:
        """Set `vanished_at` on the rows, where the table has such a column."""
        if not self._spec.vanished_at:
            return [None] * len(bindings)
        results: list[TargetError | None] = [None] * len(bindings)
        for number, result in halving(list(enumerate(bindings)), self._vanish, self._kind):
            results[number] = result
        return results

    def _vanish(self, bindings: Sequence[Binding]) -> Sequence[None]:
        table, vanished_at = self.relation, quoted(self._spec.vanished_at or "")
        sets = [f"{quoted(name)} = now()" for name in (self._spec.vanished_at, self._spec.written_at) if name]
        with self._session.savepoint() as cursor:
            cursor.execute(
                f"UPDATE {table} SET {', '.join(sets)} "
                f"WHERE {table.id} = ANY({table.as_id('%s', '[]')}) AND {vanished_at} IS NULL",
                [[binding.internal_id for binding in bindings]],
            )
        return [None] * len(bindings)

    def preview(self, changes: Sequence[Change]) -> Sequence[Difference | TargetError | None]:
        """What `upsert_many` would do, by reading alone. Values are text, as PostgreSQL writes them."""
        return self._preview.of(changes)


def _new_ids(count: int) -> Iterator[str]:
    """Ids that ascend, so that an index of them grows at its end (UUID version 7, RFC 9562)."""
    milliseconds = f"{time.time_ns() // 1_000_000:012x}"
    prefix = f"{milliseconds[:8]}-{milliseconds[8:]}-7"
    random = os.urandom(8 * count).hex()
    for number in range(count):
        # 12 bits and 2 more count within the batch; what is left is random.
        count_bits = f"{number >> 2 & 0xFFF:03x}-{'89ab'[number & 3]}"
        start = 16 * number
        yield f"{prefix}{count_bits}{random[start : start + 3]}-{random[start + 3 : start + 15]}"


def _written(internal_id: str, touched: Collection[str]) -> Written:
    return Written(internal_id, Outcome.UPDATED if internal_id in touched else Outcome.UNCHANGED)


def _check_text(name: str, length: int | None, value: str) -> None:
    if "\x00" in value:
        raise TargetError(f"{name} holds a NUL character, which PostgreSQL cannot store")
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise TargetError(f"{name} holds half a character (a lone surrogate)")
    if length is not None and len(value) > length:
        raise TargetError(f"{name} has {len(value)} characters, and the column holds {length}")
