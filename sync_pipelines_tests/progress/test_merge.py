"""How a server merges what devices say, for any changes in any order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.progress.merge import (
    MAX_TIME_MS,
    UNSAID,
    Change,
    Counter,
    Progress,
    Stored,
    merge,
    merge_together,
)

Told = tuple[str, Change]

DAY = datetime(2026, 1, 12, tzinfo=UTC)
LATER = DAY + timedelta(days=1)
DEVICES = ("", "phone", "tablet")

moments = st.integers(0, 30).map(lambda second: DAY + timedelta(seconds=second))
scores = st.none() | st.integers(0, 100)
times = st.integers(0, 9) | st.integers(MAX_TIME_MS - 3, MAX_TIME_MS)
devices = st.sampled_from(DEVICES)
whole = st.builds(
    Change,
    updated_at=moments,
    seen=st.booleans(),
    completed=st.booleans(),
    percent=st.integers(0, 100),
    time_ms=times,
    score_best=scores,
    score_last=scores,
    last_seen_at=st.none() | moments,
)
partial = st.builds(
    Change,
    updated_at=moments,
    seen=st.none() | st.booleans(),
    completed=st.none() | st.booleans(),
    percent=scores,
    time_ms=st.none() | times,
    score_best=scores,
    score_last=st.just(UNSAID) | scores,
    last_seen_at=st.just(UNSAID) | st.none() | moments,
)
rows = st.builds(
    Progress, moments, st.booleans(), st.booleans(), st.integers(0, 100), scores, scores, st.none() | moments
)
stored = st.builds(Stored, rows, st.dictionaries(devices, st.builds(Counter, times)))
#: Whole changes of some devices, no two with one stamp.
told = st.lists(st.tuples(devices, whole), min_size=1, unique_by=lambda one: one[1].updated_at)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[Sequence[Told], Sequence[Told]]:
    """What was told, and how it arrives: in any order, some of it more than once."""
    once = draw(told)
    again = draw(st.lists(st.sampled_from(once), max_size=5))
    return once, draw(st.permutations([*once, *again]))


def merged(one: Stored | None, changes: Iterable[Told], now: datetime = LATER) -> Stored | None:
    """One after the other."""
    return reduce(lambda stored, told: merge(stored, told[1], told[0], now), changes, one)


# --- any order, any number of times ---------------------------------------------------------------------------


@given(deliveries(), st.none() | stored)
def test_whatever_the_order_and_however_often_it_arrives_the_same_is_stored(
    arriving: tuple[Sequence[Told], Sequence[Told]], before: Stored | None
) -> None:
    once, often = arriving
    assert merged(before, often) == merged(before, once)


@given(deliveries(), st.integers(0, 10))
def test_it_is_one_whether_changes_arrive_together_or_one_by_one(
    arriving: tuple[Sequence[Told], Sequence[Told]], first: int
) -> None:
    once, often = arriving
    together = merge_together(merge_together(None, often[:first], LATER), often[first:], LATER)
    assert together == merged(None, once)


@given(st.lists(st.tuples(devices, partial), unique_by=lambda one: one[1].updated_at), st.randoms())
def test_of_changes_that_arrive_together_each_field_has_what_the_last_one_that_says_it_says(
    changes: list[Told], random: Random
) -> None:
    in_order = merged(None, sorted(changes, key=lambda one: one[1].updated_at))
    random.shuffle(changes)
    assert merge_together(None, changes, LATER) == in_order


@given(deliveries(), st.none() | stored, moments)
def test_changes_that_arrive_together_may_stand_in_any_order_though_they_are_of_the_future(
    arriving: tuple[Sequence[Told], Sequence[Told]], before: Stored | None, now: datetime
) -> None:
    once, often = arriving
    assert merge_together(before, often, now) == merge_together(before, once, now)


@given(st.none() | stored, devices, partial, moments, st.integers(0, 30))
def test_a_change_that_arrives_again_changes_nothing_though_it_is_of_the_future(
    before: Stored | None, device: str, change: Change, now: datetime, seconds: int
) -> None:
    once = merge(before, change, device, now)
    assert merge(once, change, device, now + timedelta(seconds=seconds)) == once


@given(told, partial, moments, st.integers(0, 30))
def test_a_change_of_the_future_does_not_win_again_over_what_others_said_since(
    others: Sequence[Told], change: Change, now: datetime, seconds: int
) -> None:
    once = merge(None, change, "mine", now)
    since = merged(once, others, now + timedelta(seconds=seconds))
    assert since is not None
    assert merge(since, change, "mine", now + timedelta(seconds=2 * seconds)) == since


@given(deliveries(), st.integers(0, 30))
def test_what_a_device_said_of_the_future_changes_nothing_when_it_arrives_again_before_its_time(
    arriving: tuple[Sequence[Told], Sequence[Told]], seconds: int
) -> None:
    changes = [change for _, change in arriving[1]]
    said = None
    for ago in range(len(changes), 0, -1):
        said = merge(said, changes[-ago], "mine", DAY - timedelta(seconds=ago))
    assert said is not None
    for change in changes:
        assert merge(said, change, "mine", DAY - timedelta(milliseconds=1)).row == said.row
    latest = max(changes, key=lambda change: change.updated_at)
    assert merge(said, latest, "mine", DAY + timedelta(seconds=seconds)) == said


# --- what only grows ------------------------------------------------------------------------------------------


@given(stored, st.lists(st.tuples(devices, partial, st.integers(0, 9))))
def test_times_best_score_and_stamp_only_grow_and_no_stamp_lies_in_the_future(
    before: Stored, changes: list[tuple[str, Change, int]]
) -> None:
    now = max(moment for moment in (before.row.updated_at, before.row.last_seen_at) if moment)
    for device, change, seconds in changes:
        now += timedelta(seconds=seconds)
        after = merge(before, change, device, now)
        assert after.row.updated_at >= before.row.updated_at
        assert (after.row.score_best or 0) >= max(before.row.score_best or 0, change.score_best or 0)
        assert (after.row.score_best is None) == (before.row.score_best is None and change.score_best is None)
        assert after.time_ms >= before.time_ms
        assert after.devices.keys() == {*before.devices, device}
        assert all(after.devices[name].time_ms >= counter.time_ms for name, counter in before.devices.items())
        assert all(stamp <= now for stamp in (after.row.updated_at, after.row.last_seen_at) if stamp)
        before = after


@given(rows, whole, moments)
def test_stored_stamps_of_the_future_are_pulled_down_to_now(row: Progress, change: Change, now: datetime) -> None:
    after = merge(Stored(row), replace(change, updated_at=DAY - timedelta(days=1)), "", now)
    assert after.row.updated_at == min(row.updated_at, now)
    assert after.row.last_seen_at == (row.last_seen_at and min(row.last_seen_at, now))


@given(st.lists(st.tuples(devices, partial), min_size=1))
def test_the_time_is_the_sum_of_the_greatest_that_each_device_told(changes: list[Told]) -> None:
    after = merged(None, changes)
    assert after is not None
    greatest = [max(change.time_ms or 0 for name, change in changes if name == device) for device in after.devices]
    assert after.time_ms == min(sum(greatest), MAX_TIME_MS)
    assert after.devices.keys() == {device for device, _ in changes}


# --- who wins -------------------------------------------------------------------------------------------------


def what_is_replaced(row: Progress) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("seen", "completed", "percent", "score_last", "last_seen_at")}


@given(stored, partial, devices)
def test_a_newer_change_replaces_what_it_says_and_null_clears_what_can_be_null(
    before: Stored, change: Change, device: str
) -> None:
    change = replace(change, updated_at=before.row.updated_at + timedelta(microseconds=1))
    said = {name: getattr(change, name) for name in ("seen", "completed", "percent")}
    said = {name: value for name, value in said.items() if value is not None}
    for name in ("score_last", "last_seen_at"):
        if getattr(change, name) is not UNSAID:
            said[name] = getattr(change, name)
    after = merge(before, change, device, LATER)
    assert what_is_replaced(after.row) == {**what_is_replaced(before.row), **said}
    assert after.row.updated_at == change.updated_at


@given(stored, partial, devices, st.sampled_from([0, 1, 10**9]))
def test_an_equal_or_older_change_replaces_nothing_and_its_time_and_best_score_count(
    before: Stored, change: Change, device: str, earlier: int
) -> None:
    change = replace(change, updated_at=before.row.updated_at - timedelta(microseconds=earlier))
    after = merge(before, change, device, LATER)
    assert replace(after.row, score_best=before.row.score_best) == before.row
    assert after.row.score_best == max(
        (before.row.score_best, change.score_best), key=lambda s: -1 if s is None else s
    )
    told_before = before.devices.get(device, Counter()).time_ms
    assert after.devices[device].time_ms == max(told_before, change.time_ms or 0)


@given(whole)
def test_of_two_changes_with_one_stamp_the_first_is_kept_whole(change: Change) -> None:
    other = replace(change, seen=not change.seen, completed=not change.completed, last_seen_at=None)
    assert merged(None, [("phone", change), ("tablet", other)]) == replace(
        merge(None, change, "phone", LATER),
        devices={device: Counter(change.time_ms or 0) for device in ("phone", "tablet")},
    )


def test_a_lesson_that_was_completed_is_not_any_more_once_a_newer_change_says_so() -> None:
    completed = merge(None, Change(DAY, completed=True, percent=100), "phone", LATER)
    after = merge(completed, Change(DAY + timedelta(milliseconds=1), completed=False), "tablet", LATER)
    assert after.row == Progress(DAY + timedelta(milliseconds=1), completed=False, percent=100)


@given(partial)
def test_a_new_lesson_has_what_was_said_and_otherwise_nothing(change: Change) -> None:
    row = merge(None, change, "", LATER).row
    assert row == Progress(
        change.updated_at,
        change.seen or False,
        change.completed or False,
        change.percent or 0,
        change.score_best,
        None if change.score_last is UNSAID else change.score_last,
        None if change.last_seen_at is UNSAID else change.last_seen_at,
    )


@given(told, moments)
def test_of_changes_of_the_future_that_arrive_together_the_latest_wins(
    changes: Sequence[Told], now: datetime
) -> None:
    after = merge_together(None, changes, now)
    assert after is not None
    latest = max(changes, key=lambda one: one[1].updated_at)[1]
    assert (after.row.seen, after.row.completed, after.row.percent) == (
        latest.seen,
        latest.completed,
        latest.percent,
    )
    assert after.row.updated_at == min(latest.updated_at, now)
