"""WebToLearn's tables, in schema wtl."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from sync_pipelines.postgres.tables.columns import TIME, metadata, now, own_id, row_id, sync_columns

__all__ = ["course_lessons", "course_users", "courses", "lessons", "remote_course_lessons", "users"]


def _to(table: str, comment: str | None = None) -> sa.Column[object]:
    name = {"wtl.courses": "course_id", "wtl.lessons": "lesson_id", "wtl.users": "user_id"}[table]
    key = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(name, UUID(as_uuid=False), key, primary_key=True, comment=comment)


courses = sa.Table(
    "courses",
    metadata,
    row_id(),
    sa.Column("wtl_course_id", sa.String(255), nullable=False, comment="the platform's id of the training"),
    sa.Column("title", sa.String(500), nullable=False, comment="the training's name; owned by the sync"),
    sa.Column("description", sa.Text, comment="people's own"),
    sa.Column("status", sa.String(50), nullable=False, server_default="active", comment="people's own"),
    *sync_columns(),
    sa.UniqueConstraint("wtl_course_id", name="courses_wtl_course_id_key"),
    schema="wtl",
)

lessons = sa.Table(
    "lessons",
    metadata,
    row_id(),
    sa.Column(
        "wtl_lesson_id", sa.String(255), nullable=False, comment="the platform's id; local-… for lessons made here"
    ),
    sa.Column("title", sa.String(255), nullable=False, comment="the lesson's name; owned by the sync"),
    sa.Column("description", sa.Text, comment="people's own"),
    sa.Column("content", sa.Text, comment="people's own"),
    sa.Column("order_number", sa.Integer, comment="people's own; the platform's where it sent one first"),
    sa.Column("status", sa.String(50), nullable=False, server_default="active", comment="people's own"),
    *sync_columns(),
    sa.UniqueConstraint("wtl_lesson_id", name="lessons_wtl_lesson_id_key"),
    schema="wtl",
)

users = sa.Table(
    "users",
    metadata,
    row_id(),
    sa.Column("wtl_user_id", sa.String(255), nullable=False, comment="the platform's id of the user"),
    sa.Column("email", sa.String(255), nullable=False, comment="as the platform spells it; owned by the sync"),
    *sync_columns(),
    sa.UniqueConstraint("wtl_user_id", name="users_wtl_user_id_key"),
    sa.Index("users_email_idx", "email"),
    schema="wtl",
)

remote_course_lessons = sa.Table(
    "remote_course_lessons",
    metadata,
    _to("wtl.courses", "wtl.courses.id"),
    _to("wtl.lessons", "wtl.lessons.id"),
    sa.Column("position", sa.Integer, comment="null: the platform shows no order"),
    *sync_columns(),
    *own_id("remote_course_lessons"),
    sa.Index("remote_course_lessons_lesson_id_idx", "lesson_id"),
    schema="wtl",
    comment="which lessons a course has on the platform, where it shows that; owned by the sync",
)

course_lessons = sa.Table(
    "course_lessons",
    metadata,
    _to("wtl.courses"),
    _to("wtl.lessons"),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("required", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("created_at", TIME, nullable=False, server_default=now),
    sa.Column("updated_at", TIME, nullable=False, server_default=now),
    sa.Index("course_lessons_position_idx", "course_id", "position"),
    schema="wtl",
    comment="the local mapping: people own it, no sync ever writes it",
)

course_users = sa.Table(
    "course_users",
    metadata,
    _to("wtl.courses", "wtl.courses.id"),
    _to("wtl.users", "wtl.users.id"),
    sa.Column("expires_at", TIME, comment="null: for ever; of two possible hours the later"),
    sa.Column("expires_raw", sa.Text, comment="as the platform wrote it"),
    sa.Column(
        "active",
        sa.Boolean,
        nullable=False,
        server_default=sa.true(),
        comment="as of the last sync; the view's is as of now",
    ),
    *sync_columns(),
    *own_id("course_users"),
    sa.Index("course_users_user_id_idx", "user_id"),
    schema="wtl",
)
