"""When streams were last synced to their end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.tables.sync import streams

__all__ = ["complete_at"]


def complete_at(session: Session) -> Mapping[str, datetime]:
    """By stream; a partition's is called "wtl/lessons/12". Those that never were are left out."""
    query = sa.select(streams.c.stream, streams.c.last_complete_at).where(streams.c.last_complete_at.is_not(None))
    with session.transaction() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}
