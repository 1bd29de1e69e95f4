"""Which lessons a course has, and in what order: what people change of wtl.course_lessons.

Each change is an intent, made in one transaction that no other of the same course overlaps. To say it again is
harmless, and what another has changed meanwhile stays. `mapping_lists` shows it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.tables.wtl import course_lessons, courses, lessons, remote_course_lessons

__all__ = ["IN_ORDER", "Done", "accept_suggestions", "move", "pin", "set_required", "suggestions_of", "unpin"]

_t = course_lessons.c
#: Of two at the same position, which only SQL by hand can make, always the same one comes first.
IN_ORDER = (_t.position, _t.created_at, _t.lesson_id)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an intent, and where the lesson is: of one that was taken out, where it was.

    `position` counts from 0, and is None where the course does not have the lesson; `lessons` is how many it has.
    `following` is the lesson after it. `displaced`: the lesson that it was to stand before is no longer there, and
    so it stands at the end.
    """

    changed: bool
    lessons: int
    position: int | None = None
    following: str | None = None
    required: bool = False
    displaced: bool = False


def pin(
    session: Session, course: str, lesson: str, before: str | None = None, *, required: bool = False
) -> Done | None:
    """Put a lesson into a course, before another of its lessons or at the end. One that is there stays as it is.

    None where there is no such course or lesson; so are all intents.
    """
    with _changing(session, course, lesson) as mapping:
        if mapping is None:
            return None
        if lesson in mapping.order:
            return mapping.done(lesson, changed=False)
        displaced = mapping.put(lesson, before)
        mapping.required[lesson] = required
        return mapping.done(lesson, changed=True, displaced=displaced)


def move(session: Session, course: str, lesson: str, before: str | None = None) -> Done | None:
    """Have a lesson of the course stand before another of its lessons, or at the end."""
    with _changing(session, course, lesson) as mapping:
        if mapping is None:
            return None
        if lesson not in mapping.order or lesson == before:
            return mapping.done(lesson, changed=False)
        was = mapping.order.copy()
        mapping.order.remove(lesson)
        displaced = mapping.put(lesson, before)
        return mapping.done(lesson, changed=mapping.order != was, displaced=displaced)


def set_required(session: Session, course: str, lesson: str, required: bool) -> Done | None:
    """Say whether the course requires the lesson."""
    with _changing(session, course, lesson) as mapping:
        if mapping is None:
            return None
        changed = mapping.required.get(lesson, required) != required
        if changed:
            mapping.required[lesson] = required
        return mapping.done(lesson, changed=changed)


def unpin(session: Session, course: str, lesson: str) -> Done | None:
    """Take a lesson out of the course. `pin` with what this gives puts it back as it was."""
    with _changing(session, course, lesson) as mapping:
        if mapping is None:
            return None
        was = mapping.done(lesson, changed=False)
        if was.position is None:
            return was
        mapping.order.remove(lesson)
        return Done(True, len(mapping.order), was.position, was.following, was.required)


def accept_suggestions(session: Session, course: str) -> int | None:
    """Put at the end, in the platform's order, what it shows the course with and the course does not have yet.

    Gives how many these are, or None where there is no such course.
    """
    with _changing(session, course) as mapping:
        if mapping is None:
            return None
        suggested = list(session.connection.scalars(suggestions_of(course, lessons.c.id)))
        for lesson in suggested:
            mapping.put(lesson, None)
            mapping.required[lesson] = False
        return len(suggested)


def suggestions_of(course: str, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """The lessons, living ones, that the platform shows the course with and the course does not have yet."""
    remote = remote_course_lessons.c
    has = sa.select(_t.lesson_id).where(_t.course_id == course)
    return (
        sa.select(*columns)
        .join_from(lessons, remote_course_lessons, remote.lesson_id == lessons.c.id)
        .where(remote.course_id == course, remote.remote_deleted_at.is_(None))
        .where(lessons.c.remote_deleted_at.is_(None), lessons.c.id.not_in(has))
        .order_by(remote.position.nulls_last(), lessons.c.title, lessons.c.id)
    )


@dataclass(slots=True)
class _Mapping:
    """A course's lessons in their order, by id, and which of them are required."""

    order: list[str]
    required: dict[str, bool]

    def put(self, lesson: str, before: str | None) -> bool:
        """Whether it had to be the end, because the other lesson is not there."""
        there = before in self.order
        self.order.insert(self.order.index(before) if before and there else len(self.order), lesson)
        return before is not None and not there

    def done(self, lesson: str, *, changed: bool, displaced: bool = False) -> Done:
        """How the lesson stands now."""
        if lesson not in self.order:
            return Done(False, len(self.order))
        position = self.order.index(lesson)
        following = self.order[position + 1] if position + 1 < len(self.order) else None
        return Done(changed, len(self.order), position, following, self.required[lesson], displaced)


@contextmanager
def _changing(session: Session, course: str, lesson: str | None = None) -> Generator[_Mapping | None, None, None]:
    """The course's mapping, which nobody else changes meanwhile; what is made of it is written at the end.

    None where there is no such course, or no such lesson.
    """
    with session.transaction() as connection:
        # Not the course's row, which a sync may hold for as long as it writes a batch.
        lock = sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(f"wtl.course_lessons {course}", 0))
        connection.execute(sa.select(lock))
        if not (_is_there(connection, courses, course) and (not lesson or _is_there(connection, lessons, lesson))):
            yield None
            return
        query = sa.select(_t.lesson_id, _t.position, _t.required).where(_t.course_id == course)
        stored = {row[0]: (row[1], row[2]) for row in connection.execute(query.order_by(*IN_ORDER))}
        mapping = _Mapping([*stored], {identity: required for identity, (_, required) in stored.items()})
        yield mapping
        _write(connection, course, stored, mapping)


def _is_there(connection: sa.Connection, table: sa.Table, identity: str) -> bool:
    return bool(connection.scalar(sa.select(sa.exists().where(table.c.id == identity))))


def _write(connection: sa.Connection, course: str, stored: dict[str, tuple[int, bool]], mapping: _Mapping) -> None:
    """Bring the rows to it: those that differ, and no other."""
    gone = stored.keys() - set(mapping.order)
    if gone:
        connection.execute(sa.delete(course_lessons).where(_t.course_id == course, _t.lesson_id.in_(gone)))
    rows = [
        {"course_id": course, "lesson_id": lesson, "position": position, "required": mapping.required[lesson]}
        for position, lesson in enumerate(mapping.order)
        if stored.get(lesson) != (position, mapping.required[lesson])
    ]
    if rows:
        statement = insert(course_lessons)
        new = statement.excluded
        changed = {"position": new.position, "required": new.required, "updated_at": sa.func.now()}
        key = ["course_id", "lesson_id"]
        connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), rows)
