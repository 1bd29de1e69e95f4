"""What only PostgreSQL can show: ownership of columns, refusals of the server, adoption, times."""

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.core import (
    Binding,
    Change,
    ExternalKey,
    Outcome,
    Projection,
    Projections,
    TargetError,
    Written,
)
from sync_pipelines.postgres import tables
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines.postgres.target import PostgresTarget

Query = Callable[..., list[Any]]
LESSONS = TableSpec(
    tables.wtl.lessons, natural_key=("wtl_lesson_id",), owned=("title",), initial=("order_number",), adopt=True
)

NO_TIMES: Any = {"vanished_at": None, "synced_at": None, "written_at": None}


def change(external_id: str, title: Any = "Fizyka", binding: Binding | None = None, **fields: Any) -> Change:
    fields = {"wtl_lesson_id": external_id, "title": title, **fields}
    return Change(ExternalKey("wtl:lesson", external_id), Projection("wtl.lessons", fields), "1:x", binding)


def bound(external_id: str, result: Written | TargetError) -> Binding:
    assert isinstance(result, Written)
    return Binding(ExternalKey("wtl:lesson", external_id), result.internal_id, "1:old")


@pytest.fixture
def target(session: Session) -> PostgresTarget:
    return PostgresTarget(session, LESSONS)


def outcomes(results: Any) -> list[str]:
    return [r.outcome.value if isinstance(r, Written) else "refused" for r in results]


def test_results_come_in_the_order_of_the_changes(target: PostgresTarget, query: Query) -> None:
    first = target.upsert_many([change("1"), change("2")])
    mixed = [change("3"), change("2", "Chemia", bound("2", first[1])), change("4", order_number=5), change("1")]
    assert outcomes(target.upsert_many(mixed)) == ["created", "updated", "created", "unchanged"]
    titles = query("SELECT title FROM wtl.lessons ORDER BY wtl_lesson_id")
    assert titles == ["Fizyka", "Chemia", "Fizyka", "Fizyka"]


@pytest.mark.parametrize("through_binding", [True, False])
def test_what_people_edited_stays_theirs(target: PostgresTarget, query: Query, through_binding: bool) -> None:
    (made,) = target.upsert_many([change("1", order_number=1)])
    query("UPDATE wtl.lessons SET status = 'inactive', description = 'ours', content = 'ours', order_number = 9")
    binding = bound("1", made) if through_binding else None
    target.upsert_many([change("1", "Chemia", binding, order_number=2)])
    row = query("SELECT title, status, description, content, order_number FROM wtl.lessons")
    assert row == [("Chemia", "inactive", "ours", "ours", 9)]


def test_an_equal_row_is_not_touched(target: PostgresTarget, query: Query) -> None:
    (made,) = target.upsert_many([change("1")])
    before = query("SELECT xmin::text, ctid::text FROM wtl.lessons")
    assert outcomes(target.upsert_many([change("1", binding=bound("1", made)), change("1")])) == ["unchanged"] * 2
    assert query("SELECT xmin::text, ctid::text FROM wtl.lessons") == before


def test_a_row_that_was_there_before_any_sync_is_adopted_with_its_id(target: PostgresTarget, query: Query) -> None:
    (there,) = query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('1', 'Fizyka') RETURNING id::text")
    (result,) = target.upsert_many([change("1")])
    assert result == Written(there, Outcome.UPDATED)
    assert query("SELECT count(*) FROM wtl.lessons WHERE last_sync_at IS NOT NULL") == [1]


def test_local_rows_are_never_touched(target: PostgresTarget, query: Query) -> None:
    query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('local-17', 'Nasza lekcja')")
    before = query("SELECT * FROM wtl.lessons")
    target.upsert_many([change("1"), change("17")])
    assert query("SELECT * FROM wtl.lessons WHERE wtl_lesson_id = 'local-17'") == before


def test_a_returning_row_is_no_longer_marked_as_vanished(target: PostgresTarget, query: Query) -> None:
    (made,) = target.upsert_many([change("1")])
    query("UPDATE wtl.lessons SET remote_deleted_at = now()")
    assert outcomes(target.upsert_many([change("1", binding=bound("1", made))])) == ["updated"]
    assert query("SELECT remote_deleted_at FROM wtl.lessons") == [None]


