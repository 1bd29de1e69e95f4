"""When a device syncs. Pure: it is told what happens and what time it is, and says when the next sync is due.

Triggers are E10's. Times are seconds of any clock that does not go back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Self

__all__ = ["Schedule", "Timing"]

_NEVER: Final = float("-inf")
_DOUBLINGS = 20


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds. A sync begins `debounce` after its first trigger, so that triggers in a row are one.

    Every `every` a device looks whether something is pending. After a failure it waits `first_wait`, twice as long
    after each further one up to `longest_wait`, less a random part.
    """

    debounce: float = 1.5
    every: float = 300.0
    first_wait: float = 5.0
    longest_wait: float = 300.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is known. Methods give what is known afterwards.

    `asked` is since when a sync is due, were it not for the rest; `rests_until` is after a failure, `left_until`
    what the server asked for.
    """

    timing: Timing = Timing()
    logged_in: bool = False
    online: bool = True
    stopped: bool = False
    running: bool = False
    again: bool = False
    asked: float | None = None
    failures: int = 0
    rests_until: float = _NEVER
    left_until: float = _NEVER
    looks_at: float = _NEVER

    def due_at(self) -> float | None:
        """When the next sync begins, if nothing else happens; None: not before something does."""
        if not self.logged_in or not self.online or self.stopped or self.running or self.asked is None:
            return None
        return max(self.asked, self.rests_until, self.left_until)

    # What happens outside.

    def login(self, now: float) -> Self:
        return replace(self, logged_in=True, stopped=False, failures=0, rests_until=_NEVER, asked=None).trigger(
            now
        )

    def logout(self) -> Self:
        return replace(self, logged_in=False, stopped=False, asked=None, again=False)

    def went_online(self, now: float) -> Self:
        """What failed for want of a network need not wait any longer; the server's word stands."""
        return replace(self, online=True, failures=0, rests_until=_NEVER, asked=None).trigger(now)

    def went_offline(self) -> Self:
        return replace(self, online=False)

    def trigger(self, now: float) -> Self:
        """Something is a reason to sync: the start, the app becoming visible."""
        if self.running:
            return replace(self, again=True)
        due = now + self.timing.debounce
        return replace(self, asked=due if self.asked is None else min(self.asked, due))

    def look(self, now: float, pending: bool) -> Self:
        """The timer: to be called at `looks_at`, or later."""
        if now < self.looks_at:
            return self
        after = replace(self, looks_at=now + self.timing.every)
        return after.trigger(now) if pending and not self.running else after

    # What became of a sync.

    def began(self) -> Self:
        return replace(self, running=True, again=False, asked=None)

    def ended(self, now: float) -> Self:
        """It succeeded, or has been of no concern since a logout."""
        after = replace(self, running=False, failures=0, rests_until=_NEVER)
        return after.trigger(now) if self.again else after

    def failed(self, now: float, jitter: float, retry_after: float | None = None) -> Self:
        """It is tried again by itself. `jitter`, from 0.5 to 1, is the part of the wait that is waited."""
        doubled = self.timing.first_wait * 2 ** min(self.failures, _DOUBLINGS)
        return replace(
            self,
            running=False,
            again=False,
            failures=self.failures + 1,
            rests_until=now + min(doubled, self.timing.longest_wait) * jitter,
            left_until=self.left_until if retry_after is None else now + retry_after,
            asked=now,
        )

    def refused(self) -> Self:
        """Nothing is tried until a login."""
        return replace(self, running=False, again=False, stopped=True, asked=None)
