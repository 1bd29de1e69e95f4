"""The table of a spec as the database has it, and how SQL names its parts."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from sync_pipelines.core import Outcome, TargetError, Written
from sync_pipelines.errors import SchemaError
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.spec import TableSpec

__all__ = ["NUMBER", "ROW", "Relation", "quoted"]

#: What a staged record has besides its fields, under names that no field has: its place, and its row's id.
NUMBER, ROW = '"#number"', '"#row"'


class Relation:
    """The table of `spec`; as a text its name with its schema, quoted. `id` is its id column, quoted.

    Raises SchemaError, when made, for a table that is not as the spec says.
    """

    def __init__(self, session: Session, spec: TableSpec) -> None:
        self.spec = spec
        self._columns = _columns(session, spec)
        self._name = session.table(spec.kind)
        self._refs = session.table("sync.external_refs")
        self.id = quoted(spec.id)

    def __str__(self) -> str:
        return self._name

    def definition(self, field: str) -> sa.Column[Any]:
        """The column of a projection's field."""
        return self._columns[self.spec.column(field)]

    def column(self, field: str) -> str:
        """The column of a projection's field, quoted."""
        return quoted(self.spec.column(field))

    def type(self, field: str) -> str:
        """The type of a projection's field, as a cast takes it: a collation is the column's alone."""
        type_ = self.definition(field).type
        if isinstance(type_, sa.String) and type_.collation:
            type_ = type_.copy()
            type_.collation = None
        return type_.compile(dialect=postgresql.dialect())

    def as_id(self, expression: str, array: str = "") -> str:
        """An expression for uuids as the type of the table's id."""
        is_uuid = isinstance(self._columns[self.spec.id].type, sa.UUID)
        return f"{expression}::{'uuid' if is_uuid else 'text'}{array}"

    def has_row(self, refs: str) -> str:
        """A condition: the binding of the alias `refs` has a row here."""
        return f"EXISTS (SELECT FROM {self} t WHERE t.{self.id} = {self.as_id(f'{refs}.internal_id')})"

    def is_bound(self, row: str) -> str:
        """A condition: the row of the alias `row` stands for a record, vanished or not."""
        return f"EXISTS (SELECT FROM {self._refs} r WHERE r.internal_id = {row}.{self.id}::text::uuid)"

    def taken(self, internal_id: str, bound: bool) -> Written | TargetError:
        """What becomes of a new record whose natural key this row has: it is adopted, or the record refused."""
        natural = ", ".join(self.spec.natural_key)
        if bound:
            return TargetError(f"a row that stands for another record has the same {natural}")
        if not self.spec.adopt:
            return TargetError(
                f"a row that no sync made has the same {natural}: the table's spec does not adopt it"
            )
        return Written(internal_id, Outcome.UPDATED)


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


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
