"""What an upstream still lets us send: paced by what its answers say, one budget for all who talk to it.

Source of the headers and of their meaning: contracts/wtl.md A11. An upstream that sends none is not paced.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from sync_pipelines.errors import RateLimited

__all__ = ["RateBudget", "shared_budget", "whole_number"]

# Others may talk to the upstream too, and their requests under way are in no answer of ours.
_RESERVE = 10
# A burst of this share of the minute's limit; then evenly, so that no 60 seconds hold more than the limit less
# the reserve, and less a share of it again: requests travel unequally long, and a platform that counts the last
# sixty seconds would see the reserve touched now and then, which costs a wait to the end of the minute.
_BURST = 1 / 6
_MARGIN = 1 / 2
_POLL_SECONDS = 0.01
_UNCERTAINTY_SECONDS = 0.5


@dataclass(slots=True)
class _Window:
    """The upstream's minute or hour. `left` is what the last answer left of it; `ends` is by our clock.

    `asked_anew` says that all requests under way were sent after it ended.
    """

    seconds: int
    limit: int | None = None
    left: int | None = None
    number: int = -1
    ends: float = 0.0
    asked_anew: bool = False

    def heard(self, left: int | None, limit: int | None, theirs: float, ours: float) -> None:
        if limit is not None:
            self.limit = limit
        number = int(theirs // self.seconds)
        if left is None or number < self.number:
            return
        # Answers overtake each other: within a window the smallest number is the latest.
        least = left if self.left is None else min(left, self.left)
        if number > self.number and self._was_low() and not self.asked_anew:
            self.left = least  # it may have been counted before the end, and be dated after it
            return
        self.left = left if number > self.number else least
        self.number, self.asked_anew = number, False
        self.ends = ours + (number + 1) * self.seconds - theirs

    def left_at(self, ours: float) -> int | None:
        """What is left; None where nothing is known of the window that is going on."""
        return self.left if ours < self.ends else None

    def sent(self, ours: float, *, alone: bool) -> None:
        if alone:
            self.asked_anew = ours >= self.ends

    def may_go_on(self, ours: float) -> bool:
        """Whether one that was nearly used up has ended by the upstream's clock, and no answer has said so yet."""
        return self._was_low() and ours >= self.ends

    def _was_low(self) -> bool:
        return self.left is not None and self.left <= 3 * _RESERVE


class RateBudget:
    """Says when the next request may be sent. Thread-safe.

    `in_flight` is how many may be under way at a time, whoever sends them. `clock` is a monotonic clock in
    seconds, `wall` the time in seconds since 1970, used where an answer has no Date.
    """

    def __init__(
        self,
        *,
        in_flight: int = 8,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._most_in_flight = in_flight
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._in_flight = 0
        self._minute = _Window(60)
        self._hour = _Window(3600)
        self._blocked_until = 0.0
        self._tokens: float | None = None
        self._filled_at = 0.0
        self._sent = 0
        self._began = 0.0

    def take(self, keep: float = 0.0) -> float:
        """Count a request as under way and give 0; or else the seconds to wait before asking again.

        `keep` is a share of the hour that this caller leaves to others. Raises RateLimited, with the seconds
        until the next hour, where no more than that is left.
        """
        with self._lock:
            now = self._clock()
            self._check_hour(now, keep)
            wait = self._wait(now)
            if wait <= 0:
                for window in (self._minute, self._hour):
                    window.sent(now, alone=not self._in_flight)
                self._in_flight += 1
                self._began = self._began if self._sent else now
                self._sent += 1
                if self._tokens is not None:
                    self._tokens -= 1
            return max(wait, 0.0)

    def _check_hour(self, now: float, keep: float) -> None:
        left = self._hour.left_at(now)
        if left is None:
            return
        kept = round(keep * self._hour.limit) if self._hour.limit else 0
        if left - self._in_flight > kept:
            return
        seconds = max(self._hour.ends - now, 1.0)
        used = "are used up" if not kept else f"are used up but for {left}, which are kept for the lists"
        raise RateLimited(
            f"the requests that the platform allows in an hour {used}: go on in {_minutes(seconds)}",
            retry_after=seconds,
        )

    def _wait(self, now: float) -> float:
        if now < self._blocked_until:
            return self._blocked_until - now
        if self._in_flight >= self._most_in_flight:
            return _POLL_SECONDS
        left, limit = self._minute.left_at(now), self._minute.limit
        if left is not None and limit is not None and left - self._in_flight <= _reserve(limit):
            return self._minute.ends - now + random.uniform(0.1, _UNCERTAINTY_SECONDS)  # noqa: S311
        if self._in_flight and (self._minute.may_go_on(now) or self._hour.may_go_on(now)):
            return _POLL_SECONDS  # one asks, for all: an upstream may count by other minutes than its clock's
        return self._wait_for_token(now, limit)

    def _wait_for_token(self, now: float, limit: int | None) -> float:
        if limit is None:
            return 0.0
        most = max(limit * _BURST, 1.0)
        each_second = max(limit - _reserve(limit) * (1 + _MARGIN) - most, 1.0) / 60
        if self._tokens is None:
            # As if it had been known from the first request; but what was sent long ago is no debt.
            since = most - self._sent + (now - self._began) * each_second
            self._tokens = min(max(since, most - limit), most)
        else:
            self._tokens = min(self._tokens + (now - self._filled_at) * each_second, most)
        self._filled_at = now
        return 0.0 if self._tokens >= 1 else max((1 - self._tokens) / each_second, _POLL_SECONDS)

    def ended(self) -> None:
        """A request that was taken is no longer under way."""
        with self._lock:
            self._in_flight -= 1

    def heard(self, headers: Mapping[str, str]) -> None:
        """Note what an answer's headers (names in lower case) say is left."""
        minute = whole_number(headers.get("x-ratelimit-remaining-minute"))
        hour = whole_number(headers.get("x-ratelimit-remaining-hour"))
        if minute is None and hour is None:
            return
        with self._lock:
            ours, theirs = self._clock(), _seconds(headers.get("date")) or self._wall()
            self._minute.heard(minute, whole_number(headers.get("x-ratelimit-limit-minute")), theirs, ours)
            self._hour.heard(hour, whole_number(headers.get("x-ratelimit-limit-hour")), theirs, ours)

    def pause(self, seconds: float) -> None:
        """Let no request begin for so long: the upstream asked for it."""
        with self._lock:
            self._blocked_until = max(self._blocked_until, self._clock() + seconds)

    @property
    def left(self) -> tuple[int | None, int | None]:
        """Requests left in this minute and in this hour, as far as the upstream said; None where it did not."""
        now = self._clock()
        return self._minute.left_at(now), self._hour.left_at(now)


_shared: dict[tuple[str, int], RateBudget] = {}
_shared_lock = threading.Lock()


def shared_budget(base_url: str, token: str) -> RateBudget:
    """This process's budget with one upstream for one token: the same whenever it is asked for."""
    with _shared_lock:
        return _shared.setdefault((base_url.rstrip("/"), hash(token)), RateBudget())


def whole_number(text: str | None) -> int | None:
    """A header's value as a number of at most 15 digits, or None."""
    digits = (text or "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else None


def _seconds(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None


def _reserve(limit: int) -> int:
    return min(_RESERVE, limit // 10)


def _minutes(seconds: float) -> str:
    return "less than a minute" if seconds < 60 else f"{round(seconds) // 60 + 1} minutes"
