"""Paging is exact or refuses, whatever `range` means to the server (contracts/wtl.md A14, A16)."""

import random
from collections.abc import Callable, Generator, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.clients.paging import Listing, Page, Range, read_all
from sync_pipelines.errors import UnexpectedAnswer
from sync_pipelines_tests.clients.ranges import (
    MEANINGS,
    NOT_BY_POSITION,
    Server,
    Window,
    caps,
    in_flights,
    numbered,
    one_by_one,
    page_sizes,
    row_id,
    seeds,
    sizes,
)


def read(server: Server, page_size: int = 1000) -> Listing:
    return read_all(one_by_one(server.get), row_id, page_size=page_size)


def read_ahead(server: Server, page_size: int, in_flight: int, seed: int) -> tuple[Listing, Window]:
    window = Window(server.get, in_flight, seed)
    return read_all(window.get_pages, row_id, page_size=page_size), window


@pytest.mark.parametrize("meaning", MEANINGS)
@given(size=sizes, page_size=page_sizes, cap=caps, in_flight=in_flights, seed=seeds)
def test_a_list_at_rest_is_read_exactly(
    meaning: str, size: int, page_size: int, cap: int | None, in_flight: int, seed: int
) -> None:
    rows = numbered(size)
    listing, _ = read_ahead(Server(rows, MEANINGS[meaning], cap), page_size, in_flight, seed)
    assert list(listing.rows) == rows
    assert listing.complete


@pytest.mark.parametrize("meaning", MEANINGS)
@given(size=sizes, page_size=page_sizes, cap=caps, in_flight=in_flights, seed=seeds)
def test_reading_ahead_sends_no_more_than_one_by_one_but_for_what_it_gives_up_once(
    meaning: str, size: int, page_size: int, cap: int | None, in_flight: int, seed: int
) -> None:
    plain = Server(numbered(size), MEANINGS[meaning], cap)
    read(plain, page_size)
    _, window = read_ahead(Server(plain.rows, plain.meaning, cap), page_size, in_flight, seed)
    assert window.given_up <= (0 if meaning in ("inclusive", "half-open") else 1)
    assert len(window.sent) <= plain.requests + (in_flight if window.given_up else 0)


@pytest.mark.parametrize("meaning", NOT_BY_POSITION)
@given(size=sizes, page_size=page_sizes, cap=caps, in_flight=in_flights, seed=seeds)
def test_a_server_that_reads_the_range_otherwise_is_refused_and_never_believed(
    meaning: str, size: int, page_size: int, cap: int | None, in_flight: int, seed: int
) -> None:
    rows = numbered(size)
    try:
        listing, _ = read_ahead(Server(rows, NOT_BY_POSITION[meaning], cap), page_size, in_flight, seed)
    except UnexpectedAnswer:
        return
    assert not listing.complete or list(listing.rows) == rows


@pytest.mark.parametrize("meaning", MEANINGS | NOT_BY_POSITION)
@given(size=sizes, page_size=page_sizes, cap=caps, in_flight=in_flights, seed=seeds)
def test_reading_ahead_gives_and_refuses_what_one_by_one_does(
    meaning: str, size: int, page_size: int, cap: int | None, in_flight: int, seed: int
) -> None:
    def outcome(read: Callable[[Server], Listing]) -> Listing | str:
        try:
            return read(Server(numbered(size), (MEANINGS | NOT_BY_POSITION)[meaning], cap))
        except UnexpectedAnswer as error:
            return str(error)

    ahead = outcome(lambda server: read_ahead(server, page_size, in_flight, seed)[0])
    assert ahead == outcome(lambda server: read(server, page_size))


def test_limit_before_offset_is_refused_with_a_sentence_that_says_so() -> None:
    with pytest.raises(UnexpectedAnswer, match="stopped at row 0 of 5"):
        read(Server(numbered(5), NOT_BY_POSITION["limit-offset"], None))


@pytest.mark.parametrize("meaning", MEANINGS)
@given(
    seed=seeds,
    size=st.integers(0, 60),
    page_size=st.sampled_from([2, 5, 10]),
    cap=caps,
    in_flight=in_flights,
)
@settings(max_examples=400)
def test_no_row_that_was_there_throughout_is_lost_while_the_list_changes(
    meaning: str, seed: int, size: int, page_size: int, cap: int | None, in_flight: int
) -> None:
    rng = random.Random(seed)
    server = Server(numbered(size), MEANINGS[meaning], cap)
    throughout = {row["id"] for row in server.rows}

    def churn() -> None:
        if server.rows and rng.random() < 0.15:
            throughout.discard(server.rows.pop(rng.randrange(len(server.rows)))["id"])
        if rng.random() < 0.15:
            server.rows.append({"id": str(10_000 + server.requests), "name": "new"})

    server.before_answer = churn
    listing, _ = read_ahead(server, page_size, in_flight, seed)
    if listing.complete:
        assert throughout <= {row["id"] for row in listing.rows}


def test_a_list_that_moves_once_is_read_again_and_is_whole() -> None:
    server = Server(numbered(30), MEANINGS["inclusive"], 10)
    server.before_answer = lambda: server.rows.pop(0) if server.requests == 1 else None
    listing = read(server)
    assert listing.complete
    assert list(listing.rows) == numbered(30)[1:]


