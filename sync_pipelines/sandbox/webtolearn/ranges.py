"""What `range=[a,b]` may mean (contracts/wtl.md A14): the vendor says several things, one server means one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["MEANINGS", "Span", "parsed", "span"]


class Span(NamedTuple):
    """Rows first..stop-1 of the listing, and the number that Content-Range prints as its end."""

    first: int
    stop: int
    end: int


# Recorded: [0,10] was always answered with `0-11` (A13). A half-open range prints what it took, and cannot.
MEANINGS: dict[str, Callable[[int, int], Span]] = {
    "inclusive": lambda a, b: Span(a, b + 1, b + 1),
    "offset-limit": lambda a, b: Span(a, a + b, a + b + 1),
    "offset-limit+1": lambda a, b: Span(a, a + b + 1, a + b + 1),
    "half-open": lambda a, b: Span(a, b, b),
    "limit-offset": lambda a, b: Span(b, a + b, a + b + 1),
    # Pages count from 0: [0,10] was always answered with rows.
    "page-size": lambda a, b: Span(a * b, a * b + b, a * b + b + 1),
}
_FIRST_HUNDRED = Span(0, 100, 100)


def parsed(text: str | None) -> Any:
    """The JSON of a query's value; None where it is not JSON."""
    try:
        return json.loads(text or "")
    except ValueError:
        return None


def span(text: str | None, meaning: str, cap: int | None) -> Span:
    """The rows a request asks for, at most `cap`; without a usable range the first hundred."""
    match parsed(text):
        case [int(a), int(b)] if a >= 0 and b >= 0:
            first, stop, end = MEANINGS[meaning](a, b)
        case _:
            first, stop, end = _FIRST_HUNDRED
    return Span(first, stop if cap is None else min(stop, first + cap), end)
