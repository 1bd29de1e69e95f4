"""Limits, silence, and connections that break. The numbers are those of contracts/faults.md."""

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.errors import RateLimited, SourceUnavailable
from sync_pipelines.flows.registry import FLOWS
from sync_pipelines.flows.webtolearn import COURSE_USERS, COURSES
from sync_pipelines.sandbox.webtolearn import webtolearn_app
from sync_pipelines_tests.flows.webtolearn.model import granted
from sync_pipelines_tests.flows.webtolearn.school import School

ATTEMPTS = 4
GRANTS = "/training/*/user/list"


@pytest.fixture
def synced(school: School) -> School:
    """A school that is synced, and has gone on since; a wait since then is the only one."""
    school.sync()
    school.life_goes_on()
    school.clock.waits.clear()
    return school


def takes_it_in(school: School, retries: int) -> None:
    """The list is read in spite of it, with so many requests that were repeated."""
    report = school.run(COURSES)
    assert (report.created, report.updated, report.deleted, report.failed) == (1, 1, 1, 0)
    assert (report.retries, report.complete) == (retries, True)
    assert school.held()["courses"] == school.listed()["courses"]


# --- limits -----------------------------------------------------------------------------------------------


def test_a_limit_used_up_is_waited_for_to_the_next_minute_and_no_longer(synced: School) -> None:
    """Fault 29."""
    synced.platform.switch_on("rate-limit", times=1)
    left = 60 - synced.clock.now % 60
    takes_it_in(synced, retries=1)
    assert left <= sum(synced.clock.waits) <= left + 2
    synced.mends()


def test_a_limit_that_stays_used_up_ends_the_run_in_time(synced: School) -> None:
    """Fault 29."""
    before = synced.everything()
    synced.platform.switch_on("rate-limit")
    error = synced.ended_by(COURSES)
    assert type(error) is RateLimited
    assert error.report.requests == ATTEMPTS
    assert sum(synced.clock.waits) <= ATTEMPTS * 62
    assert synced.everything() == before
    synced.mends()


def test_what_the_platform_says_is_left_of_a_minute_is_kept_to(synced: School) -> None:
    """Fault 29."""
    synced.platform.limit_minute = 5
    synced.clock.now += 60
    began, answered = synced.clock.now, len(synced.answered)
    synced.sync()
    assert synced.clock.now - began > 60
    assert set(synced.answered[answered:]) == {200}
    assert synced.held() == synced.listed()
    synced.platform.limit_minute = 10**9
    synced.mends()


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.stream)
def test_an_hour_used_up_stops_at_once_and_keeps_what_is_there(synced: School, flow: Any) -> None:
    """Fault 29."""
    before = synced.everything()
    synced.platform.switch_on("hour-used-up")
    error = synced.ended_by(flow)
    assert (type(error), error.transient, error.report.requests) == (RateLimited, True, 1)
    assert synced.everything() == before
    asked = len(synced.asked)
    assert type(synced.ended_by(flow)) is RateLimited
    assert len(synced.asked) == asked
    assert synced.clock.waits == []
    synced.mends()


@pytest.mark.parametrize(
    ("fault", "asked", "waited"),
    [
        ("rate-limit-retry-after", 20, 20),
        ("rate-limit-retry-after", 0, 1),
        ("rate-limit-retry-after", -7, 1),
        ("rate-limit-retry-after", 60, 60),
        ("rate-limit-retry-date", 20, 20),
        ("rate-limit-retry-date", -3600, 1),
    ],
)
def test_a_wait_that_is_asked_for_is_kept_to_but_never_none(
    synced: School, fault: str, asked: int, waited: int
) -> None:
    """Fault 30."""
    synced.platform.switch_on(fault, times=1, seconds=asked)
    minute = 60 - synced.clock.now % 60
    takes_it_in(synced, retries=1)
    # Its headers say too that the minute is used up: that is waited for after the rest.
    assert waited <= sum(synced.clock.waits) <= max(waited, minute) + 2
    synced.mends()


@pytest.mark.parametrize("fault", ["rate-limit-retry-after", "rate-limit-retry-date"])
@pytest.mark.parametrize("asked", [66, 301, 1_000_000])
def test_a_wait_beyond_reason_ends_the_run_instead(synced: School, fault: str, asked: int) -> None:
    """Fault 30."""
    before = synced.everything()
    synced.platform.switch_on(fault, seconds=asked)
    error = synced.ended_by(COURSES)
    assert isinstance(error, RateLimited)
    assert error.retry_after is not None
    assert 65 <= error.retry_after <= 300
    assert error.report.requests == 1
    assert synced.everything() == before
    synced.mends()


