"""Syncs a store with the service: when `Schedule` says so, in a thread, or at once for scripts."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import TracebackType
from typing import Final, Self

import httpx

from sync_pipelines.progress.errors import NotLoggedIn, ProgressError, StoreError, SyncFailed, SyncRefused
from sync_pipelines.progress.merge import Lesson
from sync_pipelines.progress.schedule import Schedule, Timing
from sync_pipelines.progress.server import Server
from sync_pipelines.progress.store import ProgressStore

__all__ = ["LESSONS_AT_ONCE", "ProgressSync", "Status"]

#: How many lessons are sent together; each such import is acknowledged by itself.
LESSONS_AT_ONCE: Final = 200
_SECONDS = 30.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """What a debug view shows. `refused` says why the server did not take lessons; they stay pending."""

    logged_in: bool
    online: bool
    syncing: bool
    stopped: bool
    pending: Sequence[int]
    last_sync_at: datetime | None
    last_error: str | None
    next_attempt_at: datetime | None
    refused: Mapping[int, str]
    lessons: Mapping[int, Lesson] = field(repr=False)


@dataclass(eq=False, slots=True)
class _Session:
    """One login."""

    server: Server = field(repr=False)
    account: str | None = field(repr=False)


class ProgressSync:
    """Keeps a store in step with the service at `url`, such as https://sync.school.example.

    With a token somebody is logged in from the beginning. `account` is any text that stands for the learner: it is
    remembered with the progress, which is then synced for no other. `client` is an httpx.Client of the app's own,
    if the network needs one. `after_sync` is called after every attempt, in the thread that made it, with what the
    attempt failed of, or None.

    Methods are the triggers, and may be called from any thread; none waits for the network but `sync_now`.
    """

    def __init__(
        self,
        store: ProgressStore,
        url: str,
        token: str | None = None,
        *,
        account: str | None = None,
        client: httpx.Client | None = None,
        timing: Timing | None = None,
        after_sync: Callable[[ProgressError | None], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._url = url
        self._owns_client = client is None
        self._client = client or httpx.Client(timeout=_SECONDS)
        self._after_sync = after_sync
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._in_flight = threading.Lock()
        self._schedule = Schedule(timing or Timing())
        self._session: _Session | None = None
        self._last_error: str | None = None
        self._refused: Mapping[int, str] = {}
        self._thread: threading.Thread | None = None
        self._closed = False
        if token is not None:
            self.login(token, account=account)

    # The triggers.

    def start(self) -> Self:
        """Sync by itself from now on, in a thread that does not keep the process alive."""
        with self._changed:
            if self._closed:
                raise RuntimeError("it was closed: make another")
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="progress-sync", daemon=True)
                self._thread.start()
        return self

    def close(self, seconds: float = 5.0) -> None:
        """End for good: after the sync under way, or so many seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(seconds)
        if self._owns_client and not (thread and thread.is_alive()):
            self._client.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def login(self, token: str, *, account: str | None = None) -> None:
        """A learner has logged in, or has a new token. Raises ValueError for what can be no token."""
        session = _Session(Server(self._client, self._url, token), account)
        with self._changed:
            self._session, self._last_error, self._refused = session, None, {}
            self._set(self._schedule.login(self._monotonic()))

    def logout(self) -> None:
        """Nobody is logged in. The progress stays, and is still kept."""
        with self._changed:
            self._session = None
            self._set(self._schedule.logout())

    def online(self) -> None:
        """The network is back."""
        with self._changed:
            self._set(self._schedule.went_online(self._monotonic()))

    def offline(self) -> None:
        """There is no network: nothing is tried until `online`."""
        with self._changed:
            self._set(self._schedule.went_offline())

    def visible(self) -> None:
        """The app has come to the front."""
        with self._changed:
            self._set(self._schedule.trigger(self._monotonic()))

    def sync_now(self) -> Status:
        """Sync in this thread, after a sync that is under way, whatever the schedule says.

        Raises NotLoggedIn, OtherAccount, SyncFailed, SyncRefused or StoreError; what was not taken stays pending.
        """
        error = self._attempt()
        if error is not None:
            raise error
        return self.status()

    def status(self) -> Status:
        """How things are, for a debug view."""
        lessons, pending = self._store.lessons(), self._store.pending()
        last_sync_at = self._store.last_sync_at
        with self._changed:
            schedule = self._schedule
            due = schedule.due_at()
            wait = None if due is None else timedelta(seconds=max(due - self._monotonic(), 0))
            return Status(
                logged_in=schedule.logged_in,
                online=schedule.online,
                syncing=schedule.running,
                stopped=schedule.stopped,
                pending=pending,
                last_sync_at=last_sync_at,
                last_error=self._last_error,
                next_attempt_at=None if wait is None else datetime.now(UTC) + wait,
                refused={identity: why for identity, why in self._refused.items() if identity in pending},
                lessons=lessons,
            )

    # The thread.

    def _set(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._changed.notify_all()

    def _run(self) -> None:
        with self._changed:
            self._set(self._schedule.trigger(self._monotonic()))
        while self._wait_until_due():
            self._attempt()

    def _wait_until_due(self) -> bool:
        """Whether there is something to do, rather than an end."""
        while True:
            with self._changed:
                if self._closed:
                    return False
                now, due = self._monotonic(), self._schedule.due_at()
                if due is not None and due <= now:
                    return True
                looks_at = self._schedule.looks_at
                if looks_at > now:
                    self._changed.wait(min(looks_at, due or looks_at) - now)
                    continue
            try:
                pending = bool(self._store.pending())
            except StoreError:
                pending = True  # the sync will say it
            with self._changed:
                self._set(self._schedule.look(self._monotonic(), pending))

    # A sync.

    def _attempt(self) -> ProgressError | None:
        """One sync, alone. Gives what it failed of, or None."""
        with self._in_flight:
            with self._changed:
                session = self._session
                if session is None:
                    return NotLoggedIn("nobody is logged in")
                self._set(self._schedule.began())
            error: ProgressError | None = None
            try:
                self._sync(session)
            except ProgressError as failure:
                error = failure
            except BaseException as defect:
                self._ended(session, SyncRefused(f"a defect of the library or the app ({type(defect).__name__})"))
                raise
            self._ended(session, error)
        if self._after_sync:
            self._after_sync(error)
        return error

    def _ended(self, session: _Session, error: ProgressError | None) -> None:
        with self._changed:
            now = self._monotonic()
            if self._session is not session or error is None:
                self._last_error = None
                self._set(self._schedule.ended(now))
                return
            self._last_error = str(error)
            if isinstance(error, SyncFailed | StoreError):
                wait = error.retry_after if isinstance(error, SyncFailed) else None
                self._set(self._schedule.failed(now, random.uniform(0.5, 1), wait))  # noqa: S311
            else:
                self._set(self._schedule.refused())
        _log.warning("learning progress was not synced, and is kept: %s", error)

    def _sync(self, session: _Session) -> None:
        self._store.claim(session.account)
        device_id, last_sync_at, unsent = self._store.unsent()
        refused: dict[int, str] = {}
        for sent in _chunks(unsent):
            taken = session.server.send(device_id, sent, last_sync_at)
            self._go_on(session)
            refused.update(taken.refused)
            there = {identity: lesson for identity, lesson in sent.items() if identity not in taken.refused}
            self._store.acknowledge(device_id, there, taken.received_at)
        said = session.server.fetch(device_id)
        self._go_on(session)
        self._store.pull(device_id, said)
        with self._changed:
            self._refused = refused

    def _go_on(self, session: _Session) -> None:
        """What was answered to one learner is not to be written for another."""
        with self._changed:
            if self._session is not session:
                raise NotLoggedIn("somebody logged in or out meanwhile")


def _chunks(lessons: Mapping[int, Lesson]) -> Iterator[dict[int, Lesson]]:
    left = iter(lessons.items())
    while chunk := dict(islice(left, LESSONS_AT_ONCE)):
        yield chunk
