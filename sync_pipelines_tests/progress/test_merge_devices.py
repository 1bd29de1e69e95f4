"""How a device takes in what the server says, and that the two agree once nothing is left to be sent."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.progress.merge import (
    NEVER,
    Change,
    Counter,
    Lesson,
    Progress,
    Stored,
    acknowledge,
    merge,
    pull,
)

DAY = datetime(2026, 1, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# Whose turn it is, what it does, a number, and the seconds that pass before.
Step = tuple[int, str, int, int]

moments = st.integers(0, 30).map(lambda second: DAY + timedelta(seconds=second))
scores = st.none() | st.integers(0, 100)
rows = st.builds(
    Progress, moments, st.booleans(), st.booleans(), st.integers(0, 100), scores, scores, st.none() | moments
)
lessons = st.builds(Lesson, rows, st.integers(0, 9), st.integers(0, 9))


# --- one answer -----------------------------------------------------------------------------------------------


@given(lessons, lessons, st.booleans())
def test_what_is_newer_on_the_server_replaces_the_row_and_only_a_time_or_best_it_lacks_is_still_to_be_sent(
    local: Lesson, said: Lesson, pending: bool
) -> None:
    local = replace(local, row=replace(local.row, updated_at=said.row.updated_at - MICROSECOND))
    after, still = pull(local, pending, said)
    assert replace(after.row, score_best=None) == replace(said.row, score_best=None)
    lacks = local.own_time_ms > said.own_time_ms or (local.row.score_best or -1) > (said.row.score_best or -1)
    assert still == (pending and lacks)


@given(lessons, lessons, st.booleans(), st.sampled_from([timedelta(0), MICROSECOND]))
def test_what_is_as_new_or_newer_on_the_device_is_kept_and_is_still_to_be_sent_if_it_was(
    local: Lesson, said: Lesson, pending: bool, newer: timedelta
) -> None:
    local = replace(local, row=replace(local.row, updated_at=said.row.updated_at + newer))
    after, still = pull(local, pending, said)
    assert replace(after.row, score_best=None) == replace(local.row, score_best=None)
    assert still == pending


@given(lessons, lessons, st.booleans())
def test_times_and_best_scores_are_never_less_after_an_answer_and_others_time_is_as_the_server_says(
    local: Lesson, said: Lesson, pending: bool
) -> None:
    after, _ = pull(local, pending, said)
    assert after.own_time_ms == max(local.own_time_ms, said.own_time_ms)
    assert after.others_time_ms == said.others_time_ms
    best = [score for score in (local.row.score_best, said.row.score_best) if score is not None]
    assert after.row.score_best == max(best, default=None)


@given(lessons)
def test_a_lesson_that_the_device_did_not_know_is_taken_as_it_is(said: Lesson) -> None:
    assert pull(None, False, said) == (said, False)


@given(lessons, moments)
def test_what_was_taken_is_not_to_be_sent_again_and_no_stamp_stays_in_the_servers_future(
    sent: Lesson, received_at: datetime
) -> None:
    after, still = acknowledge(sent, sent, received_at)
    assert not still
    assert after.row.updated_at == min(sent.row.updated_at, received_at)
    assert replace(after, row=sent.row) == sent


@given(lessons, rows, st.integers(0, 1), moments)
def test_what_was_done_while_it_was_under_way_is_kept_and_is_still_to_be_sent(
    sent: Lesson, row: Progress, more_ms: int, received_at: datetime
) -> None:
    done = replace(sent, row=row, own_time_ms=sent.own_time_ms + more_ms)
    after, still = acknowledge(done, sent, received_at)
    assert still == (done != sent)
    assert after.own_time_ms == done.own_time_ms
    if row != sent.row:
        assert after == done


# --- devices and a server -------------------------------------------------------------------------------------


@dataclass
class Server:
    stored: Stored | None = None
    now: datetime = DAY

    def receive(self, device_id: str, sent: Lesson) -> datetime:
        row = sent.row
        change = Change(
            row.updated_at,
            row.seen,
            row.completed,
            row.percent,
            sent.own_time_ms,
            row.score_best,
            row.score_last,
            row.last_seen_at,
        )
        self.stored = merge(self.stored, change, device_id, self.now)
        return self.now

    def say(self, device_id: str) -> Lesson | None:
        if self.stored is None:
            return None
        own = self.stored.devices.get(device_id, Counter()).time_ms
        return Lesson(self.stored.row, own, self.stored.time_ms - own)


@dataclass
class Device:
    """`fast` is how far its clock is ahead. No two devices ever stamp alike, nor a device and the server."""

    name: str
    number: int
    fast: timedelta = timedelta(0)
    lesson: Lesson = field(default_factory=lambda: Lesson(Progress(NEVER)))
    pending: bool = False
    spent: int = 0

    def do(self, now: datetime, **said: object) -> None:
        clock = now + self.fast + self.number * MICROSECOND
        stamp = max(clock, self.lesson.row.updated_at + timedelta(milliseconds=1))
        self.lesson = replace(self.lesson, row=replace(self.lesson.row, updated_at=stamp, **said))
        self.pending = True

    def spend(self, ms: int) -> None:
        self.spent += ms
        self.lesson = replace(self.lesson, own_time_ms=self.lesson.own_time_ms + ms)
        self.pending = True

    def sync(self, server: Server, *, lost: bool = False, meanwhile: int = 0) -> None:
        """Send what is pending; the answer may be lost. `meanwhile` is time spent before the answer is here."""
        if self.pending:
            sent = self.lesson
            received_at = server.receive(self.name, sent)
            if lost:
                return
            if meanwhile:
                self.spend(meanwhile)
            self.lesson, self.pending = acknowledge(self.lesson, sent, received_at)
        if said := server.say(self.name):
            self.lesson, self.pending = pull(self.lesson, self.pending, said)


@pytest.mark.parametrize("devices", [1, 2])
def test_twenty_sessions_of_a_minute_are_twenty_minutes_on_one_device_and_on_two_in_turn(devices: int) -> None:
    """Summing what is sent gives 210 minutes on one device, and 2 years on two (contracts/progress.md E6)."""
    server, all_of = Server(), [Device(f"device {number}", number) for number in range(devices)]
    for session in range(20):
        server.now += timedelta(minutes=5)
        device = all_of[session % devices]
        device.sync(server)
        device.spend(60_000)
        device.sync(server)
        device.sync(server)
    for device in all_of:
        device.sync(server)
        assert device.lesson.time_ms == 1_200_000
    assert server.stored is not None
    assert server.stored.time_ms == 1_200_000


def steps(*more: str) -> st.SearchStrategy[list[Step]]:
    whats = st.sampled_from(["do", "spend", "sync", "sync", "meanwhile", *more])
    return st.lists(st.tuples(st.integers(0, 2), whats, st.integers(0, 100), st.integers(1, 60)), max_size=30)


def clocks(at_most: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(-100, at_most), min_size=3, max_size=3)


def play(devices: list[Device], server: Server, script: list[Step]) -> None:
    for number, what, value, seconds in script:
        server.now += timedelta(seconds=seconds)
        device = devices[number]
        if what == "do":
            device.do(server.now, completed=value > 50, percent=value, score_best=value, score_last=value)
        elif what == "spend":
            device.spend(value)
        else:
            device.sync(server, lost=what == "lost", meanwhile=value if what == "meanwhile" else 0)


def until_quiet(devices: list[Device], server: Server) -> None:
    for _ in range(3):
        for device in devices:
            server.now += timedelta(seconds=1)
            device.sync(server)
    assert not any(device.pending for device in devices)


@given(st.tuples(steps("lost"), clocks(0)) | st.tuples(steps(), clocks(100)))
@settings(max_examples=300)
def test_devices_and_a_server_that_exchange_until_quiet_agree(played: tuple[list[Step], list[int]]) -> None:
    """Answers may be lost, or clocks be fast. Where both befall one change, a device may keep another stamp."""
    script, fast = played
    server = Server()
    devices = [Device(f"d{n}", n + 1, timedelta(seconds=seconds)) for n, seconds in enumerate(fast)]
    play(devices, server, script)
    until_quiet(devices, server)
    for device in devices:
        if server.stored is not None:
            assert device.lesson.row == server.stored.row
            assert device.lesson.time_ms == server.stored.time_ms == sum(one.spent for one in devices)
            assert device.lesson.own_time_ms == device.spent
