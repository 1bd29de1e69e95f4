"""What can be wrong, and what one look gives: the runs that ended, and the states that were found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

__all__ = ["FAILING", "EndedRun", "Good", "Kind", "Observed", "Problem"]


class Kind(StrEnum):
    """What can be wrong."""

    FAILURE = "failure"
    GUARD = "guard"
    CREDENTIALS = "credentials"
    SLOW = "slow"
    ERROR_RATE = "error_rate"
    STALE = "stale"
    DATABASE = "database"
    DAEMON = "daemon"


#: How a run fails: one of these. While one of them lasts, staleness is no news.
FAILING = frozenset({Kind.FAILURE, Kind.GUARD, Kind.CREDENTIALS})


@dataclass(frozen=True)
class Problem:
    """Something wrong with a subject: a flow as people call it ("wtl", "wtl_courses", "bakalari/<school>").

    `said` is the first error, on one line and without personal data. `streams` are those that it befell; none: it
    may be any of the subject's. `since` is when it began, where that was not just now.
    """

    kind: Kind
    subject: str
    said: str = ""
    run_id: str | None = None
    counts: Mapping[str, float] = field(default_factory=dict[str, float])
    streams: frozenset[str] = frozenset()
    since: datetime | None = None


@dataclass(frozen=True)
class Good:
    """What a run did well of a subject: which streams, and which kinds of problem that ends."""

    subject: str
    streams: frozenset[str]
    kinds: frozenset[Kind] = FAILING


@dataclass(frozen=True)
class EndedRun:
    """A run that succeeded or failed. `position` is its place in the order in which runs ended."""

    position: int
    run_id: str
    at: datetime
    problems: tuple[Problem, ...] = ()
    good: tuple[Good, ...] = ()


@dataclass(frozen=True)
class Observed:
    """What one look gave: runs that ended, and the problems that are states, which last as long as they are seen.

    `looked_at` names the kinds of state that were looked at, by flow, but for the `unclear`, of which nothing can
    be said: all others stay as they were. `left` are subjects that the settings no longer name, `busy` flows that
    have a run queued or under way.
    """

    runs: Sequence[EndedRun] = ()
    states: Sequence[Problem] = ()
    looked_at: frozenset[tuple[Kind, str]] = frozenset()
    unclear: frozenset[tuple[Kind, str]] = frozenset()
    left: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()
