"""Learning progress, in schema learning."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from sync_pipelines.postgres.tables.columns import TIME, metadata, now

__all__ = ["course_summary", "device_states", "device_time", "lesson_progress", "progress_imports"]

_ID = sa.Text(collation="C")

lesson_progress = sa.Table(
    "lesson_progress",
    metadata,
    sa.Column("user_id", _ID, primary_key=True, comment="the learner: the subject of a token"),
    sa.Column("lesson_id", sa.BigInteger, primary_key=True, comment="the platform's: wtl.lessons.wtl_lesson_id"),
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
    sa.Column(
        "updated_at",
        TIME,
        nullable=False,
        comment="when a device last changed it, by its clock; never in the future",
    ),
    sa.Column("last_seen_at", TIME),
    sa.Index("lesson_progress_lesson_id_idx", "lesson_id"),
    schema="learning",
)

device_time = sa.Table(
    "device_time",
    metadata,
    sa.Column("user_id", _ID, primary_key=True),
    sa.Column("lesson_id", sa.BigInteger, primary_key=True),
    sa.Column("device_id", _ID, primary_key=True, comment="empty: the one anonymous device"),
    sa.Column(
        "time_ms", sa.BigInteger, nullable=False, server_default="0", comment="the device's own, cumulative"
    ),
    sa.Column("ahead", TIME, comment="the latest stamp of this device that was in the future, as it was sent"),
    schema="learning",
    comment="what each device has told of its own time: the greatest counts, so that nothing counts twice",
)

progress_imports = sa.Table(
    "progress_imports",
    metadata,
    sa.Column("user_id", _ID, primary_key=True),
    sa.Column("device_id", _ID, primary_key=True),
    sa.Column(
        "import_key", _ID, primary_key=True, comment="the caller's Idempotency-Key, or the payload's fingerprint"
    ),
    sa.Column("payload_sha256", _ID, nullable=False),
    sa.Column("received_at", TIME, nullable=False, server_default=now),
    sa.Column("result", JSONB, nullable=False, comment="what was answered, and is again"),
    sa.Index("progress_imports_received_at_idx", "received_at"),
    schema="learning",
    comment="imports that were taken: one that is sent again is answered, and changes nothing",
)

device_states = sa.Table(
    "device_states",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True, comment="the order of arrival"),
    sa.Column("user_id", _ID, nullable=False),
    sa.Column("lesson_id", sa.BigInteger, nullable=False),
    sa.Column("device_id", _ID, nullable=False),
    sa.Column("seen", sa.Boolean, comment="null: not said"),
    sa.Column("completed", sa.Boolean, comment="null: not said"),
    sa.Column("percent", sa.SmallInteger, comment="null: not said"),
    sa.Column("time_ms", sa.BigInteger, comment="the device's own, cumulative; null: not said"),
    sa.Column("score_best", sa.SmallInteger, comment="null: none, or not said"),
    sa.Column("score_last", sa.SmallInteger),
    sa.Column("score_last_said", sa.Boolean, nullable=False, comment="false: score_last was left out"),
    sa.Column("updated_at", TIME, nullable=False, comment="as the device stamped it"),
    sa.Column("last_seen_at", TIME),
    sa.Column("last_seen_at_said", sa.Boolean, nullable=False, comment="false: last_seen_at was left out"),
    sa.Column("landed_at", TIME, nullable=False, server_default=now),
    sa.Index("device_states_lesson_id_idx", "lesson_id"),
    schema="learning",
    comment="lessons of state files that are still to be merged: the new ones, and those of unknown lessons",
)

course_summary = sa.Table(
    "course_summary",
    metadata,
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
    sa.Column("computed_at", TIME, nullable=False, server_default=now),
    schema="learning",
    comment="what the learners have done in each course, as of the last run",
)
