"""What a platform really does with the lessons of a course: what was asked, what came, what it means for a sync.

It asks and judges as the client does in a run, and keeps counts and the names of fields: no value of a row. It
knows neither command line nor database. Source of every fact: contracts/wtl.md A12–A18.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, TypeAlias, cast

from sync_pipelines.clients.http import Request
from sync_pipelines.clients.webtolearn.advice import advise
from sync_pipelines.clients.webtolearn.client import WebToLearnClient
from sync_pipelines.clients.webtolearn.findings import Diagnosis, Endpoint, Observed, RangeSeen, RelationSeen
from sync_pipelines.clients.webtolearn.records import Lesson
from sync_pipelines.clients.webtolearn.relation import IMPOSSIBLE_ID, WAYS, Attempt, Relation, Way, judge
from sync_pipelines.errors import SourceError
from sync_pipelines.log import redact

__all__ = ["ALIASES", "diagnose_lessons"]

Said: TypeAlias = tuple[str, str]  # a word, and why

_BY_ID, _BY_ID_DOWN, _BY_ORDER = '["id","ASC"]', '["id","DESC"]', '["order","ASC"]'
_BRIEF, _WHOLE = "[0,1]", "[0,1000]"  # the second is what a sync begins with
# Fewer rows leave more than one meaning of a range, or of a sort, possible.
_ENOUGH_ROWS = 3

#: The names under which a lesson's id, title and order are taken.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "id": Lesson.id_names,
    "title": Lesson.title_names,
    "order": Lesson.order_names,
}
# Other fields are named where that can be nothing but a field's name.
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_MOST_OTHER_FIELDS = 20


class _NotingClient(WebToLearnClient):
    """Asks each question once, so that the relation is judged by the very answers that are shown."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._noted: dict[tuple[str, frozenset[tuple[str, str]]], Attempt] = {}

    def attempt(self, path: str, params: Mapping[str, str]) -> Attempt:
        question = path, frozenset(params.items())
        if question not in self._noted:
            self._noted[question] = super().attempt(path, params)
        return self._noted[question]


def _every_lesson(range_: str, sort: str = _BY_ID) -> Request:
    return "lesson/list", {"sort": sort, "range": range_}


def diagnose_lessons(base_url: str, token: str, course_id: str) -> Diagnosis:
    """Ask for a course's lessons in every way there is; some 15 requests, none of which writes.

    Raises SourceError where the platform cannot be reached, refuses the token, or allows no more requests.
    """
    with _NotingClient(base_url, token) as client:
        client.probe()
        course = client.attempt(f"training/{course_id}/user/list", {"sort": _BY_ID, "range": _BRIEF})
        relation = client.lesson_relation([course_id])
        endpoints = list(_endpoints(client, course_id))
        whole = client.attempt(*_every_lesson(_WHOLE))
        found = Diagnosis(
            platform=base_url,
            course_id=course_id,
            course=_course(course, course_id),
            endpoints=endpoints,
            range=_range(client, whole),
            sort_by_id=_sort_by_id(client, whole),
            sort_by_order=_sort_by_order(endpoints, relation.way),
            content_range=_content_range(whole),
            relation=_relation(relation, endpoints),
            requests={
                "used": client.requests,
                "left_minute": client.facts.get("requests_left_minute"),
                "left_hour": client.facts.get("requests_left_hour"),
            },
        )
    return replace(found, recommendations=list(advise(found)))


# --- the endpoints --------------------------------------------------------------------------------------------


def _endpoints(client: _NotingClient, course_id: str) -> Iterator[Endpoint]:
    """Where a question brought no answer, what would be waited for in vain too is not asked."""

    def ask(name: str, request: Request, say: Callable[[Attempt], Said]) -> Endpoint:
        came = client.attempt(*request)
        return _endpoint(name, request, came, say(came))

    whole = ask("all lessons", _every_lesson(_WHOLE), _list_said)
    yield whole
    if whole.status is not None:
        yield ask("all lessons, by order", _every_lesson(_WHOLE, _BY_ORDER), _order_said)
    for way in WAYS:
        by_id = {"sort": _BY_ID, "range": _BRIEF}
        impossible = ask(f"{way.name}, no such course", way.request(IMPOSSIBLE_ID, by_id), judge)
        yield impossible
        if impossible.status is None:
            continue
        every = client.attempt(*_every_lesson(_BRIEF)).total
        shown = partial(_shown, impossible=impossible.verdict, every=every)
        this = ask(f"{way.name}, this course", way.request(course_id, by_id), shown)
        yield this
        if this.rows and impossible.verdict == "plausible":
            by_order = {"sort": _BY_ORDER, "range": _WHOLE}
            yield ask(f"{way.name}, by order", way.request(course_id, by_order), _order_said)


