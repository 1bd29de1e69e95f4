"""Rows and bindings that do not fit together: how many, and the first of them by their upstream's keys.

Nothing is written, and no row's value shown. A table may be another application's, with other indexes than ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.relation import quoted
from sync_pipelines.postgres.spec import TableSpec

__all__ = ["Found", "Reference", "Rows", "doubly_bound", "orphans", "same_natural_key", "unbacked"]

_SHOWN = 10
_KEY = "concat_ws(':', r.system, nullif(r.type, '')) || ' ' || r.external_id"


@dataclass(frozen=True)
class Rows:
    """A table's rows: the columns whose ids say which row it is, and the one that says since when it is gone.

    `ours` says that ids are uuids. Elsewhere they may be text that holds uuids, and are compared as text.
    """

    kind: str
    named_by: tuple[str, ...]
    vanished_at: str | None
    ours: bool

    @classmethod
    def of(cls, spec: TableSpec) -> Rows:
        """Those that a sync writes."""
        return cls(spec.kind, (spec.id,), spec.vanished_at, isinstance(spec.table, sa.Table))

    def is_gone(self, alias: str) -> str:
        """A condition: the row of this alias is marked as vanished."""
        return f"{alias}.{quoted(self.vanished_at)} IS NOT NULL" if self.vanished_at else "false"


@dataclass(frozen=True)
class Reference:
    """A column that holds what `key`, a column of `to`, holds. `may_be_gone`: that row may have vanished."""

    column: str
    to: Rows
    key: str
    may_be_gone: bool = False


@dataclass(frozen=True)
class Found:
    """How many there are of what was looked for, among how many; and the first few, as the rows of a table."""

    count: int
    among: int
    rows: Sequence[Mapping[str, str | int]] = ()


def orphans(session: Session, rows: Rows, references: Sequence[Reference]) -> tuple[Found, Mapping[str, int]]:
    """Living rows that refer to one that vanished or is missing; and how many there are by each column."""
    bad = [_is_bad(place, reference) for place, reference in enumerate(references)]
    joined = f"FROM {session.table(rows.kind)} t " + " ".join(
        f"LEFT JOIN {session.table(r.to.kind)} p{place} ON {_same(rows, place, r)}"
        for place, r in enumerate(references)
    )
    where = f"WHERE NOT {rows.is_gone('t')}"
    counted = ", ".join(f"count(*) FILTER (WHERE {condition})" for condition in (f"({' OR '.join(bad)})", *bad))
    with session.cursor() as cursor:
        among, count, *by_column = cursor.execute(f"SELECT count(*), {counted} {joined} {where}").fetchone()
        first: list[Sequence[Any]] = []
        if count:
            names = ", ".join(f"t.{quoted(name)}::text" for name in rows.named_by)
            to = ", ".join(
                f"t.{quoted(r.column)}::text, CASE WHEN NOT {bad[place]} THEN NULL "
                f"WHEN p{place}.{quoted(r.key)} IS NULL THEN 'missing' ELSE 'vanished' END"
                for place, r in enumerate(references)
            )
            query = f"SELECT {names}, {to} {joined} {where} AND ({' OR '.join(bad)}) ORDER BY 1, 2 LIMIT {_SHOWN}"
            first = cursor.execute(query).fetchall()
    counts = {r.column: number for r, number in zip(references, by_column, strict=True)}
    return Found(count, among, _told_orphans(session, rows, references, first)), counts


def _same(rows: Rows, place: int, reference: Reference) -> str:
    cast = "" if rows.ours and reference.to.ours else "::text"
    return f"p{place}.{quoted(reference.key)}{cast} = t.{quoted(reference.column)}{cast}"


def _is_bad(place: int, reference: Reference) -> str:
    missing = f"p{place}.{quoted(reference.key)} IS NULL"
    gone = "false" if reference.may_be_gone else reference.to.is_gone(f"p{place}")
    return f"(t.{quoted(reference.column)} IS NOT NULL AND ({missing} OR {gone}))"


def _told_orphans(
    session: Session, rows: Rows, references: Sequence[Reference], first: Sequence[Sequence[Any]]
) -> list[dict[str, str | int]]:
    named = len(rows.named_by)
    keys = _keys(session, (value for row in first for value in (*row[:named], *row[named::2])))
    return [
        {
            "row": " / ".join(keys[value] for value in row[:named]),
            "refers to": keys[row[named + 2 * place]],
            "by": reference.column,
            "which is": row[named + 2 * place + 1],
        }
        for row in first
        for place, reference in enumerate(references)
        if row[named + 2 * place + 1]
    ][:_SHOWN]


def same_natural_key(session: Session, spec: TableSpec) -> Found:
    """Natural keys that several rows have, vanished ones too. A key with a null in it is none."""
    columns = [f"t.{quoted(spec.column(field))}" for field in spec.natural_key]
    whole, key = " AND ".join(f"{c} IS NOT NULL" for c in columns), ", ".join(columns)
    row_id = f't.{quoted(spec.id)}::text COLLATE "C"'
    query = (
        f"SELECT min({row_id}), max({row_id}), count(*), count(*) OVER () FROM {session.table(spec.kind)} t "
        f"WHERE {whole} GROUP BY {key} HAVING count(*) > 1 ORDER BY 1 LIMIT {_SHOWN}"
    )
    with session.cursor() as cursor:
        (among,) = cursor.execute(f"SELECT count(*) FROM {session.table(spec.kind)} t").fetchone()
        first = cursor.execute(query).fetchall()
    keys = _keys(session, (value for row in first for value in row[:2]))
    said = f"rows with one {', '.join(spec.natural_key)}"
    told = [{"which": f"{keys[low]}, {keys[high]}", "times": times, "are": said} for low, high, times, _ in first]
    return Found(first[0][3] if first else 0, among, told)


def doubly_bound(session: Session, system: str) -> Found:
    """Rows that several keys of a system stand for, vanished or not. {} in the system is any partition."""
    where, parameters = _of_system(system)
    query = (
        f"SELECT r.internal_id::text, count(*), count(*) OVER () FROM {session.table('sync.external_refs')} r "
        f"WHERE {where} GROUP BY r.internal_id HAVING count(*) > 1 ORDER BY 1 LIMIT {_SHOWN}"
    )
    with session.cursor() as cursor:
        counted = f"SELECT count(*) FROM {session.table('sync.external_refs')} r WHERE {where}"
        (among,) = cursor.execute(counted, parameters).fetchone()
        first = cursor.execute(query, parameters).fetchall()
    keys = _keys(session, (row[0] for row in first))
    told = [{"which": keys[row[0]], "times": row[1], "are": "keys of one row"} for row in first]
    return Found(first[0][2] if first else 0, among, told)


def unbacked(session: Session, system: str, spec: TableSpec) -> Found:
    """Records that are there upstream, as the last complete runs know, and have no living row here."""
    rows, (where, parameters) = Rows.of(spec), _of_system(system)
    cast = "" if rows.ours else "::text"
    row_id = f"t.{quoted(spec.id)}"
    bad = f"({row_id} IS NULL OR {rows.is_gone('t')})"
    joined = (
        f"FROM {session.table('sync.external_refs')} r LEFT JOIN {session.table(spec.kind)} t "
        f"ON {row_id}{cast} = r.internal_id{cast} WHERE {where} AND r.remote_deleted_at IS NULL"
    )
    with session.cursor() as cursor:
        counted = f"SELECT count(*), count(*) FILTER (WHERE {bad}) {joined}"
        among, count = cursor.execute(counted, parameters).fetchone()
        query = (
            f"SELECT {_KEY}, CASE WHEN {row_id} IS NULL THEN 'has no row' ELSE 'is marked as vanished' END "
            f"{joined} AND {bad} ORDER BY r.system, r.external_id LIMIT {_SHOWN}"
        )
        first = cursor.execute(query, parameters).fetchall() if count else []
    return Found(count, among, [{"record": key, "here it": said} for key, said in first])


def _of_system(system: str) -> tuple[str, list[str]]:
    """The bindings of a system, as a condition and its parameters."""
    instance, _, entity = system.rpartition(":")
    if "{}" not in instance:
        return "r.type = %s AND r.system = %s", [entity, instance] if instance else ["", entity]
    literal = instance.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return "r.type = %s AND r.system LIKE %s", [entity, literal.replace("{}", "%")]


def _keys(session: Session, ids: Iterable[str | None]) -> Mapping[str, str]:
    """The upstream's keys of these rows; a row that has none goes by its id."""
    wanted = sorted({row_id for row_id in ids if row_id})
    if not wanted:
        return {}
    query = (
        f"SELECT r.internal_id::text, string_agg({_KEY}, ' = ' ORDER BY r.system, r.external_id) "
        f"FROM {session.table('sync.external_refs')} r WHERE r.internal_id::text = ANY(%s) GROUP BY 1"
    )
    with session.cursor() as cursor:
        return {**{row_id: row_id for row_id in wanted}, **dict(cursor.execute(query, [wanted]).fetchall())}
