"""The core's bulk target on a PostgreSQL table: a batch is two statements, whatever its size.

It works inside the state store's transaction, on the same session.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql

from sync_pipelines.core import Change, ExternalKey, Outcome, Projection, TargetError, Written
from sync_pipelines.postgres.engine import Session, describe
from sync_pipelines.postgres.tables import TableSpec

__all__ = ["PostgresTarget"]

# What PostgreSQL says of a row that it will not hold; anything else concerns the whole run.
_ROW_ERRORS = (exc.DataError, exc.IntegrityError)


class PostgresTarget:
    """Rows of `spec.table`. An existing row gets only the columns the sync owns, and only where they differ."""

    def __init__(self, session: Session, spec: TableSpec) -> None:
        self._session = session
        self._spec = spec
        self._table = session.table(spec.kind)

    def validate(self, key: ExternalKey, projection: Projection) -> None:
        """Raise TargetError for a projection that the table cannot hold, naming the column and not the value."""
        spec, fields = self._spec, projection.fields
        if projection.kind != spec.kind:
            raise TargetError(f"a projection of {projection.kind} does not belong into {spec.kind}")
        for name in fields:
            if name not in (*spec.natural_key, *spec.owned, *spec.initial):
                raise TargetError(f"{spec.kind} has no column {name} that a sync may write")
        for name in spec.natural_key:
            if fields.get(name) in (None, ""):
                raise TargetError(f"{name} is empty")
        for name, value in fields.items():
            _check_value(spec.table.columns[name], value)

    def upsert_many(self, changes: Sequence[Change]) -> Sequence[Written | TargetError]:
        """Write the batch. A row that PostgreSQL refuses fails alone: the batch is halved until it is found."""
        results: dict[int, Written | TargetError] = {}

        def shape(item: tuple[int, Change]) -> tuple[bool, tuple[str, ...]]:
            return item[1].binding is None, tuple(sorted(item[1].projection.fields))

        with self._session.transaction() as connection:
            for (is_new, columns), group in groupby(sorted(enumerate(changes), key=shape), key=shape):
                self._write(connection, list(group), columns, is_new, results)
        return [results[i] for i in range(len(changes))]

    def alive(self, internal_ids: Collection[str]) -> Collection[str]:
        """Which of these ids are rows of the table."""
        if not internal_ids:
            return frozenset()
        query = sa.text(f"SELECT id FROM {self._table} WHERE id = ANY(CAST(:ids AS uuid[]))")
        with self._session.transaction() as connection:
            return {str(row.id) for row in connection.execute(query, {"ids": list(internal_ids)})}

    def _write(
        self,
        connection: sa.Connection,
        group: list[tuple[int, Change]],
        columns: tuple[str, ...],
        is_new: bool,
        results: dict[int, Written | TargetError],
    ) -> None:
        changes = [change for _, change in group]
        try:
            with connection.begin_nested():
                written = (self._insert if is_new else self._update)(connection, changes, columns)
        except _ROW_ERRORS as error:
            if len(group) == 1:
                results[group[0][0]] = TargetError(f"{self._spec.kind} refuses the row: {describe(error)}")
                return
            half = len(group) // 2
            self._write(connection, group[:half], columns, is_new, results)
            self._write(connection, group[half:], columns, is_new, results)
        else:
            results.update({number: result for (number, _), result in zip(group, written, strict=True)})

    def _insert(self, connection: sa.Connection, changes: list[Change], columns: tuple[str, ...]) -> list[Written]:
        """Rows without a binding: inserted, or found by their natural key and adopted."""
        spec, names = self._spec, ", ".join(columns)
        natural = ", ".join(spec.natural_key)
        parameters = self._arrays(changes, columns)
        inserted = connection.execute(
            sa.text(
                f"INSERT INTO {self._table} AS t ({names}, last_sync_at) "
                f"SELECT {names}, now() FROM {self._incoming(columns)} ON CONFLICT ({natural}) DO UPDATE "
                f"SET {self._assignments(columns, 'excluded')} WHERE {self._differs(columns, 'excluded')} "
                f"RETURNING t.id, (xmax = 0) AS is_new, {', '.join(f't.{n}' for n in spec.natural_key)}"
            ),
            parameters,
        )
        by_key = {
            tuple(row[2:]): Written(str(row.id), Outcome.CREATED if row.is_new else Outcome.UPDATED)
            for row in inserted
        }
        if len(by_key) < len(changes):
            by_key = {**self._equal_rows(connection, columns, parameters), **by_key}
        return [by_key[tuple(change.projection.fields[n] for n in spec.natural_key)] for change in changes]

    def _equal_rows(
        self, connection: sa.Connection, columns: tuple[str, ...], parameters: dict[str, list[Any]]
    ) -> dict[tuple[Any, ...], Written]:
        keys = ", ".join(f"t.{name}" for name in self._spec.natural_key)
        same = " AND ".join(f"t.{name} = i.{name}" for name in self._spec.natural_key)
        rows = connection.execute(
            sa.text(f"SELECT t.id, {keys} FROM {self._table} AS t JOIN {self._incoming(columns)} ON {same}"),
            parameters,
        )
        return {tuple(row[1:]): Written(str(row.id), Outcome.UNCHANGED) for row in rows}

    def _update(self, connection: sa.Connection, changes: list[Change], columns: tuple[str, ...]) -> list[Written]:
        """Rows whose binding says which they are."""
        ids = [change.binding.internal_id for change in changes if change.binding]
        rows = connection.execute(
            sa.text(
                f"UPDATE {self._table} AS t SET {self._assignments(columns, 'i')} "
                f"FROM {self._incoming(('id', *columns))} "
                f"WHERE t.id = i.id AND {self._differs(columns, 'i')} RETURNING t.id"
            ),
            {"id": ids, **self._arrays(changes, columns)},
        )
        updated = {str(row.id) for row in rows}
        return [Written(i, Outcome.UPDATED if i in updated else Outcome.UNCHANGED) for i in ids]

    def _arrays(self, changes: Iterable[Change], columns: tuple[str, ...]) -> dict[str, list[Any]]:
        return {name: [change.projection.fields[name] for change in changes] for name in columns}

    def _incoming(self, columns: tuple[str, ...]) -> str:
        """The batch as a relation `i`, one array a column."""
        arrays = ", ".join(f"CAST(:{name} AS {_array_type(self._spec.table.columns[name])})" for name in columns)
        return f"unnest({arrays}) AS i ({', '.join(columns)})"

    def _owned(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in columns if name in self._spec.owned)

    def _assignments(self, columns: tuple[str, ...], new: str) -> str:
        owned = [f"{name} = {new}.{name}" for name in self._owned(columns)]
        return ", ".join([*owned, "remote_deleted_at = NULL", "last_sync_at = now()", "updated_at = now()"])

    def _differs(self, columns: tuple[str, ...], new: str) -> str:
        tests = [f"t.{name} IS DISTINCT FROM {new}.{name}" for name in self._owned(columns)]
        return "(" + " OR ".join([*tests, "t.remote_deleted_at IS NOT NULL", "t.last_sync_at IS NULL"]) + ")"


def _array_type(column: sa.Column[Any]) -> str:
    return f"{column.type.compile(dialect=postgresql.dialect())}[]"


def _check_value(column: sa.Column[Any], value: object) -> None:
    if value is None:
        if not column.nullable:
            raise TargetError(f"{column.name} is missing")
        return
    if not isinstance(value, str):
        return
    if "\x00" in value:
        raise TargetError(f"{column.name} holds a NUL character, which PostgreSQL cannot store")
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise TargetError(f"{column.name} holds half a character (a lone surrogate)")
    length = getattr(column.type, "length", None)
    if length is not None and len(value) > length:
        raise TargetError(f"{column.name} has {len(value)} characters, and the column holds {length}")