def _endpoint(name: str, request: Request, came: Attempt, said: Said) -> Endpoint:
    rows = () if came.rows is None else came.rows
    shape, count = (came.shape, None) if came.rows is None else ("list", len(rows))
    refused = dict(Counter(filter(None, map(_refusal, rows))))
    return Endpoint(name, *request, came.status, shape, count, came.total, _fields(rows), refused, *said)


def _refusal(row: object) -> str | None:
    try:
        Lesson.from_row(row)
    except SourceError as error:
        return str(error)
    return None


def _fields(rows: Iterable[Any]) -> dict[str, dict[str, int]]:
    records = [cast("dict[Any, Any]", row) for row in rows if isinstance(row, dict)]
    counts = Counter(str(name) for row in records for name, value in row.items() if value is not None)
    found = {kind: {n: counts[n] for n in names if counts[n]} for kind, names in ALIASES.items()}
    known = {name for names in ALIASES.values() for name in names}
    others = [(n, count) for n, count in counts.most_common() if n not in known and _FIELD_NAME.fullmatch(n)]
    return {**found, "other": dict(others[:_MOST_OTHER_FIELDS])}


def _failure(came: Attempt) -> Said | None:
    """What an answer is that is no list; None for a list."""
    status = came.status
    if status is None or came.is_no_answer:
        return "unclear", came.shape if status is None else f"status {status}"
    if status == 404:
        empty = came.shape == "empty body"
        return ("absent", "there is no such endpoint (404, empty body)") if empty else ("not_found", "status 404")
    if status >= 300:
        return "refused", f"status {status}"
    return ("unclear", f"status {status}, {came.shape}") if came.rows is None else None


def _list_said(came: Attempt) -> Said:
    of = "" if came.total is None else f" of {came.total}"
    return _failure(came) or (
        "lessons" if came.rows else "no_lesson",
        f"one answer brings {len(came.rows or ())}{of}",
    )


def _order_said(came: Attempt) -> Said:
    if (failure := _failure(came)) is not None:
        return failure
    lessons = [Lesson.from_row(row) for row in came.rows or () if _refusal(row) is None]
    orders = [lesson.order for lesson in lessons if lesson.order is not None]
    if len(lessons) < _ENOUGH_ROWS:
        return "too_few_rows", "it takes three to tell"
    if not orders:
        return "ignored", "no row has an order"
    if _ascend(orders):
        return "honoured", f"{len(orders)} of {len(lessons)} rows have an order, and come by it"
    if _ascend([*map(str, orders)]):
        return "honoured", "the rows come by it as text: 10 before 2"
    return "ignored", "the rows have an order, and do not come by it"


def _ascend(values: Sequence[Any]) -> bool:
    return all(a <= b for a, b in pairwise(values))


def _shown(came: Attempt, impossible: str, every: int | None) -> Said:
    """Whether the course's own answer is a proof, by the client's rule: some lessons, and not all there are."""
    if (failure := _failure(came)) is not None:
        return failure
    if impossible == "ignored":
        return "ignored", "no such course is answered the same way"
    if impossible != "plausible":
        return "not_believed", f"for no such course it is {impossible}"
    if not came.rows:
        return "not_proven", "no lesson came" if came.total else "the course has no lesson"
    if not came.total:
        return "not_proven", "Content-Range gives no total"
    if every is None:
        return "not_proven", "the platform does not say how many lessons there are"
    if came.total >= every:
        return "not_proven", f"it shows all {every} lessons of the platform"
    return "shown", f"{came.total} lessons of the platform's {every}"


# --- what the platform does -----------------------------------------------------------------------------------


def _course(came: Attempt, course_id: str) -> Observed:
    verdict, why = _failure(came) or ("known", "the platform lists who has access to it")
    if verdict == "known":
        return Observed(verdict, why)
    if verdict == "not_found":
        return Observed("unknown", f"the platform has no course {course_id} (404)")
    return Observed("unclear", f"who has access to it cannot be read: {why}")


