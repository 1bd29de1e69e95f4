"""Where readings of schools land: bakalari.rosters, one row a school."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.tables.bakalari import rosters as table

__all__ = ["LandedRoster", "land", "landed"]


@dataclass(frozen=True)
class LandedRoster:
    """What lies there of a school, as JSON gives it."""

    snapshot: Mapping[str, Any]
    coverage: Mapping[str, Any]


def landed(session: Session, school: str) -> LandedRoster | None:
    """What the last reading left; None where there was none."""
    query = sa.select(table.c.snapshot, table.c.coverage).where(table.c.school_id == school)
    with session.transaction() as connection:
        row = connection.execute(query).first()
    return None if row is None else LandedRoster(*row)


def land(session: Session, school: str, snapshot: str, digest: str, coverage: Mapping[str, Any]) -> None:
    """Keep a reading instead of the last. An equal snapshot is not written again."""
    values = {"coverage": coverage, "read_at": sa.func.now()}
    known = sa.update(table).where(table.c.school_id == school, table.c.digest == digest).values(**values)
    changed = {
        **values,
        "snapshot": sa.cast(sa.literal(snapshot, sa.Text), JSONB),
        "digest": digest,
        "changed_at": sa.func.now(),
    }
    new = insert(table).values(school_id=school, **changed)
    with session.transaction() as connection:
        if not connection.execute(known).rowcount:
            connection.execute(new.on_conflict_do_update(index_elements=[table.c.school_id], set_=changed))
