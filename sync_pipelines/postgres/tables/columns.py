"""What the project's tables share: one metadata, and columns that many have.

A column is described by its comment; by its `doc` where a released migration made it without one.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

__all__ = ["TIME", "metadata", "now", "own_id", "row_id", "sync_columns"]

metadata = sa.MetaData()
now = sa.text("now()")
TIME = sa.DateTime(timezone=True)


def row_id() -> sa.Column[object]:
    """A table's primary key."""
    return sa.Column(
        "id",
        UUID(as_uuid=False),
        primary_key=True,
        server_default=sa.text("gen_random_uuid()"),
        comment="the row's own id; kept for ever",
    )


def own_id(table: str, name: str = "id") -> tuple[sa.Column[Any], sa.UniqueConstraint]:
    """That of a row which is found by something else: by what it joins, or by a name that people gave it."""
    column = sa.Column(
        name,
        UUID(as_uuid=False),
        nullable=False,
        server_default=sa.text("gen_random_uuid()"),
        comment="the row's own id; kept for ever",
    )
    return column, sa.UniqueConstraint(name, name=f"{table}_{name}_key")


def sync_columns() -> tuple[sa.Column[object], ...]:
    """What a sync notes of each row."""
    return (
        sa.Column("remote_deleted_at", TIME, comment="since when it is missing upstream; null while it is there"),
        sa.Column("last_sync_at", TIME, comment="last time a sync wrote this row; null for local rows"),
        sa.Column("created_at", TIME, nullable=False, server_default=now, doc="when the row was made here"),
        sa.Column("updated_at", TIME, nullable=False, server_default=now, doc="when the row was last written"),
    )
