"""The tables, as SQLAlchemy Core knows them.

Schema names here are the project's own; the engine translates them to those of the settings. A test holds
this file against what the migrations make.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

__all__ = [
    "course_lessons",
    "course_users",
    "courses",
    "external_refs",
    "lessons",
    "metadata",
    "rejects",
    "remote_course_lessons",
    "streams",
    "users",
]

metadata = sa.MetaData()
_now = sa.text("now()")
_time = sa.DateTime(timezone=True)


def _id() -> sa.Column[object]:
    return sa.Column(
        "id",
        UUID(as_uuid=False),
        primary_key=True,
        server_default=sa.text("gen_random_uuid()"),
        comment="the row's own id; kept for ever",
    )


def _own_id(table: str) -> tuple[sa.Column[Any], sa.UniqueConstraint]:
    """That of a row which is found by what it joins."""
    column = sa.Column(
        "id",
        UUID(as_uuid=False),
        nullable=False,
        server_default=sa.text("gen_random_uuid()"),
        comment="the row's own id; kept for ever",
    )
    return column, sa.UniqueConstraint("id", name=f"{table}_id_key")


def _sync_columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("remote_deleted_at", _time, comment="since when it is missing upstream; null while it is there"),
        sa.Column("last_sync_at", _time, comment="last time a sync wrote this row; null for local rows"),
        sa.Column("created_at", _time, nullable=False, server_default=_now),
        sa.Column("updated_at", _time, nullable=False, server_default=_now),
    )


def _to(table: str, comment: str | None = None) -> sa.Column[object]:
    name = {"wtl.courses": "course_id", "wtl.lessons": "lesson_id", "wtl.users": "user_id"}[table]
    key = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(name, UUID(as_uuid=False), key, primary_key=True, comment=comment)


external_refs = sa.Table(
    "external_refs",
    metadata,
    sa.Column("system", sa.Text, primary_key=True, comment="the source instance: wtl, bakalari:<school>"),
    sa.Column("type", sa.Text, primary_key=True, comment="the entity: course, lesson, user"),
    sa.Column(
        "external_id", sa.Text(collation="C"), primary_key=True, comment="the upstream's id, exactly as sent"
    ),
    sa.Column("internal_id", UUID(as_uuid=False), nullable=False),
    sa.Column("version", sa.Text, comment="version of the mapper and of the record last written"),
    sa.Column("metadata", JSONB),
    sa.Column("created_at", _time, nullable=False, server_default=_now),
    sa.Column("updated_at", _time, nullable=False, server_default=_now),
    sa.Column("remote_deleted_at", _time),
    schema="sync",
)

streams = sa.Table(
    "streams",
    metadata,
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column(
        "origin", sa.Text, comment="the upstream's host; a run from another one is refused until this is null"
    ),
    sa.Column("checkpoint", JSONB),
    sa.Column("last_started_at", _time),
    sa.Column("last_complete_at", _time),
    sa.Column("last_report", JSONB),
    sa.Column("pages", JSONB, comment="digests of the pages of the last complete read; null: read everything"),
    schema="sync",
)

rejects = sa.Table(
    "rejects",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("external_id", sa.Text(collation="C"), nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("payload", JSONB, nullable=False),
    sa.Column("first_seen_at", _time, nullable=False, server_default=_now),
    sa.Column("last_seen_at", _time, nullable=False, server_default=_now),
    sa.Column("occurrences", sa.Integer, nullable=False, server_default=sa.text("1")),
    sa.Column("resolved_at", _time),
    sa.UniqueConstraint("system", "type", "external_id", name="rejects_key"),
    schema="sync",
)

courses = sa.Table(
    "courses",
    metadata,
    _id(),
    sa.Column("wtl_course_id", sa.String(255), nullable=False, comment="the platform's id of the training"),
    sa.Column("title", sa.String(500), nullable=False, comment="the training's name; owned by the sync"),
    sa.Column("description", sa.Text, comment="people's own"),
    sa.Column("status", sa.String(50), nullable=False, server_default="active", comment="people's own"),
    *_sync_columns(),
    sa.UniqueConstraint("wtl_course_id", name="courses_wtl_course_id_key"),
    schema="wtl",
)

lessons = sa.Table(
    "lessons",
    metadata,
    _id(),
    sa.Column(
        "wtl_lesson_id", sa.String(255), nullable=False, comment="the platform's id; local-… for lessons made here"
    ),
    sa.Column("title", sa.String(255), nullable=False, comment="the lesson's name; owned by the sync"),
    sa.Column("description", sa.Text, comment="people's own"),
    sa.Column("content", sa.Text, comment="people's own"),
    sa.Column("order_number", sa.Integer, comment="people's own; the platform's where it sent one first"),
    sa.Column("status", sa.String(50), nullable=False, server_default="active", comment="people's own"),
    *_sync_columns(),
    sa.UniqueConstraint("wtl_lesson_id", name="lessons_wtl_lesson_id_key"),
    schema="wtl",
)

users = sa.Table(
    "users",
    metadata,
    _id(),
    sa.Column("wtl_user_id", sa.String(255), nullable=False, comment="the platform's id of the user"),
    sa.Column("email", sa.String(255), nullable=False, comment="as the platform spells it; owned by the sync"),
    *_sync_columns(),
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
    *_sync_columns(),
    *_own_id("remote_course_lessons"),
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
    sa.Column("created_at", _time, nullable=False, server_default=_now),
    sa.Column("updated_at", _time, nullable=False, server_default=_now),
    sa.Index("course_lessons_position_idx", "course_id", "position"),
    schema="wtl",
    comment="the local mapping: people own it, no sync ever writes it",
)

course_users = sa.Table(
    "course_users",
    metadata,
    _to("wtl.courses", "wtl.courses.id"),
    _to("wtl.users", "wtl.users.id"),
    sa.Column("expires_at", _time, comment="null: for ever; of two possible hours the later"),
    sa.Column("expires_raw", sa.Text, comment="as the platform wrote it"),
    sa.Column(
        "active",
        sa.Boolean,
        nullable=False,
        server_default=sa.true(),
        comment="as of the last sync; the view's is as of now",
    ),
    *_sync_columns(),
    *_own_id("course_users"),
    sa.Index("course_users_user_id_idx", "user_id"),
    schema="wtl",
)
