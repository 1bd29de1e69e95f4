"""Engine state (schema sync), WebToLearn's tables and views (schema wtl).

Revision ID: 0001
Revises:
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _time(name: str, **options: object) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)  # pyright: ignore[reportArgumentType]


def _written() -> list[sa.Column[Any]]:
    return [
        _time("created_at", nullable=False, server_default=sa.text("now()")),
        _time("updated_at", nullable=False, server_default=sa.text("now()")),
    ]


def _sync_columns() -> list[sa.Column[Any]]:
    return [
        _time("remote_deleted_at", comment="since when it is missing upstream; null while it is there"),
        _time("last_sync_at", comment="last time a sync wrote this row; null for local rows"),
        *_written(),
    ]


def _id() -> sa.Column[Any]:
    return sa.Column(
        "id",
        UUID(as_uuid=False),
        primary_key=True,
        server_default=sa.text("gen_random_uuid()"),
        comment="the row's own id; kept for ever",
    )


def _to(table: str, column: str) -> sa.Column[Any]:
    return sa.Column(
        column, UUID(as_uuid=False), sa.ForeignKey(f"wtl.{table}.id", ondelete="CASCADE"), primary_key=True
    )


def upgrade() -> None:
    _engine_state()
    _webtolearn()
    _views()


def _engine_state() -> None:
    op.create_table(
        "external_refs",
        sa.Column("system", sa.Text, primary_key=True, comment="the source instance: wtl, bakalari:<school>"),
        sa.Column("type", sa.Text, primary_key=True, comment="the entity: course, lesson, user"),
        sa.Column(
            "external_id", sa.Text(collation="C"), primary_key=True, comment="the upstream's id, exactly as sent"
        ),
        sa.Column("internal_id", UUID(as_uuid=False), nullable=False),
        sa.Column("version", sa.Text, comment="version of the mapper and of the record last written"),
        sa.Column("metadata", JSONB),
        *_written(),
        _time("remote_deleted_at"),
        schema="sync",
        postgresql_with={"fillfactor": 90},
    )
    op.create_table(
        "streams",
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column(
            "origin", sa.Text, comment="the upstream's host; a run from another one is refused until this is null"
        ),
        sa.Column("checkpoint", JSONB),
        _time("last_started_at"),
        _time("last_complete_at"),
        sa.Column("last_report", JSONB),
        schema="sync",
    )
    op.create_table(
        "rejects",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("external_id", sa.Text(collation="C"), nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("payload", JSONB, nullable=False),
        _time("first_seen_at", nullable=False, server_default=sa.text("now()")),
        _time("last_seen_at", nullable=False, server_default=sa.text("now()")),
        sa.Column("occurrences", sa.Integer, nullable=False, server_default=sa.text("1")),
        _time("resolved_at"),
        sa.UniqueConstraint("system", "type", "external_id", name="rejects_key"),
        schema="sync",
    )


def _webtolearn() -> None:
    op.create_table(
        "courses",
        _id(),
        sa.Column("wtl_course_id", sa.String(255), nullable=False, comment="the platform's id of the training"),
        sa.Column("title", sa.String(500), nullable=False, comment="the training's name; owned by the sync"),
        sa.Column("description", sa.Text, comment="people's own"),
        sa.Column("status", sa.String(50), nullable=False, server_default="active", comment="people's own"),
        *_sync_columns(),
        sa.UniqueConstraint("wtl_course_id", name="courses_wtl_course_id_key"),
        schema="wtl",
        postgresql_with={"fillfactor": 90},
    )
    op.create_table(
        "lessons",
        _id(),
        sa.Column(
            "wtl_lesson_id",
            sa.String(255),
            nullable=False,
            comment="the platform's id; local-… for lessons made here",
        ),
        sa.Column("title", sa.String(255), nullable=False, comment="the lesson's name; owned by the sync"),
        sa.Column("description", sa.Text, comment="people's own"),
        sa.Column("content", sa.Text, comment="people's own"),
        sa.Column("order_number", sa.Integer, comment="people's own; the platform's where it sent one first"),
        sa.Column("status", sa.String(50), nullable=False, server_default="active", comment="people's own"),
        *_sync_columns(),
        sa.UniqueConstraint("wtl_lesson_id", name="lessons_wtl_lesson_id_key"),
        schema="wtl",
        postgresql_with={"fillfactor": 90},
    )
    op.create_table(
        "users",
        _id(),
        sa.Column("wtl_user_id", sa.String(255), nullable=False, comment="the platform's id of the user"),
        sa.Column("email", sa.String(255), nullable=False, comment="as the platform spells it; owned by the sync"),
        *_sync_columns(),
        sa.UniqueConstraint("wtl_user_id", name="users_wtl_user_id_key"),
        schema="wtl",
        postgresql_with={"fillfactor": 90},
    )
    op.create_index("users_email_idx", "users", ["email"], schema="wtl")
    op.create_table(
        "remote_course_lessons",
        _to("courses", "course_id"),
        _to("lessons", "lesson_id"),
        sa.Column("position", sa.Integer),
        *_sync_columns(),
        schema="wtl",
        comment="which lessons a course has on the platform, where it shows that; owned by the sync",
    )
    op.create_table(
        "course_lessons",
        _to("courses", "course_id"),
        _to("lessons", "lesson_id"),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("required", sa.Boolean, nullable=False, server_default=sa.false()),
        *_written(),
        schema="wtl",
        comment="the local mapping: people own it, no sync ever writes it",
    )
    op.create_index("course_lessons_position_idx", "course_lessons", ["course_id", "position"], schema="wtl")
    op.create_table(
        "course_users",
        _to("courses", "course_id"),
        _to("users", "user_id"),
        _time("expires_at", comment="null: for ever"),
        sa.Column("expires_raw", sa.Text, comment="as the platform wrote it"),
        sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
        *_sync_columns(),
        schema="wtl",
    )


def _views() -> None:
    """What consumers read: rows that are there upstream, with the time they were last confirmed to be.

    A row that no sync ever wrote is people's own, and no sync confirms it.
    """
    names = op.get_context().config.attributes["schemas"]  # pyright: ignore[reportOptionalMemberAccess]
    sync, wtl = f'"{names["sync"]}"', f'"{names["wtl"]}"'
    for table, stream, columns in (
        ("courses", "wtl/courses", "wtl_course_id, title, description, status"),
        ("lessons", "wtl/lesson_catalog", "wtl_lesson_id, title, description, content, order_number, status"),
        ("users", "wtl/users", "wtl_user_id, email"),
    ):
        op.execute(
            f"CREATE VIEW {wtl}.{table}_current AS SELECT t.id, t.{columns.replace(', ', ', t.')}, "
            "CASE WHEN t.last_sync_at IS NOT NULL THEN greatest(t.last_sync_at, s.last_complete_at) END "
            "AS last_sync_at, t.created_at, t.updated_at "
            f"FROM {wtl}.{table} t LEFT JOIN {sync}.streams s ON s.stream = '{stream}' "
            "WHERE t.remote_deleted_at IS NULL"
        )


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward: restore a backup instead")
