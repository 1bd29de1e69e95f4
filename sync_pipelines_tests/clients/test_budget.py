"""The budget by itself: what it makes of headers, clocks and threads."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.clients.budget import RateBudget, shared_budget, whole_number
from sync_pipelines.errors import RateLimited
from sync_pipelines_tests.clients.in_time import NOON, Clock


def said(
    minute: int, hour: int = 10**6, *, limits: tuple[int, int] = (360, 10**6), at: float = NOON
) -> dict[str, str]:
    return {
        "x-ratelimit-remaining-minute": str(minute),
        "x-ratelimit-remaining-hour": str(hour),
        "x-ratelimit-limit-minute": str(limits[0]),
        "x-ratelimit-limit-hour": str(limits[1]),
        "date": formatdate(at, usegmt=True),
    }


def test_no_more_are_under_way_than_allowed_whoever_sends_them() -> None:
    budget = Clock().budget(in_flight=3)
    assert [budget.take() for _ in range(3)] == [0, 0, 0]
    assert budget.take() > 0
    budget.ended()
    assert budget.take() == 0
    assert budget.take() > 0


class GivesWay(float):
    """A time that lets other threads run where it is reckoned with, between looking and taking."""

    def __sub__(self, other: float) -> float:
        os.sched_yield()
        return float(self) - other


@pytest.mark.skipif(os.name == "nt", reason="threads give way to each other")
def test_no_more_are_under_way_than_allowed_from_many_threads() -> None:
    budget = RateBudget(in_flight=3, clock=lambda: GivesWay(time.monotonic()))
    budget.heard(said(10**9, 10**9, limits=(10**9, 10**9), at=time.time()))
    under_way = set[int]()

    def most_under_way(_: int) -> int:
        me, most = threading.get_ident(), 0
        for _ in range(100):
            while budget.take() > 0:
                os.sched_yield()
            under_way.add(me)
            os.sched_yield()
            most = max(most, len(under_way))
            under_way.discard(me)
            budget.ended()
        return most

    with ThreadPoolExecutor(12) as threads:
        assert max(threads.map(most_under_way, range(12))) <= 3
    assert [budget.take() > 0 for _ in range(4)] == [False, False, False, True]


def test_a_pause_holds_everybody_to_its_end_and_a_shorter_one_ends_none() -> None:
    clock = Clock()
    budget = clock.budget()
    budget.pause(7)
    budget.pause(2)
    assert budget.take() == 7
    clock.now += 6.5
    assert budget.take(keep=0.5) == 0.5
    clock.now += 0.5
    assert budget.take() == 0


@pytest.mark.parametrize("keep", [0.0, 0.25])
def test_an_hour_used_up_says_for_how_long(keep: float) -> None:
    clock = Clock()
    budget = clock.budget()
    budget.heard(said(300, 50, limits=(360, 200), at=NOON + 1800))
    if keep:
        with pytest.raises(RateLimited, match="50, which are kept for the lists: go on in 31 minutes") as caught:
            budget.take(keep)
        assert caught.value.retry_after == 1800
        assert budget.take() == 0
        budget.ended()
    budget.heard(said(300, 0, limits=(360, 200), at=NOON + 1900))
    clock.now += 1670
    with pytest.raises(RateLimited, match="are used up: go on in less than a minute") as caught:
        budget.take()
    assert caught.value.retry_after == 30
    assert caught.value.transient
    clock.now += 30
    assert budget.take(keep) == 0


def test_what_is_under_way_counts_as_spent() -> None:
    budget = Clock().budget()
    budget.heard(said(300, 2))
    assert [budget.take(), budget.take()] == [0, 0]
    with pytest.raises(RateLimited):
        budget.take()
    budget.ended()
    assert budget.take() == 0


def test_a_share_that_is_kept_counts_what_is_under_way_too() -> None:
    budget = Clock().budget()
    budget.heard(said(300, 102, limits=(360, 1000)))
    assert [budget.take(0.1), budget.take(0.1)] == [0, 0]
    with pytest.raises(RateLimited):
        budget.take(0.1)
    assert budget.take() == 0


def test_a_minute_nearly_used_up_is_waited_for_and_others_get_what_is_left() -> None:
    clock = Clock()
    budget = clock.budget()
    budget.heard(said(11, at=NOON + 20))
    assert budget.take() == 0
    assert 40 < budget.take() <= 40.5
    budget.ended()
    clock.now += 40.5
    assert budget.take() == 0


def test_after_a_minute_or_an_hour_used_up_one_request_asks_what_is_left_and_the_others_wait_for_it() -> None:
    for spent in (said(5, at=NOON + 20), said(300, 0, at=NOON + 3580)):
        clock = Clock()
        budget = clock.budget()
        budget.heard(spent)
        clock.now += 40.5
        assert budget.take() == 0
        assert budget.take() > 0
        budget.heard(said(359, at=NOON + 3601))
        assert budget.take() == 0


def test_answers_that_overtake_each_other_leave_the_smallest_number() -> None:
    clock = Clock()
    budget = clock.budget()
    for left in (200, 150, 180):
        budget.heard(said(left, left + 1000))
    assert budget.left == (150, 1150)
    budget.heard(said(359, 3000, at=NOON + 60))
    assert budget.left == (359, 1150)
    budget.heard(said(7, 900, at=NOON + 59))  # of the minute before
    assert budget.left == (359, 900)
    clock.now += 60
    assert budget.left == (None, 900)


def test_an_answer_counted_before_the_end_and_dated_after_it_says_nothing_of_the_new_minute() -> None:
    clock = Clock()
    budget = clock.budget()
    budget.heard(said(15, at=NOON + 58))
    assert budget.take() == 0
    clock.now += 3
    budget.heard(said(14, at=NOON + 60))
    assert budget.left[0] is None
    budget.ended()
    assert budget.take() == 0
    budget.heard(said(358, at=NOON + 61))
    assert budget.left[0] == 358


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "yesterday",
        "Sat, 21 Nov 2026",
        "Sat, 21 Nov 99999999999999999999 12:00:00 GMT",
        "Sat, 21 Nov 2026 99:00",
    ],
)
def test_a_platform_without_a_date_is_taken_to_have_our_clock(date: str | None) -> None:
    clock = Clock()
    budget = clock.budget()
    clock.now += 45
    headers = {"x-ratelimit-remaining-minute": "0", "x-ratelimit-limit-minute": "360"}
    budget.heard(headers if date is None else headers | {"date": date})
    assert 15 < budget.take() <= 15.5


def test_a_limit_that_is_not_said_paces_nothing_but_what_is_left_is_obeyed() -> None:
    budget = Clock().budget(in_flight=10**9)
    budget.heard({"x-ratelimit-remaining-hour": "500"})
    assert [budget.take() for _ in range(500)] == [0.0] * 500
    with pytest.raises(RateLimited):
        budget.take()


@given(st.lists(st.floats(0, 30), max_size=300), st.integers(1, 1000))
def test_a_wait_is_never_too_short_for_a_clock_to_show(passing: list[float], limit: int) -> None:
    """One that is would be asked for again and again, at the same time."""
    clock = Clock()
    budget = clock.budget(in_flight=10**6)
    budget.heard(said(10**6, limits=(limit, 10**6)))
    for seconds in passing:
        wait = budget.take()
        assert wait == 0 or wait > 1e-6
        clock.now += wait or seconds


dates = st.sampled_from(
    ["Sat,", "21", "Nov", "2026", "0001", "99999999999999999999", "12:00:00", "99:99", "GMT", "-0000"]
)
numbers = st.text() | st.integers().map(str) | st.sampled_from(["", " 7 ", "+5", "1e3", "٣", "9" * 15, "9" * 5000])
names = [
    "x-ratelimit-remaining-minute",
    "x-ratelimit-remaining-hour",
    "x-ratelimit-limit-minute",
    "x-ratelimit-limit-hour",
]


@given(
    st.lists(
        st.tuples(st.dictionaries(st.sampled_from(names), numbers), st.lists(dates).map(" ".join)), max_size=5
    )
)
def test_whatever_stands_in_the_headers_a_request_waits_or_is_limited(
    heard: list[tuple[dict[str, str], str]],
) -> None:
    clock = Clock()
    budget = clock.budget()
    for headers, date in heard:
        budget.heard(headers | {"date": date})
        try:
            assert 0 <= budget.take() <= 6 * 60 + 0.5
        except RateLimited as error:
            waits = error.retry_after
        else:
            waits = 1
        assert waits is not None
        assert 1 <= waits <= 3600


@given(st.text())
def test_a_number_of_a_header_is_plain_digits(text: str) -> None:
    number = whole_number(text)
    assert number is None or (0 <= number < 10**15 and text.strip().lstrip("0") in (str(number), ""))


def test_a_process_has_one_budget_a_platform_and_token() -> None:
    mine = shared_budget("https://a.elms.pl/api/v1", "token")
    assert shared_budget("https://a.elms.pl/api/v1", "token") is mine
    assert shared_budget("https://a.elms.pl/api/v1/", "token") is mine
    assert shared_budget("https://b.elms.pl/api/v1", "token") is not mine
    assert shared_budget("https://a.elms.pl/api/v1", "other") is not mine


def at_once(budget: RateBudget) -> int:
    """How many requests may be sent, one after another, without a wait."""
    for sent in range(10**4):
        if budget.take() > 0:
            return sent
        budget.ended()
    raise AssertionError("there is no end to it")


def test_a_burst_is_a_sixth_of_the_minutes_limit_however_long_nobody_sent() -> None:
    clock = Clock()
    budget = clock.budget()
    budget.heard(said(10**6))
    assert at_once(budget) == 60
    clock.now += 3600
    assert at_once(budget) == 60


def test_what_was_sent_before_the_first_answer_is_part_of_the_burst() -> None:
    budget = Clock().budget()
    assert [budget.take() for _ in range(8)] == [0] * 8
    for _ in range(8):
        budget.heard(said(10**6))
        budget.ended()
    assert at_once(budget) == 60 - 8


@pytest.mark.parametrize(("seconds_apart", "longest"), [(0.0, 64.0), (1.0, 0.0)])
def test_what_was_sent_before_any_limit_was_known_is_waited_for_a_minute_at_most(
    seconds_apart: float, longest: float
) -> None:
    clock = Clock()
    budget = clock.budget()
    for _ in range(3000):
        assert budget.take() == 0
        budget.ended()
        clock.now += seconds_apart
    budget.heard(said(300))
    assert budget.take() <= longest


def test_a_limit_that_changes_is_obeyed_from_then_on() -> None:
    clock = Clock()
    budget = clock.budget()
    for limit, burst in ((360, 60), (60, 10), (600, 100)):
        clock.now += 3600
        budget.heard(said(10**6, limits=(limit, 10**6), at=NOON + clock.now))
        assert budget.take() == 0
        budget.ended()
        clock.now += 3600
        assert at_once(budget) == burst


def test_requests_are_spread_over_the_minute_once_the_burst_is_spent() -> None:
    clock = Clock()
    budget = clock.budget()
    budget.heard(said(10**6))
    sent: list[float] = []
    while len(sent) < 200:
        wait = budget.take()
        if not wait:
            sent.append(clock.now)
            budget.ended()
        clock.now += wait
    assert sent[:60] == [100.0] * 60
    assert all(0 < b - a < 0.25 for a, b in pairwise(sent[60:]))
