"""Bakalari's tables and views (schema bakalari), and where the tokens of upstreams' accounts are kept.

Revision ID: 0004
Revises: 0003
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")
_ROW_ID = "the row's own id; kept for ever"


def _time(name: str, **options: object) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)  # pyright: ignore[reportArgumentType]


def _uuid(name: str = "id", **options: object) -> sa.Column[Any]:
    default = sa.text("gen_random_uuid()")
    return sa.Column(name, UUID(as_uuid=False), server_default=default, comment=_ROW_ID, **options)  # pyright: ignore[reportArgumentType]


def _sync_columns() -> list[sa.Column[Any]]:
    return [
        _time("remote_deleted_at", comment="since when it is missing upstream; null while it is there"),
        _time("last_sync_at", comment="last time a sync wrote this row; null for local rows"),
        _time("created_at", nullable=False, server_default=_NOW),
        _time("updated_at", nullable=False, server_default=_NOW),
    ]


def _school() -> sa.Column[Any]:
    return sa.Column("school_id", sa.Text, sa.ForeignKey("bakalari.schools.id"), nullable=False)


def _external_id(comment: str) -> sa.Column[Any]:
    return sa.Column("external_id", sa.Text(collation="C"), nullable=False, comment=comment)


def _to(table: str, column: str, *, nullable: bool = False, comment: str | None = None) -> sa.Column[Any]:
    key = sa.ForeignKey(f"bakalari.{table}.id")
    return sa.Column(column, UUID(as_uuid=False), key, nullable=nullable, comment=comment)


def upgrade() -> None:
    _tokens()
    _rosters_and_schools()
    _of_a_school()
    _views()


def _tokens() -> None:
    op.create_table(
        "upstream_tokens",
        sa.Column("system", sa.Text, primary_key=True, comment="the source instance: bakalari:<school>"),
        sa.Column("account", sa.Text, primary_key=True, comment="the account's login name"),
        sa.Column("tokens", sa.LargeBinary, comment="the latest pair, encrypted with SYNC_SECRET_KEY"),
        _time("expires_at", comment="when the access token ends"),
        _time("rotated_at", nullable=False, server_default=_NOW),
        sa.Column("state", sa.Text, nullable=False, comment="ok, or needs_login: a person must renew the login"),
        schema="sync",
    )


def _rosters_and_schools() -> None:
    op.create_table(
        "rosters",
        sa.Column("school_id", sa.Text, primary_key=True),
        sa.Column(
            "snapshot", JSONB, nullable=False, comment="what is known of the school, and which sources list it"
        ),
        sa.Column("digest", sa.Text, nullable=False, comment="a fingerprint of the snapshot"),
        sa.Column(
            "coverage", JSONB, nullable=False, comment="who was asked, what came of it, which lists are whole"
        ),
        _time("read_at", nullable=False, server_default=_NOW),
        _time("changed_at", nullable=False, server_default=_NOW, comment="since when the snapshot is so"),
        schema="bakalari",
        comment="the last reading of each school; classes, subjects, users and enrollments are synced from it",
    )
    op.create_table(
        "schools",
        sa.Column("id", sa.Text, primary_key=True, comment="the school's id in the settings"),
        sa.Column("name", sa.Text, comment="as its server calls it; owned by the sync"),
        sa.Column("base_url", sa.Text, nullable=False, comment="of the settings; owned by the sync"),
        *_sync_columns(),
        _uuid("row_id", nullable=False),
        sa.UniqueConstraint("row_id", name="schools_row_id_key"),
        schema="bakalari",
    )


def _of_a_school() -> None:
    op.create_table(
        "classes",
        _uuid(primary_key=True),
        _school(),
        _external_id("Class.Id, exactly as sent"),
        sa.Column(
            "abbrev",
            sa.Text,
            comment="as the school writes it: 1.A, oktáva; null: not known",
        ),
        sa.Column("name", sa.Text, comment="its long name, or else its abbreviation; owned by the sync"),
        sa.Column("grade", sa.Integer, nullable=False, server_default="1", comment="year of study, 1 to 13"),
        sa.Column(
            "grade_guessed",
            sa.Boolean,
            nullable=False,
            server_default=sa.false(),
            comment="neither a student nor the abbreviation says the grade: what was known before, or 1",
        ),
        *_sync_columns(),
        sa.UniqueConstraint("school_id", "external_id", name="classes_key"),
        schema="bakalari",
        postgresql_with={"fillfactor": 90},
    )
    op.create_table(
        "subjects",
        _uuid(primary_key=True),
        _school(),
        _external_id("SubjectID, exactly as sent"),
        sa.Column(
            "code", sa.Text, nullable=False, comment="its abbreviation; abbreviation~id where several have it"
        ),
        sa.Column("name", sa.Text, nullable=False, comment="owned by the sync"),
        *_sync_columns(),
        sa.UniqueConstraint("school_id", "external_id", name="subjects_key"),
        schema="bakalari",
        postgresql_with={"fillfactor": 90},
    )
    op.create_table(
        "users",
        _uuid(primary_key=True),
        _school(),
        _external_id("the person's code, exactly as sent: the part of UserUID after the slash"),
        sa.Column("user_type", sa.Text, nullable=False, comment="student, teacher or parents, as the school says"),
        sa.Column("user_uid", sa.Text, comment="UserUID; null until the person's own account is read"),
        sa.Column("full_name", sa.Text, nullable=False, comment="surname first, as sent; owned by the sync"),
        sa.Column("email", sa.Text, nullable=False, comment="set on insert: the school's, or one made of the id"),
        sa.Column(
            "role", sa.Text, nullable=False, comment="STUDENT, TEACHER or PARENT on insert; then people's own"
        ),
        _to("classes", "class_id", nullable=True, comment="of a student; owned by the sync"),
        *_sync_columns(),
        sa.UniqueConstraint("school_id", "user_type", "external_id", name="users_key"),
        schema="bakalari",
        postgresql_with={"fillfactor": 90},
    )
    op.create_index("users_class_id_idx", "users", ["class_id"], schema="bakalari")
    op.create_index("users_email_idx", "users", ["email"], schema="bakalari")
    op.create_table(
        "enrollments",
        _uuid(primary_key=True),
        _school(),
        _external_id('the person and the subject, as JSON: ["student:GTU4V"," 6"]'),
        _to("users", "user_id"),
        _to("subjects", "subject_id"),
        _to("classes", "class_id", comment="the student's; owned by the sync"),
        *_sync_columns(),
        sa.UniqueConstraint("user_id", "subject_id", name="enrollments_key"),
        schema="bakalari",
        postgresql_with={"fillfactor": 90},
    )
    op.create_index("enrollments_subject_id_idx", "enrollments", ["subject_id"], schema="bakalari")
    op.create_index("enrollments_class_id_idx", "enrollments", ["class_id"], schema="bakalari")


def _views() -> None:
    """What consumers read: rows that are there upstream, with the time they were last confirmed to be."""
    names = op.get_context().config.attributes["schemas"]  # pyright: ignore[reportOptionalMemberAccess]
    sync, bakalari = f'"{names["sync"]}"', f'"{names["bakalari"]}"'
    of_a_school = "school_id, external_id"
    for table, school, columns in (
        ("schools", "id", "id, name, base_url"),
        ("classes", "school_id", f"id, {of_a_school}, abbrev, name, grade, grade_guessed"),
        ("subjects", "school_id", f"id, {of_a_school}, code, name"),
        ("users", "school_id", f"id, {of_a_school}, user_type, user_uid, full_name, email, role, class_id"),
        ("enrollments", "school_id", f"id, {of_a_school}, user_id, subject_id, class_id"),
    ):
        op.execute(
            f"CREATE VIEW {bakalari}.{table}_current AS SELECT t.{columns.replace(', ', ', t.')}, "
            "CASE WHEN t.last_sync_at IS NOT NULL THEN greatest(t.last_sync_at, s.last_complete_at) END "
            f"AS last_sync_at, t.created_at, t.updated_at FROM {bakalari}.{table} t "
            f"LEFT JOIN {sync}.streams s ON s.stream = 'bakalari/{table}/' || t.{school} "
            "WHERE t.remote_deleted_at IS NULL"
        )


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward: restore a backup instead")
