"""Incidents, the messages about them, and who was given which: rows, and what they mean is the alerts' affair.

And what the database itself shows of trouble: how each stream stands, and which accounts need a login.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.tables.sync import (
    alert_deliveries,
    alert_position,
    alerts,
    incidents,
    streams,
    upstream_tokens,
)

__all__ = [
    "AlertTables",
    "DueAlert",
    "NewAlert",
    "StreamState",
    "UndeliveredAlert",
    "accounts_needing_login",
    "purge_alerts",
    "stream_states",
]

_SOURCE = "dagster"
_d = alert_deliveries.c


@dataclass(frozen=True)
class NewAlert:
    """A message to be kept until each of the receivers `to` has it. `incidents`: places among those saved."""

    event: str
    title: str
    body: str
    to: Collection[str]
    incidents: Sequence[int]


@dataclass(frozen=True)
class DueAlert:
    """A message that a receiver is to be given. `attempts` failed so far."""

    id: int
    event: str
    title: str
    body: str
    attempts: int


@dataclass(frozen=True)
class UndeliveredAlert:
    """A message that a receiver has not taken yet, and why not."""

    id: int
    receiver: str
    title: str
    created_at: datetime
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None


@dataclass(frozen=True)
class StreamState:
    """How a stream stands: when it was last complete, and what its last run that came to an end had to say."""

    stream: str
    last_complete_at: datetime | None
    fetched: int = 0
    failed: int = 0
    first_error: str | None = None
    complete: bool = True


class AlertTables:
    """The tables, by one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def try_alone(self, what: str) -> bool:
        """Be the only one who does this, if nobody else is; until the session ends."""
        return self._session.try_lock(f"sync-pipelines {self._session.schemas.get('sync')} alerts {what}")

    def position(self) -> int | None:
        """The last event that incidents were made of; None before there was any look."""
        query = sa.select(alert_position.c.position).where(alert_position.c.source == _SOURCE)
        with self._session.transaction() as connection:
            return connection.scalar(query)

    def open_incidents(self) -> list[Mapping[str, Any]]:
        """Those that are not closed: columns of the table."""
        query = sa.select(incidents).where(incidents.c.closed_at.is_(None)).order_by(incidents.c.id)
        with self._session.transaction() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def save(
        self, position: int, changed: Sequence[Mapping[str, Any]], messages: Sequence[NewAlert], now: datetime
    ) -> None:
        """Write down a look, all of it or nothing: incidents (those without an id are new), messages, position."""
        with self._session.transaction() as connection:
            ids = [_save_incident(connection, row) for row in changed]
            for message in messages:
                values = {
                    "event": message.event,
                    "incidents": [ids[place] for place in message.incidents],
                    "title": message.title,
                    "body": message.body,
                    "created_at": now,
                }
                alert = connection.execute(sa.insert(alerts).values(values).returning(alerts.c.id)).scalar_one()
                rows = [{"alert_id": alert, "receiver": receiver} for receiver in sorted(message.to)]
                connection.execute(sa.insert(alert_deliveries), rows)
            row = {"source": _SOURCE, "position": position}
            statement = insert(alert_position).values(row)
            connection.execute(statement.on_conflict_do_update(index_elements=["source"], set_=row))

    def waiting(self, now: datetime) -> set[str]:
        """The receivers whose next message is due."""
        query = sa.select(_d.receiver, _d.next_attempt_at).where(_d.delivered_at.is_(None))
        first: dict[str, datetime | None] = {}
        with self._session.transaction() as connection:
            for receiver, not_before in connection.execute(query.order_by(_d.alert_id)):
                first.setdefault(receiver, not_before)
        return {receiver for receiver, not_before in first.items() if not_before is None or not_before <= now}

    def next_for(self, receiver: str, now: datetime) -> DueAlert | None:
        """The first message that the receiver does not have; None where there is none, or it must wait."""
        query = (
            sa.select(alerts.c.id, alerts.c.event, alerts.c.title, alerts.c.body, _d.attempts, _d.next_attempt_at)
            .join(alert_deliveries, _d.alert_id == alerts.c.id)
            .where(_d.receiver == receiver, _d.delivered_at.is_(None))
            .order_by(alerts.c.id)
            .limit(1)
        )
        with self._session.transaction() as connection:
            row = connection.execute(query).first()
        if row is None or (row.next_attempt_at is not None and row.next_attempt_at > now):
            return None
        return DueAlert(row.id, row.event, row.title, row.body, row.attempts)

    def accepted(self, alert: int, receiver: str, now: datetime) -> None:
        """The receiver has it; durable when this returns."""
        self._set(alert, receiver, {"delivered_at": now, "attempts": _d.attempts + 1, "last_error": None})

    def refused(self, alert: int, receiver: str, error: str, next_attempt_at: datetime) -> None:
        """The receiver did not take it; not before `next_attempt_at` is it asked again."""
        values = {"attempts": _d.attempts + 1, "last_error": error, "next_attempt_at": next_attempt_at}
        self._set(alert, receiver, values)

    def _set(self, alert: int, receiver: str, values: Mapping[str, Any]) -> None:
        statement = sa.update(alert_deliveries).where(_d.alert_id == alert, _d.receiver == receiver)
        with self._session.transaction() as connection:
            connection.execute(statement.values(values))

    def undelivered(self) -> list[UndeliveredAlert]:
        """What has not arrived yet, in order."""
        columns = (
            *(alerts.c.id, _d.receiver, alerts.c.title, alerts.c.created_at),
            *(_d.attempts, _d.next_attempt_at, _d.last_error),
        )
        query = (
            sa.select(*columns)
            .join(alert_deliveries, _d.alert_id == alerts.c.id)
            .where(_d.delivered_at.is_(None))
            .order_by(alerts.c.id, _d.receiver)
        )
        with self._session.transaction() as connection:
            return [UndeliveredAlert(*row) for row in connection.execute(query)]


