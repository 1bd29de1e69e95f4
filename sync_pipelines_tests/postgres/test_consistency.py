"""What does not fit together is found, as a plain model counts it, in tables whose indexes promise nothing."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.postgres.consistency import (
    Reference,
    Rows,
    doubly_bound,
    orphans,
    same_natural_key,
    unbacked,
)
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.spec import TableSpec

IDS = [str(uuid.UUID(int=number)) for number in range(8)]
SYSTEMS = [
    "plain",
    "wtl:user",
    "wtl:course/1:user",
    "wtl:course/22:user",
    "wtl:coursex:user",
    "wtl:course/1:lesson",
]
PEOPLE = TableSpec("other.people", natural_key=("a", "b"), owned=(), id="uid", synced_at=None, written_at=None)
GROUPS = TableSpec("other.groups", natural_key=("name",), owned=(), id="uid", synced_at=None, written_at=None)

#: Whether a row is marked as vanished; None for one that is not there.
marks = st.lists(st.sampled_from([None, True, False]), min_size=len(IDS), max_size=len(IDS))
references = st.one_of(st.none(), st.sampled_from(IDS))
keys = st.one_of(st.none(), st.integers(0, 2))
many = settings(max_examples=60)


@pytest.fixture(params=["uuid", "text"])
def tables(request: pytest.FixtureRequest, session: Session) -> Session:
    """Another application's: no key, no index, ids of one type or the other."""
    kind = request.param
    with session.cursor() as cursor:
        cursor.execute("CREATE SCHEMA other")
        cursor.execute(f"CREATE TABLE other.groups (uid {kind}, name text, remote_deleted_at timestamptz)")
        cursor.execute(
            f"CREATE TABLE other.people (uid {kind}, a int, b int, first {kind}, second {kind}, "
            "remote_deleted_at timestamptz)"
        )
    return session


def fill(session: Session, table: str, columns: str, rows: Sequence[Sequence[Any]]) -> None:
    with session.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table}")
        if rows:
            cursor.executemany(
                f"INSERT INTO {table} ({columns}) VALUES ({', '.join(['%s'] * len(rows[0]))})", rows
            )


def mark(gone: bool | None) -> str | None:
    return "2026-01-01" if gone else None


def fill_groups(session: Session, groups: Sequence[bool | None]) -> None:
    rows = [(row_id, mark(gone)) for row_id, gone in zip(IDS, groups, strict=True) if gone is not None]
    fill(session, "other.groups", "uid, remote_deleted_at", rows)


@many
@given(groups=marks, people=st.lists(st.tuples(st.booleans(), references, references), max_size=len(IDS)))
def test_orphans_are_the_living_rows_that_refer_to_a_vanished_or_missing_one(
    tables: Session, groups: list[bool | None], people: list[tuple[bool, str | None, str | None]]
) -> None:
    fill_groups(tables, groups)
    rows = [(row_id, mark(gone), *to) for row_id, (gone, *to) in zip(IDS, people, strict=False)]
    fill(tables, "other.people", "uid, remote_deleted_at, first, second", rows)
    to = [Reference(column, Rows.of(GROUPS), "uid") for column in ("first", "second")]
    found, by_column = orphans(tables, Rows.of(PEOPLE), to)

    def is_bad(row_id: str | None) -> bool:
        return row_id is not None and groups[IDS.index(row_id)] is not False

    living = [(first, second) for gone, first, second in people if not gone]
    assert found.among == len(living)
    assert found.count == sum(is_bad(first) or is_bad(second) for first, second in living)
    assert by_column == {
        "first": sum(is_bad(first) for first, _ in living),
        "second": sum(is_bad(second) for _, second in living),
    }
    says = {(row["row"], row["by"]): (row["refers to"], row["which is"]) for row in found.rows}
    assert len(says) == min(10, sum(by_column.values()))
    for (row_id, column), (other, state) in says.items():
        person = people[IDS.index(str(row_id))]
        assert other == person[1 if column == "first" else 2]
        assert state == ("missing" if groups[IDS.index(str(other))] is None else "vanished")


