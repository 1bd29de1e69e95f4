"""A platform that counts requests, and callers of it who share a budget, in a time of their own."""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import count

from sync_pipelines.clients.budget import RateBudget
from sync_pipelines.errors import RateLimited

NOON = 1_795_262_400.0


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def budget(self, in_flight: int = 8) -> RateBudget:
        return RateBudget(in_flight=in_flight, clock=lambda: self.now, wall=lambda: NOON + self.now - 100)


class Time:
    """Runs what is planned, in the order of its time. Seconds since the beginning."""

    def __init__(self) -> None:
        self.now = 0.0
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()

    def after(self, seconds: float, then: Callable[[], None]) -> None:
        heapq.heappush(self._planned, (self.now + seconds, next(self._number), then))

    def run(self, until: float = float("inf")) -> None:
        while self._planned and self._planned[0][0] <= until:
            self.now, _, then = heapq.heappop(self._planned)
            then()


@dataclass
class Counted:
    """One limit: of a fixed window, which begins at each multiple of `seconds` after `phase`, or of a sliding
    one, which holds the last `seconds`."""

    limit: int
    seconds: int
    sliding: bool = False
    phase: float = 0.0
    _times: list[float] = field(default_factory=list[float])

    def spend(self, at: float) -> int:
        """Count a request; what is left after it, negative where it was too many."""
        begin = (
            at - self.seconds if self.sliding else (at - self.phase) // self.seconds * self.seconds + self.phase
        )
        self._times = [t for t in self._times if t > begin or (t == begin and not self.sliding)]
        self._times.append(at)
        return self.limit - len(self._times)


@dataclass
class Platform:
    """Counts by its own clock, which shows `clock` when time begins. It says what is left, by whole seconds."""

    time: Time
    minute: Counted
    hour: Counted
    clock: float = 1_795_262_430.7
    says_limits: bool = True
    says_date: bool = True
    arrived: list[float] = field(default_factory=list[float])
    refused: list[float] = field(default_factory=list[float])
    other: list[float] = field(default_factory=list[float])

    @property
    def shown(self) -> float:
        return self.clock + self.time.now

    def by(self, seconds: int, times: Iterable[float]) -> Counter[int]:
        """How many of the times fall into each minute, or hour, of its clock."""
        return Counter(int((self.clock + at) // seconds) for at in times)

    def counted(self) -> tuple[bool, dict[str, str]]:
        """Whether a request that arrives now is served, and what its answer says is left."""
        minute, hour = self.minute.spend(self.shown), self.hour.spend(self.shown)
        said = {
            "x-ratelimit-remaining-minute": str(max(minute, 0)),
            "x-ratelimit-remaining-hour": str(max(hour, 0)),
            "x-ratelimit-limit-minute": str(self.minute.limit),
            "x-ratelimit-limit-hour": str(self.hour.limit),
            "counted": str(self.shown),  # for the test alone
        }
        return min(minute, hour) >= 0, said if self.says_limits else {}

    def ask(self) -> tuple[bool, dict[str, str]]:
        """One of our requests arrives."""
        served, said = self.counted()
        self.arrived.append(self.time.now)
        if not served:
            self.refused.append(self.time.now)
        return served, said

    def dated(self, said: dict[str, str]) -> dict[str, str]:
        return said | ({"date": formatdate(self.shown, usegmt=True)} if self.says_date else {})

    def someone_else_asks(self, times: Iterable[float]) -> None:
        for at in times:
            self.time.after(at, self._other)

    def _other(self) -> None:
        self.other.append(self.time.now)
        self.counted()


@dataclass
class Caller:
    """Sends `requests` as the Sender does, `in_flight` at a time: it asks the budget, sends, and hears."""

    time: Time
    platform: Platform
    budget: RateBudget
    requests: int
    in_flight: int
    seconds: Callable[[], float]
    keep: float = 0.0
    waits: list[float] = field(default_factory=list[float])
    sent: list[float] = field(default_factory=list[float])
    ended_at: float = 0.0
    limited: list[tuple[float, RateLimited]] = field(default_factory=list[tuple[float, RateLimited]])
    under_way: int = 0
    before_sent: Callable[[], None] = lambda: None
    on_heard: Callable[[dict[str, str]], None] = lambda said: None

    def start(self, at: float = 0.0) -> None:
        for _ in range(self.in_flight):
            self.time.after(at, self._next)

    def _next(self) -> None:
        if not self.requests or self.limited:
            return
        try:
            wait = self.budget.take(self.keep)
        except RateLimited as error:
            self.limited.append((self.time.now, error))
            return
        if wait > 0:
            self.waits.append(wait)
            self.time.after(wait, self._next)
            return
        self.requests -= 1
        self.sent.append(self.time.now)
        self.before_sent()
        self.under_way += 1
        self.time.after(self.seconds(), self._arrives)

    def _arrives(self) -> None:
        served, said = self.platform.ask()
        self.time.after(self.seconds(), lambda: self._answered(served, said))

    def _answered(self, served: bool, said: dict[str, str]) -> None:
        dated = self.platform.dated(said)
        self.time.after(self.seconds(), lambda: self._heard(served, dated))

    def _heard(self, served: bool, said: dict[str, str]) -> None:
        self.budget.heard(said)
        self.on_heard(said)
        self.budget.ended()
        self.under_way -= 1
        self.ended_at = self.time.now
        if not served:
            self.requests += 1
            self.budget.pause(60 - self.platform.shown % 60 + 0.8)
        self._next()


def latency(rng: random.Random, mean: float) -> Callable[[], float]:
    """A third of a request's time: to the platform, in it, and back."""
    return lambda: rng.uniform(0.2, 1.8) * mean / 3
