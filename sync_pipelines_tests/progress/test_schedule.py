"""When a device syncs, and when it does not: the schedule is told what happens, by a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sync_pipelines.progress.schedule import Schedule, Timing

TIMING = Timing()
SECONDS = st.sampled_from([0.0, 0.5, 1.5, 4.0, 100.0, 1000.0])


class Schedules(RuleBasedStateMachine):
    """What the schedule must know is noted beside, as plainly as can be."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.schedule = Schedule(TIMING)
        self.logged_in = self.stopped = self.running = self.pending = False
        self.online = True
        self.wanted_since: float | None = None
        self.failed_at = self.left_until = -1.0
        self.failures = 0

    def wants(self) -> None:
        if self.wanted_since is None:
            self.wanted_since = self.now

    @rule()
    def login(self) -> None:
        self.schedule = self.schedule.login(self.now)
        self.logged_in, self.stopped, self.failures, self.wanted_since = True, False, 0, self.now

    @rule()
    def logout(self) -> None:
        self.schedule = self.schedule.logout()
        self.logged_in, self.wanted_since = False, None

    @rule()
    def comes_online(self) -> None:
        self.schedule = self.schedule.went_online(self.now)
        self.online, self.failures, self.wanted_since = True, 0, self.now

    @rule()
    def goes_offline(self) -> None:
        self.schedule = self.schedule.went_offline()
        self.online = False

    @rule()
    def becomes_visible(self) -> None:
        self.schedule = self.schedule.trigger(self.now)
        self.wants()

    @rule(pending=st.booleans())
    def something_is_pending_or_nothing(self, pending: bool) -> None:
        self.pending = pending

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def thread_looks(self) -> None:
        looked = self.now >= self.schedule.looks_at
        self.schedule = self.schedule.look(self.now, self.pending)
        assert self.now < self.schedule.looks_at <= self.now + TIMING.every
        if looked and self.pending and not self.running:
            self.wants()

    @precondition(lambda self: self.schedule.due_at() is not None)
    @rule()
    def begins(self) -> None:
        due = self.schedule.due_at()
        assert due is not None
        self.now = max(self.now, due)
        assert self.logged_in
        assert self.online
        assert not self.stopped
        assert not self.running
        assert self.now >= self.left_until
        if self.failures:
            shortest = min(TIMING.first_wait * 2 ** (self.failures - 1), TIMING.longest_wait) / 2
            assert self.now >= self.failed_at + shortest
        self.schedule = self.schedule.began()
        self.running, self.wanted_since = True, None

    @precondition(lambda self: self.running)
    @rule()
    def succeeds(self) -> None:
        self.schedule = self.schedule.ended(self.now)
        self.running, self.failures = False, 0
        self.wanted_since = None if self.wanted_since is None else self.now

    @precondition(lambda self: self.running)
    @rule(jitter=st.floats(0.5, 1), retry_after=st.none() | st.floats(1, 3600))
    def fails(self, jitter: float, retry_after: float | None) -> None:
        self.schedule = self.schedule.failed(self.now, jitter, retry_after)
        self.running, self.failures, self.failed_at = False, self.failures + 1, self.now
        self.wanted_since = self.now
        if retry_after is not None:
            self.left_until = self.now + retry_after

    @precondition(lambda self: self.running)
    @rule()
    def is_refused(self) -> None:
        self.schedule = self.schedule.refused()
        self.running, self.stopped, self.wanted_since = False, True, None

    @invariant()
    def what_is_wanted_is_done_in_a_bounded_time_and_nothing_else_is(self) -> None:
        due = self.schedule.due_at()
        able = self.logged_in and self.online and not self.stopped and not self.running
        if not able or self.wanted_since is None:
            assert due is None
            return
        assert due is not None
        rest = self.failed_at + TIMING.longest_wait if self.failures else 0
        assert due <= max(self.wanted_since + TIMING.debounce, rest, self.left_until, self.now)


Schedules.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
TestSchedules = Schedules.TestCase


def logged_in() -> Schedule:
    """At 100 somebody logged in, and their first sync has ended."""
    return Schedule(TIMING).login(0).began().ended(100)


@given(waits=st.lists(st.floats(0, 0.2), max_size=7))
def test_triggers_in_a_row_are_one_sync_a_debounce_after_the_first(waits: list[float]) -> None:
    schedule, now = logged_in().trigger(100), 100.0
    for wait in waits:
        now += wait
        schedule = schedule.trigger(now)
    assert schedule.due_at() == 100 + TIMING.debounce
    assert schedule.began().ended(now + 5).due_at() is None


@given(count=st.integers(1, 5))
def test_triggers_during_a_sync_make_one_more_afterwards(count: int) -> None:
    schedule = logged_in().trigger(100).began()
    for now in range(101, 101 + count):
        schedule = schedule.trigger(now)
    after = schedule.ended(200)
    assert after.due_at() == 200 + TIMING.debounce
    assert after.began().ended(300).due_at() is None


def test_the_timer_syncs_only_where_something_is_pending() -> None:
    schedule = logged_in().look(100, pending=False)
    assert (schedule.due_at(), schedule.looks_at) == (None, 400)
    assert schedule.look(399, pending=True).due_at() is None
    assert schedule.look(400, pending=True).due_at() == 401.5


@given(failures=st.integers(1, 2000), jitter=st.floats(0.5, 1))
def test_waits_double_up_to_the_longest(failures: int, jitter: float) -> None:
    schedule = logged_in()
    for _ in range(failures):
        schedule = schedule.failed(100, jitter)
    assert schedule.due_at() == pytest.approx(100 + min(5 * 2 ** min(failures - 1, 20), 300) * jitter)


def test_what_the_server_asked_for_holds_when_the_network_comes_back_and_somebody_logs_in() -> None:
    schedule = logged_in().failed(100, 1, retry_after=60)
    assert schedule.due_at() == 160
    assert schedule.went_offline().went_online(110).login(120).due_at() == 160
    assert logged_in().failed(100, 1).went_online(101).due_at() == 102.5


EVENTS: list[Callable[[Schedule], Schedule]] = [
    lambda schedule: schedule.went_offline().went_online(300),
    lambda schedule: schedule.trigger(300),
    lambda schedule: schedule.look(1000, pending=True),
]


@pytest.mark.parametrize("event", EVENTS)
def test_after_a_refusal_nothing_but_a_login_tries_again(event: Callable[[Schedule], Schedule]) -> None:
    schedule = event(logged_in().trigger(100).began().refused())
    assert schedule.due_at() is None
    assert schedule.login(2000).due_at() == 2001.5
