"""Reading a list that mostly comes in one answer, which proves itself: as many rows as there are, and room left.

Rows may share an id, and nobody has promised an order among those, so no row can be told by its place in a page.
But ids ascend: all rows of an id have come once one answer shows the id before it, them, and the id after it, or
the list's end. So each page is asked for from the last id that came whole, in whatever order its rows are then.
Source: contracts/wtl.md A8, A16.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from sync_pipelines.clients.paging import (
    MAX_PAGES,
    GetPages,
    Listing,
    Page,
    RowsMoved,
    check_order,
    check_reached,
    one_pass,
    read_all,
    some_repeat,
    to_its_end,
)
from sync_pipelines.errors import UnexpectedAnswer

__all__ = ["read_short"]

RowId: TypeAlias = Callable[[Any], str | None]


class _IdTooLong(Exception):
    """A page brings fewer rows than an id has."""


def read_short(
    get_pages: GetPages,
    first: Page,
    row_id: RowId,
    *,
    page_size: int = 1000,
    ids_repeat: bool = False,
    max_restarts: int = 3,
) -> Listing:
    """Read a list of which `first` is the answer to `range=[0, page_size]`: no other request where that is all.

    `ids_repeat` says that several rows may have one id. Where a page brings fewer rows than an id has, it takes
    two passes that hold the same rows, in whatever order. Raises as `read_all` does.
    """
    if not first.rows and first.total:
        check_reached((), first.total)
    if first.total is not None and first.total >= page_size:
        page_size = first.total + 1
        (first,) = get_pages([(0, page_size)])
    whole = len(first.rows) == first.total and len(first.rows) < page_size
    if whole and (ids_repeat or not some_repeat(first.rows, row_id)):
        return Listing(first.rows, first.total, True)
    if not ids_repeat:
        return read_all(get_pages, row_id, page_size=page_size, max_restarts=max_restarts)
    try:
        return _id_by_id(get_pages, first, row_id, page_size, max_restarts)
    except _IdTooLong:
        return _two_equal_passes(get_pages, row_id, page_size, max_restarts)


# --- id by id ---------------------------------------------------------------------------------------------


def _id_by_id(get_pages: GetPages, first: Page, row_id: RowId, page_size: int, max_restarts: int) -> Listing:
    page: Page | None = first
    moved: RowsMoved | None = None
    for _ in range(1 + max_restarts):
        try:
            return _pass_id_by_id(get_pages, page, row_id, page_size)
        except RowsMoved as error:
            page, moved = None, error
    assert moved is not None
    return Listing(moved.held, moved.total, False, f"{moved}, in each of {1 + max_restarts} passes")


def _pass_id_by_id(get_pages: GetPages, page: Page | None, row_id: RowId, page_size: int) -> Listing:
    """One reading; `page` is its first page, where that is there already."""
    if page is None:
        (page,) = get_pages([(0, page_size)])
    held, total = list(page.rows), page.total
    start, most = 0, len(page.rows)
    for number in range(1, MAX_PAGES):
        before, start = start, _last_that_came_whole(held, row_id)
        if start == before:
            # The same would be asked again. A page shorter than another was not cut by the server: it is the last.
            if len(page.rows) == most > 0:
                raise _IdTooLong
            check_reached(held, total)
            check_order(held, row_id, number)
            return to_its_end(held, total)
        (page,) = get_pages([(start, start + page_size)])
        total, most = page.total, max(most, len(page.rows))
        held = _continued(held, start, page, row_id, total)
    raise UnexpectedAnswer(f"the list does not end: {MAX_PAGES} pages were read")


def _last_that_came_whole(held: Sequence[Any], row_id: RowId) -> int:
    """The place of the last row before those of the last id, which may go on; rows without an id go with them."""
    place = len(held) - 1
    last = None
    while place > 0:
        its_id = row_id(held[place])
        last = last or its_id
        if its_id is not None and its_id != last:
            return place
        place -= 1
    return 0


def _continued(held: list[Any], start: int, page: Page, row_id: RowId, total: int | None) -> list[Any]:
    """The rows up to `start`, and those of the page that begins there: with the last row of the same id."""
    ids = [row_id(row) for row in page.rows]
    following = next((i for i in ids[1:] if i is not None), None)
    whole = row_id(held[start])
    if not ids or ids[0] != whole or following == whole:
        raise RowsMoved(held, total, "rows moved while they were read")
    return [*held[: start + 1], *page.rows[1:]]


# --- twice ------------------------------------------------------------------------------------------------


def _two_equal_passes(get_pages: GetPages, row_id: RowId, page_size: int, max_restarts: int) -> Listing:
    before: Counter[str] | None = None
    listing = Listing((), None, False)
    why = "rows moved while they were read"
    for _ in range(2 + max_restarts):
        try:
            listing = one_pass(get_pages, row_id, page_size, ids_repeat=True)
        except RowsMoved as moved:
            listing, before, why = Listing(moved.held, moved.total, False), None, str(moved)
            continue
        if not listing.complete:
            return listing
        rows = Counter(json.dumps(row, sort_keys=True) for row in listing.rows)
        if rows == before:
            return listing
        before, why = rows, "rows that share an id changed places between pages"
    return Listing(listing.rows, listing.total, False, f"{why}, in {2 + max_restarts} passes")
