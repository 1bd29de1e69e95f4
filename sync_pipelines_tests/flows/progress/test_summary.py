"""The summary says of each course what its learners' rows say, and nothing of others'."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.flows.progress import COURSE_SUMMARY
from sync_pipelines.flows.progress.summary import show_summary
from sync_pipelines.flows.runner import Runner
from sync_pipelines.settings import Settings

Query = Callable[..., list[Any]]
COURSES = {name: str(uuid.UUID(int=number)) for number, name in enumerate(("one", "two", "three", "gone"), 1)}
NUMBERED = range(1, 7)
LESSON_IDS = {str(n): str(uuid.UUID(int=100 + n)) for n in NUMBERED} | {"local-1": str(uuid.UUID(int=200))}

subsets = st.dictionaries(st.sampled_from(list(COURSES)), st.sets(st.sampled_from(list(LESSON_IDS))))
progress = st.dictionaries(
    st.tuples(st.sampled_from(["anna", "bruno", "cyril"]), st.sampled_from([*NUMBERED, 99])),
    st.tuples(st.booleans(), st.booleans(), st.integers(0, 100), st.integers(0, 2**63 - 1)),
)


@pytest.fixture
def made(query: Query, progress_settings: Settings) -> Settings:
    for name, identity in COURSES.items():
        query(
            "INSERT INTO wtl.courses (id, wtl_course_id, title, remote_deleted_at) "
            "VALUES (:id, :name, :name, :at)",
            id=identity,
            name=name,
            at="2026-01-01T00:00Z" if name == "gone" else None,
        )
    for name, identity in LESSON_IDS.items():
        query(
            "INSERT INTO wtl.lessons (id, wtl_lesson_id, title) VALUES (:id, :name, 't')", id=identity, name=name
        )
    return progress_settings


def fill(query: Query, local: Mapping[str, Any], remote: Mapping[str, Any], rows: Mapping[Any, Any]) -> None:
    query("TRUNCATE wtl.course_lessons, wtl.remote_course_lessons, learning.lesson_progress")
    for table, mapping in (("course_lessons", local), ("remote_course_lessons", remote)):
        for course, lessons in mapping.items():
            for place, lesson in enumerate(sorted(lessons)):
                query(
                    f"INSERT INTO wtl.{table} (course_id, lesson_id, position) VALUES (:course, :lesson, :place)",
                    course=COURSES[course],
                    lesson=LESSON_IDS[lesson],
                    place=place,
                )
    for (user, lesson), (seen, completed, percent, time_ms) in rows.items():
        query(
            "INSERT INTO learning.lesson_progress "
            "(user_id, lesson_id, seen, completed, percent, time_ms, updated_at) "
            "VALUES (:user, :lesson, :seen, :completed, :percent, :time, now())",
            user=user, lesson=lesson, seen=seen, completed=completed, percent=percent, time=time_ms,
        )  # fmt: skip


def expected(local: Mapping[str, Any], remote: Mapping[str, Any], rows: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for course in COURSES.keys() - {"gone"}:
        lessons = local.get(course) or remote.get(course, set())
        mine = {key: row for key, row in rows.items() if str(key[1]) in lessons}
        percents = [row[2] for row in mine.values()]
        found[COURSES[course]] = (
            len(lessons),
            len({user for user, _ in mine}),
            sum(row[0] for row in mine.values()),
            sum(row[1] for row in mine.values()),
            sum(percents) / len(percents) if percents else None,
            sum(row[3] for row in mine.values()),
        )
    return found


def stored(query: Query) -> dict[str, Any]:
    rows = query(
        "SELECT course_id::text, lessons, learners, seen, completed, average_percent, time_ms "
        "FROM learning.course_summary"
    )
    return {row[0]: tuple(row[1:]) for row in rows}


@given(st.lists(st.tuples(subsets, subsets, progress), min_size=1, max_size=2))
@settings(max_examples=25)
def test_a_course_is_what_the_rows_of_its_lessons_say(made: Settings, query: Query, states: list[Any]) -> None:
    query("TRUNCATE learning.course_summary")
    before: dict[str, Any] = {}
    for local, remote, rows in states:
        fill(query, local, remote, rows)
        report = Runner(made).run(COURSE_SUMMARY)
        there = stored(query)
        assert there == expected(local, remote, rows)
        changed = [course for course in there if there[course] != before.get(course)]
        assert (report.created, report.updated) == (3 if not before else 0, len(changed) if before else 0)
        assert (report.fetched, report.rows, report.complete) == (3, 3, True)
        before = there


def test_what_is_as_it_was_is_not_written_and_a_plan_writes_nothing(made: Settings, query: Query) -> None:
    rows = {("anna", 1): (True, True, 100, 60_000), ("bruno", 1): (True, False, 50, 30_000)}
    fill(query, {"one": {"1", "2", "local-1"}}, {"two": {"2"}}, rows)
    assert Runner(made).plan(COURSE_SUMMARY).created == 3
    assert stored(query) == {}
    Runner(made).run(COURSE_SUMMARY)
    before = query("SELECT xmin::text FROM learning.course_summary ORDER BY 1")
    assert Runner(made).run(COURSE_SUMMARY).skipped == 3
    assert query("SELECT xmin::text FROM learning.course_summary ORDER BY 1") == before


def test_a_course_that_is_gone_upstream_is_left_out(made: Settings, query: Query) -> None:
    fill(query, {}, {}, {})
    Runner(made).run(COURSE_SUMMARY)
    query("UPDATE wtl.courses SET remote_deleted_at = now() WHERE wtl_course_id = 'one'")
    assert Runner(made).run(COURSE_SUMMARY).deleted == 1
    assert COURSES["one"] not in stored(query)


def test_people_see_rows_and_a_picture_even_where_nobody_has_begun(made: Settings, query: Query) -> None:
    fill(query, {"one": {"1"}}, {}, {})
    for rows in ({}, {("anna", 1): (True, False, 33, 5_400_000)}):
        fill(query, {"one": {"1"}}, {}, rows)
        Runner(made).run(COURSE_SUMMARY)
        shown = show_summary(made)
        assert "](data:image/png;base64," in shown.markdown
        assert {row["course"] for row in shown.rows} == {"one", "two", "three"}
    first = shown.rows[0]
    assert (first["course"], first["learners"], first["average percent"], first["hours"]) == ("one", 1, 33.0, 1.5)
