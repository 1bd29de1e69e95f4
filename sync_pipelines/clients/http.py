"""The one place that sends a request: idempotent GETs only, bounded retries, no secret in any message.

It knows HTTP. What a status means for one upstream is that upstream's client's to say, in `read`.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx

from sync_pipelines.errors import RateLimited, SourceError, SourceUnavailable, UnexpectedAnswer

__all__ = ["Answer", "Sender", "retry_after_seconds"]

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: status, headers (names in any case), body bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    path: str


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
    upstream that says how long to wait (RateLimited.retry_after) is obeyed up to `longest_wait` seconds.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        attempts: int = 4,
        timeout: float = 30.0,
        backoff: float = 0.5,
        longest_wait: float = 65.0,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._http = httpx.Client(
            base_url=base_url.rstrip("/") + "/",
            headers=dict(headers),
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            follow_redirects=False,
        )
        self._attempts = attempts
        self._backoff = backoff
        self._longest_wait = longest_wait
        self._sleep = sleep
        self.now = now
        self.requests = 0
        self.retries = 0

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, params: Mapping[str, str], read: Callable[[Answer], T]) -> T:
        """Send one GET and hand the answer to `read`; a transient SourceError of either is tried again.

        Raises the last SourceError.
        """
        for attempt in range(1, self._attempts + 1):
            try:
                return read(self._send(path, params))
            except SourceError as error:
                wait = self._wait_before_next(error, attempt)
                if wait is None:
                    raise
                _log.info("%s: %s; trying again in %.1f s", path, type(error).__name__, wait)
                self.retries += 1
                self._sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _wait_before_next(self, error: SourceError, attempt: int) -> float | None:
        if not error.transient or attempt == self._attempts:
            return None
        if isinstance(error, RateLimited):
            wait = error.retry_after
            return wait if wait is not None and wait <= self._longest_wait else None
        return min(self._backoff * 2 ** (attempt - 1), 8.0) * random.uniform(0.5, 1.0)  # noqa: S311

    def _send(self, path: str, params: Mapping[str, str]) -> Answer:
        self.requests += 1
        where = self._http.base_url.netloc.decode()
        try:
            answer = self._http.get(path.lstrip("/"), params=params)
        except httpx.TimeoutException as error:
            raise SourceUnavailable(f"no answer from {where} in time ({type(error).__name__})") from error
        except httpx.TransportError as error:
            raise SourceUnavailable(f"cannot reach {where}: {error or type(error).__name__}") from error
        except httpx.DecodingError as error:
            raise SourceUnavailable(f"the answer of {where} is damaged ({path})") from error
        except (httpx.InvalidURL, httpx.HTTPError) as error:
            raise UnexpectedAnswer(f"cannot ask {where} ({type(error).__name__}, {path})") from error
        return Answer(answer.status_code, answer.headers, answer.content, path)
