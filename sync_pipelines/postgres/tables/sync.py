"""The engine's state, in schema sync: bindings, streams, rejects, incidents, alerts; and the service's."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from sync_pipelines.postgres.tables.columns import TIME, metadata, now

__all__ = [
    "alert_deliveries",
    "alert_position",
    "alerts",
    "api_tokens",
    "external_refs",
    "incidents",
    "rejects",
    "sessions",
    "streams",
    "upstream_tokens",
    "webhook_calls",
]

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
    sa.Column("created_at", TIME, nullable=False, server_default=now),
    sa.Column("updated_at", TIME, nullable=False, server_default=now),
    sa.Column("remote_deleted_at", TIME),
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
    sa.Column("last_started_at", TIME),
    sa.Column("last_complete_at", TIME),
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
    sa.Column("first_seen_at", TIME, nullable=False, server_default=now),
    sa.Column("last_seen_at", TIME, nullable=False, server_default=now),
    sa.Column("occurrences", sa.Integer, nullable=False, server_default=sa.text("1")),
    sa.Column("resolved_at", TIME),
    sa.UniqueConstraint("system", "type", "external_id", name="rejects_key"),
    schema="sync",
)

upstream_tokens = sa.Table(
    "upstream_tokens",
    metadata,
    sa.Column("system", sa.Text, primary_key=True, comment="the source instance: bakalari:<school>"),
    sa.Column("account", sa.Text, primary_key=True, comment="the account's login name"),
    sa.Column("tokens", sa.LargeBinary, comment="the latest pair, encrypted with SYNC_SECRET_KEY"),
    sa.Column("expires_at", TIME, comment="when the access token ends"),
    sa.Column("rotated_at", TIME, nullable=False, server_default=now),
    sa.Column("state", sa.Text, nullable=False, comment="ok, or needs_login: a person must renew the login"),
    schema="sync",
)

incidents = sa.Table(
    "incidents",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("kind", sa.Text, nullable=False, comment="failure, slow, error_rate, stale, guard, credentials, …"),
    sa.Column("subject", sa.Text, nullable=False, comment="a flow as people call it: wtl, bakalari/<school>"),
    sa.Column("started_at", TIME, nullable=False),
    sa.Column("ended_at", TIME, comment="null while it lasts"),
    sa.Column("told_at", TIME, comment="when its start or the last reminder was told; null: nobody knows yet"),
    sa.Column("closed_at", TIME, comment="ended, and nothing is left to tell of it"),
    sa.Column("told_to", sa.ARRAY(sa.Text), nullable=False, comment="fingerprints of the receivers that know"),
    sa.Column("details", JSONB, nullable=False, comment="first error, counts, runs: nothing personal"),
    sa.Index("incidents_open_key", "kind", "subject", unique=True, postgresql_where=sa.text("closed_at IS NULL")),
    schema="sync",
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("event", sa.Text, nullable=False, comment="start, reminder or end"),
    sa.Column("incidents", sa.ARRAY(sa.BigInteger), nullable=False, comment="what it tells of: incidents.id"),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("created_at", TIME, nullable=False),
    schema="sync",
)

alert_deliveries = sa.Table(
    "alert_deliveries",
    metadata,
    sa.Column(
        "alert_id",
        sa.BigInteger,
        sa.ForeignKey("sync.alerts.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("receiver", sa.Text, primary_key=True, comment="the fingerprint of its address, never the address"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("next_attempt_at", TIME, comment="not before; null: at once"),
    sa.Column("delivered_at", TIME, comment="when the receiver took it"),
    sa.Column("last_error", sa.Text, comment="why it did not, in our words"),
    sa.Index("alert_deliveries_due", "receiver", "alert_id", postgresql_where=sa.text("delivered_at IS NULL")),
    schema="sync",
)

alert_position = sa.Table(
    "alert_position",
    metadata,
    sa.Column("source", sa.Text, primary_key=True, comment="whose events: dagster"),
    sa.Column("position", sa.BigInteger, nullable=False, comment="the last event that incidents were made of"),
    schema="sync",
)

api_tokens = sa.Table(
    "api_tokens",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, comment="what people call it"),
    sa.Column("token_sha256", sa.LargeBinary, nullable=False, comment="of the token, which is kept nowhere"),
    sa.Column("scopes", sa.ARRAY(sa.Text), nullable=False, comment="operator, viewer, learner"),
    sa.Column("subject", sa.Text, comment="whose it is: the learner's user_id"),
    sa.Column("created_at", TIME, nullable=False, server_default=now),
    sa.Column("expires_at", TIME, comment="null: never"),
    sa.Column("last_used_at", TIME, comment="to the minute; null: never"),
    sa.Column("revoked_at", TIME, comment="since when it lets nobody in"),
    sa.UniqueConstraint("token_sha256", name="api_tokens_token_sha256_key"),
    sa.CheckConstraint(
        "subject IS NOT NULL OR NOT scopes @> ARRAY['learner']", name="api_tokens_learner_has_subject"
    ),
    sa.Index("api_tokens_name_key", "name", unique=True, postgresql_where=sa.text("revoked_at IS NULL")),
    schema="sync",
)

sessions = sa.Table(
    "sessions",
    metadata,
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
    sa.Column("created_at", TIME, nullable=False, server_default=now),
    sa.Column("last_seen_at", TIME, nullable=False, server_default=now, comment="to the minute"),
    sa.Column("expires_at", TIME, nullable=False, comment="at the latest; one that is not used ends before"),
    schema="sync",
)

webhook_calls = sa.Table(
    "webhook_calls",
    metadata,
    sa.Column("upstream", sa.Text, primary_key=True, comment="wtl or bakalari"),
    sa.Column("call_id", sa.Text(collation="C"), primary_key=True, comment="the caller's: taken once"),
    sa.Column("received_at", TIME, nullable=False, server_default=now),
    sa.Column("keys", sa.ARRAY(sa.Text), nullable=False, comment="courses or schools to sync; none: everything"),
    sa.Column("batch", sa.Text, comment="the calls that one run is for; null: no run was asked for yet"),
    sa.Column("run_id", sa.Text, comment="Dagster's run of the batch, once it is in its history"),
    sa.Index("webhook_calls_waiting", "upstream", "received_at", postgresql_where=sa.text("run_id IS NULL")),
    schema="sync",
)
