"""The one place that sends a request: idempotent GETs only, bounded retries, no secret in any message.

It knows HTTP. What a status means for one upstream is that upstream's client's to say, in `read`.
Callers are synchronous. The requests run in a thread of the sender's own: several can be under way, and what
interrupts a caller (Ctrl-C, the orchestrator) finds it waiting, never inside the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections import deque
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Iterable,
    Mapping,
)
from concurrent.futures import Future
from contextlib import ExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import certifi
import httpx
from anyio.from_thread import start_blocking_portal
from httpx_aiohttp import AiohttpTransport

from sync_pipelines.clients.bodies import DAMAGE, MAX_BODY_BYTES, TooLarge, decoded, whole_body
from sync_pipelines.clients.budget import RateBudget
from sync_pipelines.errors import RateLimited, SourceError, SourceUnavailable, UnexpectedAnswer

__all__ = ["Answer", "Request", "Sender", "Spent", "retry_after_seconds"]

T = TypeVar("T")
Request = tuple[str, Mapping[str, str]]  # path below the base URL, and query
_Sent = Coroutine[Any, Any, T]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: status, headers (names in any case), body bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    path: str


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
        self._base_url = base_url.rstrip("/")
        self._where = urlsplit(base_url).netloc.rpartition("@")[2]
        # Given with each request: what the session holds, aiohttp shows the proxy too.
        self._headers = httpx.Headers({"Accept-Encoding": "gzip, deflate", **headers}, encoding="utf-8")
        self._timeout = timeout
        self.budget = budget or RateBudget()
        self._keep_of_hour = keep_of_hour
        self._attempts = attempts
        self._in_flight = in_flight
        self._backoff = backoff
        self._longest_wait = longest_wait
        self._sleep = sleep
        self.now = now
        self.requests = 0
        self.retries = 0
        self._under_way = set[asyncio.Task[Any]]()
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal(name="sender"))
            connected = self._portal.wrap_async_context_manager(self._connected())
            self._transport, self._loop = stack.enter_context(connected)
            self._close = stack.pop_all().close

    def close(self) -> None:
        """Drop the requests under way, close the connections, and end the thread."""
        self._close()

    def get(
        self,
        path: str,
        params: Mapping[str, str],
        read: Callable[[Answer], T],
        *,
        attempts: int | None = None,
        timeout: float | None = None,
    ) -> T:
        """Send one GET and hand the answer to `read`; a transient SourceError of either is tried again.

        `attempts` and `timeout` are this request's own. Raises the last SourceError.
        """

        async def send(path: str, params: Mapping[str, str]) -> T:
            return await self._get(path, params, read, attempts or self._attempts, timeout or self._timeout)

        (result,) = self._windowed([(path, params)], send, 1)
        return result

    def get_many(
        self, requests: Iterable[Request], read: Callable[[Answer], T], *, in_flight: int | None = None
    ) -> Generator[T, None, None]:
        """What `get` gives for each request, in the order asked, with at most `in_flight` of them under way.

        Requests are taken when there is room for them, so `requests` may be endless. `read` runs in the
        sender's thread. A request's SourceError is raised at its turn, and none after it is begun. Closing the
        generator drops what is under way; an answer not waited for may still have been sent for.
        """

        async def send(path: str, params: Mapping[str, str]) -> T:
            return await self._get(path, params, read, self._attempts, self._timeout)

        return self._windowed(requests, send, in_flight or self._in_flight)

    def get_each(
        self, requests: Iterable[Request], read: Callable[[Answer], T], *, in_flight: int | None = None
    ) -> Generator[T | SourceError, None, None]:
        """As `get_many`, for requests that do not depend on each other: one that fails gives its SourceError."""

        async def send(path: str, params: Mapping[str, str]) -> T | SourceError:
            try:
                return await self._get(path, params, read, self._attempts, self._timeout)
            except SourceError as error:
                return error

        return self._windowed(requests, send, in_flight or self._in_flight)

    def _windowed(
        self, requests: Iterable[Request], send: Callable[[str, Mapping[str, str]], _Sent[T]], in_flight: int
    ) -> Generator[T, None, None]:
        waiting = iter(requests)
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
        new: Iterable[Request],
        send: Callable[[str, Mapping[str, str]], _Sent[T]],
    ) -> T:
        """Begin the new requests, and wait for the oldest. One call for both: each costs a change of thread."""
        for path, params in new:
            task = asyncio.create_task(send(path, params))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            task.add_done_callback(_failed)  # looked at: asyncio reports no error that nobody came to hear
            window.append(task)
        result = await window[0]
        window.popleft()
        return result

    async def _get(
        self, path: str, params: Mapping[str, str], read: Callable[[Answer], T], attempts: int, seconds: float
    ) -> T:
        for attempt in range(1, attempts + 1):
            while (wait := self.budget.take(self._keep_of_hour)) > 0:
                await self._sleep(wait)
            try:
                return read(await self._send(path, params, seconds))
            except SourceError as error:
                pause = self._wait_before_next(error, attempt) if attempt < attempts else None
                if pause is None:
                    raise
                _log.info("%s: %s; trying again in %.1f s", path, type(error).__name__, pause)
                limited = isinstance(error, RateLimited)
            finally:
                self.budget.ended()
            self.retries += 1
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

    async def _send(self, path: str, params: Mapping[str, str], seconds: float) -> Answer:
        self.requests += 1
        url = f"{self._base_url}/{path.lstrip('/')}"
        timeouts = {"timeout": {"pool": min(seconds, 10.0), "read": seconds}}  # pool: until connected
        try:
            request = httpx.Request("GET", url, params=params, headers=self._headers, extensions=timeouts)
            # Without httpx.AsyncClient: its redirects, cookies, passwords and proxies are none that we want.
            async with aclosing(await self._transport.handle_async_request(request)) as answer:
                self.budget.heard(answer.headers)
                body = await whole_body(answer)
            return Answer(answer.status_code, answer.headers, decoded(body, answer.headers), path)
        except TooLarge:
            raise UnexpectedAnswer(
                f"{path} answered more than {MAX_BODY_BYTES // 2**20} MiB: no list is so long"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, *DAMAGE, OSError, ValueError) as error:
            raise _as_source_error(error, self._where, path) from error

    async def _once(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Where a connection breaks, aiohttp sends a second time, uncounted; not so for an error of ours."""
        try:
            answer = await handler(request)
        except aiohttp.ClientConnectionError as error:
            raise _as_source_error(error, self._where, request.url.path) from error
        answer.reason = None  # words that nobody needs; the transport fails on those that are not UTF-8
        return answer

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[tuple[AiohttpTransport, asyncio.AbstractEventLoop], None]:
        proxy = _proxy(self._base_url)
        plain = self._base_url.lower().startswith("http:") and proxy is None  # and redirects are not followed
        trusted = False if plain else _trusted()
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trusted, limit=0), middlewares=[self._once], proxy=proxy
        ) as session:
            try:
                yield AiohttpTransport(verify=trusted, client=session), asyncio.get_running_loop()
            finally:
                await _drop(self._under_way)


