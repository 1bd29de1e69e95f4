"""Bakalari's tables, in schema bakalari: one row a thing and school. Upstream's ids are kept exactly."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from sync_pipelines.postgres.tables.columns import TIME, metadata, now, own_id, row_id, sync_columns

__all__ = ["classes", "enrollments", "rosters", "schools", "subjects", "users"]


def _school() -> sa.Column[object]:
    key = sa.ForeignKey("bakalari.schools.id")
    return sa.Column("school_id", sa.Text, key, nullable=False, doc="the school's id in the settings")


def _external_id(comment: str) -> sa.Column[object]:
    return sa.Column("external_id", sa.Text(collation="C"), nullable=False, comment=comment)


def _to(
    table: str, column: str, *, nullable: bool = False, comment: str | None = None, doc: str | None = None
) -> sa.Column[object]:
    key = sa.ForeignKey(f"bakalari.{table}.id")
    return sa.Column(column, UUID(as_uuid=False), key, nullable=nullable, comment=comment, doc=doc)


rosters = sa.Table(
    "rosters",
    metadata,
    sa.Column("school_id", sa.Text, primary_key=True, doc="the school's id in the settings"),
    sa.Column("snapshot", JSONB, nullable=False, comment="what is known of the school, and which sources list it"),
    sa.Column("digest", sa.Text, nullable=False, comment="a fingerprint of the snapshot"),
    sa.Column("coverage", JSONB, nullable=False, comment="who was asked, what came of it, which lists are whole"),
    sa.Column("read_at", TIME, nullable=False, server_default=now, doc="when the school was last read"),
    sa.Column("changed_at", TIME, nullable=False, server_default=now, comment="since when the snapshot is so"),
    schema="bakalari",
    comment="the last reading of each school; classes, subjects, users and enrollments are synced from it",
)

schools = sa.Table(
    "schools",
    metadata,
    sa.Column("id", sa.Text, primary_key=True, comment="the school's id in the settings"),
    sa.Column("name", sa.Text, comment="as its server calls it; owned by the sync"),
    sa.Column("base_url", sa.Text, nullable=False, comment="of the settings; owned by the sync"),
    *sync_columns(),
    *own_id("schools", "row_id"),
    schema="bakalari",
)

classes = sa.Table(
    "classes",
    metadata,
    row_id(),
    _school(),
    _external_id("Class.Id, exactly as sent"),
    sa.Column("abbrev", sa.Text, comment="as the school writes it: 1.A, oktáva; null: not known"),
    sa.Column("name", sa.Text, comment="its long name, or else its abbreviation; owned by the sync"),
    sa.Column("grade", sa.Integer, nullable=False, server_default="1", comment="year of study, 1 to 13"),
    sa.Column(
        "grade_guessed",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="neither a student nor the abbreviation says the grade: what was known before, or 1",
    ),
    *sync_columns(),
    sa.UniqueConstraint("school_id", "external_id", name="classes_key"),
    schema="bakalari",
)

subjects = sa.Table(
    "subjects",
    metadata,
    row_id(),
    _school(),
    _external_id("SubjectID, exactly as sent"),
    sa.Column("code", sa.Text, nullable=False, comment="its abbreviation; abbreviation~id where several have it"),
    sa.Column("name", sa.Text, nullable=False, comment="owned by the sync"),
    *sync_columns(),
    sa.UniqueConstraint("school_id", "external_id", name="subjects_key"),
    schema="bakalari",
)

users = sa.Table(
    "users",
    metadata,
    row_id(),
    _school(),
    _external_id("the person's code, exactly as sent: the part of UserUID after the slash"),
    sa.Column("user_type", sa.Text, nullable=False, comment="student, teacher or parents, as the school says"),
    sa.Column("user_uid", sa.Text, comment="UserUID; null until the person's own account is read"),
    sa.Column("full_name", sa.Text, nullable=False, comment="surname first, as sent; owned by the sync"),
    sa.Column("email", sa.Text, nullable=False, comment="set on insert: the school's, or one made of the id"),
    sa.Column("role", sa.Text, nullable=False, comment="STUDENT, TEACHER or PARENT on insert; then people's own"),
    _to("classes", "class_id", nullable=True, comment="of a student; owned by the sync"),
    *sync_columns(),
    sa.UniqueConstraint("school_id", "user_type", "external_id", name="users_key"),
    sa.Index("users_class_id_idx", "class_id"),
    sa.Index("users_email_idx", "email"),
    schema="bakalari",
)

enrollments = sa.Table(
    "enrollments",
    metadata,
    row_id(),
    _school(),
    _external_id('the person and the subject, as JSON: ["student:GTU4V"," 6"]'),
    _to("users", "user_id", doc="who learns it: a student"),
    _to("subjects", "subject_id", doc="what is learnt"),
    _to("classes", "class_id", comment="the student's; owned by the sync"),
    *sync_columns(),
    sa.UniqueConstraint("user_id", "subject_id", name="enrollments_key"),
    sa.Index("enrollments_subject_id_idx", "subject_id"),
    sa.Index("enrollments_class_id_idx", "class_id"),
    schema="bakalari",
)