@pytest.mark.parametrize("position", [0, 3, 7])
def test_a_row_the_server_refuses_fails_alone(target: PostgresTarget, query: Query, position: int) -> None:
    query("ALTER TABLE wtl.lessons ADD CONSTRAINT no_chemistry CHECK (title <> 'Chemia')")
    changes = [change(str(i), "Chemia" if i == position else "Fizyka") for i in range(8)]
    results = target.upsert_many(changes)
    assert outcomes(results) == ["refused" if i == position else "created" for i in range(8)]
    assert "no_chemistry" in str(results[position])
    assert "Chemia" not in str(results[position])
    assert query("SELECT count(*) FROM wtl.lessons") == [7]


@pytest.mark.parametrize(
    ("projection", "says"),
    [
        ({"wtl_lesson_id": "1", "title": "x" * 256}, "256 characters, and the column holds 255"),
        ({"wtl_lesson_id": "1", "title": "a\x00b"}, "NUL"),
        ({"wtl_lesson_id": "1", "title": "a\ud800b"}, "surrogate"),
        ({"wtl_lesson_id": "1", "title": None}, "title is missing"),
        ({"wtl_lesson_id": "", "title": "x"}, "wtl_lesson_id is empty"),
        ({"title": "x"}, "wtl_lesson_id is empty"),
        ({"wtl_lesson_id": "1", "title": "x", "status": "inactive"}, "no column status that a sync may write"),
    ],
)
def test_a_projection_the_table_cannot_hold_is_refused_by_its_column(
    target: PostgresTarget, projection: dict[str, Any], says: str
) -> None:
    with pytest.raises(TargetError, match=says):
        target.validate(ExternalKey("wtl:lesson", "1"), Projection("wtl.lessons", projection))


@pytest.mark.parametrize("letter", ["k", "日"])
def test_a_key_longer_than_an_index_holds_is_refused_and_the_longest_fits(
    target: PostgresTarget, letter: str
) -> None:
    lesson = change("1")
    target.validate(ExternalKey("wtl:lesson", letter * 500), lesson.projection)
    with pytest.raises(TargetError, match="the key has 501 characters"):
        target.validate(ExternalKey("wtl:lesson", letter * 501), lesson.projection)


def test_a_projection_of_another_kind_is_refused(target: PostgresTarget) -> None:
    with pytest.raises(TargetError, match=r"wtl\.courses"):
        target.validate(ExternalKey("wtl:lesson", "1"), Projection("wtl.courses", {}))


@pytest.mark.parametrize(
    "title", ["Łąka", "日本", "🎓", "a\nb\tc\\d", "%s :x $1 {}", "'; DROP TABLE wtl.lessons; --"]
)
def test_text_arrives_as_it_is(target: PostgresTarget, query: Query, title: str) -> None:
    target.upsert_many([change("1", title)])
    assert query("SELECT title FROM wtl.lessons") == [title]


def test_255_letters_of_several_bytes_fit_255_characters(target: PostgresTarget, query: Query) -> None:
    lesson = change("1", "ż" * 255)
    target.validate(lesson.key, lesson.projection)
    target.upsert_many([lesson])
    assert query("SELECT char_length(title) FROM wtl.lessons") == [255]


def test_only_living_rows_are_alive(target: PostgresTarget) -> None:
    (made,) = target.upsert_many([change("1")])
    assert isinstance(made, Written)
    gone = "00000000-0000-0000-0000-000000000000"
    assert target.alive({made.internal_id, gone}) == {made.internal_id}
    assert not target.alive(set())