def _trusted() -> ssl.SSLContext:
    """The certificates to trust: the system's, for a school's proxy may sign with its own, and the usual ones."""
    trusted = ssl.create_default_context()
    trusted.load_verify_locations(certifi.where())
    return trusted


def _as_source_error(error: BaseException, where: str, path: str) -> SourceError:
    if isinstance(error, httpx.HTTPError) and error.__cause__:
        error = error.__cause__  # aiohttp's. The transport's names mislead: a reset is its ConnectTimeout
    if isinstance(error, TimeoutError):
        return SourceUnavailable(f"no answer from {where} in time ({type(error).__name__})")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return SourceUnavailable(f"cannot reach {where}: the proxy answered status {error.status}")
    if isinstance(error, aiohttp.ClientConnectionError):
        # The cause is the operating system's word. The error's own may quote the answer's headers.
        return SourceUnavailable(f"cannot reach {where}: {error.__cause__ or type(error).__name__}")
    if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ClientResponseError, *DAMAGE)):
        return SourceUnavailable(f"the answer of {where} is cut short or damaged ({path})")
    return UnexpectedAnswer(f"cannot ask {where} ({type(error).__name__}, {path})")


def _proxy(url: str) -> str | None:
    """The proxy that the environment, or the system, wants for this address.

    Asked once: aiohttp's own `trust_env` asks for every request, and looks for passwords in ~/.netrc.
    """
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


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
