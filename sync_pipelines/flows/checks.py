"""What can be wrong with rows while every run succeeds: a few questions, asked of each stream they make sense for.

A finding stops nothing. It names rows by their upstream's keys, and holds none of their values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import sqlalchemy as sa

from sync_pipelines.flows.database import open_database
from sync_pipelines.flows.registry import FLOWS, LOCAL_FLOWS, PARTITIONED_FLOWS, placed, placed_part, sharing
from sync_pipelines.flows.spec import Partitions
from sync_pipelines.postgres import consistency, migrate, tables
from sync_pipelines.postgres.consistency import Reference, Rows
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.rejects import list_rejects
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.settings import Settings

__all__ = ["CHECKS", "Verdict", "checks_of", "examine"]

#: What is asked, by its name, and what it says when all is well.
CHECKS = {
    "orphans": "No living row refers to one that vanished or is missing.",
    "duplicates": "No two rows have one natural key, and no two of upstream's keys stand for one row.",
    "counts": "Every record that is there upstream, as the last complete runs know, has a living row.",
    "rejects_open": "No record is set aside as refused.",
}
#: Tables that people own, and that refer to what a stream brings.
_OF_PEOPLE: Mapping[str, tuple[sa.Table, ...]] = {"wtl/lessons": (tables.wtl.course_lessons,)}
_SHOWN = 10

Asked: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class Verdict:
    """What a check says of a stream: one line with numbers, the numbers, and the first things that are wrong."""

    stream: str
    check: str
    passed: bool
    said: str
    counts: Mapping[str, int]
    rows: Sequence[Mapping[str, str | int]]


@dataclass(frozen=True)
class _Checked:
    """The records of one kind: the stream that shows them, their keys' system, and their table.

    `own` is the table as the flow declares it, `table` the one that the settings put the rows into. `within` is
    the system of the records that divide it.
    """

    stream: str
    system: str
    own: TableSpec
    table: TableSpec
    within: str | None = None


def checks_of(upstream: str) -> list[Asked]:
    """The stream and the name of every check of an upstream. Reads no setting."""
    made_here = [
        (flow.stream, "rejects_open") for flow in LOCAL_FLOWS if flow.upstream.name == upstream and flow.system
    ]
    return made_here + [
        (checked.stream, check)
        for checked in _checked(upstream)
        for check in CHECKS
        if check != "orphans" or _refer(checked.own) or checked.stream in _OF_PEOPLE
    ]


def examine(settings: Settings, upstream: str, asked: Collection[Asked]) -> Iterator[Verdict]:
    """Ask these of what is in the database now, in one session. No upstream is asked.

    An out-of-date schema is brought up to date first. Raises SyncError where the database cannot be asked.
    """
    database = open_database(settings, f"checks of {upstream}")
    everything = list(_checked(None, settings))
    migrate.upgrade(database)
    with database.session() as session:
        for checked in everything:
            for check in CHECKS:
                if (checked.stream, check) in asked:
                    yield _asked(session, checked, check, everything)
        for flow in LOCAL_FLOWS:
            if flow.system and (flow.stream, "rejects_open") in asked:
                yield _rejects_open(session, flow.stream, flow.system)


def _checked(upstream: str | None, settings: Settings | None = None) -> Iterator[_Checked]:
    """Everything of an upstream that is checked, or of all. What two streams bring is checked as the list's."""
    for flow in FLOWS:
        if upstream in (None, flow.upstream.name):
            table = placed(flow, settings).table if settings else flow.table
            yield _Checked(flow.stream, flow.system, flow.table, table)
    for partitioned in PARTITIONED_FLOWS:
        if upstream in (None, partitioned.upstream.name):
            divided = partitioned.partitions
            within = divided.system if isinstance(divided, Partitions) else None
            for part in partitioned.parts:
                if not sharing(part):
                    stream = part.stream if partitioned.stage else partitioned.stream
                    table = placed_part(part, settings).table if settings else part.table
                    yield _Checked(stream, part.system, part.table, table, within)


def _asked(session: Session, checked: _Checked, check: str, everything: Sequence[_Checked]) -> Verdict:
    match check:
        case "orphans":
            return _orphans(session, checked, everything)
        case "duplicates":
            return _duplicates(session, checked)
        case "counts":
            return _counts(session, checked)
        case _:
            return _rejects_open(session, checked.stream, checked.system)


