"""Whole lists and short ones, under every meaning of a range and every cap: exact, or not said to be complete."""

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.clients.paging import Listing, read_all
from sync_pipelines.clients.short_lists import read_short
from sync_pipelines.errors import UnexpectedAnswer
from sync_pipelines_tests.clients.ranges import (
    MEANINGS,
    NOT_BY_POSITION,
    Churn,
    Row,
    Server,
    Window,
    grants,
    in_flights,
    marked,
    numbered,
    row_id,
    seeds,
)

Read = Callable[[Server, int, int, int], Listing]
EVERY_MEANING = MEANINGS | NOT_BY_POSITION
CAPS = [None, 1, 7, 50]
sizes = st.sampled_from([0, 1, 2, 6, 7, 8, 13, 49, 50, 51, 99, 100, 101, 150]) | st.integers(0, 160)
page_sizes = st.sampled_from([1, 2, 7, 10, 50, 100, 1000])


def whole(server: Server, page_size: int, in_flight: int, seed: int) -> Listing:
    return read_all(Window(server.get, in_flight, seed).get_pages, row_id, page_size=page_size)


def short(server: Server, page_size: int, in_flight: int, seed: int) -> Listing:
    first = server.get(0, page_size)
    return read_short(Window(server.get, in_flight, seed).get_pages, first, row_id, page_size=page_size)


def short_of_grants(server: Server, page_size: int, in_flight: int, seed: int) -> Listing:
    pages = Window(server.get, in_flight, seed).get_pages
    return read_short(pages, server.get(0, page_size), row_id, page_size=page_size, ids_repeat=True)


def counted(rows: list[Row]) -> Counter[tuple[tuple[str, str], ...]]:
    return Counter(tuple(sorted(row.items())) for row in rows)


every_meaning = pytest.mark.parametrize("meaning", EVERY_MEANING)
every_cap = pytest.mark.parametrize("cap", CAPS)
reads = pytest.mark.parametrize("read", [whole, short])


@reads
@every_cap
@every_meaning
@given(size=sizes, page_size=page_sizes, in_flight=in_flights, seed=seeds)
@settings(max_examples=15)
def test_ids_that_are_unique_come_exactly_or_not_at_all(
    read: Read, meaning: str, cap: int | None, size: int, page_size: int, in_flight: int, seed: int
) -> None:
    rows = numbered(size)
    try:
        listing = read(Server(rows, EVERY_MEANING[meaning], cap), page_size, in_flight, seed)
    except UnexpectedAnswer:
        assert meaning in NOT_BY_POSITION or 1 in (cap, page_size)
        return
    assert list(listing.rows) == rows if listing.complete else listing.reason
    assert listing.complete or meaning in NOT_BY_POSITION


@every_cap
@every_meaning
@given(size=sizes, page_size=page_sizes, in_flight=in_flights, seed=seeds)
@settings(max_examples=15)
def test_ids_that_repeat_come_exactly_or_not_at_all(
    meaning: str, cap: int | None, size: int, page_size: int, in_flight: int, seed: int
) -> None:
    rows = grants(size, random.Random(seed))
    try:
        listing = short_of_grants(Server(rows, EVERY_MEANING[meaning], cap), page_size, in_flight, seed)
    except UnexpectedAnswer:
        assert meaning in NOT_BY_POSITION or 1 in (cap, page_size)
        return
    assert list(listing.rows) == rows if listing.complete else listing.reason
    assert listing.complete or meaning in NOT_BY_POSITION


@every_cap
@every_meaning
@given(size=sizes, page_size=page_sizes, in_flight=in_flights, seed=seeds)
@settings(max_examples=25)
def test_two_rows_of_one_id_that_change_places_with_every_answer_come_exactly_or_not_at_all(
    meaning: str, cap: int | None, size: int, page_size: int, in_flight: int, seed: int
) -> None:
    rng = random.Random(seed)
    rows = grants(size, rng, times=2)
    server = Server(rows, EVERY_MEANING[meaning], cap)
    server.ties = rng
    try:
        listing = short_of_grants(server, page_size, in_flight, seed)
    except UnexpectedAnswer:
        assert meaning in NOT_BY_POSITION or 1 in (cap, page_size)
        return
    assert counted(list(listing.rows)) == counted(rows) if listing.complete else listing.reason


@pytest.mark.parametrize("read", [whole, short, short_of_grants])
@every_cap
@every_meaning
@given(
    size=sizes,
    page_size=page_sizes,
    in_flight=in_flights,
    seed=seeds,
    how_often=st.sampled_from([0.02, 0.1, 0.3, 0.6]),
)
@settings(max_examples=25)
def test_a_list_said_to_be_complete_has_every_row_that_was_there_throughout(
    read: Read,
    meaning: str,
    cap: int | None,
    size: int,
    page_size: int,
    in_flight: int,
    seed: int,
    how_often: float,
) -> None:
    rng = random.Random(seed)
    rows = marked(grants(size, rng)) if read is short_of_grants else numbered(size)
    server = Server(rows, EVERY_MEANING[meaning], cap)
    key = "mark" if read is short_of_grants else "id"
    churn = Churn(server, rng, how_often, key)
    try:
        listing = read(server, page_size, in_flight, seed)
    except UnexpectedAnswer:
        return
    if listing.complete:
        assert churn.throughout <= {row[key] for row in listing.rows}
    else:
        assert listing.reason


@pytest.mark.parametrize("cap", [None, 20, 50])
@every_meaning
@given(
    size=st.integers(0, 300),
    page_size=st.sampled_from([20, 50, 100, 1000]),
    seed=seeds,
    how_often=st.sampled_from([0.0, 0.02, 0.1, 0.3]),
)
@settings(max_examples=40)
def test_where_rows_of_one_id_change_places_too_none_that_was_there_throughout_is_missing(
    meaning: str, cap: int | None, size: int, page_size: int, seed: int, how_often: float
) -> None:
    rng = random.Random(seed)
    server = Server(marked(grants(size, rng)), EVERY_MEANING[meaning], cap)
    churn = Churn(server, rng, how_often, "mark")
    server.ties = rng
    try:
        listing = short_of_grants(server, page_size, 1, seed)
    except UnexpectedAnswer:
        return
    if listing.complete:
        assert churn.throughout <= {row["mark"] for row in listing.rows}
        assert len(listing.rows) == len({row["mark"] for row in listing.rows})
    else:
        assert listing.reason
    assert listing.complete or how_often or meaning in NOT_BY_POSITION
