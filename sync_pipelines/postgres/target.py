"""The core's bulk target on a PostgreSQL table: a batch is a COPY and one or two statements, whatever its size.

It works inside the state store's transaction, on the same session. A row that the server refuses fails alone: the
batch is halved, each half under a savepoint, until the row is found.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

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
from sync_pipelines.errors import SchemaError
from sync_pipelines.postgres.copying import copy_in, to_text
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.spec import TableSpec

__all__ = ["LONGEST_KEY", "PostgresTarget"]

T = TypeVar("T")
R = TypeVar("R")
Fields = tuple[str, ...]

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
        self._columns = _columns(session, spec)
        self._relation = session.table(spec.kind)
        self._id = _quoted(spec.id)
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
            column = self._columns[spec.column(name)]
            required = _NOT_EMPTY if name in spec.natural_key else int(not column.nullable)
            checks.append((name, required, getattr(column.type, "length", None)))
        return self._shapes.setdefault(tuple(fields), checks)

    # --- writing ------------------------------------------------------------------------------------------

    def upsert_many(self, changes: Sequence[Change]) -> Sequence[Written | TargetError]:
        """Write the batch: rows with a binding are updated, the others made, or adopted where the spec says so."""
        results: list[Written | TargetError | None] = [None] * len(changes)
        for (is_new, fields), group in _alike(changes):
            write = self._insert if is_new else self._update
            for number, result in self._halving(group, lambda part, w=write, f=fields: w(part, f)):
                results[number] = result
        return results  # pyright: ignore[reportReturnType]

    def _halving(
        self, group: Sequence[tuple[int, T]], write: Callable[[Sequence[T]], Sequence[R | TargetError]]
    ) -> Iterator[tuple[int, R | TargetError]]:
        """Write a group, or where a row of it is refused its halves."""
        try:
            results = write([item for _, item in group])
        except TargetError as error:
            if len(group) == 1:
                yield group[0][0], TargetError(f"{self._spec.kind} refuses the row: {error}")
                return
            half = len(group) // 2
            yield from self._halving(group[:half], write)
            yield from self._halving(group[half:], write)
        else:
            yield from zip((number for number, _ in group), results, strict=True)

    def _insert(self, changes: Sequence[Change], fields: Fields) -> Sequence[Written | TargetError]:
        try:
            return self._copy(changes, fields)
        except TargetError:
            return self._adopt_or_insert(changes, fields)

    def _copy(self, changes: Sequence[Change], fields: Fields) -> Sequence[Written]:
        """New rows straight into the table: by far the quickest, and refused where one is there already."""
        return [Written(i, Outcome.CREATED) for i in self._copy_columns(fields, _values(changes, fields))]

    def _copy_columns(self, fields: Fields, values: list[Sequence[Any]]) -> Sequence[str]:
        spec = self._spec
        ids = list(_new_ids(len(values[0])))
        names = [_quoted(spec.id), *map(self._column, fields)]
        columns: list[Sequence[Any]] = [ids, *values]
        if spec.synced_at:
            names.append(_quoted(spec.synced_at))
            columns.append(["now"] * len(ids))
        with self._session.savepoint() as cursor:
            copy_in(cursor, f"{self._relation} ({', '.join(names)})", columns)
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
                    results[number] = self._judge(internal_id, bound)
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
        same = " AND ".join(f"t.{self._column(name)} = i.{_quoted(name)}" for name in self._spec.natural_key)
        refs = self._session.table("sync.external_refs")
        return cursor.execute(
            f"SELECT i.n, t.{self._id}::text, "
            f"EXISTS (SELECT FROM {refs} r WHERE r.internal_id = t.{self._id}::text::uuid) "
            f"FROM {self._incoming(fields)} i JOIN {self._relation} t ON {same}"
        ).fetchall()

    def _judge(self, internal_id: str, bound: bool) -> Written | TargetError:
        natural = ", ".join(self._spec.natural_key)
        if bound:
            return TargetError(f"a row that stands for another record has the same {natural}")
        if not self._spec.adopt:
            return TargetError(
                f"a row that no sync made has the same {natural}: the table's spec does not adopt it"
            )
        return Written(internal_id, Outcome.UPDATED)

    def _adopt(self, cursor: Any, adopted: dict[int, str], fields: Fields) -> dict[int, Written]:
        cursor.execute(
            f"UPDATE {self._incoming(fields)} i SET id = a.id "
            "FROM unnest(%s::int[], %s::uuid[]) AS a (n, id) WHERE i.n = a.n",
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
        """The batch in a temporary table, with columns of the table's own types; `n` is a record's place."""
        incoming = self._incoming(fields)
        columns = ", ".join(f"{self._column(name)} AS {_quoted(name)}" for name in fields)
        cursor.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS {incoming} ON COMMIT DELETE ROWS AS "
            f"SELECT 0 AS n, NULL::uuid AS id, {columns} FROM {self._relation} WITH NO DATA"
        )
        cursor.execute(f"DELETE FROM {incoming}")
        names = ", ".join(map(_quoted, fields))
        copy_in(cursor, f"{incoming} (n, id, {names})", [range(len(ids)), ids, *_values(changes, fields)])

    def _incoming(self, fields: Fields) -> str:
        """The temporary table for batches with these fields; one a session, for a new one costs catalog rows."""
        return f"pg_temp.sync_incoming_{zlib.crc32(repr((self._relation, fields)).encode()):08x}"

    def _merge(self, cursor: Any, fields: Fields) -> set[str]:
        """Bring the staged records with an id into their rows, where they differ; gives the ids touched."""
        spec = self._spec
        owned = [name for name in fields if name not in spec.initial]
        sets = [f"{self._column(name)} = i.{_quoted(name)}" for name in owned]
        tests = [f"t.{self._column(name)} IS DISTINCT FROM i.{_quoted(name)}" for name in owned]
        if spec.vanished_at:
            sets.append(f"{_quoted(spec.vanished_at)} = NULL")
            tests.append(f"t.{_quoted(spec.vanished_at)} IS NOT NULL")
        if spec.synced_at:
            sets.append(f"{_quoted(spec.synced_at)} = now()")
            tests.append(f"t.{_quoted(spec.synced_at)} IS NULL")
        if spec.written_at:
            sets.append(f"{_quoted(spec.written_at)} = now()")
        cursor.execute(
            f"UPDATE {self._relation} AS t SET {', '.join(sets)} FROM {self._incoming(fields)} AS i "
            f"WHERE t.{self._id} = {self._as_id('i.id')} AND ({' OR '.join(tests)}) RETURNING t.{self._id}::text"
        )
        return {row[0] for row in cursor}

    def has_row(self, refs: str) -> str:
        """A condition: the binding of the alias `refs` has a row here."""
        row = f"t.{self._id} = {self._as_id(f'{refs}.internal_id')}"
        return f"EXISTS (SELECT FROM {self._relation} t WHERE {row})"

    # --- looking, and marking ---------------------------------------------------------------------------------

    def alive(self, internal_ids: Collection[str]) -> Collection[str]:
        """Which of these ids are rows of the table."""
        if not internal_ids:
            return frozenset()
        query = f"SELECT {self._id}::text FROM {self._relation} WHERE {self._id} = ANY({self._as_id('%s', '[]')})"
        with self._session.cursor() as cursor:
            return {row[0] for row in cursor.execute(query, [list(internal_ids)])}

    def vanish_many(self, bindings: Sequence[Binding]) -> Sequence[TargetError | None]:
        """Set `vanished_at` on the rows, where the table has such a column."""
        if not self._spec.vanished_at:
            return [None] * len(bindings)
        results: list[TargetError | None] = [None] * len(bindings)
        for number, result in self._halving(list(enumerate(bindings)), self._vanish):
            results[number] = result
        return results

    def _vanish(self, bindings: Sequence[Binding]) -> Sequence[None]:
        vanished_at = _quoted(self._spec.vanished_at or "")
        sets = [f"{_quoted(name)} = now()" for name in (self._spec.vanished_at, self._spec.written_at) if name]
        with self._session.savepoint() as cursor:
            cursor.execute(
                f"UPDATE {self._relation} SET {', '.join(sets)} "
                f"WHERE {self._id} = ANY({self._as_id('%s', '[]')}) AND {vanished_at} IS NULL",
                [[binding.internal_id for binding in bindings]],
            )
        return [None] * len(bindings)

    def preview(self, changes: Sequence[Change]) -> Sequence[Difference | TargetError | None]:
        """What `upsert_many` would do, by reading alone. Values are text, as PostgreSQL writes them."""
        results: list[Difference | TargetError | None] = [None] * len(changes)
        for (is_new, fields), group in _alike(changes):
            look = self._preview_new if is_new else self._preview_bound
            for number, result in self._halving(group, lambda part, w=look, f=fields: w(part, f)):
                results[number] = result
        return results

    def _preview_bound(self, changes: Sequence[Change], fields: Fields) -> Sequence[Difference | None]:
        ids = [change.binding.internal_id for change in changes if change.binding]
        rows = self._compare(changes, fields, f"t.{self._id} = {self._as_id('i.id')}", ids)
        return [self._difference(change, fields, rows.get(n)) for n, change in enumerate(changes)]

    def _preview_new(self, changes: Sequence[Change], fields: Fields) -> Sequence[Difference | TargetError | None]:
        same = " AND ".join(
            f"t.{self._column(name)} = CAST(i.{_quoted(name)} AS {self._type(name)})"
            for name in self._spec.natural_key
        )
        rows = self._compare(changes, fields, same, [None] * len(changes))
        return [self._preview_one(change, fields, rows.get(n)) for n, change in enumerate(changes)]

    def _preview_one(
        self, change: Change, fields: Fields, row: Sequence[Any] | None
    ) -> Difference | TargetError | None:
        if row is None:
            new = {name: (None, to_text(change.projection.fields[name])) for name in fields}
            return Difference(change.key, "created", new)
        judged = self._judge(row[1], row[2])
        return judged if isinstance(judged, TargetError) else self._difference(change, fields, row)

    def _difference(self, change: Change, fields: Fields, row: Sequence[Any] | None) -> Difference | None:
        if row is None:
            return None
        vanished, unsynced = row[3], row[4]
        found: dict[str, tuple[Any, Any]] = {}
        for place, name in enumerate(fields):
            old, new, differs = row[5 + 3 * place : 8 + 3 * place]
            if differs and name not in self._spec.initial:
                found[name] = (old, new)
        if vanished:
            return Difference(change.key, "restored", found)
        return Difference(change.key, "updated", found) if found or unsynced else None

    def _compare(
        self, changes: Sequence[Change], fields: Fields, on: str, ids: Sequence[str | None]
    ) -> dict[int, Sequence[Any]]:
        """The rows that changes would meet: number, id, bound, vanished, unsynced; old, new, differs a field."""
        spec, refs = self._spec, self._session.table("sync.external_refs")
        arrays = ", ".join(["%s::int[]", "%s::uuid[]", *("%s::text[]" for _ in fields)])
        names = ", ".join(["n", "id", *map(_quoted, fields)])
        looks = [
            f"t.{self._column(name)}::text, i.{_quoted(name)}, "
            f"t.{self._column(name)} IS DISTINCT FROM CAST(i.{_quoted(name)} AS {self._type(name)})"
            for name in fields
        ]
        vanished = f"t.{_quoted(spec.vanished_at)} IS NOT NULL" if spec.vanished_at else "false"
        unsynced = f"t.{_quoted(spec.synced_at)} IS NULL" if spec.synced_at else "false"
        query = (
            f"SELECT i.n, t.{self._id}::text, "
            f"EXISTS (SELECT FROM {refs} r WHERE r.internal_id = t.{self._id}::text::uuid), "
            f"{vanished}, {unsynced}, {', '.join(looks)} "
            f"FROM unnest({arrays}) AS i ({names}) JOIN {self._relation} t ON {on}"
        )
        texts = [[to_text(value) for value in column] for column in _values(changes, fields)]
        with self._session.savepoint() as cursor:
            rows = cursor.execute(query, [list(range(len(changes))), list(ids), *texts]).fetchall()
        return {row[0]: row for row in rows}

    # --- names ------------------------------------------------------------------------------------------------

    def _column(self, name: str) -> str:
        return _quoted(self._spec.column(name))

    def _type(self, name: str) -> str:
        return self._columns[self._spec.column(name)].type.compile(dialect=postgresql.dialect())

    def _as_id(self, expression: str, array: str = "") -> str:
        """An expression for uuids as the type of the table's id."""
        is_uuid = isinstance(self._columns[self._spec.id].type, sa.UUID)
        return f"{expression}::{'uuid' if is_uuid else 'text'}{array}"


