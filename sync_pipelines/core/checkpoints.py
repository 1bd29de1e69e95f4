"""Where an incremental source goes on: one small class for each kind of change marker an upstream may offer.

A source makes one from the `since` it was given, asks the upstream from its `start`, tells it what it saw, and
yields its `mark()`. A token of another kind than expected counts as none: everything is read again.
Without any marker there is nothing to keep: read a snapshot, yield no Mark, return `Coverage.snapshot`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sync_pipelines.core.records import Mark
from sync_pipelines.errors import SourceError

__all__ = ["Cursor", "MonotonicId", "UpdatedAt"]


def _token(kind: str, since: str | None) -> str | None:
    found, _, value = (since or "").partition(":")
    return value if found == kind and value else None


class UpdatedAt:
    """The latest `updated_at` seen. Ask for `updated_at >= start`, never `>`.

    `overlap` is how far back of the last checkpoint to read again: rows of one instant may lie on both sides
    of a page boundary, clocks differ, and transactions commit late. What is read again and did not change is
    skipped by its version. A time in the future counts as now, or one wrong clock would hide all that follows.
    """

    def __init__(
        self,
        since: str | None,
        *,
        overlap: timedelta = timedelta(minutes=5),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        token = _token("updated_at", since)
        self._latest = None if token is None else datetime.fromisoformat(token)
        self._now = now
        self.start = None if self._latest is None else self._latest - overlap

    def saw(self, when: datetime) -> None:
        """Note a record's time. Raises SourceError for one without a time zone: it could mean any."""
        if when.tzinfo is None:
            raise SourceError("updated_at has no time zone")
        when = min(when.astimezone(UTC), self._now())
        self._latest = when if self._latest is None else max(self._latest, when)

    def mark(self) -> Mark | None:
        """The checkpoint so far, None where nothing was ever seen.

        Only after the last record, unless the upstream sends them in the order of their times.
        """
        return None if self._latest is None else Mark(f"updated_at:{self._latest.isoformat()}")


class MonotonicId:
    """The greatest id seen of records that are only ever added. Ask for `id > start`.

    `overlap` is how many ids to read again: an id is given out before its transaction commits, so that a
    smaller one may appear after a greater one.
    """

    def __init__(self, since: str | None, *, overlap: int = 1000) -> None:
        token = _token("id", since)
        self._greatest = None if token is None else int(token)
        self.start = None if self._greatest is None else max(self._greatest - overlap, 0)

    def saw(self, record_id: int) -> None:
        """Note a record's id."""
        self._greatest = record_id if self._greatest is None else max(self._greatest, record_id)

    def mark(self) -> Mark | None:
        """The checkpoint so far, None where nothing was ever seen."""
        return None if self._greatest is None else Mark(f"id:{self._greatest}")


class Cursor:
    """The upstream's own token (`cursor`, `next_page_token`), kept as it came.

    A `fetch` that is told the cursor is too old raises CheckpointExpired.
    """

    def __init__(self, since: str | None) -> None:
        self.start = _token("cursor", since)

    def mark(self, cursor: str) -> Mark:
        """The checkpoint after everything the upstream gave before `cursor`."""
        return Mark(f"cursor:{cursor}")
