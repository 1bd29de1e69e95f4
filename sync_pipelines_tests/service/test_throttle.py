"""How much is too much: of wrong tokens from an address, and of requests of a caller."""

import math
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.postgres.api_tokens import create_token, revoke_token
from sync_pipelines.postgres.engine import Database
from sync_pipelines.service.throttle import (
    LEARNER_A_MINUTE,
    ORDERS_A_MINUTE,
    WRONG_TOKENS_A_MINUTE,
    Throttle,
)
from sync_pipelines_tests.service.asking import PROGRESS, Learner

KEPT = 10_000
HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


class Clock:
    """Goes as it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Counting:
    """What a caller may do, plainly: all that were let through, and when."""

    at_most: int
    let_through: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def take(self, caller: str, now: float) -> int:
        recent = [at for at in self.let_through[caller] if at > now - 60]
        if len(recent) >= self.at_most:
            return math.ceil(recent[0] + 60 - now)
        self.let_through[caller].append(now)
        return 0


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, 0.25, 1.0, 7.0, 59.75, 60.0, 61.0])))


@given(steps=STEPS, at_most=st.integers(1, 4))
def test_of_each_caller_so_many_are_let_through_in_any_minute_and_no_other_is_held_up(
    steps: list[tuple[str, float]], at_most: int
) -> None:
    clock, model = Clock(), Counting(at_most)
    throttle = Throttle(clock)
    for caller, passed in steps:
        clock.now += passed
        assert throttle.take(caller, at_most) == model.take(caller, clock.now)


@given(steps=STEPS)
def test_who_waits_as_long_as_it_is_told_is_let_through(steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for caller, passed in steps:
        clock.now += passed
        if wait := throttle.take(caller, 2):
            clock.now += wait
            assert throttle.take(caller, 2) == 0


def test_of_a_caller_that_comes_by_many_threads_so_many_are_let_through() -> None:
    throttle = Throttle(Clock())
    with ThreadPoolExecutor(8) as threads:
        waits = list(threads.map(lambda _: throttle.take("a", 50), range(400)))
    assert waits.count(0) == 50


@dataclass
class Guessing:
    """What wrong tokens of an address cost, plainly."""

    wrong: list[float] = field(default_factory=list)
    until: float = -1000
    cost: float = 0

    def guess(self, now: float) -> None:
        if now >= self.until + 900:
            self.cost = 0
        recent = [at for at in self.wrong if at > now - 60]
        if not self.cost and len(recent) < WRONG_TOKENS_A_MINUTE:
            self.wrong.append(now)
            return
        self.cost = min(2 * self.cost or 60, 480)
        self.until = now + self.cost


@given(
    bursts=st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from([0.0, 1.0, 30.0, 60.0, 120.0, 480.0, 899.0, 1500.0]))
    )
)
def test_wrong_tokens_cost_an_address_waits_that_double_up_to_minutes_and_are_forgiven(
    bursts: list[tuple[int, float]],
) -> None:
    clock, model = Clock(), Guessing()
    throttle = Throttle(clock)
    for number, passed in bursts:
        clock.now += passed
        for _ in range(number):
            assert throttle.wait_before(HERE, "a token") == max(0, math.ceil(model.until - clock.now))
            if clock.now >= model.until:
                throttle.was_wrong(HERE)
                model.guess(clock.now)
        assert throttle.wait_before(ELSEWHERE, "a token") == 0


def make_wait(throttle: Throttle, address: str) -> None:
    for _ in range(WRONG_TOKENS_A_MINUTE + 1):
        throttle.was_wrong(address)
    assert throttle.wait_before(address, "a token") == 60


def test_wrong_tokens_that_were_looked_at_when_the_wait_began_do_not_make_it_longer() -> None:
    throttle = Throttle(Clock())
    make_wait(throttle, HERE)
    throttle.was_wrong(HERE)
    assert throttle.wait_before(HERE, "a token") == 60


def test_a_token_that_was_good_there_is_looked_at_and_there_alone() -> None:
    throttle = Throttle(Clock())
    throttle.was_right(HERE, "good")
    for address in (HERE, ELSEWHERE):
        make_wait(throttle, address)
    assert throttle.wait_before(HERE, "good") == 0
    assert throttle.wait_before(HERE, "another") == throttle.wait_before(ELSEWHERE, "good") == 60


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8:0:0:ffff::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "nonsense", True),
    ],
)
def test_an_address_is_an_ipv4_address_or_a_network_of_ipv6(one: str, other: str, same: bool) -> None:
    throttle = Throttle(Clock())
    make_wait(throttle, one)
    assert (throttle.wait_before(other, "a token") > 0) == same


def test_what_is_kept_is_bounded() -> None:
    """The first is forgotten when as many came after it as are kept."""
    throttle = Throttle(Clock())
    throttle.was_right(HERE, "good")
    make_wait(throttle, HERE)
    for number in range(KEPT):
        throttle.was_right(HERE, f"another {number}")
        throttle.take(f"caller {number}", 1)
    assert throttle.wait_before(HERE, "good") == 60
    assert throttle.take("caller 0", 1) > 0
    throttle.take("one more", 1)
    assert throttle.take("caller 0", 1) == 0


@pytest.fixture
def clock(service: FastAPI) -> Clock:
    """The service's clock for waits, which stands still until it is told to go on."""
    clock = Clock()
    service.state.throttle = Throttle(clock)
    return clock


