"""Requests that do not depend on each other: an error is the value of one, and the others go on."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from sync_pipelines.clients.budget import RateBudget
from sync_pipelines.clients.http import Answer, Sender
from sync_pipelines.errors import RateLimited, SourceError, SourceUnavailable, UnexpectedAnswer
from sync_pipelines_tests.clients.servers import Upstream, never, read, requests, sending

Serve = Callable[[Any], str]


def shown(results: Sequence[int | SourceError]) -> list[int | type[SourceError]]:
    return [type(result) if isinstance(result, SourceError) else result for result in results]


def test_one_that_fails_gives_its_error_in_its_place_and_the_others_go_on(serve: Serve) -> None:
    async def latest_first(upstream: Upstream, n: int) -> int:
        await upstream.until(lambda: set(range(n + 1, 6)) <= set(upstream.answered))
        return 404 if n in (0, 3) else 200

    upstream = Upstream(latest_first)
    with sending(serve(upstream), 6) as http:
        results = list(http.get_each(requests(6), read))
    assert shown(results) == [UnexpectedAnswer, 1, 2, UnexpectedAnswer, 4, 5]
    assert str(results[3]) == "status 404"
    assert upstream.answered == [5, 4, 3, 2, 1, 0]


def test_those_after_one_that_failed_are_asked_for_too(serve: Serve) -> None:
    async def first_is_bad(upstream: Upstream, n: int) -> int:
        return 404 if n == 0 else 200

    upstream = Upstream(first_is_bad)
    with sending(serve(upstream), 2) as http:
        assert shown(list(http.get_each(requests(9), read))) == [UnexpectedAnswer, *range(1, 9)]
        assert (http.requests, http.retries) == (9, 0)


def test_an_error_that_may_pass_is_tried_again_before_it_is_the_value(serve: Serve) -> None:
    async def some_are_down(upstream: Upstream, n: int) -> int:
        return 503 if n == 1 or (n == 2 and upstream.arrived.count(2) < 4) else 200

    upstream = Upstream(some_are_down)
    with sending(serve(upstream), 3) as http:
        assert shown(list(http.get_each(requests(4), read))) == [0, SourceUnavailable, 2, 3]
        assert (http.requests, http.retries) == (1 + 4 + 4 + 1, 6)


def test_each_has_no_more_in_flight_than_allowed(serve: Serve) -> None:
    taken: list[int] = []

    async def in_company(upstream: Upstream, n: int) -> int:
        await upstream.until(lambda: upstream.now == 3 or len(upstream.arrived) == 20)
        return 404 if n % 2 else 200

    upstream = Upstream(in_company)
    with sending(serve(upstream), 8) as http:
        for n, _ in enumerate(http.get_each(requests(20, taken), read, in_flight=3)):
            assert len(taken) <= n + 3
    assert upstream.most == 3


def test_a_mistake_of_ours_is_no_value(serve: Serve) -> None:
    taken: list[int] = []

    def mistaken(answer: Answer) -> int:
        return [0, 1][int(answer.body)]

    async def at_once(upstream: Upstream, n: int) -> int:
        return 200

    with sending(serve(Upstream(at_once)), 1) as http:
        results = http.get_each(requests(9, taken), mistaken)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(IndexError):
            next(results)
        assert list(results) == []
    assert taken == [0, 1, 2]


def test_closed_early_nothing_of_it_is_left_under_way(serve: Serve) -> None:
    async def first_is_bad(upstream: Upstream, n: int) -> int:
        await upstream.until(lambda: len(upstream.arrived) == 3)
        return 404 if n == 0 else await never(upstream)

    upstream = Upstream(first_is_bad)
    with sending(serve(upstream), 3) as http:
        results = http.get_each(requests(9), read)
        assert isinstance(next(results), UnexpectedAnswer)
        results.close()
        upstream.all_dropped.wait()
        assert upstream.dropped == {1, 2}
        assert http.requests == 3


def test_a_budget_used_up_is_the_value_of_all_that_are_left_and_none_of_them_is_sent(serve: Serve) -> None:
    left = iter(range(3, -1, -1))

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"x-ratelimit-remaining-hour", str(next(left)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"1"})

    with sending(serve(counting), 1) as http:
        assert shown(list(http.get_each(requests(7), read))) == [1, 1, 1, 1, RateLimited, RateLimited, RateLimited]
        assert http.requests == 4


def test_one_request_may_be_tried_less_often_than_the_others(serve: Serve) -> None:
    async def down(upstream: Upstream, n: int) -> int:
        return 503

    upstream = Upstream(down)
    with sending(serve(upstream), 1) as http:
        for attempts, sent in ((1, 1), (2, 2), (None, 4)):
            upstream.arrived.clear()
            with pytest.raises(SourceUnavailable):
                http.get("x", {"n": "0"}, read, attempts=attempts)
            assert len(upstream.arrived) == sent


def test_one_request_may_be_waited_for_less_long_than_the_others(serve: Serve) -> None:
    given_up = threading.Event()

    async def one_when_the_other_is_given_up(upstream: Upstream, n: int) -> int:
        await upstream.until(lambda: len(upstream.arrived) == 2)
        if n == 0:
            return await never(upstream)
        await asyncio.to_thread(given_up.wait)
        return 200

    upstream = Upstream(one_when_the_other_is_given_up)
    with sending(serve(upstream), 2) as http, ThreadPoolExecutor(1) as caller:
        patient = caller.submit(http.get, "x", {"n": "1"}, read)
        with pytest.raises(SourceUnavailable, match="in time"):
            http.get("x", {"n": "0"}, read, attempts=1, timeout=0.2)
        given_up.set()
        assert patient.result() == 1


def test_two_senders_with_one_budget_have_together_as_many_under_way_as_it_allows(serve: Serve) -> None:
    async def in_company(upstream: Upstream, n: int) -> int:
        await upstream.until(lambda: upstream.most >= 4)
        for _ in range(100):  # a fifth could come meanwhile, if anything let it
            await asyncio.sleep(0)
        return 200

    def everything(http: Sender) -> list[int]:
        return list(http.get_many(requests(20), read))

    upstream = Upstream(in_company)
    url, budget = serve(upstream), RateBudget(in_flight=4)
    with (
        closing(Sender(url, {}, budget=budget)) as one,
        closing(Sender(url, {}, budget=budget)) as two,
        ThreadPoolExecutor(2) as callers,
    ):
        assert list(callers.map(everything, (one, two))) == [list(range(20))] * 2
    assert upstream.most == 4


def test_a_limit_that_one_sender_meets_holds_the_other_with_the_same_budget(serve: Serve) -> None:
    now = 0.0
    waited: list[float] = []

    async def meanwhile_the_other_asks(seconds: float) -> None:
        assert await asyncio.to_thread(two.get, "x", {"n": "9"}, read) == 9

    async def sleep(seconds: float) -> None:
        nonlocal now
        waited.append(seconds)
        now += seconds

    async def first_is_refused(upstream: Upstream, n: int) -> int:
        return 429 if len(upstream.arrived) == 1 else 200

    upstream = Upstream(first_is_refused)
    url, budget = serve(upstream), RateBudget(clock=lambda: now)
    with (
        closing(Sender(url, {}, budget=budget, sleep=meanwhile_the_other_asks)) as one,
        closing(Sender(url, {}, budget=budget, sleep=sleep)) as two,
    ):
        assert one.get("x", {"n": "8"}, read) == 8
    assert (waited, upstream.arrived) == ([7], [8, 9, 8])
