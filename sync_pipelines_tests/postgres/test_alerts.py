"""The tables of alerts by themselves: all of a look or nothing of it, and how long what was told is kept."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_pipelines.errors import DatabaseError
from sync_pipelines.postgres.alerts import AlertTables, NewAlert, purge_alerts
from sync_pipelines.postgres.engine import Session

Query = Callable[..., list[Any]]
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def incident(subject: str = "wtl", closed_at: datetime | None = None) -> dict[str, Any]:
    times = {"started_at": NOW, "ended_at": closed_at, "told_at": None, "closed_at": closed_at}
    return {"id": None, "kind": "failure", "subject": subject, **times, "told_to": [], "details": {}}


def test_a_look_that_cannot_be_written_whole_leaves_nothing_behind(session: Session, query: Query) -> None:
    tables = AlertTables(session)
    tables.save(7, [incident()], [], NOW)
    with pytest.raises(DatabaseError):
        tables.save(8, [incident("bakalari/a"), incident()], [NewAlert("start", "t", "b", ["x"], [0])], NOW)
    assert tables.position() == 7
    assert [row["subject"] for row in tables.open_incidents()] == ["wtl"]
    assert query("SELECT count(*) FROM sync.alerts") == [0]


def test_a_subject_has_one_open_incident_of_a_kind_and_any_number_of_closed_ones(session: Session) -> None:
    tables = AlertTables(session)
    for _ in range(2):
        tables.save(1, [incident(closed_at=NOW)], [], NOW)
    tables.save(1, [incident()], [], NOW)
    with pytest.raises(DatabaseError, match="incidents_open_key"):
        tables.save(1, [incident()], [], NOW)


def test_messages_come_in_their_order_and_wait_behind_one_that_was_refused(session: Session) -> None:
    tables = AlertTables(session)
    for title in ("one", "two"):
        tables.save(1, [], [NewAlert("start", title, "", ["x", "y"], [])], NOW)
    first = tables.next_for("x", NOW)
    assert first is not None
    tables.refused(first.id, "x", "said", NOW + timedelta(minutes=1))
    assert tables.next_for("x", NOW) is None
    assert tables.waiting(NOW) == {"y"}
    assert tables.waiting(NOW + timedelta(minutes=1)) == {"x", "y"}
    again = tables.next_for("x", NOW + timedelta(minutes=1))
    assert again is not None
    assert (again.title, again.attempts) == ("one", 1)
    tables.accepted(again.id, "x", NOW)
    second = tables.next_for("x", NOW)
    assert second is not None
    assert second.title == "two"
    assert [(alert.receiver, alert.title) for alert in tables.undelivered()] == [
        ("y", "one"),
        ("x", "two"),
        ("y", "two"),
    ]


def test_what_was_closed_long_ago_is_purged_and_what_is_open_never(session: Session, query: Query) -> None:
    tables = AlertTables(session)
    old, young = NOW - timedelta(days=91), NOW - timedelta(days=89)
    message = NewAlert("start", "t", "b", ["x"], [0])
    tables.save(1, [incident(closed_at=old)], [message], old)
    tables.save(1, [incident(closed_at=young)], [message], young)
    tables.save(1, [incident()], [], old)
    assert purge_alerts(session, NOW - timedelta(days=90)) == (1, 1)
    assert query("SELECT closed_at FROM sync.incidents ORDER BY id") == [young, None]
    assert query("SELECT count(*) FROM sync.alert_deliveries") == [1]
    assert purge_alerts(session, NOW - timedelta(days=90)) == (0, 0)
