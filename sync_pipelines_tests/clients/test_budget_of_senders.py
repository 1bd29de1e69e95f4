"""The budget under Senders on a real socket, in a time that the test makes."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from typing import Any

import pytest

from sync_pipelines.clients.budget import RateBudget
from sync_pipelines.clients.http import Answer, Sender
from sync_pipelines.errors import RateLimited
from sync_pipelines.sandbox.webtolearn import RateWindow
from sync_pipelines_tests.clients.in_time import NOON, Clock

Serve = Callable[[Any], str]


class Counting:
    """An upstream with limits, whose clock is the test's."""

    def __init__(self, clock: Clock, minute: int, hour: int) -> None:
        self.clock, self.limits = clock, RateWindow(minute, hour, lambda: NOON + 13.7 + clock.now)
        self.under_way = self.most = self.refused = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        within, headers = self.limits.spend()
        self.refused += not within
        headers["Date"] = formatdate(self.limits.clock(), usegmt=True)
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200 if within else 429, "headers": raw})
        self.under_way -= 1
        await send({"type": "http.response.body", "body": b"1"})


@contextmanager
def senders(url: str, clock: Clock, budget: RateBudget, **keeps: float) -> Generator[list[Sender], None, None]:
    async def sleep(seconds: float) -> None:
        clock.now += seconds
        await asyncio.sleep(0)

    with ExitStack() as stack:
        made = [Sender(url, {}, budget=budget, keep_of_hour=keep, sleep=sleep) for keep in keeps.values()]
        for sender in made:
            stack.callback(sender.close)
        yield made


def status(answer: Answer) -> int:
    return answer.status


def asked(count: int) -> Generator[tuple[str, dict[str, str]], None, None]:
    yield from (("x", {"n": str(n)}) for n in range(count))


def test_senders_who_share_a_budget_are_never_refused_and_never_too_many(serve: Serve) -> None:
    clock = Clock()
    upstream = Counting(clock, 60, 10**6)
    with senders(serve(upstream), clock, clock.budget(in_flight=3), a=0, b=0) as (a, b):
        both = zip(a.get_many(asked(120), status), b.get_many(asked(120), status), strict=True)
        assert set(both) == {(200, 200)}
    assert upstream.refused == 0
    assert upstream.most <= 3
    assert clock.now - 100 > 3 * 60


def test_a_sender_that_leaves_a_share_stops_first_and_the_other_goes_on(serve: Serve) -> None:
    clock = Clock()
    upstream = Counting(clock, 1000, 100)
    with senders(serve(upstream), clock, clock.budget(), grants=0.3, lists=0) as (grants, lists):
        given = list(grants.get_each(asked(80), status))
        assert given[:70] == [200] * 70
        assert {type(error) for error in given[70:]} == {RateLimited}
        assert grants.requests == 70
        assert list(lists.get_many(asked(30), status)) == [200] * 30
        with pytest.raises(RateLimited):
            lists.get("x", {}, status)
        clock.now += 3600
        assert lists.get("x", {}, status) == 200
    assert upstream.refused == 0


def test_what_was_given_up_is_no_longer_under_way(serve: Serve) -> None:
    async def first_only(scope: Any, receive: Any, send: Any) -> None:
        if b"n=0" in scope["query_string"]:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"1"})
        else:
            while (await receive())["type"] != "http.disconnect":
                pass

    clock = Clock()
    budget = clock.budget(in_flight=2)
    with senders(serve(first_only), clock, budget, a=0) as (sender,):
        results = sender.get_many(asked(5), status, in_flight=2)
        assert next(results) == 200
        results.close()
        assert [budget.take(), budget.take()] == [0, 0]
