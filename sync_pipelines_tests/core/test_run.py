"""What a run must get right in the corners: each of these once went wrong."""

from datetime import timedelta
from typing import Any

import pytest

from sync_pipelines.core import Change, Coverage, ExternalKey, Projection, Records, TargetError, fingerprint
from sync_pipelines.errors import GuardTripped, SchemaError, StreamBusy
from sync_pipelines.postgres.engine import Database
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines.postgres.target import PostgresTarget
from sync_pipelines_tests.conftest import SCHEMAS
from sync_pipelines_tests.core.workshop import SYSTEM, BulkTitleMapper, Workshop, counts, in_memory, record

OTHER = "wtl:old course"
NO_TIMES: Any = {"vanished_at": None, "synced_at": None, "written_at": None}


def columns(system: str, *ids: str) -> Records[str]:
    return Records(system, ids, [fingerprint(i) for i in ids], [f"Kurs {i}" for i in ids])


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_a_record_without_a_version_is_compared_in_a_long_stream_too(workshop: Workshop, batch_size: int) -> None:
    workshop.snapshot([record("1", "A", None), record("2", "B", None)], batch_size=batch_size)
    report = workshop.snapshot([record("1", "A2", None), record("2", "B", None)], batch_size=batch_size)
    assert counts(report) == {"updated": 1, "skipped": 1}


def test_loaded_columns_of_several_systems_are_bound_each_to_its_own(workshop: Workshop) -> None:
    items = [columns(SYSTEM, "1", "2"), columns(OTHER, "3", "4"), columns(SYSTEM, "5", "6")]
    for expected in ({"created": 6}, {"skipped": 6}):
        assert counts(workshop.snapshot(items, mapper=BulkTitleMapper(), batch_size=3)) == expected
    bound = {s: {b.key.key for b in workshop.store.iter_bindings(s)} for s in (SYSTEM, OTHER)}
    assert bound == {SYSTEM: {"1", "2", "5", "6"}, OTHER: {"3", "4"}}


@pytest.mark.parametrize("bad", [("2", "a\ud800b"), ("a\ud800b", "B")])
def test_half_a_character_in_a_first_load_fails_alone(workshop: Workshop, bad: tuple[str, str]) -> None:
    items = [record("1", "A"), record(*bad), record("3", "C")]
    assert workshop.snapshot(items, mapper=BulkTitleMapper(), batch_size=1).created >= 2


@pytest.mark.parametrize("value", [{"tags": ["a\ud800"]}, {"more": {"a": "\ud800"}}])
@pytest.mark.parametrize("plan", [True, False])
def test_half_a_character_within_a_list_or_object_fails_alone(
    session: Any, query: Any, value: dict[str, Any], plan: bool
) -> None:
    query("CREATE SCHEMA app; CREATE TABLE app.r (id uuid PRIMARY KEY, code text UNIQUE, tags text[], more jsonb)")
    target = PostgresTarget(session, TableSpec("app.r", ("code",), tuple(value), **NO_TIMES))
    made: list[Change] = []
    for i in range(3):
        fields = {"code": str(i), **(value if i == 1 else dict.fromkeys(value))}
        made.append(Change(ExternalKey("x:r", str(i)), Projection("app.r", fields), "1", None))
    results = target.preview(made) if plan else target.upsert_many(made)
    assert [isinstance(r, TargetError) for r in results] == [False, True, False]


def test_new_rows_of_one_system_do_not_make_a_loss_in_another_look_small() -> None:
    workshop, ids = in_memory(), [str(i) for i in range(240)]
    both = Coverage.snapshot(OTHER, SYSTEM)
    workshop.sync([columns(SYSTEM, *ids)], both)
    with pytest.raises(GuardTripped, match="25 of 240"):
        workshop.sync([columns(OTHER, *(f"n{i}" for i in range(1000))), columns(SYSTEM, *ids[25:])], both)


def test_the_holder_that_is_named_is_this_databases(
    session: Any, create_database: Any, database: Database
) -> None:
    elsewhere = Database(create_database(), SCHEMAS)
    with elsewhere.session() as far, database.session() as near:
        with near.transaction() as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with PostgresStateStore(far).exclusive("wtl/courses"), PostgresStateStore(near).exclusive("wtl/courses"):
            late = PostgresStateStore(session, lock_timeout=timedelta(milliseconds=20))
            with pytest.raises(StreamBusy, match=f"server process {pid},"), late.exclusive("wtl/courses"):
                pass


def test_an_index_on_a_part_of_the_rows_does_not_back_the_natural_key(session: Any, query: Any) -> None:
    query("CREATE SCHEMA app; CREATE TABLE app.r (id uuid PRIMARY KEY, code text, title text)")
    query("CREATE UNIQUE INDEX ON app.r (code) WHERE title IS NOT NULL")
    with pytest.raises(SchemaError):
        PostgresTarget(session, TableSpec("app.r", ("code",), ("title",), **NO_TIMES))


def test_a_list_of_lists_is_an_array_of_arrays(session: Any, query: Any) -> None:
    query("CREATE SCHEMA app; CREATE TABLE app.r (id uuid PRIMARY KEY, code text UNIQUE, grid text[])")
    target = PostgresTarget(session, TableSpec("app.r", ("code",), ("grid",), **NO_TIMES))
    grid = [["a", "b"], ["c", "d"]]
    target.upsert_many(
        [Change(ExternalKey("x:r", "1"), Projection("app.r", {"code": "1", "grid": grid}), "1", None)]
    )
    assert query("SELECT grid FROM app.r") == [grid]