@pytest.mark.parametrize(
    "columns",
    [{"owned": ("nothing",)}, {"owned": ("title", "wtl_lesson_id")}, {"natural_key": (), "owned": ("title",)}],
)
def test_a_contradictory_spec_is_refused_when_made(columns: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(ValueError, match=r"wtl\.lessons"):
        TableSpec(tables.wtl.lessons, **{"natural_key": ("wtl_lesson_id",), **columns})  # pyright: ignore[reportArgumentType]


# --- a natural key that is taken ---------------------------------------------------------------------------


def named(external_id: str, natural_key: str, title: str = "Chemia") -> Change:
    """A new record whose key upstream is not its natural key."""
    fields = {"wtl_lesson_id": natural_key, "title": title}
    return Change(ExternalKey("wtl:lesson", external_id), Projection("wtl.lessons", fields), "1:x", None)


def refusals(target: PostgresTarget, changes: list[Change]) -> list[str]:
    """What the target says of each, where only rows that are there stand in the way: a preview says the same."""
    said = [str(r) if isinstance(r, TargetError) else "" for r in target.preview(changes)]
    written = [str(r) if isinstance(r, TargetError) else "" for r in target.upsert_many(changes)]
    assert said == written
    return written


@pytest.mark.parametrize("vanished", [False, True])
def test_a_row_that_stands_for_another_record_is_never_adopted(
    target: PostgresTarget, session: Session, query: Query, vanished: bool
) -> None:
    (made,) = target.upsert_many([change("1")])
    assert isinstance(made, Written)
    store, other = PostgresStateStore(session), ExternalKey("wtl:lesson", "old")
    store.bind(other, made.internal_id, "1:x")
    if vanished:
        store.mark_vanished([other])
    said = refusals(target, [named("0", "7"), named("new", "1"), named("x", "8")])
    assert [bool(s) for s in said] == [False, True, False]
    assert "stands for another record" in said[1]
    assert query("SELECT title FROM wtl.lessons WHERE wtl_lesson_id = '1'") == ["Fizyka"]


def test_a_row_that_no_sync_made_is_refused_where_the_spec_does_not_adopt(session: Session, query: Query) -> None:
    query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('1', 'Fizyka')")
    before = query("SELECT * FROM wtl.lessons")
    strict = PostgresTarget(
        session, TableSpec(tables.wtl.lessons, natural_key=("wtl_lesson_id",), owned=("title",))
    )
    said = refusals(strict, [named("1", "1"), named("2", "2")])
    assert ("no sync made" in said[0], said[1]) == (True, "")
    assert query("SELECT * FROM wtl.lessons WHERE wtl_lesson_id = '1'") == before


@pytest.mark.parametrize("there", [True, False])
def test_two_new_records_of_one_natural_key_are_one_row_and_a_refusal(
    target: PostgresTarget, query: Query, there: bool
) -> None:
    if there:
        query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('1', 'Fizyka')")
    results = target.upsert_many([named("a", "1", "A"), named("b", "1", "B"), named("c", "3", "C")])
    assert outcomes(results) == ["updated" if there else "created", "refused", "created"]
    assert "same wtl_lesson_id" in str(results[1])
    assert query("SELECT title FROM wtl.lessons ORDER BY 1") == ["A", "C"]


# --- rows that the server refuses -----------------------------------------------------------------------------

TRIGGER = """
CREATE FUNCTION wtl.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.wtl_lesson_id = '3' THEN RAISE EXCEPTION 'not this one'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON wtl.lessons FOR EACH ROW EXECUTE FUNCTION wtl.refuse();
"""


def test_a_row_that_a_trigger_refuses_fails_alone(target: PostgresTarget, query: Query) -> None:
    query(TRIGGER)
    results = target.upsert_many([change(str(i)) for i in range(6)])
    assert [i for i, r in enumerate(results) if isinstance(r, TargetError)] == [3]


def test_a_row_that_is_too_large_for_an_index_fails_alone(session: Session, query: Query) -> None:
    query("CREATE INDEX ON wtl.lessons (description)")
    spec = TableSpec(tables.wtl.lessons, natural_key=("wtl_lesson_id",), owned=("title", "description"))
    long = "".join(chr(0x4E00 + (i * 7919) % 20000) for i in range(9000))
    results = PostgresTarget(session, spec).upsert_many(
        [change(str(i), description=long if i == 1 else "") for i in range(4)]
    )
    assert outcomes(results) == ["created", "refused", "created", "created"]


def test_a_value_that_its_column_cannot_read_fails_alone_and_so_it_does_in_a_preview(session: Session) -> None:
    spec = TableSpec(tables.wtl.lessons, natural_key=("wtl_lesson_id",), owned=("title", "order_number"))
    target = PostgresTarget(session, spec)
    new = [change(str(i), order_number=2**40 if i == 2 else i) for i in range(5)]
    made = target.upsert_many(new)
    assert [i for i, r in enumerate(made) if isinstance(r, TargetError)] == [2]
    again = [
        change(str(i), "Chemia", bound(str(i), made[i]), order_number=2**40 if i == 4 else i) for i in (0, 1, 3, 4)
    ]
    for results in (target.preview(again), target.upsert_many(again)):
        assert [i for i, r in enumerate(results) if isinstance(r, TargetError)] == [3]


def test_a_vanished_row_that_cannot_be_marked_fails_alone(target: PostgresTarget, query: Query) -> None:
    made = target.upsert_many([change(str(i)) for i in range(6)])
    query(TRIGGER)
    results = target.vanish_many([bound(str(i), each) for i, each in enumerate(made)])
    assert [i for i, r in enumerate(results) if r is not None] == [3]
    assert query("SELECT wtl_lesson_id FROM wtl.lessons WHERE remote_deleted_at IS NULL") == ["3"]


# --- times -----------------------------------------------------------------------------------------------------


def test_a_row_keeps_the_time_it_vanished_and_of_its_last_write(target: PostgresTarget, query: Query) -> None:
    (made,) = target.upsert_many([change("1")])
    long_ago = "UPDATE wtl.lessons SET updated_at = '2020-01-01Z', last_sync_at = '2020-01-01Z'"
    times = "updated_at > now() - interval '1 hour', last_sync_at > now() - interval '1 hour'"
    query(long_ago)
    target.upsert_many([change("1", "Chemia", bound("1", made))])
    assert query(f"SELECT {times} FROM wtl.lessons") == [(True, True)]
    query(long_ago)
    target.vanish_many([bound("1", made)])
    assert query(f"SELECT {times} FROM wtl.lessons") == [(True, False)]
    before = query("SELECT remote_deleted_at, xmin::text FROM wtl.lessons")
    target.vanish_many([bound("1", made)])
    assert query("SELECT remote_deleted_at, xmin::text FROM wtl.lessons") == before


def test_a_new_row_has_the_time_of_its_sync(target: PostgresTarget, query: Query) -> None:
    target.upsert_many([change("1")])
    assert query("SELECT last_sync_at > now() - interval '1 hour' FROM wtl.lessons") == [True]


# --- loading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (Projections("wtl.lessons", {"wtl_lesson_id": ["1", ""], "title": ["A", "B"]}), "wtl_lesson_id is empty"),
        (Projections("wtl.lessons", {"title": ["A"]}), "wtl_lesson_id is empty"),
        (Projections("wtl.courses", {"wtl_lesson_id": ["1"], "title": ["A"]}), r"wtl\.courses does not belong"),
        (Projections("wtl.lessons", {"wtl_lesson_id": ["1"], "status": ["x"]}), "no column status"),
        (Projections("wtl.lessons", {"wtl_lesson_id": ["1", "1"], "title": ["A", "B"]}), "UniqueViolation"),
    ],
)
def test_a_load_of_which_a_row_cannot_be_is_refused_whole(
    target: PostgresTarget, query: Query, rows: Projections, says: str
) -> None:
    target.upsert_many([change("0")])
    with pytest.raises(TargetError, match=says):
        target.load_rows(rows)
    assert query("SELECT wtl_lesson_id FROM wtl.lessons") == ["0"]


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


def test_a_list_of_lists_is_an_array_of_arrays(session: Any, query: Any) -> None:
    query("CREATE SCHEMA app; CREATE TABLE app.r (id uuid PRIMARY KEY, code text UNIQUE, grid text[])")
    target = PostgresTarget(session, TableSpec("app.r", ("code",), ("grid",), **NO_TIMES))
    grid = [["a", "b"], ["c", "d"]]
    target.upsert_many(
        [Change(ExternalKey("x:r", "1"), Projection("app.r", {"code": "1", "grid": grid}), "1", None)]
    )
    assert query("SELECT grid FROM app.r") == [grid]
