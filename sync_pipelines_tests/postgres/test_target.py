"""What only PostgreSQL can show: ownership of columns, refusals of the server, adoption, times."""

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.core import Binding, Change, ExternalKey, Outcome, Projection, TargetError, Written
from sync_pipelines.postgres import tables
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.postgres.target import PostgresTarget

Query = Callable[..., list[Any]]
LESSONS = TableSpec(
    tables.lessons, natural_key=("wtl_lesson_id",), owned=("title",), initial=("order_number",), adopt=True
)


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
        TableSpec(tables.lessons, **{"natural_key": ("wtl_lesson_id",), **columns})  # pyright: ignore[reportArgumentType]