def test_a_list_that_shrinks_at_its_end_is_read_again_too() -> None:
    asked: list[int] = []
    server = Server(numbered(30), MEANINGS["inclusive"], 10)
    server.before_answer = lambda: server.rows.pop() if server.requests == 1 else None
    listing = read_all(one_by_one(lambda a, b: asked.append(a) or server.get(a, b)), row_id)
    assert listing.complete
    assert list(listing.rows) == numbered(29)
    assert asked.count(0) == 2


def test_a_list_that_never_rests_comes_back_as_incomplete_with_the_reason() -> None:
    server = Server(numbered(500), MEANINGS["inclusive"], 10)
    server.before_answer = lambda: server.rows.pop(0)
    listing = read(server)
    assert not listing.complete
    assert "4 passes" in (listing.reason or "")


def test_without_a_total_everything_is_read_and_nothing_is_proven() -> None:
    server = Server(numbered(120), MEANINGS["inclusive"], 50)
    server.says_total = False
    listing = read(server)
    assert list(listing.rows) == numbered(120)
    assert not listing.complete


def test_more_rows_than_the_total_are_taken() -> None:
    listing = read_all(one_by_one(lambda a, b: Page(numbered(3)[a:], 2)), row_id)
    assert (list(listing.rows), listing.complete) == (numbered(3), True)


def test_rows_out_of_order_are_believed_in_one_answer_only() -> None:
    backwards = numbered(40)[::-1]
    assert read(Server(backwards, MEANINGS["inclusive"], None)).complete
    with pytest.raises(UnexpectedAnswer, match="sort"):
        read(Server(backwards, MEANINGS["inclusive"], 10))


def test_ids_are_ordered_as_numbers_and_not_as_text() -> None:
    rows = [{"id": str(i)} for i in (2, 9, 10, 11, 100)]
    assert list(read(Server(rows, MEANINGS["inclusive"], 2)).rows) == rows


def test_an_id_that_stands_twice_upstream_is_read_as_it_stands() -> None:
    rows = [*numbered(5), numbered(5)[-1], {"id": "99", "name": "last"}]
    listing = read(Server(rows, MEANINGS["inclusive"], None))
    assert (list(listing.rows), listing.complete) == (rows, True)


def test_an_id_that_comes_twice_in_passes_that_differ_is_not_believed() -> None:
    rows, passes = [*numbered(5), numbered(5)[-1]], list[int]()

    def renamed_for_each_pass(a: int, b: int) -> Page:
        if a == 0:
            passes.append(a)
            rows[1] = rows[1] | {"name": f"in pass {len(passes)}"}
        return Page(rows[a:b], len(rows))

    listing = read_all(one_by_one(renamed_for_each_pass), row_id)
    assert not listing.complete
    assert listing.reason == "the same id came twice, in each of 4 passes"


def test_rows_without_an_id_do_not_disturb_the_reading() -> None:
    rows: list[Any] = [{"id": "1"}, {"name": "no id"}, {"id": "2"}]
    listing = read(Server(rows, MEANINGS["inclusive"], 2))
    assert (list(listing.rows), listing.complete) == (rows, True)


def test_a_list_that_grows_for_ever_is_refused() -> None:
    server = Server(numbered(3), MEANINGS["inclusive"], 2)
    server.before_answer = lambda: server.rows.append({"id": str(1000 + server.requests)})
    with pytest.raises(UnexpectedAnswer, match="does not end"):
        read(server)


@given(size=sizes, page_size=page_sizes)
def test_it_asks_no_more_than_the_pages_and_one_to_be_sure(size: int, page_size: int) -> None:
    server = Server(numbered(size), MEANINGS["inclusive"], None)
    read(server, page_size)
    assert server.requests <= size // page_size + 2


def test_progress_is_told_with_every_page() -> None:
    heard: list[tuple[int, int | None]] = []
    server = Server(numbered(25), MEANINGS["inclusive"], 10)
    read_all(one_by_one(server.get), row_id, on_page=lambda held, total: heard.append((held, total)))
    assert heard == [(10, 25), (19, 25), (25, 25), (25, 25)]


def test_all_pages_but_the_first_are_asked_for_without_waiting_for_one_another() -> None:
    server = Server(numbered(100), MEANINGS["inclusive"], 10)
    asked: list[int] = []

    def all_at_once(ranges: Iterable[Range]) -> Generator[Page, None, None]:
        every = list(ranges)
        asked.append(len(every))
        yield from [server.get(a, b) for a, b in every]

    assert read_all(all_at_once, row_id).complete
    assert asked == [1, 11]


def test_a_list_that_grows_while_pages_are_ahead_is_read_to_its_new_end() -> None:
    server = Server(numbered(30), MEANINGS["inclusive"], 10)
    server.before_answer = lambda: server.rows.extend(numbered(45)[30:]) if server.requests == 2 else None
    window = Window(server.get, 1, 0)
    listing = read_all(window.get_pages, row_id)
    assert (list(listing.rows), listing.complete) == (numbered(45), True)
    assert [a for a, _ in window.sent] == [0, 9, 18, 27, 36, 44]