@many
@given(rows=st.lists(st.tuples(keys, keys), max_size=len(IDS)))
def test_a_natural_key_is_shared_where_several_rows_have_it_whole(
    tables: Session, rows: list[tuple[int | None, int | None]]
) -> None:
    stored = [(row_id, a, b) for row_id, (a, b) in zip(IDS, rows, strict=False)]
    fill(tables, "other.people", "uid, a, b", stored)
    shared = {key: times for key, times in Counter(rows).items() if times > 1 and None not in key}
    found = same_natural_key(tables, PEOPLE)
    assert (found.count, found.among) == (len(shared), len(rows))
    assert Counter(row["times"] for row in found.rows) == Counter(shared.values())


bindings = st.dictionaries(
    st.tuples(st.sampled_from(SYSTEMS), st.sampled_from("abc")),
    st.tuples(st.sampled_from(IDS), st.booleans()),
    max_size=12,
)


def bind(session: Session, bound: dict[tuple[str, str], tuple[str, bool]]) -> None:
    rows: list[Sequence[Any]] = []
    for (system, key), (row_id, gone) in bound.items():
        instance, _, entity = system.rpartition(":")
        rows.append((*((instance, entity) if instance else (entity, "")), key, row_id, mark(gone)))
    fill(session, "sync.external_refs", "system, type, external_id, internal_id, remote_deleted_at", rows)


def of_system(system: str, pattern: str) -> bool:
    if pattern == "wtl:course/{}:user":
        return system in ("wtl:course/1:user", "wtl:course/22:user")
    return system == pattern


patterns = st.sampled_from(["plain", "wtl:user", "wtl:course/{}:user"])


@many
@given(bound=bindings, system=patterns)
def test_a_row_is_doubly_bound_where_several_keys_of_one_kind_stand_for_it(
    session: Session, bound: dict[tuple[str, str], tuple[str, bool]], system: str
) -> None:
    bind(session, bound)
    mine = [row_id for (of, _), (row_id, _) in bound.items() if of_system(of, system)]
    twice = {row_id: times for row_id, times in Counter(mine).items() if times > 1}
    found = doubly_bound(session, system)
    assert (found.count, found.among) == (len(twice), len(mine))
    assert sorted(row["times"] for row in found.rows) == sorted(twice.values())


@many
@given(bound=bindings, system=patterns, groups=marks)
def test_a_record_is_unbacked_where_it_is_there_upstream_and_its_row_is_not(
    tables: Session, bound: dict[tuple[str, str], tuple[str, bool]], system: str, groups: list[bool | None]
) -> None:
    bind(tables, bound)
    fill_groups(tables, groups)
    there = {
        f"{of} {key}": row_id for (of, key), (row_id, gone) in bound.items() if of_system(of, system) and not gone
    }
    lost = {record: groups[IDS.index(row)] for record, row in there.items() if groups[IDS.index(row)] is not False}
    found = unbacked(tables, system, GROUPS)
    assert (found.count, found.among) == (len(lost), len(there))
    says = {row["record"]: row["here it"] for row in found.rows}
    assert says == {
        record: "has no row" if gone is None else "is marked as vanished" for record, gone in lost.items()
    }


def test_rows_are_named_by_their_upstreams_keys_and_by_their_id_where_they_have_none(tables: Session) -> None:
    bind(tables, {("wtl:user", "a"): (IDS[0], False), ("wtl:course/1:user", "c"): (IDS[0], False)})
    fill(tables, "other.people", "uid, a, b", [(row_id, 1, 1) for row_id in IDS[:2]])
    (row,) = same_natural_key(tables, PEOPLE).rows
    assert row["which"] == f"wtl:user a = wtl:course/1:user c, {IDS[1]}"


def test_a_table_that_notes_no_vanishing_has_living_rows_alone(tables: Session) -> None:
    fill_groups(tables, [True, None, *[False] * 6])
    bind(tables, {("wtl:user", "a"): (IDS[0], False), ("wtl:user", "b"): (IDS[1], False)})
    plain = TableSpec("other.groups", ("name",), (), id="uid", vanished_at=None, synced_at=None, written_at=None)
    assert [row["record"] for row in unbacked(tables, "wtl:user", plain).rows] == ["wtl:user b"]


def test_of_very_many_the_first_ten_are_shown(tables: Session) -> None:
    fill(tables, "other.people", "uid, a, b", [(str(uuid.uuid4()), n // 2, 1) for n in range(60)])
    found = same_natural_key(tables, PEOPLE)
    assert (found.count, len(found.rows)) == (30, 10)