_PROBES = ((0, 1), (1, 1), (1, 2))
# The first row and the one after the last (A14).
_SPANS: Mapping[str, Callable[[int, int], tuple[int, int]]] = {
    "inclusive": lambda a, b: (a, b + 1),
    "offset-limit": lambda a, b: (a, a + b),
    "offset-limit+1": lambda a, b: (a, a + b + 1),
    "half-open": lambda a, b: (a, b),
    "limit-offset": lambda a, b: (b, a + b),
    "page-size": lambda a, b: (a * b, a * b + b),
}


def _range(client: _NotingClient, whole: Attempt) -> RangeSeen:
    if whole.rows is None:
        return RangeSeen("unclear", "no list came", {_WHOLE: None})
    came = {f"[{a},{b}]": client.attempt(*_every_lesson(f"[{a},{b}]")) for a, b in _PROBES}
    rows = {name: None if a.rows is None else len(a.rows) for name, a in {**came, _WHOLE: whole}.items()}
    why = ", ".join(f"{name} brings {'no list' if n is None else n}" for name, n in rows.items())
    total = max(whole.total or 0, len(whole.rows))
    if total < _ENOUGH_ROWS:
        return RangeSeen("too_few_rows", f"it takes three to tell; {why}", rows)
    if 0 < len(whole.rows) < min(total, 1000):
        why += f" of {total}: an answer is cut there"
    lists = [a.rows for a in came.values() if a.rows is not None]
    return RangeSeen(_meaning(lists, total) if len(lists) == len(came) else "unclear", why, rows)


def _meaning(lists: Sequence[Sequence[Any]], total: int) -> str:
    """By how many rows each probe brings, and which begin alike. Of the last at most two: a server may cap."""
    *counts, last = map(len, lists)
    alike = [bool(one and other) and one[0] == other[0] for one, other in pairwise(lists)]
    if all(alike) and len({*counts, last}) == 1:
        return "ignored"
    for name, span in _SPANS.items():
        spans = [[min(place, total) for place in span(a, b)] for a, b in _PROBES]
        *expected, expected_last = (stop - first for first, stop in spans)
        begin_alike = [x < y and u < v and x == u for (x, y), (u, v) in pairwise(spans)]
        if (expected, min(expected_last, 2), begin_alike) == (counts, min(last, 2), alike):
            return name
    return "unclear"


def _sort_by_id(client: _NotingClient, whole: Attempt) -> Observed:
    if whole.rows is None:
        return Observed("unclear", "no list came")
    ids = _ids(whole)
    if len(ids) < _ENOUGH_ROWS:
        return Observed("too_few_rows", "it takes three to tell")
    if not _ascend(ids):
        return Observed("ignored", "the rows do not come by id")
    if _ids(client.attempt(*_every_lesson(_BRIEF, _BY_ID_DOWN)))[:1] == ids[:1]:
        return Observed("ascending", "the rows come by id, but with DESC too")
    return Observed("honoured", "the rows come by id, and with DESC others come first")


def _ids(came: Attempt) -> list[int]:
    return [int(Lesson.id_of(row)) for row in came.rows or () if _refusal(row) is None]


def _sort_by_order(endpoints: Iterable[Endpoint], way: Way | None) -> Observed:
    """Of the course's lessons, where those can be read; else of all."""
    name = "all lessons" if way is None else way.name
    said = [(e.verdict, e.why) for e in endpoints if e.name == f"{name}, by order"]
    return Observed(*said[0]) if said else Observed("unclear", "no list came")


def _content_range(whole: Attempt) -> Observed:
    if whole.rows is None:
        return Observed("unclear", "no list came")
    header = "" if whole.content_range is None else redact(whole.content_range)[:80]
    if whole.total is None:
        return Observed("missing", f"it has no total ({header})" if header else "there is none")
    if whole.total < len(whole.rows):
        return Observed("wrong", f"{header}, where {len(whole.rows)} rows came")
    return Observed("sent", header)


def _relation(relation: Relation, endpoints: Iterable[Endpoint]) -> RelationSeen:
    plausible = any(endpoint.verdict == "plausible" for endpoint in endpoints)
    state = "not_proven" if plausible else "not_available"
    if relation.way is not None or not relation.known:
        state = "available" if relation.way else "not_clear"
    return RelationSeen(state, relation.said, relation.way and relation.way.name, relation.known)
