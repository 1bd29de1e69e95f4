"""The platform's limits on requests, by the calendar minute and hour (contracts/wtl.md A11)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["RateWindow"]


@dataclass
class RateWindow:
    """Requests left in this minute and this hour. Refused calls count too."""

    per_minute: int
    per_hour: int
    clock: Callable[[], float] = time.time
    _used: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])

    def spend(self) -> tuple[bool, dict[str, str]]:
        """Count one request: whether it was still within the limits, and the headers that say what is left."""
        now = int(self.clock())
        left: dict[str, int] = {}
        for name, seconds, limit in (("Minute", 60, self.per_minute), ("Hour", 3600, self.per_hour)):
            window = (name, now // seconds)
            self._used = {key: used for key, used in self._used.items() if key[0] != name or key == window}
            self._used[window] = self._used.get(window, 0) + 1
            left[name] = limit - self._used[window]
        headers = {f"X-RateLimit-Remaining-{name}": str(max(rest, 0)) for name, rest in left.items()}
        headers |= {"X-RateLimit-Limit-Minute": str(self.per_minute), "X-RateLimit-Limit-Hour": str(self.per_hour)}
        return min(left.values()) >= 0, headers