def _columns(session: Session, spec: TableSpec) -> sa.ColumnCollection[str, sa.Column[Any]]:
    """The table's columns: as declared, or as the database has them."""
    if isinstance(spec.table, sa.Table):
        return spec.table.columns  # pyright: ignore[reportReturnType]
    schema, _, name = spec.kind.partition(".")
    with session.transaction() as connection:
        inspector = sa.inspect(connection)
        schema = session.schemas.get(schema, schema)
        if not inspector.has_table(name, schema):
            raise SchemaError(f"there is no table {spec.kind}: the flow that writes to it needs one")
        table = sa.Table(name, sa.MetaData(), schema=schema, autoload_with=connection, resolve_fks=False)
        unique = [table.primary_key.columns.keys()]
        unique += [u["column_names"] for u in inspector.get_unique_constraints(name, schema)]
        unique += [i["column_names"] for i in inspector.get_indexes(name, schema) if i["unique"] and _is_whole(i)]
    try:
        spec.check(table)
    except ValueError as error:
        raise SchemaError(f"the spec of {spec.kind} does not fit the database: {error}") from error
    natural = {spec.column(field) for field in spec.natural_key}
    if natural not in [set(columns) for columns in unique]:
        raise SchemaError(
            f"{spec.kind} has no unique index on its natural key ({', '.join(sorted(natural))}): make one"
        )
    if not isinstance(table.columns[spec.id].type, (sa.UUID, sa.String)):
        raise SchemaError(
            f"{spec.kind}.{spec.id} is no uuid: add a unique uuid column and name it as the spec's id"
        )
    return table.columns  # pyright: ignore[reportReturnType]


def _is_whole(index: Any) -> bool:
    """Not an index of some of the rows alone."""
    return not index.get("dialect_options", {}).get("postgresql_where")


def _alike(changes: Sequence[Change]) -> Iterable[tuple[tuple[bool, Fields], list[tuple[int, Change]]]]:
    """Changes with their numbers, by whether they are new and which fields they have, in order of key."""
    shapes = [(change.binding is None, tuple(change.projection.fields)) for change in changes]
    order = sorted(range(len(changes)), key=[change.key.key for change in changes].__getitem__)
    for shape in dict.fromkeys(shapes):
        yield shape, [(number, changes[number]) for number in order if shapes[number] == shape]


def _values(changes: Sequence[Change], fields: Fields) -> list[Sequence[Any]]:
    projections = [change.projection.fields for change in changes]
    return [[p[name] for p in projections] for name in fields]


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


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _check_text(name: str, length: int | None, value: str) -> None:
    if "\x00" in value:
        raise TargetError(f"{name} holds a NUL character, which PostgreSQL cannot store")
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise TargetError(f"{name} holds half a character (a lone surrogate)")
    if length is not None and len(value) > length:
        raise TargetError(f"{name} has {len(value)} characters, and the column holds {length}")
