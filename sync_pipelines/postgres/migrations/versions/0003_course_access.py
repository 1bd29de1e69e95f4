"""Who has access to a course, and its lessons as the platform shows them: rows with ids, and views.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


_COMMENTS = {
    "course_users.course_id": "wtl.courses.id",
    "course_users.user_id": "wtl.users.id",
    "course_users.expires_at": "null: for ever; of two possible hours the later",
    "course_users.active": "as of the last sync; the view''s is as of now",
    "remote_course_lessons.course_id": "wtl.courses.id",
    "remote_course_lessons.lesson_id": "wtl.lessons.id",
    "remote_course_lessons.position": "null: the platform shows no order",
}


def upgrade() -> None:
    names = op.get_context().config.attributes["schemas"]  # pyright: ignore[reportOptionalMemberAccess]
    sync, wtl = f'"{names["sync"]}"', f'"{names["wtl"]}"'
    for table, other in (("course_users", "user_id"), ("remote_course_lessons", "lesson_id")):
        op.add_column(
            table,
            sa.Column(
                "id",
                UUID(as_uuid=False),
                nullable=False,
                server_default=sa.text("gen_random_uuid()"),
                comment="the row's own id; kept for ever",
            ),
            schema=names["wtl"],
        )
        op.create_unique_constraint(f"{table}_id_key", table, ["id"], schema=names["wtl"])
        op.create_index(f"{table}_{other}_idx", table, [other], schema=names["wtl"])
        op.execute(f"ALTER TABLE {wtl}.{table} SET (fillfactor = 90)")
    for column, comment in _COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN {wtl}.{column} IS '{comment}'")
    confirmed = "CASE WHEN t.last_sync_at IS NOT NULL THEN greatest(t.last_sync_at, s.last_complete_at) END"
    # A partition's last complete sync is that of its own stream.
    op.execute(
        f"CREATE VIEW {wtl}.course_users_current AS SELECT t.id, t.course_id, t.user_id, c.wtl_course_id, "
        "u.wtl_user_id, t.expires_at, t.expires_raw, t.active AND coalesce(t.expires_at > now(), true) AS active, "
        f"{confirmed} AS last_sync_at, t.created_at, t.updated_at FROM {wtl}.course_users t "
        f"JOIN {wtl}.courses c ON c.id = t.course_id JOIN {wtl}.users u ON u.id = t.user_id "
        f"LEFT JOIN {sync}.streams s ON s.stream = 'wtl/course_users/' || c.wtl_course_id "
        "WHERE t.remote_deleted_at IS NULL"
    )
    op.execute(
        f"CREATE VIEW {wtl}.remote_course_lessons_current AS SELECT t.id, t.course_id, t.lesson_id, "
        f"c.wtl_course_id, l.wtl_lesson_id, t.position, {confirmed} AS last_sync_at, t.created_at, t.updated_at "
        f"FROM {wtl}.remote_course_lessons t JOIN {wtl}.courses c ON c.id = t.course_id "
        f"JOIN {wtl}.lessons l ON l.id = t.lesson_id "
        f"LEFT JOIN {sync}.streams s ON s.stream = 'wtl/remote_course_lessons/' || c.wtl_course_id "
        "WHERE t.remote_deleted_at IS NULL"
    )


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward: restore a backup instead")
