"""The one place that asks an upstream: idempotent GETs and the form that logs in, bounded retries, no secret told.

It knows HTTP. What a status means for one upstream is that upstream's client's to say, in `read`.
Callers are synchronous. The requests run in a thread of the sender's own: several can be under way, and what
interrupts a caller (Ctrl-C, the orchestrator) finds it waiting, never inside the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from concurrent.futures import Future
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, TypeVar

from anyio.from_thread import start_blocking_portal

from sync_pipelines.clients.budget import RateBudget
from sync_pipelines.clients.exchange import Answer, Connections, Message
from sync_pipelines.errors import RateLimited, SourceError

__all__ = ["Answer", "Request", "Sender", "Spent", "retry_after_seconds"]

T = TypeVar("T")
Request = tuple[str, Mapping[str, str]]  # path below the base URL, and query
_Sent = Coroutine[Any, Any, T]
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Spent:
    """What was sent for somebody: requests, and how many of them were repetitions."""

    requests: int = 0
    retries: int = 0


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """A Retry-After header, in seconds or as an HTTP date, as a wait clamped to 1…300 s; None if unreadable."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 1.0), 300.0) if seconds == seconds else None


class Sender:
    """Sends GETs to one base URL with fixed headers, and repeats those that may succeed the next time.

    `attempts` counts the first one. Waits grow from `backoff` seconds, doubled and jittered, to 8 s; an
    upstream that says how long to wait (RateLimited.retry_after) is obeyed up to `longest_wait` seconds, and
    nothing is sent to it meanwhile. `in_flight` is how many requests `get_many` has under way at most.

    `budget` paces the requests, and those of every sender that shares it; `keep_of_hour` is the share of an
    hour's requests that this one leaves to the others.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        attempts: int = 4,
        in_flight: int = 8,
        timeout: float = 30.0,
        budget: RateBudget | None = None,
        keep_of_hour: float = 0.0,
        backoff: float = 0.5,
        longest_wait: float = 65.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._base_url = base_url
        self._headers = {"Accept-Encoding": "gzip, deflate", **headers}
        self._timeout = timeout
        self.budget = budget or RateBudget()
        self._keep_of_hour = keep_of_hour
        self._attempts = attempts
        self._in_flight = in_flight
        self._backoff = backoff
        self._longest_wait = longest_wait
        self._sleep = sleep
        self.now = now
        self._total = Spent()
        self._under_way = set[asyncio.Task[Any]]()
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal(name="sender"))
            connected = self._portal.wrap_async_context_manager(self._connected())
            self._connections, self._loop = stack.enter_context(connected)
            self._close = stack.pop_all().close

    def close(self) -> None:
        """Drop the requests under way, close the connections, and end the thread."""
        self._close()

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self._total.requests

    @property
    def retries(self) -> int:
        """How many of them were repetitions."""
        return self._total.retries

    def get(
        self,
        path: str,
        params: Mapping[str, str],
        read: Callable[[Answer], T],
        *,
        headers: Mapping[str, str] | None = None,
        attempts: int | None = None,
        timeout: float | None = None,
        spent: Spent | None = None,
    ) -> T:
        """Send one GET and hand the answer to `read`; a transient SourceError of either is tried again.

        Safe to call from several threads. `path` comes percent-encoded. `headers`, `attempts` and `timeout` are
        this request's own, and `spent` gets what it took. Raises the last SourceError.
        """
        message = Message(path, params, {**self._headers, **(headers or {})})
        return self._one(message, read, attempts or self._attempts, timeout or self._timeout, spent)

    def post_form(
        self,
        path: str,
        form: Mapping[str, str],
        read: Callable[[Answer], T],
        *,
        headers: Mapping[str, str] | None = None,
        attempts: int = 1,
        spent: Spent | None = None,
    ) -> T:
        """As `get`, a form as a POST: to log in, for no upstream is written to. By itself it is sent once."""
        message = Message(path, {}, {**self._headers, **(headers or {})}, form)
        return self._one(message, read, attempts, self._timeout, spent)

    def _one(
        self, message: Message, read: Callable[[Answer], T], attempts: int, seconds: float, spent: Spent | None
    ) -> T:
        async def send(message: Message) -> T:
            return await self._until_read(message, read, attempts, seconds, spent)

        (result,) = self._windowed([message], send, 1)
        return result

    def get_many(
        self, requests: Iterable[Request], read: Callable[[Answer], T], *, in_flight: int | None = None
    ) -> Generator[T, None, None]:
        """What `get` gives for each request, in the order asked, with at most `in_flight` of them under way.

        Requests are taken when there is room for them, so `requests` may be endless. `read` runs in the
        sender's thread. A request's SourceError is raised at its turn, and none after it is begun. Closing the
        generator drops what is under way; an answer not waited for may still have been sent for.
        """

        async def send(message: Message) -> T:
            return await self._until_read(message, read, self._attempts, self._timeout)

        return self._windowed(self._messages(requests), send, in_flight or self._in_flight)

    def get_each(
        self, requests: Iterable[Request], read: Callable[[Answer], T], *, in_flight: int | None = None
    ) -> Generator[T | SourceError, None, None]:
        """As `get_many`, for requests that do not depend on each other: one that fails gives its SourceError."""

        async def send(message: Message) -> T | SourceError:
            try:
                return await self._until_read(message, read, self._attempts, self._timeout)
            except SourceError as error:
                return error

        return self._windowed(self._messages(requests), send, in_flight or self._in_flight)

    def _messages(self, requests: Iterable[Request]) -> Iterator[Message]:
        return (Message(path, params, self._headers) for path, params in requests)

    def _windowed(
        self, messages: Iterable[Message], send: Callable[[Message], _Sent[T]], in_flight: int
    ) -> Generator[T, None, None]:
        waiting = iter(messages)
        window = deque[asyncio.Task[T]]()
        try:
            while True:
                room = 0 if any(map(_failed, window)) else in_flight - len(window)
                new = list(islice(waiting, room))
                if not new and not window:
                    return
                # Not through the portal, which goes back and forth twice as often.
                yield _outcome(asyncio.run_coroutine_threadsafe(self._next(window, new, send), self._loop))
        except BaseException:  # failed, interrupted, or closed early
            if not self._loop.is_closed():
                self._portal.call(_drop, window)
            raise

    async def _next(
        self,
        window: deque[asyncio.Task[T]],
        new: Iterable[Message],
        send: Callable[[Message], _Sent[T]],
    ) -> T:
        """Begin the new requests, and wait for the oldest. One call for both: each costs a change of thread."""
        for message in new:
            task = asyncio.create_task(send(message))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            task.add_done_callback(_failed)  # looked at: asyncio reports no error that nobody came to hear
            window.append(task)
        result = await window[0]
        window.popleft()
        return result

    async def _until_read(
        self,
        message: Message,
        read: Callable[[Answer], T],
        attempts: int,
        seconds: float,
        spent: Spent | None = None,
    ) -> T:
        counters = [self._total] if spent is None else [self._total, spent]
        for attempt in range(1, attempts + 1):
            while (wait := self.budget.take(self._keep_of_hour)) > 0:
                await self._sleep(wait)
            try:
                for counter in counters:
                    counter.requests += 1
                return read(await self._connections.exchange(message, seconds))
            except SourceError as error:
                pause = self._wait_before_next(error, attempt) if attempt < attempts else None
                if pause is None:
                    raise
                _log.info("%s: %s; trying again in %.1f s", message.path, type(error).__name__, pause)
                limited = isinstance(error, RateLimited)
            finally:
                self.budget.ended()
            for counter in counters:
                counter.retries += 1
            if limited:
                self.budget.pause(pause)  # everybody's: the limit is the upstream's, not one request's
            else:
                await self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _wait_before_next(self, error: SourceError, attempt: int) -> float | None:
        if not error.transient:
            return None
        if isinstance(error, RateLimited):
            wait = error.retry_after
            return wait if wait is not None and wait <= self._longest_wait else None
        return min(self._backoff * 2 ** (attempt - 1), 8.0) * random.uniform(0.5, 1.0)  # noqa: S311

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[tuple[Connections, asyncio.AbstractEventLoop], None]:
        async with Connections.open(self._base_url, self.budget.heard) as connections:
            try:
                yield connections, asyncio.get_running_loop()
            finally:
                await _drop(self._under_way)


async def _drop(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel, and see the end of each: no connection stays half read."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _outcome(future: Future[T]) -> T:
    """Its result. Waits in short turns, because on Windows nothing interrupts a long one."""
    try:
        while not future.done():
            with suppress(TimeoutError):
                return future.result(timeout=0.2)
        return future.result()
    finally:
        future.cancel()
