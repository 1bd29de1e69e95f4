"""Whether the platform shows which lessons a course has, and where. No documented endpoint does (A18).

A server that ignores a filter answers every lesson for every course. So each way of asking is first tried with
an id that cannot be; what answers rows to that is not believed. Nor is one that shows no course any lesson, or
shows one all the lessons there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from sync_pipelines.clients.http import Answer
from sync_pipelines.clients.json_bodies import json_of
from sync_pipelines.clients.webtolearn.answers import content_range_total
from sync_pipelines.errors import SourceError, SourceUnavailable

__all__ = ["IMPOSSIBLE_ID", "WAYS", "Attempt", "Relation", "Verdict", "Way", "attempt_of", "judge", "no_answer"]

#: No training has it: ids are digits.
IMPOSSIBLE_ID = "-1"


@dataclass(frozen=True, slots=True)
class Way:
    """One way of asking for a course's lessons. `{id}` stands for the course's id."""

    name: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict[str, str])

    def request(self, course_id: str, more: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
        """Path and query for one course."""
        params = {name: value.replace("{id}", course_id) for name, value in self.params.items()}
        return self.path.replace("{id}", course_id), {**params, **more}


#: What was ever guessed or asked for (requirements 000), the likeliest first.
WAYS: tuple[Way, ...] = (
    Way("path", "training/{id}/lesson/list"),
    Way(
        "filter",
        "lesson/list",
        {"filter": '[{"field":"training_id","type":"equals","value":"{id}"}]'},
    ),
    Way("query", "lesson/list", {"training_id": "{id}"}),
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one request came to: `status` is None where no whole answer came.

    `rows` and `total` are set where it is a list; `shape` says in a few words what it is; `fields` counts the
    fields of the rows; `content_range` is a list's header as it came.
    """

    status: int | None
    shape: str
    rows: Sequence[Any] | None = None
    total: int | None = None
    fields: Mapping[str, int] = field(default_factory=dict[str, int])
    content_range: str | None = None

    @property
    def is_no_answer(self) -> bool:
        """Whether the next one may say something else."""
        return self.status is None or self.status >= 500 or self.status in (408, 429)

    @property
    def is_list(self) -> bool:
        """Whether it is what was asked for."""
        return self.status is not None and self.status < 300 and self.rows is not None


def attempt_of(answer: Answer) -> Attempt:
    """An answer looked at, whatever it is."""
    if not answer.body.strip():
        return Attempt(answer.status, "empty body")
    try:
        value = json_of(answer)
    except SourceUnavailable as error:
        return Attempt(answer.status, "web page" if "web page" in str(error) else "not JSON")
    if not isinstance(value, list):
        shape = "object" if isinstance(value, dict) else "null" if value is None else type(value).__name__
        return Attempt(answer.status, shape)
    rows = cast("list[Any]", value)
    fields = Counter(str(name) for row in rows if isinstance(row, dict) for name in cast("dict[Any, Any]", row))
    header = answer.headers.get("content-range")
    return Attempt(answer.status, f"list of {len(rows)}", rows, content_range_total(header), dict(fields), header)


def no_answer(error: SourceError) -> Attempt:
    """An attempt that brought nothing to look at."""
    return Attempt(None, f"no answer ({type(error).__name__})")


Verdict: TypeAlias = Literal["plausible", "ignored", "absent", "refused", "unclear"]


def judge(impossible: Attempt) -> tuple[Verdict, str]:
    """What the answer for the impossible id says of a way of asking, and why."""
    status = impossible.status
    if status is None or impossible.is_no_answer:
        return "unclear", impossible.shape if status is None else f"status {status}"
    if status == 404:
        if impossible.shape == "empty body":
            return "absent", "there is no such endpoint (404, empty body)"
        return "plausible", "a course that cannot be is not found (404)"
    if status >= 300:
        return "refused", f"status {status}"
    if impossible.rows is None:
        return "unclear", f"status {status}, {impossible.shape}"
    if impossible.rows or impossible.total:
        return "ignored", f"a course that cannot be has {impossible.total or len(impossible.rows)} lessons"
    return "plausible", "a course that cannot be has no lesson"


@dataclass(frozen=True, slots=True)
class Relation:
    """What was found out. `way` is how to ask, where it is proven; `said` a sentence for people.

    `known` is false where a way of asking came to nothing that could be judged. `all_lessons` is how many lessons
    the platform has in all: a course is not believed to have as many.
    """

    way: Way | None
    said: str
    all_lessons: int | None = None
    known: bool = True
