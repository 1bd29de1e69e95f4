"""Several requests in flight, against a server that decides who is answered when."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from sync_pipelines.clients.http import Answer, Request
from sync_pipelines.errors import UnexpectedAnswer
from sync_pipelines_tests.clients.servers import Upstream, never, read, requests, sending

Serve = Callable[[Any], str]


def test_results_come_in_the_order_asked_though_later_answers_are_quicker(serve: Serve) -> None:
    async def latest_first(upstream: Upstream, n: int) -> int:
        await upstream.until(lambda: set(range(n + 1, 4)) <= set(upstream.answered))
        return 200

    upstream = Upstream(latest_first)
    with sending(serve(upstream), 4) as http:
        assert list(http.get_many(requests(4), read)) == [0, 1, 2, 3]
        assert upstream.answered == [3, 2, 1, 0]
        assert http.requests == 4


def test_as_many_are_in_flight_as_allowed_and_never_more(serve: Serve) -> None:
    taken: list[int] = []

    async def in_company(upstream: Upstream, n: int) -> int:
        await upstream.until(lambda: upstream.now == 3 or len(upstream.arrived) == 20)
        return 200

    upstream = Upstream(in_company)
    with sending(serve(upstream), 8) as http:
        for n in http.get_many(requests(20, taken), read, in_flight=3):
            assert len(taken) <= n + 3
    assert upstream.most == 3


def test_no_request_is_no_answer_and_one_in_flight_is_one_after_another(serve: Serve) -> None:
    async def at_once(upstream: Upstream, n: int) -> int:
        return 200

    upstream = Upstream(at_once)
    with sending(serve(upstream), 1) as http:
        assert list(http.get_many([], read)) == []
        assert list(http.get_many(requests(5), read)) == [0, 1, 2, 3, 4]
        assert http.get("x", {"n": "9"}, read) == 9
    assert upstream.most == 1


def test_an_error_arrives_at_its_turn_and_nothing_is_begun_after_it(serve: Serve) -> None:
    failed = threading.Event()
    taken: list[int] = []

    async def third_is_bad(upstream: Upstream, n: int) -> int:
        if n == 2:
            return 404
        await asyncio.to_thread(failed.wait)
        return 200

    def noticing(answer: Answer) -> int:
        if answer.status == 404:
            failed.set()
        return read(answer)

    upstream = Upstream(third_is_bad)
    with sending(serve(upstream), 3) as http:
        results = http.get_many(requests(9, taken), noticing)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(UnexpectedAnswer, match="404"):
            next(results)
        assert list(results) == []
    assert taken == [0, 1, 2]


def test_a_request_sent_again_keeps_its_place(serve: Serve) -> None:
    async def second_fails_twice(upstream: Upstream, n: int) -> int:
        return 503 if n == 1 and upstream.arrived.count(1) < 3 else 200

    with sending(serve(Upstream(second_fails_twice)), 3) as http:
        assert list(http.get_many(requests(7), read)) == list(range(7))
        assert (http.requests, http.retries) == (9, 2)


def test_closing_early_drops_what_is_under_way_and_sends_no_more(serve: Serve) -> None:
    taken: list[int] = []

    async def first_only(upstream: Upstream, n: int) -> int:
        await upstream.until(lambda: len(upstream.arrived) == 3)
        return 200 if n == 0 else await never(upstream)

    upstream = Upstream(first_only)
    with sending(serve(upstream), 3) as http:
        results = http.get_many(requests(9, taken), read)
        assert next(results) == 0
        results.close()
        upstream.all_dropped.wait()
        assert upstream.dropped == {1, 2}
        assert taken == [0, 1, 2]
        assert http.requests == 3


def test_while_a_limit_is_waited_for_no_other_request_begins(serve: Serve) -> None:
    slept: list[float] = []
    arrived_meanwhile: list[int] = []
    refused, fourth_taken = threading.Event(), threading.Event()

    async def second_is_refused_once(upstream: Upstream, n: int) -> int:
        if n == 1 and upstream.arrived.count(1) == 1:
            return 429
        if n == 0:
            await asyncio.to_thread(refused.wait)
        return 200

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        refused.set()
        await asyncio.to_thread(fourth_taken.wait)
        for _ in range(1000):  # the fourth request could begin now, if anything let it
            await asyncio.sleep(0)
        if not arrived_meanwhile:  # the first to have waited: after it, time has gone on for all
            arrived_meanwhile.extend(upstream.arrived)

    def asked() -> Generator[Request, None, None]:
        for n, request in enumerate(requests(6)):
            if n == 3:
                fourth_taken.set()
            yield request

    upstream = Upstream(second_is_refused_once)
    with sending(serve(upstream), 3, sleep) as http:
        assert list(http.get_many(asked(), read)) == list(range(6))
    assert set(slept) == {7.0}
    assert set(arrived_meanwhile) == {0, 1, 2}


def test_closing_the_sender_ends_its_thread_and_what_is_under_way(serve: Serve) -> None:
    async def first_only(upstream: Upstream, n: int) -> int:
        await upstream.until(lambda: len(upstream.arrived) == 3)
        return 200 if n == 0 else await never(upstream)

    upstream = Upstream(first_only)
    with sending(serve(upstream), 3) as http:
        results = http.get_many(requests(9), read)
        assert next(results) == 0
    upstream.all_dropped.wait()
    assert upstream.dropped == {1, 2}
    assert "sender" not in {thread.name for thread in threading.enumerate()}
    results.close()


@pytest.mark.skipif(os.name == "nt", reason="a signal to one thread")
def test_an_interrupted_caller_leaves_nothing_under_way(serve: Serve) -> None:
    main = threading.main_thread().ident
    assert main is not None

    async def interrupt(upstream: Upstream, n: int) -> int:
        await upstream.until(lambda: len(upstream.arrived) == 3)
        if n == 2:
            signal.pthread_kill(main, signal.SIGINT)
        return await never(upstream)

    upstream = Upstream(interrupt)
    with sending(serve(upstream), 3) as http:
        with pytest.raises(KeyboardInterrupt):
            list(http.get_many(requests(9), read))
        upstream.all_dropped.wait()
        assert upstream.dropped == {0, 1, 2}
        assert http.requests == 3