def _orphans(session: Session, checked: _Checked, everything: Sequence[_Checked]) -> Verdict:
    count, among, counts, rows = 0, 0, dict[str, int](), list[Mapping[str, str | int]]()
    for looked_at, references in _referring(checked, everything):
        found, by_column = consistency.orphans(session, looked_at, references)
        count, among = count + found.count, among + found.among
        counts |= {f"{looked_at.kind}.{column}": number for column, number in by_column.items()}
        rows += found.rows
    said = (
        f"{count} of {among} rows refer to one that vanished or is missing"
        if count
        else f"all {among} rows refer to such as are there"
    )
    return Verdict(checked.stream, "orphans", not count, said, {"orphans": count, **counts}, rows[:_SHOWN])


def _referring(checked: _Checked, everything: Sequence[_Checked]) -> Iterator[tuple[Rows, list[Reference]]]:
    """The rows of a stream that refer to others, and those of people that refer to it."""
    if references := _references(checked, everything):
        yield Rows.of(checked.table), references
    # People's tables refer to the project's own, wherever the settings put the rows.
    own = {each.own.table: Rows.of(each.own) for each in everything if isinstance(each.own.table, sa.Table)}
    for table in _OF_PEOPLE.get(checked.stream, ()):
        keys = [(column.name, key.column) for column in table.columns for key in column.foreign_keys]
        rows = Rows(f"{table.schema}.{table.name}", tuple(name for name, _ in keys), None, ours=True)
        yield rows, [Reference(name, own[key.table], key.name) for name, key in keys]


def _references(checked: _Checked, everything: Sequence[_Checked]) -> list[Reference]:
    """What the foreign keys of the flow's own table say, in the tables that the settings name.

    There no foreign key may be, and no column: a field that is not written there refers to nothing.
    """
    by_table = {each.own.table: each for each in everything if isinstance(each.own.table, sa.Table)}
    found: list[Reference] = []
    for name, key in _refer(checked.own):
        to = by_table[key.table]
        column, there = _placed_column(checked, name), _placed_column(to, key.name)
        if column is not None and there is not None:
            # What a vanished course held is not read any more: it is out of date with it, and nothing to mend.
            found.append(Reference(column, Rows.of(to.table), there, may_be_gone=to.system == checked.within))
    return found


def _refer(own: TableSpec) -> list[tuple[str, sa.Column[object]]]:
    """The columns that are foreign keys, and what they refer to."""
    if not isinstance(own.table, sa.Table):
        return []
    return [(column.name, key.column) for column in own.table.columns for key in column.foreign_keys]


def _placed_column(checked: _Checked, own_column: str) -> str | None:
    """A column of the flow's own table as it is called where the rows are; None where it is not there."""
    if own_column == checked.own.id:
        return checked.table.id
    fields = [field for field in checked.table.fields if checked.own.column(field) == own_column]
    return checked.table.column(fields[0]) if fields else None


def _duplicates(session: Session, checked: _Checked) -> Verdict:
    rows = consistency.same_natural_key(session, checked.table)
    keys = consistency.doubly_bound(session, checked.system)
    passed = not (rows.count or keys.count)
    said = (
        f"{rows.among} rows and {keys.among} keys of upstream: none twice"
        if passed
        else f"{rows.count} natural keys have several rows; {keys.count} rows have several keys of upstream"
    )
    counts = {"natural_keys_shared": rows.count, "rows_with_several_keys": keys.count}
    first = [*rows.rows, *keys.rows][:_SHOWN]
    return Verdict(checked.stream, "duplicates", passed, said, counts, first)


def _counts(session: Session, checked: _Checked) -> Verdict:
    found = consistency.unbacked(session, checked.system, checked.table)
    there = found.among - found.count
    said = (
        f"{found.count} of {found.among} records that are there upstream have no living row here"
        if found.count
        else f"all {found.among} records that are there upstream have a living row"
    )
    counts = {"expected": found.among, "found": there}
    return Verdict(checked.stream, "counts", not found.count, said, counts, found.rows)


def _rejects_open(session: Session, stream: str, system: str) -> Verdict:
    first, count = list_rejects(session, [system], limit=_SHOWN)
    rows = [
        {
            "id": reject.id,
            "system": reject.key.system,
            "stage": reject.stage,
            "first seen": reject.first_seen_at.isoformat(sep=" ", timespec="seconds"),
            "times": reject.occurrences,
        }
        for reject in first
    ]
    said = f"{count} records are refused: see `sync-pipelines rejects list`" if count else "no record is refused"
    return Verdict(stream, "rejects_open", not count, said, {"open": count}, rows)
