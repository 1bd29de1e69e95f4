"""Reading a whole list through `range=[a,b]`, whatever the server takes `a` and `b` to mean.

Every reading of `[s, s+K]` but [limit, offset] starts at absolute position s. So the list is assembled by
position: each page is asked for from the last row held, and must begin with that very row. The proof that
nothing is missing is: as many rows as the server says there are, and a last request that added none.
Source: contracts/wtl.md A14–A16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sync_pipelines.errors import UnexpectedAnswer

__all__ = ["Listing", "Page", "read_all"]

_MAX_PAGES = 100_000


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one answer, and how many the server says there are in all, if it says."""

    rows: Sequence[Any]
    total: int | None


@dataclass(frozen=True, slots=True)
class Listing:
    """A list as read: `complete` is proven, or `reason` says why it is not."""

    rows: Sequence[Any]
    total: int | None
    complete: bool
    reason: str | None = None


class _RowsMoved(Exception):
    """The list changed while it was read."""

    def __init__(self, held: list[Any], total: int | None, what: str) -> None:
        super().__init__(what)
        self.held = held
        self.total = total


class _RepeatedId(_RowsMoved):
    """A pass ended well but for an id that came twice: a row that moved, or a defect upstream."""


def read_all(
    get_page: Callable[[int, int], Page],
    row_id: Callable[[Any], str | None],
    *,
    page_size: int = 1000,
    max_restarts: int = 3,
    on_page: Callable[[int, int | None], None] = lambda held, total: None,
) -> Listing:
    """Read a list whose rows have unique ids and are sorted by them, numerically and ascending.

    `get_page(a, b)` answers `range=[a,b]`. `row_id` gives a row's id, or None for a row without a usable one.
    `on_page` hears how many rows are held, of how many. A list that moved is read again from its start, at
    most `max_restarts` times; after that what the last pass held comes back as incomplete.

    Raises UnexpectedAnswer when the server's answers cannot be a list in the order asked for, and whatever
    `get_page` raises.
    """
    moved: _RowsMoved | None = None
    for _ in range(1 + max_restarts):
        try:
            return _one_pass(get_page, row_id, page_size, on_page)
        except _RepeatedId as error:
            if isinstance(moved, _RepeatedId) and moved.held == error.held:
                # Twice the same to the row: nothing moves, the upstream itself holds the id twice.
                return Listing(error.held, error.total, True)
            moved = error
        except _RowsMoved as error:
            moved = error
    assert moved is not None
    return Listing(moved.held, moved.total, False, f"{moved}, in each of {1 + max_restarts} passes")


def _one_pass(
    get_page: Callable[[int, int], Page],
    row_id: Callable[[Any], str | None],
    page_size: int,
    on_page: Callable[[int, int | None], None],
) -> Listing:
    held: list[Any] = []
    total: int | None = None
    pages_that_added = 0
    for _ in range(_MAX_PAGES):
        start = max(len(held) - 1, 0)
        page = get_page(start, start + page_size)
        if total is not None and (page.total is None or page.total < total):
            raise _RowsMoved(held, total, "the number of rows shrank while they were read")
        total = page.total
        new = _without_overlap(held, page, total)
        held.extend(new)
        on_page(len(held), total)
        if new:
            pages_that_added += 1
            continue
        if total is not None and len(held) < total:
            raise UnexpectedAnswer(
                f"the list stopped at row {len(held)} of {total}: the server does not take range=[a,b] as "
                "first and last row, or offset and limit"
            )
        _check_order(held, row_id, total, pages_that_added)
        if total is None:
            return Listing(held, total, False, "the server does not say how many rows there are (Content-Range)")
        return Listing(held, total, True)
    raise UnexpectedAnswer(f"the list does not end: {_MAX_PAGES} pages were read")


def _without_overlap(held: list[Any], page: Page, total: int | None) -> Sequence[Any]:
    if not held:
        return page.rows
    if not page.rows or page.rows[0] != held[-1]:
        raise _RowsMoved(held, total, "rows moved while they were read")
    return page.rows[1:]


def _check_order(held: list[Any], row_id: Callable[[Any], str | None], total: int | None, pages: int) -> None:
    """Ids that do not ascend, over several pages, are no proof of anything; repeated ones mean rows moved."""
    ids = [i for i in map(row_id, held) if i is not None]
    if len(set(ids)) < len(ids):
        raise _RepeatedId(held, total, "the same id came twice")
    numbers = [int(i) for i in ids]
    if pages > 1 and any(a >= b for a, b in pairwise(numbers)):
        raise UnexpectedAnswer("the server ignored the order asked for (sort by id): its pages cannot be joined")
