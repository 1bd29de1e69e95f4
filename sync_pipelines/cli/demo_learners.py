"""The demo's learners: which lessons a course has, as people would say, and what devices did there offline."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from sync_pipelines.flows.database import open_database
from sync_pipelines.flows.progress.inbox import Inbox
from sync_pipelines.postgres.tables.learning import progress_imports
from sync_pipelines.postgres.tables.wtl import course_lessons, courses, lessons
from sync_pipelines.progress.wire import stamp
from sync_pipelines.settings import Settings

__all__ = ["invent_learners"]

_LEARNERS = 60
_DEVICES = ("phone", "tablet")
_SEED = 1


def invent_learners(settings: Settings) -> None:
    """Map lessons to courses and drop state files into the inbox, where the database holds neither yet."""
    inbox = Inbox.of(settings)
    inbox.make()
    with open_database(settings, "demo").session() as session, session.transaction() as connection:
        if not _holds(connection, course_lessons):
            _map_lessons(connection)
        if _holds(connection, progress_imports):
            return
        mapped = _mapped(connection)
    for learner, device, said in _devices(mapped):
        folder = inbox.folder / learner
        folder.mkdir(exist_ok=True)
        state = {"schema_version": 1, "device_id": f"{learner}-{device}", "lessons": said, "pending": [*said]}
        unfinished = folder / f"{device}.json.part"
        unfinished.write_text(json.dumps(state), "utf-8")
        unfinished.rename(folder / f"{device}.json")


def _holds(connection: sa.Connection, table: sa.Table) -> bool:
    return bool(connection.scalar(sa.select(sa.exists(sa.select(table)))))


def _map_lessons(connection: sa.Connection) -> None:
    """Give each course as many lessons as the others, and those that lie together."""
    of_courses, of_lessons = (
        connection.scalars(
            sa.select(table.c.id).where(table.c.remote_deleted_at.is_(None)).order_by(sa.func.length(name), name)
        ).all()
        for table, name in ((courses, courses.c.wtl_course_id), (lessons, lessons.c.wtl_lesson_id))
    )
    each = len(of_lessons) // max(len(of_courses), 1)
    rows = [
        {"course_id": course, "lesson_id": lesson, "position": position}
        for place, course in enumerate(of_courses)
        for position, lesson in enumerate(of_lessons[place * each : (place + 1) * each])
    ]
    if rows:
        connection.execute(sa.insert(course_lessons), rows)


def _mapped(connection: sa.Connection) -> list[list[str]]:
    """The lessons of each course, in their order, by the platform's ids."""
    m, of_course = course_lessons.c, sa.func.array_agg(sa.text("wtl_lesson_id ORDER BY position"))
    query = (
        sa.select(of_course)
        .join_from(course_lessons, lessons, lessons.c.id == m.lesson_id)
        .join(courses, courses.c.id == m.course_id)
        .group_by(courses.c.wtl_course_id)
        .order_by(sa.func.length(courses.c.wtl_course_id), courses.c.wtl_course_id)
    )
    return [list(of_course) for of_course in connection.scalars(query)]


def _devices(mapped: list[list[str]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each learner reads some courses from their beginning, the first ones more than the last, on two devices."""
    chance = random.Random(_SEED)  # noqa: S311
    easy = [chance.uniform(0.1, 0.9) for _ in mapped]
    now = datetime.now(UTC)
    for number in range(1, _LEARNERS + 1):
        said: dict[str, dict[str, Any]] = {device: {} for device in _DEVICES}
        for place, of_course in enumerate(mapped):
            if chance.random() > 1 / (1 + place / 4):
                continue
            for lesson in of_course[: chance.randint(1, len(of_course))]:
                said[chance.choice(_DEVICES)][lesson] = _lesson(chance, easy[place], now)
        yield from ((f"learner-{number:03}", device, its) for device, its in said.items() if its)


def _lesson(chance: random.Random, easy: float, now: datetime) -> dict[str, Any]:
    percent = 100 if chance.random() < easy else chance.randint(5, 95)
    at = stamp(now - timedelta(minutes=chance.randint(10, 60 * 24 * 20)))
    return {
        "seen": True,
        "completed": percent == 100,
        "percent": percent,
        "time_ms": chance.randint(30, 1500) * 1000,
        "score_best": percent if percent > 60 else None,
        "score_last": percent if percent > 60 else None,
        "updated_at": at,
        "last_seen_at": at,
    }