def _save_incident(connection: sa.Connection, row: Mapping[str, Any]) -> int:
    values = {name: value for name, value in row.items() if name != "id"}
    if row["id"] is not None:
        connection.execute(sa.update(incidents).where(incidents.c.id == row["id"]).values(values))
        return row["id"]
    return connection.execute(sa.insert(incidents).values(values).returning(incidents.c.id)).scalar_one()


def purge_alerts(session: Session, before: datetime) -> tuple[int, int]:
    """Delete incidents closed, and messages made, before a time; gives how many of each.

    What no receiver took by then, nobody waits for any more.
    """
    with session.transaction() as connection:
        gone = connection.execute(sa.delete(incidents).where(incidents.c.closed_at < before)).rowcount
        told = connection.execute(sa.delete(alerts).where(alerts.c.created_at < before)).rowcount
    return gone, told


def stream_states(session: Session) -> list[StreamState]:
    """How every stream stands that ever was begun."""

    def counter(name: str) -> sa.ColumnElement[int]:
        return sa.func.coalesce(sa.cast(streams.c.last_report[name].astext, sa.BigInteger), 0)

    error = sa.case((counter("failed") > 0, streams.c.last_report[("errors", 0)].astext))
    complete = sa.func.coalesce(sa.cast(streams.c.last_report["complete"].astext, sa.Boolean), sa.true())
    counted = counter("fetched"), counter("failed"), error, complete
    query = sa.select(streams.c.stream, streams.c.last_complete_at, *counted)
    with session.transaction() as connection:
        return [StreamState(*row) for row in connection.execute(query)]


def accounts_needing_login(session: Session) -> set[tuple[str, str]]:
    """The accounts that a person must log in again: system and login name, which is nobody else's to see."""
    query = sa.select(upstream_tokens.c.system, upstream_tokens.c.account)
    with session.transaction() as connection:
        rows = connection.execute(query.where(upstream_tokens.c.state == "needs_login"))
        return {(row[0], row[1]) for row in rows}
