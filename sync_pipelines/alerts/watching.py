"""A process of its own that looks every so many seconds: also whether the database answers and the daemons tick.

Neither can be said from inside of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from sync_pipelines.alerts.delivery import clock
from sync_pipelines.alerts.evaluating import look_and_deliver
from sync_pipelines.alerts.history import History
from sync_pipelines.alerts.outage import Outage
from sync_pipelines.errors import DatabaseUnavailable, SyncError
from sync_pipelines.flows.database import open_database
from sync_pipelines.log import redact
from sync_pipelines.settings import Settings

__all__ = ["Watcher"]

# What starts together with us may take so long to tick; so may a machine that was asleep.
_GRACE = timedelta(minutes=5)

_log = logging.getLogger(__name__)


class Watcher:
    """Looks, again and again. `history` gives the orchestrator, once the database has answered."""

    def __init__(self, history: Callable[[Settings], History], now: Callable[[], datetime] = clock) -> None:
        self._history = history
        self._now = now
        self._awake_since: datetime | None = None
        self._looked_at: datetime | None = None

    def watch(self, every: float) -> None:
        """Look every so many seconds, until interrupted. What goes wrong is logged, and tried again."""
        while True:
            began = time.monotonic()
            try:
                self.look_again(every=every)
            except SyncError as error:
                _log.error("%s", redact(str(error)))
            time.sleep(max(every - (time.monotonic() - began), 0.1))

    def look_again(self, *, every: float) -> None:
        """Look, as every so many seconds; at the daemons once they have had time to start, as we have."""
        self.look(daemons=self._is_long_awake(timedelta(seconds=every)))

    def look(self, *, daemons: bool = True) -> None:
        """Look once. Raises SyncError where that was not possible; what that means for people is told already."""
        settings = Settings.load()
        failure = _why_unreachable(settings)
        Outage(settings.home).look_and_deliver(settings, failure and str(failure), self._now)
        if failure is not None:
            raise failure
        look_and_deliver(settings, self._history(settings), daemons=daemons, now=self._now)

    def _is_long_awake(self, every: timedelta) -> bool:
        """Whether looks came one after the other for some time."""
        now = self._now()
        if self._looked_at is None or self._awake_since is None or now - self._looked_at > every + _GRACE / 2:
            self._awake_since = now
        self._looked_at = now
        return now - self._awake_since >= _GRACE


def _why_unreachable(settings: Settings) -> DatabaseUnavailable | None:
    try:
        with open_database(settings, "alerts").session():
            return None
    except DatabaseUnavailable as error:
        return error
