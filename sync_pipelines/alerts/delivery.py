"""Gives each receiver its messages, in order and at least once: none waits for another, and none is given up."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sync_pipelines.alerts.receivers import Receiver
from sync_pipelines.errors import SettingsError, SourceUnavailable
from sync_pipelines.postgres.alerts import DueAlert

__all__ = ["Outbox", "clock", "deliver", "wait_after"]

_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=15), timedelta(minutes=15)
# A sensor's tick may take a minute, and a receiver a quarter of one.
_AT_A_TIME = 20
_AT_ONCE = 8

_log = logging.getLogger(__name__)


class Outbox(Protocol):
    """The messages that receivers, by their fingerprints, are still to be given."""

    def waiting(self, now: datetime) -> set[str]:
        """The receivers whose next message is due."""
        ...

    def try_alone(self, what: str) -> bool:
        """Be the only one who gives a receiver its messages."""
        ...

    def next_for(self, receiver: str, now: datetime) -> DueAlert | None:
        """Its first message, if that is due."""
        ...

    def accepted(self, alert: int, receiver: str, now: datetime) -> None:
        """It took the message; durable when this returns."""
        ...

    def refused(self, alert: int, receiver: str, error: str, next_attempt_at: datetime) -> None:
        """It did not, and is asked again then."""
        ...


def clock() -> datetime:
    """Now."""
    return datetime.now(UTC)


def deliver(
    open_outbox: Callable[[], AbstractContextManager[Outbox]],
    receivers: Sequence[Receiver],
    now: Callable[[], datetime] = clock,
) -> None:
    """Give each receiver what is due; all of them at a time. What is not taken is kept for later."""
    if not receivers:
        return
    with open_outbox() as outbox:
        waiting = outbox.waiting(now())
    due = [receiver for receiver in receivers if receiver.fingerprint in waiting]
    if not due:
        return

    def give(receiver: Receiver) -> None:
        with open_outbox() as outbox:
            _give(outbox, receiver, now)

    with ThreadPoolExecutor(min(len(due), _AT_ONCE), thread_name_prefix="alerts") as pool:
        for given in [pool.submit(give, receiver) for receiver in due]:
            given.result()


def _give(outbox: Outbox, receiver: Receiver, now: Callable[[], datetime]) -> None:
    if not outbox.try_alone(receiver.fingerprint):
        return
    for _ in range(_AT_A_TIME):
        alert = outbox.next_for(receiver.fingerprint, now())
        if alert is None:
            return
        try:
            receiver.send(alert.event, alert.title, alert.body)
        except (SettingsError, SourceUnavailable) as error:
            wait = wait_after(alert.attempts + 1)
            _log.warning("%s was not given a message: %s; again in %.0f s", receiver, error, wait.total_seconds())
            outbox.refused(alert.id, receiver.fingerprint, str(error), now() + wait)
            return
        # Whoever is killed here tells it twice: better than not at all.
        outbox.accepted(alert.id, receiver.fingerprint, now())


def wait_after(attempts: int) -> timedelta:
    """How long to leave a receiver alone that did not take a message so many times: twice as long each time."""
    longest = min(_FIRST_WAIT * 2 ** min(attempts - 1, 10), _LONGEST_WAIT)
    return longest * random.uniform(0.5, 1)  # noqa: S311
