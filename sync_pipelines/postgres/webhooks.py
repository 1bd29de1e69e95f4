"""The calls of webhooks: each is written down once, and what comes together is synced together, as a batch.

A batch is written before its run is asked for, and its run after that is there: who dies in between loses nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sync_pipelines.errors import KeyReused
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.tables.sync import webhook_calls

__all__ = [
    "Batch",
    "gather_calls",
    "note_call",
    "open_batches",
    "purge_calls",
    "settle_batch",
    "upstreams_that_wait",
]

_c = webhook_calls.c
_keys = _c["keys"]


@dataclass(frozen=True)
class Batch:
    """Calls that are synced together: the keys that they name, and whether one of them means everything."""

    id: str
    keys: Sequence[str]
    everything: bool


def note_call(session: Session, upstream: str, call_id: str, keys: Collection[str]) -> bool:
    """Write a call down; False where it had come before. Without keys it means everything.

    Raises KeyReused where the same id came with other keys.
    """
    named = sorted({*keys})
    values = {"upstream": upstream, "call_id": call_id, "keys": named}
    statement = insert(webhook_calls).values(values).on_conflict_do_nothing().returning(_c.call_id)
    query = sa.select(_keys).where(_c.upstream == upstream, _c.call_id == call_id)
    with session.transaction() as connection:
        # Once more where it was just forgotten, being old.
        while connection.scalar(statement) is None:
            if (before := connection.scalar(query)) is not None:
                if list(before) != named:
                    raise KeyReused("the call's id was used for another call: take a new one")
                return False
    return True


def upstreams_that_wait(session: Session) -> list[str]:
    """Those of whose calls some have no run yet."""
    query = sa.select(_c.upstream).where(_c.run_id.is_(None)).distinct().order_by(_c.upstream)
    with session.transaction() as connection:
        return list(connection.scalars(query))


def gather_calls(session: Session, upstream: str, *, quiet: timedelta, longest: timedelta) -> None:
    """Make a batch of the calls that wait, once none has come for `quiet`, or the first waits for `longest`."""
    waits = sa.and_(_c.upstream == upstream, _c.batch.is_(None))
    now = sa.func.now()
    due = sa.or_(sa.func.max(_c.received_at) <= now - quiet, sa.func.min(_c.received_at) <= now - longest)
    is_due = sa.select(due).where(waits).scalar_subquery()
    with session.transaction() as connection:
        connection.execute(sa.update(webhook_calls).where(waits, is_due).values(batch=uuid.uuid4().hex))


def open_batches(session: Session, upstream: str) -> list[Batch]:
    """The batches whose runs are not there yet, in the order in which their first calls came."""
    query = (
        sa.select(_c.batch, _keys)
        .where(_c.upstream == upstream, _c.batch.is_not(None), _c.run_id.is_(None))
        .order_by(_c.received_at, _c.call_id)
    )
    calls: dict[str, list[list[str]]] = {}
    with session.transaction() as connection:
        for batch, keys in connection.execute(query):
            calls.setdefault(batch, []).append(keys)
    return [
        Batch(batch, sorted({key for keys in named for key in keys}), everything=not all(named))
        for batch, named in calls.items()
    ]


def settle_batch(session: Session, batch: str, run_id: str) -> None:
    """Note the run that syncs what a batch names."""
    statement = sa.update(webhook_calls).where(_c.batch == batch, _c.run_id.is_(None)).values(run_id=run_id)
    with session.transaction() as connection:
        connection.execute(statement)


def purge_calls(session: Session, before: datetime) -> int:
    """Forget the calls that came before a time and whose runs were there; gives how many."""
    with session.transaction() as connection:
        return connection.execute(
            sa.delete(webhook_calls).where(_c.received_at < before, _c.run_id.is_not(None))
        ).rowcount
