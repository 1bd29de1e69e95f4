"""A list as it was asked for: filtered, sorted, cut to its range (contracts/wtl.md A12–A14)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sync_pipelines.sandbox.answer import Page
from sync_pipelines.sandbox.webtolearn.invention import Row, by_id
from sync_pipelines.sandbox.webtolearn.platform import Platform
from sync_pipelines.sandbox.webtolearn.ranges import parsed, span

__all__ = ["Lists"]


@dataclass
class Lists:
    """Pages of a platform's rows. The order of a long list is kept for as long as what it goes by is the same."""

    platform: Platform
    _orders: dict[tuple[str, str, bool], tuple[list[Any], list[int]]] = field(
        default_factory=dict[tuple[str, str, bool], tuple[list[Any], list[int]]]
    )

    def page(self, resource: str, rows: list[Row], query: Mapping[str, str]) -> Page:
        """The part of `rows` that the query asks for."""
        if self.platform.filters == "honoured":
            rows = _filtered(rows, query.get("filter"))
        order = self._order(resource, rows, query.get("sort"))
        first, stop, end = span(query.get("range"), self.platform.range_meaning, self.platform.page_cap)
        shown = rows[first:stop] if order is None else [rows[i] for i in order[first:stop]]
        return Page(resource, shown, first, end, len(rows))

    def course_asked_for(self, query: Mapping[str, str]) -> str | None:
        """The course whose lessons the query wants, where the platform shows the relation that way."""
        if self.platform.relation == "query":
            return query.get("training_id")
        if self.platform.relation == "filter" and self.platform.filters == "honoured":
            for rule in _rules(query.get("filter")):
                match rule:
                    case {"field": "training_id", "type": "equals" | "is", "value": str() | int() as course}:
                        return str(course)
                    case _:
                        pass
        return None

    def lessons_of(self, course: str) -> list[Row]:
        """A course's lessons in its order, with their place in it from 1."""
        places = {lesson: i for i, lesson in enumerate(self.platform.course_lessons.get(course, ()), 1)}
        rows = [{**row, "order": places[row["id"]]} for row in self.platform.lessons if row.get("id") in places]
        return sorted(rows, key=lambda row: row["order"])

    def _order(self, resource: str, rows: list[Row], sort: str | None) -> list[int] | None:
        """The rows' places in the order asked for; None: as they stand. A sort it cannot read is ignored, with
        status 200 (A12)."""
        key: Callable[[Row], Any]
        match parsed(sort):
            case _ if self.platform.sort_ignored:
                name, down, key = "id", False, _own_order
            case ["id", str(direction)]:
                name, down, key = "id", direction.upper() == "DESC", by_id
            case [str(name), str(direction)] if rows and name in rows[0]:
                down, key = direction.upper() == "DESC", _text_of(name)
            case _:
                return None
        # Rows are changed from outside, unannounced: the values themselves say whether the order still holds.
        values = [row.get(name) for row in rows]
        slot = resource, f"{name} {self.platform.sort_ignored}", down
        kept = self._orders.get(slot)
        if kept is not None and kept[0] == values:
            return kept[1]
        order = sorted(range(len(rows)), key=lambda i: key(rows[i]), reverse=down)
        if len(rows) > 500:  # a short one, as a course's, is sorted again rather than put in a long one's place
            self._orders[slot] = values, order
        return order


def _text_of(name: str) -> Callable[[Row], str]:
    return lambda row: str(row.get(name))


def _own_order(row: Row) -> int:
    return zlib.crc32(str(row.get("id")).encode("utf-8", "replace"))


def _many(want: Any) -> list[str]:
    match want:
        case [*values]:
            return [str(value) for value in values]
        case _:
            return [str(want)]


_TESTS: dict[str, Callable[[str, Any], bool]] = {
    "equals": lambda have, want: have == str(want),
    "is": lambda have, want: have == str(want),
    "contains": lambda have, want: str(want).casefold() in have.casefold(),
    "in": lambda have, want: have in _many(want),
    "not in": lambda have, want: have not in _many(want),
    "exists": lambda have, want: True,
    "less": lambda have, want: have < str(want),
    "more": lambda have, want: have > str(want),
    "less_equals": lambda have, want: have <= str(want),
    "more_equals": lambda have, want: have >= str(want),
}
_FILTERABLE = ("name", "email")


def _rules(text: str | None) -> list[Any]:
    match parsed(text):
        case [*rules]:
            return rules
        case _:
            return []


def _filtered(rows: list[Row], text: str | None) -> list[Row]:
    """A filter on a field that is not listed is ignored (A12)."""
    for rule in _rules(text):
        match rule:
            case {"field": str(name), "type": str(kind), "value": value} if name in _FILTERABLE and kind in _TESTS:
                rows = [row for row in rows if name in row and _TESTS[kind](str(row[name]), value)]
            case _:
                pass
    return rows
