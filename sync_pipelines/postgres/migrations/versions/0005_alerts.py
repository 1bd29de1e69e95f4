"""What alerts are made of: incidents, the messages about them, and who was given which.

Revision ID: 0005
Revises: 0004
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _time(name: str, **options: object) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)  # pyright: ignore[reportArgumentType]


def _id() -> sa.Column[Any]:
    return sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True)


def upgrade() -> None:
    _incidents()
    _alerts()


def _incidents() -> None:
    op.create_table(
        "incidents",
        _id(),
        sa.Column(
            "kind", sa.Text, nullable=False, comment="failure, slow, error_rate, stale, guard, credentials, …"
        ),
        sa.Column("subject", sa.Text, nullable=False, comment="a flow as people call it: wtl, bakalari/<school>"),
        _time("started_at", nullable=False),
        _time("ended_at", comment="null while it lasts"),
        _time("told_at", comment="when its start or the last reminder was told; null: nobody knows yet"),
        _time("closed_at", comment="ended, and nothing is left to tell of it"),
        sa.Column("told_to", sa.ARRAY(sa.Text), nullable=False, comment="fingerprints of the receivers that know"),
        sa.Column("details", JSONB, nullable=False, comment="first error, counts, runs: nothing personal"),
        schema="sync",
    )
    op.create_index(
        "incidents_open_key",
        "incidents",
        ["kind", "subject"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
        schema="sync",
    )
    op.create_table(
        "alert_position",
        sa.Column("source", sa.Text, primary_key=True, comment="whose events: dagster"),
        sa.Column("position", sa.BigInteger, nullable=False, comment="the last event that incidents were made of"),
        schema="sync",
    )


def _alerts() -> None:
    op.create_table(
        "alerts",
        _id(),
        sa.Column("event", sa.Text, nullable=False, comment="start, reminder or end"),
        sa.Column("incidents", sa.ARRAY(sa.BigInteger), nullable=False, comment="what it tells of: incidents.id"),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        _time("created_at", nullable=False),
        schema="sync",
    )
    op.create_table(
        "alert_deliveries",
        sa.Column(
            "alert_id", sa.BigInteger, sa.ForeignKey("sync.alerts.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column(
            "receiver", sa.Text, primary_key=True, comment="the fingerprint of its address, never the address"
        ),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        _time("next_attempt_at", comment="not before; null: at once"),
        _time("delivered_at", comment="when the receiver took it"),
        sa.Column("last_error", sa.Text, comment="why it did not, in our words"),
        schema="sync",
    )
    op.create_index(
        "alert_deliveries_due",
        "alert_deliveries",
        ["receiver", "alert_id"],
        postgresql_where=sa.text("delivered_at IS NULL"),
        schema="sync",
    )


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward: restore a backup instead")
