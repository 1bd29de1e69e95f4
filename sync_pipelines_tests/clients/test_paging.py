"""Paging is exact or refuses, whatever `range` means to the server (contracts/wtl.md A14, A16)."""

import random
from collections import deque
from collections.abc import Callable, Generator, Iterable
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.clients.paging import GetPages, Listing, Page, Range, read_all
from sync_pipelines.errors import UnexpectedAnswer

Row = dict[str, str]
# What [a,b] selects, as slice bounds of the whole list.
MEANINGS: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "inclusive": lambda a, b: (a, b + 1),
    "offset-limit": lambda a, b: (a, a + b),
    "offset-limit+1": lambda a, b: (a, a + b + 1),
    "half-open": lambda a, b: (a, b),
}
NOT_BY_POSITION: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "limit-offset": lambda a, b: (b, b + a),
    "page-size": lambda a, b: (a * b, a * b + b),
}
caps = st.sampled_from([None, 2, 3, 50, 100])
sizes = st.sampled_from([0, 1, 2, 3, 9, 10, 11, 50, 99, 100, 101, 102, 999, 1000, 1001, 1002]) | st.integers(
    0, 300
)
page_sizes = st.sampled_from([2, 10, 100, 1000])
in_flights = st.sampled_from([1, 2, 4, 8])
seeds = st.integers(0, 10**9)


class Server:
    """A list that may change before each answer."""

    def __init__(self, rows: list[Row], meaning: Callable[[int, int], tuple[int, int]], cap: int | None) -> None:
        self.rows, self.meaning, self.cap = rows, meaning, cap
        self.before_answer: Callable[[], object] = lambda: None
        self.says_total = True
        self.requests = 0

    def get(self, a: int, b: int) -> Page:
        self.before_answer()
        self.requests += 1
        first, end = self.meaning(a, b)
        rows = self.rows[first:end]
        return Page(rows if self.cap is None else rows[: self.cap], len(self.rows) if self.says_total else None)


def one_by_one(get_page: Callable[[int, int], Page]) -> GetPages:
    def get_pages(ranges: Iterable[Range]) -> Generator[Page, None, None]:
        yield from (get_page(a, b) for a, b in ranges)

    return get_pages


class Window:
    """Several requests in flight, answered in any order, and the pages given in the order asked."""

    def __init__(self, get_page: Callable[[int, int], Page], in_flight: int, seed: int) -> None:
        self.get_page, self.in_flight, self.rng = get_page, in_flight, random.Random(seed)
        self.sent: list[Range] = []
        self.given_up = 0

    def get_pages(self, ranges: Iterable[Range]) -> Generator[Page, None, None]:
        waiting = iter(ranges)
        window = deque[Range]()
        answers: dict[Range, Page] = {}
        try:
            while True:
                new = list(islice(waiting, self.in_flight - len(window)))
                self.sent += new
                window += new
                if not window:
                    return
                while window[0] not in answers:
                    some = self.rng.choice([asked for asked in window if asked not in answers])
                    answers[some] = self.get_page(*some)
                yield answers.pop(window.popleft())
        finally:
            self.given_up += bool(window)


def numbered(n: int) -> list[Row]:
    return [{"id": str(3 * i + 1), "name": f"row {i}"} for i in range(n)]


def row_id(row: Any) -> str | None:
    return row.get("id")


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
