"""What writing a batch would do to a table, found out by reading alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sync_pipelines.core import Change, Difference, TargetError
from sync_pipelines.postgres.batches import Fields, alike, columns_of, halving
from sync_pipelines.postgres.copying import to_text
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.relation import NUMBER, ROW, Relation, quoted

__all__ = ["Preview"]


class Preview:
    """Looks at what changes would do to the rows of a table. Values are text, as PostgreSQL writes them."""

    def __init__(self, session: Session, relation: Relation) -> None:
        self._session = session
        self._relation = relation
        self._spec = relation.spec

    def of(self, changes: Sequence[Change]) -> Sequence[Difference | TargetError | None]:
        """What becomes of each row; None where it would not be touched, TargetError where it would be refused."""
        results: list[Difference | TargetError | None] = [None] * len(changes)
        for (is_new, fields), group in alike(changes):
            look = self._new if is_new else self._bound
            for number, result in halving(group, lambda part, w=look, f=fields: w(part, f), self._spec.kind):
                results[number] = result
        return results

    def _bound(self, changes: Sequence[Change], fields: Fields) -> Sequence[Difference | None]:
        ids = [change.binding.internal_id for change in changes if change.binding]
        relation = self._relation
        rows = self._compare(changes, fields, f"t.{relation.id} = {relation.as_id(f'i.{ROW}')}", "true", ids)
        return [self._difference(change, fields, rows.get(n)) for n, change in enumerate(changes)]

    def _new(self, changes: Sequence[Change], fields: Fields) -> Sequence[Difference | TargetError | None]:
        relation = self._relation
        same = " AND ".join(
            f"t.{relation.column(name)} = CAST(i.{quoted(name)} AS {relation.type(name)})"
            for name in self._spec.natural_key
        )
        # No index leads from a row to its binding: it is only asked where that is not known.
        rows = self._compare(changes, fields, same, relation.is_bound("t"), [None] * len(changes))
        return [self._new_one(change, fields, rows.get(n)) for n, change in enumerate(changes)]

    def _new_one(
        self, change: Change, fields: Fields, row: Sequence[Any] | None
    ) -> Difference | TargetError | None:
        if row is None:
            new = {name: (None, to_text(change.projection.fields[name])) for name in fields}
            return Difference(change.key, "created", new)
        judged = self._relation.taken(row[1], row[2])
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
        self, changes: Sequence[Change], fields: Fields, on: str, bound: str, ids: Sequence[str | None]
    ) -> dict[int, Sequence[Any]]:
        """The rows that changes would meet: number, id, bound, vanished, unsynced; old, new, differs a field."""
        spec, relation = self._spec, self._relation
        arrays = ", ".join(["%s::int[]", "%s::uuid[]", *("%s::text[]" for _ in fields)])
        names = ", ".join([NUMBER, ROW, *map(quoted, fields)])
        looks = [
            f"t.{relation.column(name)}::text, i.{quoted(name)}, "
            f"t.{relation.column(name)} IS DISTINCT FROM CAST(i.{quoted(name)} AS {relation.type(name)})"
            for name in fields
        ]
        vanished = f"t.{quoted(spec.vanished_at)} IS NOT NULL" if spec.vanished_at else "false"
        unsynced = f"t.{quoted(spec.synced_at)} IS NULL" if spec.synced_at else "false"
        query = (
            f"SELECT i.{NUMBER}, t.{relation.id}::text, {bound}, "
            f"{vanished}, {unsynced}, {', '.join(looks)} "
            f"FROM unnest({arrays}) AS i ({names}) JOIN {relation} t ON {on}"
        )
        texts = [[to_text(value) for value in column] for column in columns_of(changes, fields)]
        with self._session.savepoint() as cursor:
            rows = cursor.execute(query, [list(range(len(changes))), list(ids), *texts]).fetchall()
        return {row[0]: row for row in rows}
