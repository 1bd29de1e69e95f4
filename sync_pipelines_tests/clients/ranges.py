"""A list behind `range=[a,b]`, on a server that takes it in one of many ways, and may change it as it is read."""

import random
from collections import deque
from collections.abc import Callable, Generator, Iterable
from itertools import groupby, islice
from typing import Any

from hypothesis import strategies as st

from sync_pipelines.clients.paging import GetPages, Page, Range

Row = dict[str, str]
Meaning = Callable[[int, int], tuple[int, int]]
# What [a,b] selects, as slice bounds of the whole list.
MEANINGS: dict[str, Meaning] = {
    "inclusive": lambda a, b: (a, b + 1),
    "offset-limit": lambda a, b: (a, a + b),
    "offset-limit+1": lambda a, b: (a, a + b + 1),
    "half-open": lambda a, b: (a, b),
}
NOT_BY_POSITION: dict[str, Meaning] = {
    "limit-offset": lambda a, b: (b, b + a),
    "page-size": lambda a, b: (a * b, a * b + b),
}


class Server:
    """A list that may change before each answer."""

    def __init__(self, rows: list[Row], meaning: Meaning, cap: int | None) -> None:
        self.rows, self.meaning, self.cap = rows, meaning, cap
        self.before_answer: Callable[[], object] = lambda: None
        self.says_total = True
        self.says_fewer = 0
        self.ties: random.Random | None = None  # rows of one id change places with every answer
        self.requests = 0

    def get(self, a: int, b: int) -> Page:
        self.before_answer()
        self.requests += 1
        first, end = self.meaning(a, b)
        rows = (self.rows if self.ties is None else shuffled_ties(self.rows, self.ties))[first:end]
        total = len(self.rows) - self.says_fewer if self.says_total else None
        return Page(rows if self.cap is None else rows[: self.cap], total)


def shuffled_ties(rows: list[Row], rng: random.Random) -> list[Row]:
    same_id = (list(group) for _, group in groupby(rows, lambda row: row["id"]))
    return [row for group in same_id for row in rng.sample(group, len(group))]


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


class Churn:
    """Rows are deleted, inserted, appended and renamed between answers; `throughout` are the ids of those that
    were there all the time, by the name of `key`."""

    def __init__(self, server: Server, rng: random.Random, how_often: float, key: str = "id") -> None:
        self.server, self.rng, self.how_often, self.key = server, rng, how_often, key
        self.throughout = {row[key] for row in server.rows}
        self.new = 0
        server.before_answer = self.change

    def change(self) -> None:
        rows = self.server.rows
        while self.rng.random() < self.how_often:
            where = self.rng.randrange(len(rows)) if rows else 0
            match self.rng.choice(["delete", "delete", "insert", "insert", "append", "rename"]):
                case "delete" if rows:
                    self.throughout.discard(rows.pop(where)[self.key])
                case "rename" if rows:
                    rows[where] = rows[where] | {"name": f"renamed {self.new}"}
                case "append":
                    self._put_in(str(100_000 + self.new))
                case _:
                    self._put_in(str(self.rng.randrange(1, 3 * len(rows) + 5)))
            self.new += 1

    def _put_in(self, row_id: str) -> None:
        rows = self.server.rows
        if self.key == "id" and any(row["id"] == row_id for row in rows):
            return
        rows.append({"id": row_id, "name": "new", self.key: row_id if self.key == "id" else f"new {self.new}"})
        rows.sort(key=lambda row: int(row["id"]))


def numbered(n: int) -> list[Row]:
    return [{"id": str(3 * i + 1), "name": f"row {i}"} for i in range(n)]


def marked(rows: list[Row]) -> list[Row]:
    """The same rows, no two of them alike."""
    return [row | {"mark": f"row {i}"} for i, row in enumerate(rows)]


def grants(n: int, rng: random.Random, times: int = 4) -> list[Row]:
    """Ids that ascend and repeat, up to so many times; some of these rows are alike to the last letter."""
    rows: list[Row] = []
    while len(rows) < n:
        until = [rng.choice(["Forever", "2021", "2027"]) for _ in range(rng.choice([1, 1, *range(2, times + 1)]))]
        rows += [{"id": str(len(rows) + 8), "expired_at": text} for text in until]
    return rows[:n]


def row_id(row: Any) -> str | None:
    return row.get("id")


caps = st.sampled_from([None, 2, 3, 50, 100])
sizes = st.sampled_from([0, 1, 2, 3, 9, 10, 11, 50, 99, 100, 101, 102, 999, 1000, 1001, 1002]) | st.integers(
    0, 300
)
page_sizes = st.sampled_from([2, 10, 100, 1000])
in_flights = st.sampled_from([1, 2, 4, 8])
seeds = st.integers(0, 10**9)
