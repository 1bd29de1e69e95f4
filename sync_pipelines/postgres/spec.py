"""How the rows of one flow lie in a table: ours, or another application's. A declaration, no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from sync_pipelines.errors import SettingsError

__all__ = ["TableSpec"]


@dataclass(frozen=True)
class TableSpec:
    """A table that a sync writes to, as "schema.table" (its columns are then read from the database) or whole.

    The names in `natural_key`, `owned` and `initial` are those of the projection's fields; `columns` maps a field
    to its column where the two are called differently. The `natural_key`, which a unique index must back, finds a
    row without its binding. `owned` columns are written whenever upstream's value differs; `initial` ones on
    insert only, after that they are people's. No other column is ever written, except those that `id` (a uuid, or
    text that holds uuids), `vanished_at`, `synced_at` and `written_at` name; the last three may be None.

    `adopt` takes over a row that is there without a binding and has the natural key; without it such a row is
    somebody else's, and the record is refused.
    """

    table: sa.Table | str
    natural_key: tuple[str, ...]
    owned: tuple[str, ...]
    initial: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    adopt: bool = False
    id: str = "id"
    vanished_at: str | None = "remote_deleted_at"
    synced_at: str | None = "last_sync_at"
    written_at: str | None = "updated_at"

    def __post_init__(self) -> None:
        fields = self.fields
        if not self.natural_key or len(set(fields)) < len(fields):
            raise ValueError(
                f"{self.kind}: natural_key, owned and initial name each field once, and natural_key at least one"
            )
        if unknown := self.columns.keys() - set(fields):
            raise ValueError(f"{self.kind}: columns maps {', '.join(sorted(unknown))}, which no field is called")
        taken = [self.column(name) for name in fields] + [c for c in self.sync_columns if c]
        if len(set(taken)) < len(taken):
            raise ValueError(f"{self.kind}: two fields would be written to one column")
        if isinstance(self.table, sa.Table):
            self.check(self.table)
        elif self.table.count(".") != 1:
            raise ValueError(f"{self.table}: a table is named with its schema, schema.table")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TableSpec:
        """The spec as a settings file has it. Raises SettingsError for what cannot be one."""
        # A settings file has no null: an empty name says that there is no such column.
        values: dict[str, Any] = {name: None if value == "" else value for name, value in data.items()}
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"a table cannot be declared like this: {error}") from error

    @property
    def kind(self) -> str:
        """The table's name with its schema, "wtl.courses"."""
        return self.table if isinstance(self.table, str) else f"{self.table.schema}.{self.table.name}"

    @property
    def fields(self) -> tuple[str, ...]:
        """The projection's fields that have a column."""
        return (*self.natural_key, *self.owned, *self.initial)

    @property
    def sync_columns(self) -> tuple[str | None, ...]:
        """The columns that the engine itself fills."""
        return (self.id, self.vanished_at, self.synced_at, self.written_at)

    def column(self, name: str) -> str:
        """The column of a field."""
        return self.columns.get(name, name)

    def check(self, table: sa.Table) -> None:
        """Raise ValueError where the table lacks a column that is named here."""
        wanted = [*(self.column(name) for name in self.fields), *(c for c in self.sync_columns if c)]
        if missing := [name for name in wanted if name not in table.columns]:
            raise ValueError(f"{self.kind} has no column {', '.join(missing)}")
