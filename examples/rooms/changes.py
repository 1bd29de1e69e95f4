"""The same file read by its `updated_at`, as one reads an API that can be asked for what changed since."""

from __future__ import annotations

from dataclasses import dataclass

from examples.rooms.source import RoomsFile, Row, time_of
from sync_pipelines.core import Coverage, Fetch, UpdatedAt

__all__ = ["RoomChanges"]


@dataclass(frozen=True)
class RoomChanges(RoomsFile):
    """Rooms that changed since the last run; what is missing among them has not vanished."""

    def fetch(self, since: str | None) -> Fetch[Row]:
        times = UpdatedAt(since)
        for item in super().fetch(None):
            if isinstance(item, tuple) and (when := time_of(item[1].data)):
                if times.start is not None and when < times.start:
                    continue
                times.saw(when)
            yield item
        # Only now: the file is not in the order of its times, and a mark covers all that came before it.
        if mark := times.mark():
            yield mark
        return Coverage.changes()
