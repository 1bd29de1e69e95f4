"""People's sessions with the service, and the calls of webhooks.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column(
            "session_sha256", sa.LargeBinary, primary_key=True, comment="of the session's id, a browser's cookie"
        ),
        sa.Column(
            "token_id",
            sa.BigInteger,
            sa.ForeignKey("sync.api_tokens.id", ondelete="CASCADE"),
            nullable=False,
            comment="the token that was logged in with: once that lets nobody in, this does not either",
        ),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("last_seen_at", _TIME, nullable=False, server_default=_NOW, comment="to the minute"),
        sa.Column("expires_at", _TIME, nullable=False, comment="at the latest; one that is not used ends before"),
        schema="sync",
    )
    op.create_table(
        "webhook_calls",
        sa.Column("upstream", sa.Text, primary_key=True, comment="wtl or bakalari"),
        sa.Column("call_id", sa.Text(collation="C"), primary_key=True, comment="the caller's: taken once"),
        sa.Column("received_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column(
            "keys", sa.ARRAY(sa.Text), nullable=False, comment="courses or schools to sync; none: everything"
        ),
        sa.Column("batch", sa.Text, comment="the calls that one run is for; null: no run was asked for yet"),
        sa.Column("run_id", sa.Text, comment="Dagster's run of the batch, once it is in its history"),
        schema="sync",
    )
    op.create_index(
        "webhook_calls_waiting",
        "webhook_calls",
        ["upstream", "received_at"],
        schema="sync",
        postgresql_where=sa.text("run_id IS NULL"),
    )
