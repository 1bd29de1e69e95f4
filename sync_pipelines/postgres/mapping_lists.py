"""Courses and lessons as people who map them see them. Nothing is written here: `mapping` does."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.mapping import IN_ORDER, suggestions_of
from sync_pipelines.postgres.tables.wtl import course_lessons, courses, lessons, remote_course_lessons

__all__ = [
    "Course",
    "CourseRow",
    "Lesson",
    "MappedLesson",
    "find_courses",
    "find_lessons",
    "mapped_lessons",
    "one_course",
    "one_lesson",
    "suggested_lessons",
]

# Letters of Latin script with a mark, and ł, each with its plain one: who searches types neither háček nor kreska.
_PLAIN = {
    letter: plain.lower()
    for letter in map(chr, range(0xC0, 0x180))
    if (plain := unicodedata.normalize("NFD", letter)[0]).isascii() and plain.isalpha()
} | {"ł": "l", "Ł": "l"}
_SPELLINGS = {plain: "".join(letter for letter in _PLAIN if _PLAIN[letter] == plain) for plain in _PLAIN.values()}
# Those of Czech, Polish and Slovak, to sort by: each one more costs a while, of thousands of titles.
_SORTED = "áäąčćďéěęíĺľłňńóôřŕšśťúůýžźż"


@dataclass(frozen=True, slots=True)
class Course:
    """`id` is our row's, `wtl_course_id` the platform's. It vanished there at `remote_deleted_at`, if it did."""

    id: str
    wtl_course_id: str
    title: str
    remote_deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class CourseRow:
    """A course, how many lessons it has, and how many more the platform shows it with."""

    course: Course
    lessons: int
    suggestions: int


@dataclass(frozen=True, slots=True)
class Lesson:
    """As Course; the platform's id of a lesson that people made here is local-…."""

    id: str
    wtl_lesson_id: str
    title: str
    remote_deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class MappedLesson:
    """A lesson of a course."""

    lesson: Lesson
    required: bool


_COURSE = (courses.c.id, courses.c.wtl_course_id, courses.c.title, courses.c.remote_deleted_at)
_LESSON = (lessons.c.id, lessons.c.wtl_lesson_id, lessons.c.title, lessons.c.remote_deleted_at)


def find_courses(session: Session, search: str, *, limit: int, offset: int = 0) -> tuple[list[CourseRow], int]:
    """Some of the courses that a search finds, by title, vanished ones last; and how many it finds."""
    found = _found(search, courses.c.title, courses.c.wtl_course_id)
    c, m, r = courses.c, course_lessons.c, remote_course_lessons.c
    shown = (
        sa.select(courses)
        .where(found)
        .order_by(c.remote_deleted_at.is_not(None), _natural(c.title), c.title, c.id)
        .limit(limit)
        .offset(offset)
        .subquery()
    )
    count = sa.select(sa.func.count())
    of_course = count.where(m.course_id == shown.c.id).scalar_subquery().label("lessons")
    waiting = (
        count.select_from(remote_course_lessons.join(lessons, lessons.c.id == r.lesson_id))
        .where(r.course_id == shown.c.id, r.remote_deleted_at.is_(None), lessons.c.remote_deleted_at.is_(None))
        .where(~sa.exists().where(m.course_id == r.course_id, m.lesson_id == r.lesson_id))
        .scalar_subquery()
        .label("suggestions")
    )
    order = (shown.c.remote_deleted_at.is_not(None), _natural(shown.c.title), shown.c.title, shown.c.id)
    query = sa.select(*(shown.c[column.name] for column in _COURSE), of_course, waiting).order_by(*order)
    with session.transaction() as connection:
        total = connection.scalar(sa.select(sa.func.count()).select_from(courses).where(found)) or 0
        rows: Sequence[Any] = connection.execute(query).all()
        return [CourseRow(Course(*row[:4]), row.lessons, row.suggestions) for row in rows], total


def one_course(session: Session, course: str) -> Course | None:
    """The course with this id."""
    with session.transaction() as connection:
        row = connection.execute(sa.select(*_COURSE).where(courses.c.id == course)).first()
    return None if row is None else Course(*row)


def one_lesson(session: Session, lesson: str) -> Lesson | None:
    """The lesson with this id."""
    with session.transaction() as connection:
        row = connection.execute(sa.select(*_LESSON).where(lessons.c.id == lesson)).first()
    return None if row is None else Lesson(*row)


def mapped_lessons(session: Session, course: str) -> list[MappedLesson]:
    """The lessons of a course, in their order."""
    m = course_lessons.c
    query = (
        sa.select(*_LESSON, m.required)
        .join_from(course_lessons, lessons, lessons.c.id == m.lesson_id)
        .where(m.course_id == course)
        .order_by(*IN_ORDER)
    )
    with session.transaction() as connection:
        return [MappedLesson(Lesson(*row[:4]), row[4]) for row in connection.execute(query)]


def suggested_lessons(session: Session, course: str) -> list[Lesson]:
    """The lessons that the platform shows the course with and the course does not have yet, in its order."""
    with session.transaction() as connection:
        return [Lesson(*row) for row in connection.execute(suggestions_of(course, *_LESSON))]


def find_lessons(
    session: Session, course: str, search: str, *, limit: int, offset: int = 0
) -> tuple[list[Lesson], int]:
    """Some of the lessons that a search finds and the course does not have, by title, vanished ones last; and how
    many it finds. What is suggested is left out, unless it is searched for."""
    c, m = lessons.c, course_lessons.c
    where: list[sa.ColumnElement[bool]] = [c.id.not_in(sa.select(m.lesson_id).where(m.course_id == course))]
    if words := search.split():
        where.append(_found(search, c.title, c.wtl_lesson_id))
    else:
        where.append(c.id.not_in(suggestions_of(course, c.id).order_by(None)))
    exact = [c.wtl_lesson_id != words[0]] if len(words) == 1 else []
    order = (*exact, c.remote_deleted_at.is_not(None), _natural(c.title), c.title, c.id)
    with session.transaction() as connection:
        total = connection.scalar(sa.select(sa.func.count()).select_from(lessons).where(*where)) or 0
        rows = connection.execute(sa.select(*_LESSON).where(*where).order_by(*order).limit(limit).offset(offset))
        return [Lesson(*row) for row in rows], total


def _found(search: str, title: sa.ColumnElement[Any], identity: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Every word is in the title, or the search is the beginning of the id. Without a word, all are found."""
    words = unicodedata.normalize("NFC", search).split()
    if not words:
        return sa.true()
    in_title = (title.regexp_match("".join(map(_spelled, word))) for word in words)
    return sa.or_(sa.and_(*in_title), identity.startswith(search.strip(), autoescape=True))


def _spelled(letter: str) -> str:
    """A pattern: the letter in either case, with a mark or without."""
    if not letter.isalpha():
        return re.escape(letter)
    plain = _PLAIN.get(letter, letter.lower())
    return f"[{letter}{letter.swapcase()}{plain}{plain.upper()}{_SPELLINGS.get(plain, '')}]"


def _natural(title: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """To sort by: "Lesson 9" comes before "Lesson 10", since each number is as long as the others."""
    plain = sa.func.translate(sa.func.lower(title), _SORTED, "".join(_PLAIN[letter] for letter in _SORTED))
    longer = sa.func.regexp_replace(plain, r"(\d+)", r"000000000\1", "g")
    return sa.func.regexp_replace(longer, r"\d*(\d{10})", r"\1", "g")
