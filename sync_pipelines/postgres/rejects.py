"""Reading the records that were refused. The state store writes them; here nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sync_pipelines.core import ExternalKey
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.tables.sync import rejects

__all__ = ["StoredReject", "count_open", "count_resolved_since", "find_rejects", "list_rejects", "server_time"]

_t = rejects.c
_SYSTEM = sa.case((_t.type == "", _t.system), else_=_t.system + ":" + _t.type)
_WITHOUT_PAYLOAD = [column for column in rejects.columns if column is not _t.payload]
# A bigint holds every number of so many digits.
_ID_DIGITS = 18
_FOUND_AT_MOST = 100


@dataclass(frozen=True)
class StoredReject:
    """A refused record. `payload` is the whole of it, where it was asked for; `resolved_at` is set once it was
    taken after all, or is gone upstream."""

    id: int
    key: ExternalKey
    stage: str
    error: str
    first_seen_at: datetime
    last_seen_at: datetime
    occurrences: int
    resolved_at: datetime | None
    payload: Any = None


def list_rejects(
    session: Session,
    systems: Sequence[str] | None = None,
    *,
    resolved: bool = False,
    limit: int = 50,
    offset: int = 0,
) -> tuple[list[StoredReject], int]:
    """The newest open rejects of these systems, or of all, and how many there are; `resolved` ones on demand.

    {} in a system stands for anything.
    """
    where: list[sa.ColumnElement[bool]] = [] if resolved else [_t.resolved_at.is_(None)]
    if systems is not None:
        where.append(_among(systems))
    query = sa.select(*_WITHOUT_PAYLOAD, _SYSTEM.label("whole_system")).where(*where)
    with session.transaction() as connection:
        total = connection.scalar(sa.select(sa.func.count()).select_from(rejects).where(*where)) or 0
        rows = connection.execute(query.order_by(_t.last_seen_at.desc(), _t.id.desc()).limit(limit).offset(offset))
        return [_stored(row) for row in rows], total


def find_rejects(session: Session, id_or_key: str, systems: Sequence[str] | None = None) -> list[StoredReject]:
    """The rejects with this id or this key, whole, open ones first: a text may be one's id and another's key."""
    named = [_t.external_id == id_or_key]
    if id_or_key.isascii() and id_or_key.isdigit() and len(id_or_key) <= _ID_DIGITS:
        named.append(_t.id == int(id_or_key))
    query = sa.select(rejects, _SYSTEM.label("whole_system")).where(sa.or_(*named))
    if systems is not None:
        query = query.where(_among(systems))
    query = query.order_by(_t.resolved_at.is_not(None), _t.id).limit(_FOUND_AT_MOST)
    with session.transaction() as connection:
        return [_stored(row) for row in connection.execute(query)]


def count_open(session: Session) -> Mapping[str, int]:
    """How many rejects each system has open; those without any are left out."""
    query = sa.select(_SYSTEM, sa.func.count()).where(_t.resolved_at.is_(None)).group_by(_SYSTEM)
    with session.transaction() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def count_resolved_since(session: Session, systems: Sequence[str], since: datetime) -> int:
    """How many rejects of these systems were resolved since a time of the server's clock."""
    query = sa.select(sa.func.count()).select_from(rejects).where(_SYSTEM.in_(systems), _t.resolved_at >= since)
    with session.transaction() as connection:
        return connection.scalar(query) or 0


def server_time(session: Session) -> datetime:
    """The server's clock."""
    with session.transaction() as connection:
        return connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()


def _among(systems: Sequence[str]) -> sa.ColumnElement[bool]:
    literal = (system.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") for system in systems)
    return sa.or_(sa.false(), *(_SYSTEM.like(text.replace("{}", "%"), escape="\\") for text in literal))


def _stored(row: sa.Row[Any]) -> StoredReject:
    values = dict(row._mapping)
    system, _, external_id = values.pop("whole_system"), values.pop("system"), values.pop("external_id")
    del values["type"]
    return StoredReject(key=ExternalKey(system, external_id), **values)
