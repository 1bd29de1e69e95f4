"""Reading what is known of streams' runs. The state store writes it; here nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.tables.sync import external_refs, streams

__all__ = ["complete_at", "last_changed", "last_complete", "last_reports", "never_complete"]


def complete_at(session: Session, prefix: str = "") -> Mapping[str, datetime]:
    """When each stream was last synced to its end, a partition's being called "wtl/lessons/12".

    Those that never were are left out, and those whose names begin otherwise.
    """
    query = sa.select(streams.c.stream, streams.c.last_complete_at).where(
        sa.func.starts_with(streams.c.stream, prefix), streams.c.last_complete_at.is_not(None)
    )
    with session.transaction() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def last_complete(session: Session, stream: str) -> Mapping[str, datetime]:
    """The same of each partition of a stream, by partition."""
    prefix = f"{stream}/"
    return {name.removeprefix(prefix): at for name, at in complete_at(session, prefix).items()}


def last_changed(session: Session, system: str) -> Mapping[str, datetime]:
    """When the row of each record of this system was last written, by the upstream's id."""
    name, _, kind = system.rpartition(":")
    query = sa.select(external_refs.c.external_id, external_refs.c.updated_at).where(
        external_refs.c.system == name, external_refs.c.type == kind
    )
    with session.transaction() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def last_reports(session: Session, stream: str) -> Mapping[str, tuple[Mapping[str, Any], datetime | None]]:
    """The report of each partition's last run that came to an end, and when one was last complete."""
    prefix = f"{stream}/"
    query = sa.select(streams.c.stream, streams.c.last_report, streams.c.last_complete_at).where(
        sa.func.starts_with(streams.c.stream, prefix), streams.c.last_report.is_not(None)
    )
    with session.transaction() as connection:
        return {row[0].removeprefix(prefix): (row[1], row[2]) for row in connection.execute(query)}


def never_complete(session: Session, names: tuple[str, ...]) -> list[str]:
    """Those of the streams that were never synced to their end."""
    query = sa.select(streams.c.stream).where(streams.c.stream.in_(names), streams.c.last_complete_at.is_not(None))
    with session.transaction() as connection:
        done = set(connection.scalars(query))
    return [name for name in names if name not in done]
