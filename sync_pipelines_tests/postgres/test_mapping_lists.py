"""The lists that people choose courses and lessons from, against plain Python over the same rows."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.mapping import accept_suggestions, pin
from sync_pipelines.postgres.mapping_lists import (
    find_courses,
    find_lessons,
    mapped_lessons,
    one_course,
    one_lesson,
    suggested_lessons,
)

Query = Callable[..., list[Any]]
TITLES = ["Żółw i łódź", "Zlomky", "Ułamki 50 %", "Příroda_živá", "zlomky II", "Ćwiczenia: ÓSEMKA", "100", "a\\b"]


@pytest.fixture
def ids(query: Query) -> dict[str, str]:
    """Lessons with these titles, of the platform's ids 100, 101, …; by title, our ids. Zlomky has vanished."""
    made = {
        title: str(
            query(
                "INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES (:n, :t) RETURNING id", n=str(n), t=title
            )[0]
        )
        for n, title in enumerate(TITLES, 100)
    }
    query("UPDATE wtl.lessons SET remote_deleted_at = now() WHERE title = 'Zlomky'")
    return made


@pytest.fixture
def course(query: Query) -> str:
    return query("INSERT INTO wtl.courses (wtl_course_id, title) VALUES ('7', 'Matematika') RETURNING id::text")[0]


def show(query: Query, course: str, *lessons: str, gone: bool = False) -> None:
    """Have the platform show the course with these."""
    for place, lesson in enumerate(lessons):
        query(
            "INSERT INTO wtl.remote_course_lessons (course_id, lesson_id, position, remote_deleted_at) "
            "VALUES (:c, :l, :p, CASE WHEN :gone THEN now() END)",
            c=course,
            l=lesson,
            p=place,
            gone=gone,
        )


def plain(text: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return bare.replace("ł", "l").replace("Ł", "L").lower()


@given(search=st.one_of(st.text("aAóÓłŁzŻ %_\\01iI", max_size=6), st.sampled_from(TITLES), st.just("10")))
@example("zolw")
@example("ii ZLOM")
@example("%")
@example("_")
@example("'; --")
@settings(max_examples=80)
def test_a_search_finds_titles_that_hold_each_word_whatever_its_accents_and_ids_that_begin_so(
    ids: dict[str, str], course: str, session: Session, search: str
) -> None:
    expected = {
        title
        for number, title in enumerate(TITLES, 100)
        if all(plain(word) in plain(title) for word in search.split()) or str(number).startswith(search.strip())
    }
    found, total = find_lessons(session, course, search, limit=100)
    assert ({lesson.title for lesson in found}, total) == (expected, len(expected))


def test_pages_of_a_search_put_together_are_the_whole_each_lesson_once_vanished_ones_last(
    ids: dict[str, str], course: str, session: Session
) -> None:
    whole, total = find_lessons(session, course, "", limit=100)
    pages = [find_lessons(session, course, "", limit=3, offset=n) for n in range(0, total, 3)]
    assert [lesson for page, _ in pages for lesson in page] == whole
    assert [lesson.title for lesson in whole] == [
        *("100", "a\\b", "Ćwiczenia: ÓSEMKA", "Příroda_živá", "Ułamki 50 %", "zlomky II", "Żółw i łódź"),
        "Zlomky",
    ]
    assert whole[-1].remote_deleted_at is not None


def test_a_lesson_whose_id_is_searched_for_comes_first(
    ids: dict[str, str], course: str, session: Session, query: Query
) -> None:
    query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('1001', '0 before all')")
    found, _ = find_lessons(session, course, "100", limit=9)
    assert [lesson.wtl_lesson_id for lesson in found] == ["100", "1001", "106"]


def test_a_lesson_is_in_the_course_suggested_or_to_be_found_and_only_one_of_these(
    ids: dict[str, str], course: str, session: Session, query: Query
) -> None:
    first, gone, *others = ids.values()
    show(query, course, first, gone, others[0], others[1])
    show(query, course, others[2], gone=True)
    pin(session, course, others[0], required=True)
    mapped = [(one.lesson.id, one.required) for one in mapped_lessons(session, course)]
    suggested = [lesson.id for lesson in suggested_lessons(session, course)]
    found = [lesson.id for lesson in find_lessons(session, course, "", limit=100)[0]]
    assert mapped == [(others[0], True)]
    assert suggested == [first, others[1]]
    assert sorted([others[0], *suggested, *found]) == sorted(ids.values())
    # Whoever searches finds suggestions too.
    assert [lesson.id for lesson in find_lessons(session, course, "żółw", limit=100)[0]] == [first]
    accept_suggestions(session, course)
    assert suggested_lessons(session, course) == []


def test_courses_are_listed_with_their_lessons_and_what_is_suggested(
    ids: dict[str, str], course: str, session: Session, query: Query
) -> None:
    first, gone, *others = ids.values()
    show(query, course, first, gone, others[0])
    pin(session, course, others[0])
    pin(session, course, others[1])
    query(
        "INSERT INTO wtl.courses (wtl_course_id, title, remote_deleted_at) VALUES "
        "('8', 'Anglický jazyk', now()), ('9', 'Žurnalistika', NULL)"
    )
    found, total = find_courses(session, "", limit=10)
    assert [(row.course.title, row.lessons, row.suggestions) for row in found] == [
        *(("Matematika", 2, 1), ("Žurnalistika", 0, 0)),
        ("Anglický jazyk", 0, 0),
    ]
    assert total == 3
    assert [row.course.wtl_course_id for row in find_courses(session, "anglicky", limit=10)[0]] == ["8"]
    assert find_courses(session, "", limit=1, offset=1) == ([found[1]], 3)


def test_a_course_or_lesson_is_found_by_its_id_or_none_is(
    ids: dict[str, str], course: str, session: Session
) -> None:
    of_lesson, of_course = one_lesson(session, ids["100"]), one_course(session, course)
    assert of_lesson is not None
    assert of_course is not None
    assert (of_lesson.title, of_course.title) == ("100", "Matematika")
    assert one_lesson(session, str(uuid4())) is None
    assert one_course(session, str(uuid4())) is None
