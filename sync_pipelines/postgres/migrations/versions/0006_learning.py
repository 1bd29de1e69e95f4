"""Learning progress (schema learning), and the tokens that the service lets callers in by.

Revision ID: 0006
Revises: 0005
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")
_OFTEN_WRITTEN = {"fillfactor": 90}


def _time(name: str, **options: object) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)  # pyright: ignore[reportArgumentType]


def _text(name: str, **options: object) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(collation="C"), **options)  # pyright: ignore[reportArgumentType]


def upgrade() -> None:
    _tokens()
    _progress()
    _imports()
    _summary()


def _tokens() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("name", sa.Text, nullable=False, comment="what people call it"),
        sa.Column("token_sha256", sa.LargeBinary, nullable=False, comment="of the token, which is kept nowhere"),
        sa.Column("scopes", sa.ARRAY(sa.Text), nullable=False, comment="operator, viewer, learner"),
        sa.Column("subject", sa.Text, comment="whose it is: the learner's user_id"),
        _time("created_at", nullable=False, server_default=_NOW),
        _time("expires_at", comment="null: never"),
        _time("last_used_at", comment="to the minute; null: never"),
        _time("revoked_at", comment="since when it lets nobody in"),
        sa.UniqueConstraint("token_sha256", name="api_tokens_token_sha256_key"),
        sa.CheckConstraint(
            "subject IS NOT NULL OR NOT scopes @> ARRAY['learner']", name="api_tokens_learner_has_subject"
        ),
        schema="sync",
    )
    op.create_index(
        "api_tokens_name_key",
        "api_tokens",
        ["name"],
        unique=True,
        schema="sync",
        postgresql_where=sa.text("revoked_at IS NULL"),
    )


def _progress() -> None:
    op.create_table(
        "lesson_progress",
        _text("user_id", primary_key=True, comment="the learner: the subject of a token"),
        sa.Column(
            "lesson_id", sa.BigInteger, primary_key=True, comment="the platform's: wtl.lessons.wtl_lesson_id"
        ),
        sa.Column("seen", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("completed", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("percent", sa.SmallInteger, nullable=False, server_default="0", comment="0 to 100"),
        sa.Column(
            "time_ms",
            sa.BigInteger,
            nullable=False,
            server_default="0",
            comment="the sum of what each device has spent by itself (device_time)",
        ),
        sa.Column("score_best", sa.SmallInteger, comment="0 to 100; the best of all devices"),
        sa.Column("score_last", sa.SmallInteger, comment="0 to 100"),
        _time(
            "updated_at",
            nullable=False,
            comment="when a device last changed it, by its clock; never in the future",
        ),
        _time("last_seen_at"),
        schema="learning",
        postgresql_with=_OFTEN_WRITTEN,
    )
    op.create_index("lesson_progress_lesson_id_idx", "lesson_progress", ["lesson_id"], schema="learning")
    op.create_table(
        "device_time",
        _text("user_id", primary_key=True),
        sa.Column("lesson_id", sa.BigInteger, primary_key=True),
        _text("device_id", primary_key=True, comment="empty: the one anonymous device"),
        sa.Column(
            "time_ms", sa.BigInteger, nullable=False, server_default="0", comment="the device's own, cumulative"
        ),
        _time("ahead", comment="the latest stamp of this device that was in the future, as it was sent"),
        schema="learning",
        comment="what each device has told of its own time: the greatest counts, so that nothing counts twice",
        postgresql_with=_OFTEN_WRITTEN,
    )


def _imports() -> None:
    op.create_table(
        "progress_imports",
        _text("user_id", primary_key=True),
        _text("device_id", primary_key=True),
        _text(
            "import_key", primary_key=True, comment="the caller's Idempotency-Key, or the payload's fingerprint"
        ),
        _text("payload_sha256", nullable=False),
        _time("received_at", nullable=False, server_default=_NOW),
        sa.Column("result", JSONB, nullable=False, comment="what was answered, and is again"),
        schema="learning",
        comment="imports that were taken: one that is sent again is answered, and changes nothing",
    )
    op.create_index("progress_imports_received_at_idx", "progress_imports", ["received_at"], schema="learning")
    op.create_table(
        "device_states",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True, comment="the order of arrival"),
        _text("user_id", nullable=False),
        sa.Column("lesson_id", sa.BigInteger, nullable=False),
        _text("device_id", nullable=False),
        sa.Column("seen", sa.Boolean, comment="null: not said"),
        sa.Column("completed", sa.Boolean, comment="null: not said"),
        sa.Column("percent", sa.SmallInteger, comment="null: not said"),
        sa.Column("time_ms", sa.BigInteger, comment="the device's own, cumulative; null: not said"),
        sa.Column("score_best", sa.SmallInteger, comment="null: none, or not said"),
        sa.Column("score_last", sa.SmallInteger),
        sa.Column("score_last_said", sa.Boolean, nullable=False, comment="false: score_last was left out"),
        _time("updated_at", nullable=False, comment="as the device stamped it"),
        _time("last_seen_at"),
        sa.Column("last_seen_at_said", sa.Boolean, nullable=False, comment="false: last_seen_at was left out"),
        _time("landed_at", nullable=False, server_default=_NOW),
        schema="learning",
        comment="lessons of state files that are still to be merged: the new ones, and those of unknown lessons",
    )
    op.create_index("device_states_lesson_id_idx", "device_states", ["lesson_id"], schema="learning")


def _summary() -> None:
    op.create_table(
        "course_summary",
        # No foreign key: who empties the platform's tables is not to be stopped by what is made of them.
        sa.Column("course_id", UUID(as_uuid=False), primary_key=True, comment="wtl.courses.id"),
        sa.Column("lessons", sa.Integer, nullable=False, comment="that the course has"),
        sa.Column("learners", sa.Integer, nullable=False, comment="who have progress in any of them"),
        sa.Column("seen", sa.BigInteger, nullable=False, comment="lessons seen, over all learners"),
        sa.Column("completed", sa.BigInteger, nullable=False, comment="lessons completed, over all learners"),
        sa.Column(
            "average_percent",
            sa.Double,
            comment="of what learners have begun; null where they have begun nothing",
        ),
        sa.Column("time_ms", sa.Numeric(40, 0), nullable=False, comment="over all learners"),
        _time("computed_at", nullable=False, server_default=_NOW),
        schema="learning",
        comment="what the learners have done in each course, as of the last run",
    )


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward: restore a backup instead")
