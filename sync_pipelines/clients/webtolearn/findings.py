"""What was found out about a platform: plain data, with no value of any row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

__all__ = ["RANGE_NAMES", "Advice", "Diagnosis", "Endpoint", "Observed", "RangeSeen", "RelationSeen", "State"]

State: TypeAlias = Literal["ok", "warning", "problem"]

#: What range=[a,b] may mean (A14), in words.
RANGE_NAMES: Mapping[str, str] = {
    "inclusive": "first and last row",
    "offset-limit": "offset and limit",
    "offset-limit+1": "offset and limit, and one row more comes",
    "half-open": "first row and the one after the last",
    "limit-offset": "limit and offset",
    "page-size": "page and size",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One question and what came. `path` and `query` are as asked, before they are encoded.

    `fields` counts for id, title, order and other in how many rows each name has a value; `refused` counts the
    rows that are no lesson, by reason. `verdict` is a word, `why` the rest of the sentence.
    """

    name: str
    path: str
    query: Mapping[str, str]
    status: int | None
    shape: str
    rows: int | None
    total: int | None
    fields: Mapping[str, Mapping[str, int]]
    refused: Mapping[str, int]
    verdict: str
    why: str


@dataclass(frozen=True, slots=True)
class Observed:
    """What was found out about one thing: `state` is a word, `why` says it in a sentence."""

    state: str
    why: str


@dataclass(frozen=True, slots=True)
class RangeSeen(Observed):
    """What range=[a,b] asks for; `rows` is how many each range brought, None where no list came."""

    rows: Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class RelationSeen(Observed):
    """Whether a course's lessons can be read: `way` is how, `known` as in the client's Relation."""

    way: str | None
    known: bool


@dataclass(frozen=True, slots=True)
class Advice:
    """A sentence that a person can act on."""

    state: State
    text: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was found out. The states of `course`: known, unknown, unclear.

    Of `range`: inclusive, offset-limit, offset-limit+1, half-open, limit-offset, page-size, ignored. Of
    `sort_by_id`: honoured, ignored, ascending (which it is without being asked, too). Of `sort_by_order`:
    honoured, ignored. Of these three also: too_few_rows, unclear. Of `content_range`: sent, wrong, missing,
    unclear. Of `relation`: available, not_available, not_proven, not_clear.
    """

    platform: str
    course_id: str
    course: Observed
    endpoints: Sequence[Endpoint]
    range: RangeSeen
    sort_by_id: Observed
    sort_by_order: Observed
    content_range: Observed
    relation: RelationSeen
    requests: Mapping[str, int | str | None]
    recommendations: Sequence[Advice] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)
