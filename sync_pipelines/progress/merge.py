"""The rules by which learning progress is merged. Pure: no clock, no I/O, no encoding.

A server merges what devices say (`merge`); a device takes in what the server says (`acknowledge`, `pull`).
`postgres/progress_bulk.py` says `merge_together` again in SQL, for many learners at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

__all__ = [
    "MAX_TIME_MS",
    "NEVER",
    "UNSAID",
    "Change",
    "Counter",
    "Lesson",
    "Progress",
    "Stored",
    "Unsaid",
    "acknowledge",
    "merge",
    "merge_together",
    "pull",
]

#: What the column holds; a sum of more is this much.
MAX_TIME_MS: Final = 2**63 - 1
#: The stamp of what nobody dated: it loses to every other.
NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Unsaid(Enum):
    UNSAID = "unsaid"


#: A field that was left out, where null means something else.
UNSAID: Final = _Unsaid.UNSAID
Unsaid: TypeAlias = Literal[_Unsaid.UNSAID]


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known of a lesson, but for its time. `percent` and scores are 0 to 100; times are aware."""

    updated_at: datetime
    seen: bool = False
    completed: bool = False
    percent: int = 0
    score_best: int | None = None
    score_last: int | None = None
    last_seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What a device says of a lesson. What it leaves out is None, or UNSAID where None would clear a field.

    `time_ms` is the device's own cumulative time, never a difference.
    """

    updated_at: datetime
    seen: bool | None = None
    completed: bool | None = None
    percent: int | None = None
    time_ms: int | None = None
    score_best: int | None = None
    score_last: int | Unsaid | None = UNSAID
    last_seen_at: datetime | Unsaid | None = UNSAID


@dataclass(frozen=True, slots=True)
class Counter:
    """What is known of one device and lesson: its own time, and the latest stamp that was in the future."""

    time_ms: int = 0
    ahead: datetime | None = None

    def has_said(self, stamp: datetime, now: datetime) -> bool:
        """Whether a change with this stamp came before: a stamp in the future would count as new each time."""
        return self.ahead is not None and (stamp == self.ahead or now < stamp < self.ahead)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a server holds of a lesson of one learner: the row, and what each device has told."""

    row: Progress
    devices: Mapping[str, Counter] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def time_ms(self) -> int:
        """The sum of the devices' own times."""
        return min(sum(counter.time_ms for counter in self.devices.values()), MAX_TIME_MS)


def merge(stored: Stored | None, change: Change, device_id: str, now: datetime) -> Stored:
    """What the server holds once a device's change is merged, at the server's time `now`.

    A strictly newer change replaces what it says; otherwise the server keeps its own. The best score and the
    device's time only grow, whatever the stamp. Nothing stays stamped later than `now`.
    """
    stamp = min(change.updated_at, now)
    counter = stored.devices.get(device_id, Counter()) if stored else Counter()
    row = _not_after(stored.row, now) if stored else Progress(stamp)
    if stored is None or (stamp > row.updated_at and not counter.has_said(change.updated_at, now)):
        row = _said(row, change, stamp, now)
    row = replace(row, score_best=_best(row.score_best, change.score_best))
    ahead = max(change.updated_at, counter.ahead or NEVER) if change.updated_at > now else counter.ahead
    told = Counter(max(counter.time_ms, change.time_ms or 0), ahead)
    return Stored(row, {**(stored.devices if stored else {}), device_id: told})


def merge_together(stored: Stored | None, changes: Iterable[tuple[str, Change]], now: datetime) -> Stored | None:
    """As `merge` of each (device, change) of many that arrive at once: in the order of their stamps.

    Of those that are stamped in the future, and so all of now, the latest stamp comes first and wins.
    """
    latest_first = sorted(changes, key=lambda pair: pair[1].updated_at, reverse=True)
    for device, change in sorted(latest_first, key=lambda pair: min(pair[1].updated_at, now)):
        stored = merge(stored, change, device, now)
    return stored


def _said(row: Progress, change: Change, stamp: datetime, now: datetime) -> Progress:
    """The row with what the change says."""
    last_seen_at = row.last_seen_at if change.last_seen_at is UNSAID else change.last_seen_at
    return replace(
        row,
        updated_at=stamp,
        seen=row.seen if change.seen is None else change.seen,
        completed=row.completed if change.completed is None else change.completed,
        percent=row.percent if change.percent is None else change.percent,
        score_last=row.score_last if change.score_last is UNSAID else change.score_last,
        last_seen_at=None if last_seen_at is None else min(last_seen_at, now),
    )


def _not_after(row: Progress, now: datetime) -> Progress:
    """The row with stamps in the future pulled down to now."""
    last_seen_at = None if row.last_seen_at is None else min(row.last_seen_at, now)
    return replace(row, updated_at=min(row.updated_at, now), last_seen_at=last_seen_at)


def _best(one: int | None, other: int | None) -> int | None:
    return max((score for score in (one, other) if score is not None), default=None)


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson on a device. `row` is as the server's; times are cumulative, in milliseconds.

    `own_time_ms` is this device's alone, and all that it ever sends; `others_time_ms` that of the learner's other
    devices, as the server last said.
    """

    row: Progress
    own_time_ms: int = 0
    others_time_ms: int = 0

    @property
    def time_ms(self) -> int:
        """What is shown: the time on all devices."""
        return min(self.own_time_ms + self.others_time_ms, MAX_TIME_MS)


def acknowledge(lesson: Lesson, sent: Lesson, received_at: datetime) -> tuple[Lesson, bool]:
    """The lesson once the server has taken what was sent, and whether something of it is still to be sent.

    What was done meanwhile is. Stamps in the server's future become `received_at`, as they did there.
    """
    if lesson.row != sent.row:
        return lesson, True
    return replace(lesson, row=_not_after(lesson.row, received_at)), lesson.own_time_ms > sent.own_time_ms


def pull(lesson: Lesson | None, pending: bool, said: Lesson) -> tuple[Lesson, bool]:
    """The lesson once the server's is known, and whether something of it is still to be sent.

    `said.own_time_ms` is what the server knows of this device's own time. A strictly newer server replaces the
    rest of the row; then only a time or a best score that it lacks is still to be sent.
    """
    if lesson is None:
        return said, False
    own = max(lesson.own_time_ms, said.own_time_ms)
    best = _best(lesson.row.score_best, said.row.score_best)
    newer = said.row.updated_at > lesson.row.updated_at
    row = replace(said.row if newer else lesson.row, score_best=best)
    unsent = own > said.own_time_ms or best != said.row.score_best
    return Lesson(row, own, said.others_time_ms), pending and (unsent or not newer)
