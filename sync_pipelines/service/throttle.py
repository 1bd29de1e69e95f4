"""Slows down whoever guesses tokens, and holds each caller to so many requests a minute.

It counts in memory: each process by itself, from nothing when it starts. It knows neither requests nor answers.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, TypeVar

__all__ = [
    "LEARNER_A_MINUTE",
    "ORDERS_A_MINUTE",
    "REQUESTS_A_MINUTE",
    "WRONG_TOKENS_A_MINUTE",
    "Throttle",
]

#: Requests of one learner, over all of its devices.
LEARNER_A_MINUTE: Final = 300
#: Requests of one token that is no learner's.
REQUESTS_A_MINUTE: Final = 600
#: Of these, those that ask for a sync.
ORDERS_A_MINUTE: Final = 60
#: Wrong tokens of one address. With the next one its waits begin.
WRONG_TOKENS_A_MINUTE: Final = 30

_MINUTE = 60.0
_FIRST_WAIT, _LONGEST_WAIT = 60.0, 480.0
_FORGIVEN_AFTER = 900.0
# Whoever comes from so many places that some are forgotten has gained a few guesses of 2**256.
_KEPT = 10_000

_V = TypeVar("_V")


class _Latest(OrderedDict[str, _V]):
    """Keeps the keys that were set last, so many at the most."""

    def __setitem__(self, key: str, value: _V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > _KEPT:
            self.popitem(last=False)


class _LastMinute:
    """When what was counted of each key came, within the last minute."""

    def __init__(self) -> None:
        self._times: _Latest[deque[float]] = _Latest()

    def take(self, key: str, at_most: int, now: float) -> float:
        """Count one more, if that makes at most so many within a minute; else the seconds until it would."""
        times = self._times.get(key, deque())
        while times and times[0] <= now - _MINUTE:
            times.popleft()
        if len(times) >= at_most:
            return times[0] + _MINUTE - now
        times.append(now)
        self._times[key] = times
        while (idle := next(iter(self._times.items())))[1][-1] <= now - _MINUTE:
            del self._times[idle[0]]
        return 0.0


class Throttle:
    """For threads to share. `clock` gives seconds that never go back. Waits are whole seconds, 0 for none."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._requests = _LastMinute()
        self._wrong = _LastMinute()
        self._waits: _Latest[tuple[float, float]] = _Latest()
        self._let_in: _Latest[None] = _Latest()

    def take(self, caller: str, at_most: int) -> int:
        """Count a request of this caller, unless there were so many within a minute: then how long to wait."""
        with self._lock:
            return math.ceil(self._requests.take(caller, at_most, self._clock()))

    def wait_before(self, address: str, shown: str) -> int:
        """How long this address must wait before the token it shows is looked at.

        One that let it in before is looked at in any case: many learners share the address of their school.
        """
        network = _network(address)
        with self._lock:
            until, _ = self._waits.get(network, (-math.inf, 0.0))
            left = until - self._clock()
            return 0 if left <= 0 or _pair(network, shown) in self._let_in else math.ceil(left)

    def was_right(self, address: str, shown: str) -> None:
        """Note that this token let this address in."""
        with self._lock:
            self._let_in[_pair(_network(address), shown)] = None

    def was_wrong(self, address: str) -> None:
        """Note that this address showed a token that never was one.

        Too many in a minute cost a wait of a minute, and each one after that a wait twice as long as the last.
        """
        network = _network(address)
        with self._lock:
            now = self._clock()
            until, length = self._waits.get(network, (-math.inf, 0.0))
            if now < until:
                return  # it was asked before the wait began
            if now >= until + _FORGIVEN_AFTER:
                length = 0.0
            if length or self._wrong.take(network, WRONG_TOKENS_A_MINUTE, now):
                length = min(2 * length or _FIRST_WAIT, _LONGEST_WAIT)
                self._waits[network] = (now + length, length)


def _network(address: str) -> str:
    """Who is taken for one: an IPv4 address; of IPv6 the /64, which is one customer's; all that is neither."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False).network_address)


def _pair(network: str, shown: str) -> str:
    """An address and a token, as they are remembered: the token cannot be had from it."""
    return hashlib.sha256(f"{network} {shown}".encode(errors="surrogatepass")).hexdigest()
