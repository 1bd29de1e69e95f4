"""What the learners have done in each course: made of their rows with pandas, kept as a table, shown as a plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sync_pipelines.flows.database import open_database
from sync_pipelines.flows.spec import LocalRun, Shown
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.tables.learning import course_summary, lesson_progress
from sync_pipelines.postgres.tables.wtl import course_lessons, courses, lessons, remote_course_lessons
from sync_pipelines.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["show_summary", "summarise"]

_SHOWN = 200
_COLUMNS = ("lessons", "learners", "seen", "completed", "average_percent", "time_ms")

_local = sa.select(course_lessons.c.course_id, course_lessons.c.lesson_id)
_remote = sa.select(remote_course_lessons.c.course_id, remote_course_lessons.c.lesson_id).where(
    remote_course_lessons.c.remote_deleted_at.is_(None),
    remote_course_lessons.c.course_id.not_in(sa.select(course_lessons.c.course_id)),
)
#: The lessons of each course, by the rows' ids: people's own mapping where there is one.
_mapping = sa.union_all(_local, _remote).subquery()
# As texts: the id of a lesson that was made here is no number.
_of_lesson = lessons.c.wtl_lesson_id == sa.cast(lesson_progress.c.lesson_id, sa.Text)


def summarise(run: LocalRun) -> None:
    """Bring the summary of each living course up to date, and count what changed."""
    new = _summary(run.session)
    with run.session.transaction() as connection:
        query = sa.select(course_summary.c.course_id, *(course_summary.c[name] for name in _COLUMNS))
        known = {row[0]: tuple(row[1:]) for row in connection.execute(query)}
        changed = {course: values for course, values in new.items() if known.get(course) != values}
        gone = known.keys() - new.keys()
        if not run.plan:
            _write(connection, changed, gone)
    run.tally.created = len(new.keys() - known.keys())
    run.tally.updated = len(changed) - run.tally.created
    run.tally.skipped = len(new) - len(changed)
    run.tally.deleted = len(gone)
    run.tally.rows = len(new)
    run.tally.complete = True


def _write(connection: sa.Connection, changed: dict[str, tuple[Any, ...]], gone: set[str]) -> None:
    connection.execute(sa.delete(course_summary).where(course_summary.c.course_id.in_([*changed, *gone])))
    if changed:
        rows = [{"course_id": c, **dict(zip(_COLUMNS, values, strict=True))} for c, values in changed.items()]
        connection.execute(sa.insert(course_summary), rows)


def _summary(session: Session) -> dict[str, tuple[Any, ...]]:
    """By course, in the order of `_COLUMNS`."""
    import pandas as pd

    p = lesson_progress.c
    living = sa.select(courses.c.id.label("course_id")).where(courses.c.remote_deleted_at.is_(None))
    by_lesson = (
        sa.select(
            lessons.c.id.label("lesson_id"),
            sa.func.count().label("begun"),
            sa.func.count().filter(p.seen).label("seen"),
            sa.func.count().filter(p.completed).label("completed"),
            sa.func.sum(p.percent).label("percent"),
            sa.func.sum(p.time_ms).label("time_ms"),
        )
        .join_from(lesson_progress, lessons, _of_lesson)
        .group_by(lessons.c.id)
    )
    by_course = (
        sa.select(_mapping.c.course_id, sa.func.count(p.user_id.distinct()).label("learners"))
        .join_from(_mapping, lessons, lessons.c.id == _mapping.c.lesson_id)
        .join(lesson_progress, _of_lesson)
        .group_by(_mapping.c.course_id)
    )
    with session.transaction() as connection:
        frames = [
            pd.DataFrame(
                connection.execute(query).all(), columns=list(query.selected_columns.keys()), dtype=object
            )
            for query in (living, sa.select(_mapping), by_lesson, by_course)
        ]
    return _joined(*frames)


def _joined(
    living: pd.DataFrame, mapping: pd.DataFrame, by_lesson: pd.DataFrame, by_course: pd.DataFrame
) -> dict[str, tuple[Any, ...]]:
    """A course without lessons, and a lesson that nobody has begun, count as nothing; integers stay exact."""
    counted = ["begun", "seen", "completed", "percent", "time_ms"]
    rows = living.merge(mapping, how="left", on="course_id").merge(by_lesson, how="left", on="lesson_id")
    rows[counted] = rows[counted].astype(object).where(rows[counted].notna(), 0)
    sums = rows.groupby("course_id").agg({"lesson_id": "count", **dict.fromkeys(counted, "sum")})
    by_id: dict[str, Any] = sums.to_dict("index")
    learners = dict(zip(by_course["course_id"], by_course["learners"], strict=True))
    return {
        course: (
            int(row["lesson_id"]),
            int(learners.get(course, 0)),
            int(row["seen"]),
            int(row["completed"]),
            float(row["percent"]) / int(row["begun"]) if row["begun"] else None,
            int(row["time_ms"]),
        )
        for course, row in by_id.items()
    }


def show_summary(settings: Settings) -> Shown:
    """The courses that most learners have begun, as rows and as a picture."""
    from sync_pipelines.flows.progress import picture

    query = (
        sa.select(courses.c.title, *(course_summary.c[name] for name in _COLUMNS))
        .join_from(course_summary, courses, courses.c.id == course_summary.c.course_id)
        .order_by(course_summary.c.learners.desc(), courses.c.title)
        .limit(_SHOWN)
    )
    with open_database(settings, "course summary").session() as session, session.transaction() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    return Shown([_readable(row) for row in rows], picture.markdown(rows))


def _readable(row: dict[str, Any]) -> dict[str, str | int | float | None]:
    average, hours = row["average_percent"], float(row["time_ms"]) / 3_600_000
    return {
        "course": row["title"],
        "lessons": row["lessons"],
        "learners": row["learners"],
        "seen": row["seen"],
        "completed": row["completed"],
        "average percent": None if average is None else round(average, 1),
        "hours": round(hours, 2),
    }