# --- failures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["server-error", "bad-gateway"])
def test_a_server_that_fails_now_and_then_is_asked_again(synced: School, fault: str) -> None:
    """Fault 37."""
    synced.platform.switch_on(fault, times=ATTEMPTS - 1)
    takes_it_in(synced, retries=ATTEMPTS - 1)
    synced.mends()


@pytest.mark.parametrize("fault", ["server-error", "bad-gateway", "reset", "truncated", "cut-json"])
def test_what_fails_every_time_is_given_up_after_a_few(synced: School, fault: str) -> None:
    """Faults 37, 38 and 39."""
    before = synced.everything()
    synced.platform.switch_on(fault)
    outcomes = synced.outcomes()
    assert {type(outcome) for outcome in outcomes.values()} == {SourceUnavailable}
    assert len(outcomes) == 3 + 7
    errors = [outcome for outcome in outcomes.values() if isinstance(outcome, SourceUnavailable)]
    assert [error.report.requests for error in errors[:3]] == [ATTEMPTS] * 3
    assert synced.everything() == before
    synced.mends()


@pytest.mark.parametrize("fault", ["reset", "truncated", "cut-json"])
def test_a_broken_answer_costs_a_request_and_no_row(synced: School, fault: str) -> None:
    """Faults 38 and 39."""
    synced.platform.switch_on(fault, times=2)
    takes_it_in(synced, retries=2)
    synced.mends()


@pytest.mark.parametrize("fault", ["hang", "slow"])
def test_an_answer_that_does_not_come_in_time_is_asked_for_again_and_then_given_up(
    synced: School, fault: str
) -> None:
    """Fault 38."""
    before = synced.everything()
    synced.timeout = 0.2
    synced.platform.switch_on(fault, path="/training/list", seconds=60)
    error = synced.ended_by(COURSES)
    assert (type(error), error.report.requests) == (SourceUnavailable, ATTEMPTS)
    assert "in time" in str(error)
    assert synced.everything() == before
    synced.timeout = 30
    synced.mends()


def test_a_course_whose_answer_never_comes_fails_alone(synced: School) -> None:
    """Fault 38."""
    synced.lists()
    synced.timeout = 0.5
    bad, *others = synced.known()
    synced.platform.switch_on("hang", path=f"/training/{bad}/user/list")
    done = synced.courses()
    assert type(done[bad].error) is SourceUnavailable
    assert [done[course].error for course in others] == [None] * len(others)
    assert {pair: held for pair, held in synced.grants().items() if pair[0] != bad} == granted(
        synced.platform, others
    )
    synced.timeout = 30
    synced.mends()


@pytest.mark.parametrize("address", ["http://wtl.invalid/api/v1", "http://127.0.0.1:1/api/v1"])
def test_a_platform_that_cannot_be_found_leaves_all_as_it_is(synced: School, address: str) -> None:
    """Fault 38."""
    before, there = synced.everything(), synced.url
    synced.query("UPDATE sync.streams SET origin = NULL")
    synced.url = address
    for flow in (*FLOWS, COURSE_USERS):
        if flow is COURSE_USERS:
            assert {type(done.error) for done in synced.courses().values()} == {SourceUnavailable}
        else:
            error = synced.ended_by(flow)
            assert (type(error), error.transient) == (SourceUnavailable, True)
    assert synced.everything() == before
    synced.url = there
    synced.query("UPDATE sync.streams SET origin = NULL")
    synced.mends()


# --- clocks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-7, -1, 1, 7])
def test_a_platform_whose_clock_is_off_is_synced_as_any_other(synced: School, hours: int) -> None:
    """Fault 74."""
    theirs: Callable[[], float] = lambda: synced.clock() + hours * 3600 + 17  # noqa: E731
    synced.app = webtolearn_app(synced.platform, theirs)
    synced.platform.limit_minute = 20
    began = synced.clock.now
    synced.sync()
    assert synced.held() == synced.listed()
    assert synced.clock.now - began < 600
    synced.platform.limit_minute = 10**9
    synced.mends()
