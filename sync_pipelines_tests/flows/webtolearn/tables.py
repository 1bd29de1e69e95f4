"""What the tables show, and every row that is in them: for tests to compare."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sync_pipelines_tests.conftest import plain_rows

__all__ = ["EVERY_TABLE", "LISTED", "Tables"]

#: Of each list: the column of its key, that of its text, and what the platform calls the text.
LISTED = {
    "courses": ("wtl_course_id", "title", "name"),
    "lessons": ("wtl_lesson_id", "title", "name"),
    "users": ("wtl_user_id", "email", "email"),
}
_TABLES = (*(f"wtl.{name}" for name in LISTED), "wtl.course_users", "wtl.remote_course_lessons")
_OURS = (*_TABLES, "sync.external_refs", "sync.rejects")
EVERY_TABLE = ", ".join((*_OURS, "wtl.course_lessons", "sync.streams"))


class Tables:
    """A database's, over a connection that commits each statement."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def query(self, statement: str, **parameters: Any) -> list[Any]:
        return plain_rows(self._connection.execute(sa.text(statement), parameters))

    def held(self) -> dict[str, dict[str, str]]:
        """What wtl.courses, lessons and users show."""
        return {
            name: dict(self.query(f"SELECT {key}, {text} FROM wtl.{name}_current WHERE {key} NOT LIKE 'local-%'"))
            for name, (key, text, _) in LISTED.items()
        }

    def grants(self) -> dict[tuple[str, str], tuple[datetime | None, str]]:
        """What wtl.course_users shows, of courses that are there."""
        rows = self.query(
            "SELECT g.wtl_course_id, wtl_user_id, expires_at, expires_raw FROM wtl.course_users_current g "
            "JOIN wtl.courses_current c ON c.id = g.course_id"
        )
        return {(course, user): (at, raw) for course, user, at, raw in rows}

    def places(self) -> dict[tuple[str, str], int]:
        """What wtl.remote_course_lessons shows, of courses that are there."""
        rows = self.query(
            "SELECT p.wtl_course_id, wtl_lesson_id, position FROM wtl.remote_course_lessons_current p "
            "JOIN wtl.courses_current c ON c.id = p.course_id"
        )
        return {(course, lesson): position for course, lesson, position in rows}

    def marked(self, *names: str) -> set[str]:
        """Rows that are marked as vanished, by table and id: "courses 7"."""
        found = set[str]()
        for name in names or LISTED:
            key = LISTED[name][0]
            found |= {
                f"{name} {row}"
                for row in self.query(f"SELECT {key} FROM wtl.{name} WHERE remote_deleted_at IS NOT NULL")
            }
        return found

    def closed(self) -> set[tuple[str, str]]:
        """Course and user of the grants that are marked."""
        return set(
            self.query(
                "SELECT wtl_course_id, wtl_user_id FROM wtl.course_users g "
                "JOIN wtl.courses c ON c.id = g.course_id "
                "JOIN wtl.users u ON u.id = g.user_id WHERE g.remote_deleted_at IS NOT NULL"
            )
        )

    def rejects(self) -> dict[str, tuple[str, str, Any]]:
        """Stage, error and payload of the open ones, by system and id: "wtl:course 7"."""
        rows = self.query(
            "SELECT system || ':' || type || ' ' || external_id, stage, error, payload FROM sync.rejects "
            "WHERE resolved_at IS NULL"
        )
        return {key: (stage, error, payload) for key, stage, error, payload in rows}

    # --- people -------------------------------------------------------------------------------------------

    def people_work(self) -> None:
        """What people do to the tables. No sync may change any of it."""
        for statement in (
            "UPDATE wtl.courses SET status = 'inactive', description = 'ours ' || wtl_course_id",
            "UPDATE wtl.lessons SET status = 'inactive', description = 'ours', content = 'o', order_number = 1000",
            "INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('local-1', 'Ours'), ('local-2', 'Ours')",
            (
                "INSERT INTO wtl.course_lessons (course_id, lesson_id, position, required) "
                "SELECT c.id, l.id, length(l.title), true FROM wtl.courses c CROSS JOIN wtl.lessons l"
            ),
        ):
            self.query(statement)

    def work_of_people(self) -> list[list[Any]]:
        """All of that: their mapping and their lessons as they stand, and their columns of other rows."""
        own = "SELECT id, description, status, created_at"
        return [
            self.query(statement)
            for statement in (
                "SELECT *, xmin::text, ctid::text FROM wtl.course_lessons ORDER BY 1, 2",
                "SELECT *, xmin::text, ctid::text FROM wtl.lessons WHERE wtl_lesson_id LIKE 'local-%' ORDER BY 2",
                f"{own} FROM wtl.courses WHERE description IS NOT NULL ORDER BY id",
                f"{own}, content, order_number FROM wtl.lessons WHERE content IS NOT NULL ORDER BY id",
            )
        ]

    def everything(self) -> dict[str, list[Any]]:
        """Every row a sync could write, with the transaction that wrote it and its place."""
        return {
            table: self.query(f"SELECT xmin::text, ctid::text, t::text FROM {table} t ORDER BY 2")
            for table in _OURS
        }
