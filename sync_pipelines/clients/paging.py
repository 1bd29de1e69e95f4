"""Reading a whole list through `range=[a,b]`, whatever the server takes `a` and `b` to mean.

Every reading of `[s, s+K]` but [limit, offset] starts at absolute position s. So the list is assembled by
position: each page is asked for from the last row held, and must begin with that very row. The proof that
nothing is missing is: as many rows as the server says there are, and a last request that added none.
It does not matter in which order the pages were answered, because ids ascend: a page that begins with one row
held and ends with the next has every row between. So pages are asked for ahead of their turn.
Source: contracts/wtl.md A14–A16.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice, pairwise, tee
from typing import Any

from sync_pipelines.errors import UnexpectedAnswer

__all__ = [
    "MAX_PAGES",
    "GetPages",
    "Listing",
    "Page",
    "Range",
    "RowsMoved",
    "check_order",
    "check_reached",
    "one_pass",
    "read_all",
    "some_repeat",
    "to_its_end",
]

MAX_PAGES = 100_000
_NO_TOTAL = "the server does not say how many rows there are (Content-Range)"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one answer, and how many the server says there are in all, if it says."""

    rows: Sequence[Any]
    total: int | None


Range = tuple[int, int]
GetPages = Callable[[Iterable[Range]], Generator[Page, None, None]]
# The page of each range, in order. It may take as many ranges ahead as it likes to have under way, and gives up
# on those when it is closed.


@dataclass(frozen=True, slots=True)
class Listing:
    """A list as read: `complete` is proven, or `reason` says why it is not."""

    rows: Sequence[Any]
    total: int | None
    complete: bool
    reason: str | None = None


def to_its_end(held: Sequence[Any], total: int | None) -> Listing:
    """A list read until a request added nothing: complete, where what was said of its length lets that be so."""
    reason = None
    if total is None:
        reason = _NO_TOTAL
    elif len(held) == 1 and total == 0:
        # The request that added nothing was the very one before: it showed no end.
        reason = "one row came of a list that is said to have none"
    return Listing(held, total, reason is None, reason)


class RowsMoved(Exception):
    """The list changed while it was read."""

    def __init__(self, held: list[Any], total: int | None, what: str) -> None:
        super().__init__(what)
        self.held = held
        self.total = total


class _RepeatedId(RowsMoved):
    """A pass ended well but for an id that came twice: a row that moved, or a defect upstream."""


def read_all(
    get_pages: GetPages,
    row_id: Callable[[Any], str | None],
    *,
    page_size: int = 1000,
    max_restarts: int = 3,
    on_page: Callable[[int, int | None], None] = lambda held, total: None,
) -> Listing:
    """Read a list whose rows have unique ids and are sorted by them, numerically and ascending.

    `get_pages` gives the page of each `range=[a,b]`. `row_id` gives a row's id, or None for a row without a
    usable one. `on_page` hears how many rows are held, of how many. A list that moved is read again from its
    start, at most `max_restarts` times; after that what the last pass held comes back as incomplete.

    Raises UnexpectedAnswer when the server's answers cannot be a list in the order asked for, and whatever
    `get_pages` raises.
    """
    moved: RowsMoved | None = None
    for _ in range(1 + max_restarts):
        try:
            return one_pass(get_pages, row_id, page_size, on_page=on_page)
        except _RepeatedId as error:
            if isinstance(moved, _RepeatedId) and moved.held == error.held:
                # Twice the same to the row: nothing moves, the upstream itself holds the id twice.
                return to_its_end(error.held, error.total)
            moved = error
        except RowsMoved as error:
            moved = error
    assert moved is not None
    return Listing(moved.held, moved.total, False, f"{moved}, in each of {1 + max_restarts} passes")


def one_pass(
    get_pages: GetPages,
    row_id: Callable[[Any], str | None],
    page_size: int,
    *,
    ids_repeat: bool = False,
    on_page: Callable[[int, int | None], None] = lambda held, total: None,
) -> Listing:
    """Read the list once. Raises RowsMoved where it changed meanwhile, and what `read_all` raises."""
    held: list[Any] = []
    total: int | None = None
    pages_that_added = 0
    with closing(_pages_from_last_row(get_pages, held, page_size)) as pages:
        for page in islice(pages, MAX_PAGES):
            if total is not None and (page.total is None or page.total < total):
                raise RowsMoved(held, total, "the number of rows shrank while they were read")
            total = page.total
            new = _without_overlap(held, page, total)
            held.extend(new)
            on_page(len(held), total)
            if not new:
                check_reached(held, total)
                check_order(held, row_id, pages_that_added)
                if not ids_repeat and some_repeat(held, row_id):
                    raise _RepeatedId(held, total, "the same id came twice")
                return to_its_end(held, total)
            pages_that_added += 1
    raise UnexpectedAnswer(f"the list does not end: {MAX_PAGES} pages were read")


def _pages_from_last_row(get_pages: GetPages, held: Sequence[Any], page_size: int) -> Generator[Page, None, None]:
    """Without end, the page that starts at the last row held; the caller adds each page to `held`.

    Pages are asked for ahead as if each brought as many rows as the one before. When one does not, those ahead
    are given up, and there are none until two pages in a row are alike: where pages grow, as a server that
    takes [offset, limit] makes them, it is not asked in vain again and again.
    """
    page = before = None
    while True:
        alike = page is None or before is None or len(page.rows) == len(before.rows)
        starts, asked = tee(_starts(len(held), page if alike else None))
        with closing(get_pages((a, a + page_size) for a in asked)) as pages:
            for start in starts:
                if start != max(len(held) - 1, 0):
                    break
                before, page = page, next(pages)
                yield page


def _starts(held: int, page: Page | None) -> Iterator[int]:
    """Where the next page starts; and the pages after it, to the last row, if all are like `page`."""
    start = max(held - 1, 0)
    if page is None or page.total is None or len(page.rows) < 2 or start >= page.total - 1:
        return iter((start,))
    return chain(range(start, page.total - 1, len(page.rows) - 1), (page.total - 1,))


def check_reached(held: Sequence[Any], total: int | None) -> None:
    """A request that adds nothing, while there is more, shows what the server's ranges are not."""
    if total is not None and len(held) < total:
        raise UnexpectedAnswer(
            f"the list stopped at row {len(held)} of {total}: the server does not take range=[a,b] as "
            "first and last row, or offset and limit, and no list of it can be read; ask its vendor"
        )
    if total is not None and len(held) > total:
        _log.warning("%d rows came of a list that is said to have %d: they are taken", len(held), total)


def _without_overlap(held: list[Any], page: Page, total: int | None) -> Sequence[Any]:
    if not held:
        return page.rows
    if not page.rows or page.rows[0] != held[-1]:
        raise RowsMoved(held, total, "rows moved while they were read")
    return page.rows[1:]


def check_order(held: Iterable[Any], row_id: Callable[[Any], str | None], pages: int) -> None:
    """Raise UnexpectedAnswer where ids do not ascend over several pages: those are no proof of anything."""
    numbers = [int(i) for i in map(row_id, held) if i is not None]
    if pages > 1 and any(a > b for a, b in pairwise(numbers)):
        raise UnexpectedAnswer("the server ignored the order asked for (sort by id): its pages cannot be joined")


def some_repeat(held: Iterable[Any], row_id: Callable[[Any], str | None]) -> bool:
    """Whether two rows have one id."""
    ids = [i for i in map(row_id, held) if i is not None]
    return len(set(ids)) < len(ids)
