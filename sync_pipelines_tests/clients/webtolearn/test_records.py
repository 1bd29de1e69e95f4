import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.clients.webtolearn import Course, Lesson, User
from sync_pipelines.clients.webtolearn.records import wtl_id
from sync_pipelines.errors import SourceError


@given(st.integers(0, 10**30))
def test_an_id_is_the_same_as_number_and_as_text(number: int) -> None:
    assert wtl_id(number) == wtl_id(str(number)) == str(number)


@pytest.mark.parametrize(
    "value", [True, None, 1.0, -1, "", " 1", "1 ", "1.0", "١", "local-5", "1\n", [], {}, "9" * 256]
)
def test_anything_else_is_no_id(value: object) -> None:
    with pytest.raises(SourceError, match="id"):
        wtl_id(value)


def test_leading_zeros_are_kept() -> None:
    assert wtl_id("007") == "007"


@pytest.mark.parametrize(
    "row",
    [
        {"id": "5", "name": "Fizyka"},
        {"lesson_id": 5, "lesson_name": "Fizyka"},
        {"lessonId": "5", "title": "Fizyka"},
    ],
)
def test_a_lesson_is_read_by_whatever_names_it_comes_under(row: object) -> None:
    assert Lesson.from_row(row) == Lesson("5", "Fizyka", None)


@pytest.mark.parametrize("name", ["order", "order_number", "position", "sequence"])
@pytest.mark.parametrize("value", [3, "3"])
def test_an_order_is_taken_where_one_is_sent(name: str, value: object) -> None:
    assert Lesson.from_row({"id": "5", "name": "Fizyka", name: value}).order == 3


@pytest.mark.parametrize(
    "row",
    [
        {"id": "5", "lesson_id": "6", "name": "x"},
        {"id": "5", "name": "x", "title": "y"},
        {"id": "5", "name": "x", "order": 1, "position": 2},
    ],
)
def test_names_that_disagree_are_refused(row: object) -> None:
    with pytest.raises(SourceError, match="disagree"):
        Lesson.from_row(row)


@pytest.mark.parametrize("row", [None, [], "x", 5, {}, {"id": "1"}, {"name": "x"}, {"id": "1", "name": 5}])
def test_a_row_of_another_shape_is_refused_by_its_field(row: object) -> None:
    with pytest.raises(SourceError):
        Course.from_row(row)


def test_a_refusal_never_quotes_the_row() -> None:
    with pytest.raises(SourceError) as caught:
        User.from_row({"id": "jan.kowalski@szkola.example", "email": "jan.kowalski@szkola.example"})
    assert "kowalski" not in str(caught.value)


def test_unknown_fields_are_ignored_and_text_is_kept_as_it_is() -> None:
    row = {"id": "5", "name": " <b>„Łąka” &amp;\\n</b> ", "new": {"field": 1}}
    assert Course.from_row(row).title == " <b>„Łąka” &amp;\\n</b> "
