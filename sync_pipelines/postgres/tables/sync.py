"""The engine's state, in schema sync: bindings, streams, rejects, and the accounts' tokens."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from sync_pipelines.postgres.tables.columns import TIME, metadata, now

__all__ = ["external_refs", "rejects", "streams", "upstream_tokens"]

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
