"""A platform being served: how it began, and what has happened since."""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sync_pipelines.sandbox.webtolearn.churn import Churn
from sync_pipelines.sandbox.webtolearn.limits import RateWindow
from sync_pipelines.sandbox.webtolearn.listing import Lists
from sync_pipelines.sandbox.webtolearn.platform import Platform

__all__ = ["Counts", "Running"]


@dataclass
class Counts:
    """Requests below /api/v1."""

    by_path: Counter[str] = field(default_factory=Counter[str])
    by_status: Counter[str] = field(default_factory=Counter[str])
    by_minute: Counter[int] = field(default_factory=Counter[int])

    def add(self, path: str, status: str, now: float) -> None:
        self.by_path[path] += 1
        self.by_status[status] += 1
        self.by_minute[int(now) // 60] += 1

    def shown(self) -> dict[str, Any]:
        return {
            "requests": self.by_path.total(),
            "by_path": dict(sorted(self.by_path.items())),
            "by_status": dict(sorted(self.by_status.items())),
            "most_in_one_minute": max(self.by_minute.values(), default=0),
        }


class Running:
    """`clock` gives seconds since 1970; the limits and the Date header go by it."""

    def __init__(self, platform: Platform, clock: Callable[[], float] = time.time) -> None:
        self.platform = platform
        self.clock = clock
        self._began = copy.deepcopy(vars(platform))
        self._start()

    def _start(self) -> None:
        self.window = RateWindow(self.platform.limit_minute, self.platform.limit_hour, self.clock)
        self.lists = Lists(self.platform)
        self.churn = Churn(self.platform)
        self.counts = Counts()

    def reset(self) -> None:
        """Back to how it began: rows, settings, faults, limits and counts."""
        vars(self.platform).update(copy.deepcopy(self._began))
        self._start()

    def spend(self) -> tuple[bool, dict[str, str]]:
        """Count a request against the limits as they are now."""
        self.window.per_minute, self.window.per_hour = self.platform.limit_minute, self.platform.limit_hour
        return self.window.spend()