def refused(answer: httpx.Response, wait: int) -> None:
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
    assert answer.headers["Retry-After"] == str(wait)


def ask(api: httpx.Client, token: str, **headers: str) -> httpx.Response:
    return api.get(PROGRESS, headers={"Authorization": f"Bearer {token}", **headers})


def guess(api: httpx.Client, times: int = WRONG_TOKENS_A_MINUTE + 1, **headers: str) -> None:
    for number in range(times):
        assert ask(api, "spl_" + f"{number:A>43}", **headers).status_code == 401


def test_who_guesses_is_told_to_wait_and_its_neighbours_who_are_in_are_not(
    api: httpx.Client, learner: Callable[..., Learner], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    neighbour, new = learner(), learner()
    assert neighbour.ask("GET").status_code == 200
    guess(api)
    refused(ask(api, "spl_" + "B" * 43), 60)
    refused(new.ask("GET"), 60)
    assert neighbour.ask("GET").status_code == 200
    assert ask(api, new.token, **{"X-Forwarded-For": "192.0.2.7"}).status_code == 200
    assert "refused at GET /api/v1/learning/progress/: too many wrong tokens from its address" in caplog.text
    assert new.token not in caplog.text
    clock.now += 60
    assert new.ask("GET").status_code == 200


def test_no_token_a_header_that_holds_none_and_tokens_that_were_good_once_are_no_guesses(
    api: httpx.Client, learner: Callable[..., Learner], database: Database, clock: Clock
) -> None:
    with database.session() as session:
        revoked, _ = create_token(session, "revoked", {"learner"}, "user-0")
        expired, _ = create_token(session, "expired", {"learner"}, "user-0", timedelta(microseconds=1))
        revoke_token(session, "revoked")
    for _ in range(WRONG_TOKENS_A_MINUTE + 1):
        assert api.get(PROGRESS).status_code == 401
        assert api.get(PROGRESS, headers={"Authorization": "Basic dTpw"}).status_code == 401
        assert ask(api, revoked).status_code == ask(api, expired).status_code == 401
    assert learner().ask("GET").status_code == 200


def test_a_learner_has_so_many_requests_a_minute_with_all_of_its_tokens(
    api: httpx.Client, learner: Callable[..., Learner], token: Callable[..., str], clock: Clock
) -> None:
    me, other = learner(), learner()
    mine = [me.token, token("learner", me.user)]
    for number in range(LEARNER_A_MINUTE):
        assert ask(api, mine[number % 2]).status_code == 200
    clock.now += 20
    for one in mine:
        refused(ask(api, one), 40)
    assert other.ask("GET").status_code == 200
    clock.now += 40
    assert me.ask("GET").status_code == 200


def test_an_operator_asks_for_so_many_syncs_a_minute_and_may_look_meanwhile(
    api: httpx.Client, token: Callable[..., str], clock: Clock
) -> None:
    headers = {"Authorization": f"Bearer {token('operator')}"}
    for _ in range(ORDERS_A_MINUTE):
        assert api.post("/api/sync/wtl", headers=headers).json()["code"] == "not_set_up"
    refused(api.post("/api/sync/wtl", headers=headers), 60)
    assert api.get("/api/sync/runs/none", headers=headers).status_code == 404
