"""What cannot be kept in the database: that it does not answer. A small file, written whole each time.

The same incidents, messages and deliveries as in the tables, of this one subject.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from sync_pipelines.alerts.delivery import clock, deliver
from sync_pipelines.alerts.incidents import Incident, State, reconcile
from sync_pipelines.alerts.problems import Kind, Observed, Problem
from sync_pipelines.alerts.receivers import receivers
from sync_pipelines.alerts.rows import incident_of, row_of
from sync_pipelines.alerts.wording import Message, Surroundings, write
from sync_pipelines.errors import StateError
from sync_pipelines.postgres.alerts import DueAlert, UndeliveredAlert
from sync_pipelines.settings import Settings

__all__ = ["DATABASE", "Outage"]

DATABASE = "database"
# A restart of the server is no trouble: it is down at two looks in a row, so far apart and no further.
_NEAREST, _FURTHEST = timedelta(seconds=5), timedelta(minutes=5)
_NOTHING: dict[str, Any] = {"failing": None, "incidents": [], "alerts": [], "last_id": 0}


class Outage:
    """The file under a SYNC_HOME. It is there while there is something to remember."""

    def __init__(self, home: Path) -> None:
        self._path = home / "database-outage.json"
        self._writing = threading.Lock()

    def look_and_deliver(
        self, settings: Settings, failure: str | None, now: Callable[[], datetime] = clock
    ) -> None:
        """Take in why the database did not answer, or None where it did; give receivers what they do not have."""
        if failure is None and not self._path.exists():
            return
        with self._alone() as alone:
            if not alone:
                return
            told = receivers(settings.alerted())
            self._look(settings, failure, frozenset(receiver.fingerprint for receiver in told), now())
            deliver(self._outbox, told, now)
            self._forget_what_is_over()

    def _look(self, settings: Settings, failure: str | None, told: frozenset[str], now: datetime) -> None:
        with self._changing() as kept:
            failing_before = kept["failing"]
            incidents = tuple(incident_of(_read_times(row)) for row in kept["incidents"])
            states: list[Problem] = []
            kept["failing"] = None
            if failure is not None:
                first, _ = kept["failing"] = _failing(failing_before, now)
                since = datetime.fromisoformat(first)
                if incidents or now - since >= _NEAREST:
                    states.append(Problem(Kind.DATABASE, DATABASE, failure, since=since))
            observed = Observed(states=states, looked_at=frozenset({(Kind.DATABASE, DATABASE)}))
            after, notes = reconcile(State(0, incidents), observed, now, receivers=told, interval=timedelta())
            around = Surroundings(settings.dagster_webserver_url, {})
            for message in (write(note, around, now) for note in notes):
                kept["last_id"] += 1
                kept["alerts"].append(_kept_alert(kept["last_id"], message, now))
            kept["incidents"] = [row_of(incident, now) for incident in after.incidents if not incident.closed]

    def open_incidents(self) -> list[Incident]:
        """The outage, while it lasts."""
        return [incident_of(_read_times(row)) for row in self._read()["incidents"]]

    def undelivered(self) -> list[UndeliveredAlert]:
        """What has not arrived yet, in order."""
        return [
            UndeliveredAlert(
                alert["id"],
                receiver,
                alert["title"],
                datetime.fromisoformat(alert["created_at"]),
                state["attempts"],
                state["next_attempt_at"] and datetime.fromisoformat(state["next_attempt_at"]),
                state["last_error"],
            )
            for alert in self._read()["alerts"]
            for receiver, state in alert["to"].items()
        ]

    # The outbox: `to` holds the receivers that a message has not been given to.

    def try_alone(self, what: str) -> bool:
        return True  # whoever delivers from the file holds its lock

    def waiting(self, now: datetime) -> set[str]:
        receivers = {receiver for alert in self._read()["alerts"] for receiver in alert["to"]}
        return {receiver for receiver in receivers if self.next_for(receiver, now)}

    def next_for(self, receiver: str, now: datetime) -> DueAlert | None:
        for alert in self._read()["alerts"]:
            if state := alert["to"].get(receiver):
                wait_until = state["next_attempt_at"]
                if wait_until and datetime.fromisoformat(wait_until) > now:
                    return None
                return DueAlert(alert["id"], alert["event"], alert["title"], alert["body"], state["attempts"])
        return None

    def accepted(self, alert: int, receiver: str, now: datetime) -> None:
        with self._changing() as kept:
            for one in kept["alerts"]:
                if one["id"] == alert:
                    one["to"].pop(receiver, None)

    def refused(self, alert: int, receiver: str, error: str, next_attempt_at: datetime) -> None:
        with self._changing() as kept:
            for one in kept["alerts"]:
                if one["id"] == alert and (state := one["to"].get(receiver)):
                    state.update(
                        attempts=state["attempts"] + 1,
                        last_error=error,
                        next_attempt_at=next_attempt_at.isoformat(),
                    )

    @contextmanager
    def _outbox(self) -> Generator[Outage, None, None]:
        yield self

    # The file.

    def _read(self) -> dict[str, Any]:
        if not self._path.exists():
            return json.loads(json.dumps(_NOTHING))
        try:
            return json.loads(self._path.read_text("utf-8"))
        except ValueError as error:
            raise StateError(f"{self._path} is no file of ours: move it away") from error

    @contextmanager
    def _changing(self) -> Generator[dict[str, Any], None, None]:
        """What is kept, to be changed. It is written whole, or not at all."""
        with self._writing:
            kept = self._read()
            yield kept
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(
                "w", encoding="utf-8", dir=self._path.parent, prefix=f"{self._path.name}.", delete=False
            ) as draft:
                json.dump(kept, draft, default=datetime.isoformat)
                draft.flush()
                os.fsync(draft.fileno())
            Path(draft.name).replace(self._path)

    def _forget_what_is_over(self) -> None:
        kept = self._read()
        kept["alerts"] = [alert for alert in kept["alerts"] if alert["to"]]
        if not (kept["alerts"] or kept["incidents"] or kept["failing"]):
            self._path.unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Generator[bool, None, None]:
        """Whether nobody else is at the file; nobody else will be until the block ends."""
        if sys.platform == "win32":  # no such lock there: run one watcher
            yield True
            return
        import fcntl

        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True


def _failing(before: Sequence[str] | None, now: datetime) -> tuple[str, str]:
    """The first and the last of the looks in a row at which the database did not answer."""
    if before is None or now - datetime.fromisoformat(before[1]) > _FURTHEST:
        return now.isoformat(), now.isoformat()
    return before[0], now.isoformat()


def _read_times(row: dict[str, Any]) -> dict[str, Any]:
    times = ("started_at", "ended_at", "told_at", "closed_at")
    return {**row, **{name: row[name] and datetime.fromisoformat(row[name]) for name in times}}


def _kept_alert(number: int, message: Message, now: datetime) -> dict[str, Any]:
    fresh = {"attempts": 0, "next_attempt_at": None, "last_error": None}
    return {
        "id": number,
        "event": message.event,
        "title": message.title,
        "body": message.body,
        "created_at": now.isoformat(),
        "to": {receiver: dict(fresh) for receiver in sorted(message.to)},
    }
