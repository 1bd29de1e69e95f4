"""What an overview shows of the database: what the last syncs did, what vanished, which courses there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.tables.sync import external_refs, streams
from sync_pipelines.postgres.tables.wtl import courses

__all__ = ["Counts", "last_counts", "titles_of_courses", "vanished_since"]

_COURSE = "course"
_r = external_refs.c


@dataclass(frozen=True)
class Counts:
    """What the last sync of something did to rows. `deleted` are those that vanished upstream."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    failed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.created + other.created,
            self.updated + other.updated,
            self.deleted + other.deleted,
            self.failed + other.failed,
        )


def last_counts(session: Session) -> Mapping[str, Counts]:
    """What the last run of each stream did, a partition's being called "wtl/lessons/12"."""
    counters = (
        sa.func.coalesce(sa.cast(streams.c.last_report[name].astext, sa.BigInteger), 0)
        for name in ("created", "updated", "deleted", "failed")
    )
    query = sa.select(streams.c.stream, *counters).where(streams.c.last_report.is_not(None))
    with session.transaction() as connection:
        return {row[0]: Counts(*row[1:]) for row in connection.execute(query)}


def vanished_since(session: Session, system: str, since: datetime) -> Mapping[str, int]:
    """How many records of each type of a system ("course") vanished since a time, and have not returned."""
    query = (
        sa.select(_r.type, sa.func.count())
        .where(_r.system == system, _r.remote_deleted_at >= since)
        .group_by(_r.type)
    )
    with session.transaction() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def titles_of_courses(session: Session, system: str) -> Mapping[str, str]:
    """The courses that are there upstream, by the upstream's id, in the order of their titles."""
    title = sa.func.coalesce(courses.c.title, _r.external_id)
    query = (
        sa.select(_r.external_id, title)
        .join(courses, courses.c.id == _r.internal_id, isouter=True)
        .where(_r.system == system, _r.type == _COURSE, _r.remote_deleted_at.is_(None))
        .order_by(sa.func.lower(title), _r.external_id)
    )
    with session.transaction() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}
