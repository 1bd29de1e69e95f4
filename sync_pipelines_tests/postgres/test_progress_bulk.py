"""The rules in SQL give what the pure ones give, for any states, in any portions, whoever writes beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.errors import DatabaseUnavailable
from sync_pipelines.postgres.engine import Database, Session
from sync_pipelines.postgres.progress import merge_changes
from sync_pipelines.postgres.progress_bulk import BulkMerged, LandedState, count_landed, land, merge_landed
from sync_pipelines.progress.columns import columns_of
from sync_pipelines.progress.merge import MAX_TIME_MS, UNSAID, Change, Counter, Progress, Stored, merge_together

Query = Callable[..., list[Any]]
Key = tuple[str, int]
Told = tuple[str, str, Mapping[int, Change]]

DAY = datetime(2026, 1, 12, tzinfo=UTC)
KNOWN, LATER = (1, 2), 3
ROW = ", ".join(column.name for column in fields(Progress))
USERS, DEVICES = ("u\t1", "Żaneta", "z"), ("", "phone", "tablet")

# Few moments, so that stamps are often equal, and often in the future of one merge and the past of the next.
moments = st.integers(-3, 40).map(lambda second: DAY + timedelta(seconds=second, microseconds=second % 3))
scores = st.none() | st.integers(0, 100)
times = st.integers(0, 9) | st.integers(MAX_TIME_MS - 3, MAX_TIME_MS)
changes = st.builds(
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
counters = st.builds(Counter, times, st.none() | moments)
stored = st.builds(Stored, rows, st.dictionaries(st.sampled_from(DEVICES), counters))
keys = st.tuples(st.sampled_from(USERS), st.sampled_from(KNOWN))
states = st.tuples(
    st.sampled_from(USERS), st.sampled_from(DEVICES), st.dictionaries(st.sampled_from((*KNOWN, LATER)), changes)
)


@dataclass(frozen=True)
class Batch:
    """What lands before a merge."""

    landed: Sequence[Told]
    second: int
    portion: int
    knows_later: bool


batches = st.builds(
    Batch, st.lists(states, max_size=8), st.integers(0, 15), st.integers(1, 20), knows_later=st.booleans()
)


@dataclass
class Model:
    """The tables, as the pure rules would have them."""

    rows: dict[Key, Stored]
    known: set[int] = field(default_factory=lambda: set(KNOWN))
    landed: list[tuple[Key, str, Change]] = field(default_factory=list)

    def land(self, batch: Batch) -> None:
        for user, device, lessons in batch.landed:
            self.landed += [((user, lesson), device, change) for lesson, change in lessons.items()]

    def merge(self, now: datetime) -> BulkMerged:
        """Merge what is known; gives what a merge of all portions should say."""
        here = [landed for landed in self.landed if landed[0][1] in self.known]
        self.landed = [landed for landed in self.landed if landed[0][1] not in self.known]
        created = updated = 0
        for key in {key for key, _, _ in here}:
            before = self.rows.get(key)
            after = merge_together(before, [(device, change) for k, device, change in here if k == key], now)
            assert after is not None
            self.rows[key] = after
            created += before is None
            updated += before is not None and (before.row, before.time_ms) != (after.row, after.time_ms)
        return BulkMerged(created, updated, len(here) - created - updated)


@pytest.fixture
def lessons(session: Session) -> None:
    know(session, *KNOWN)


def know(session: Session, *lessons: int) -> None:
    with session.cursor() as cursor:
        for lesson in lessons:
            cursor.execute("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES (%s, 'Lekcja')", [str(lesson)])


def store(session: Session, rows: Mapping[Key, Stored]) -> None:
    with session.cursor() as cursor:
        for key, one in rows.items():
            cursor.execute(
                f"INSERT INTO learning.lesson_progress (user_id, lesson_id, time_ms, {ROW}) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [*key, one.time_ms, *astuple(one.row)],
            )
            for device, counter in one.devices.items():
                cursor.execute(
                    "INSERT INTO learning.device_time (user_id, lesson_id, device_id, time_ms, ahead) "
                    "VALUES (%s, %s, %s, %s, %s)",
                    [*key, device, *astuple(counter)],
                )


def tables(session: Session) -> dict[Key, tuple[Stored, int]]:
    """The stored rows, and the time of each as the table has it."""
    devices: dict[Key, dict[str, Counter]] = {}
    with session.cursor() as cursor:
        for user, lesson, device, *counter in cursor.execute(
            "SELECT user_id, lesson_id, device_id, time_ms, ahead FROM learning.device_time"
        ):
            devices.setdefault((user, lesson), {})[device] = Counter(*counter)
        return {
            (user, lesson): (Stored(Progress(*row), devices.get((user, lesson), {})), time_ms)
            for user, lesson, time_ms, *row in cursor.execute(
                f"SELECT user_id, lesson_id, time_ms, {ROW} FROM learning.lesson_progress ORDER BY 1, 2"
            )
        }


def empty(session: Session) -> None:
    with session.cursor() as cursor:
        for table in ("lesson_progress", "device_time", "device_states"):
            cursor.execute(f"DELETE FROM learning.{table}")
        cursor.execute("DELETE FROM wtl.lessons WHERE wtl_lesson_id = %s", [str(LATER)])


def in_all(merged: Iterator[BulkMerged]) -> BulkMerged:
    portions = [astuple(portion) for portion in merged]
    return BulkMerged(*map(sum, zip(*portions, strict=True))) if portions else BulkMerged(0, 0, 0)


def land_all(session: Session, landed: Sequence[Told]) -> int:
    return land(session, [LandedState(user, device, columns_of(lessons)) for user, device, lessons in landed])


@given(before=st.dictionaries(keys, stored, max_size=4), arriving=st.lists(batches, max_size=4))
@settings(max_examples=120)
@pytest.mark.usefixtures("lessons")
def test_batches_end_as_the_pure_rules_say_and_count_as_they_do(
    session: Session, before: dict[Key, Stored], arriving: list[Batch]
) -> None:
    empty(session)
    store(session, before)
    model, now = Model(dict(before)), DAY
    for batch in arriving:
        now += timedelta(seconds=batch.second)
        if batch.knows_later and LATER not in model.known:
            model.known.add(LATER)
            know(session, LATER)
        model.land(batch)
        assert land_all(session, batch.landed) == sum(len(lessons) for _, _, lessons in batch.landed)
        said = in_all(merge_landed(session, portion=batch.portion, now=now))
        assert said == model.merge(now)
        assert tables(session) == {key: (one, one.time_ms) for key, one in model.rows.items()}
        assert count_landed(session) == len(model.landed)


def test_a_learner_is_merged_in_one_portion_and_one_that_fails_keeps_those_before_it(
    database: Database, session: Session, query: Query, lessons: None
) -> None:
    change = Change(DAY, seen=True, time_ms=5)
    users = [f"u{number}" for number in range(5)]
    # Of each learner three rows, which do not lie together.
    for device in DEVICES:
        land_all(session, [(user, device, {1: change}) for user in users])
    portions = merge_landed(session, portion=4)
    assert next(portions) == BulkMerged(created=1, updated=0, skipped=2)
    query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with pytest.raises(DatabaseUnavailable):
        next(portions)
    with database.session() as another:
        assert list(tables(another)) == [("u0", 1)]
        assert count_landed(another) == 12
        assert in_all(merge_landed(another, portion=4)) == BulkMerged(created=4, updated=0, skipped=8)
        assert tables(another) == {
            (user, 1): (Stored(Progress(DAY, seen=True), dict.fromkeys(DEVICES, Counter(5))), 15) for user in users
        }


def test_what_lands_while_portions_are_merged_is_left_for_the_next_time(
    database: Database, session: Session, lessons: None
) -> None:
    land_all(session, [(user, "", {1: Change(DAY)}) for user in USERS])
    portions = merge_landed(session, portion=1)
    next(portions)
    with database.session() as another:
        land_all(another, [(user, "", {1: Change(DAY), 2: Change(DAY)}) for user in USERS])
    assert in_all(portions) == BulkMerged(created=2, updated=0, skipped=0)
    assert count_landed(session) == 6
    assert in_all(merge_landed(session)) == BulkMerged(created=3, updated=0, skipped=3)


def test_two_merges_at_once_merge_each_row_once(database: Database, session: Session, lessons: None) -> None:
    with database.session() as one, database.session() as other:
        land_all(one, [(f"u{number}", "", {1: Change(DAY, time_ms=1)}) for number in range(20)])
        merges = [merge_landed(one, portion=1), merge_landed(other, portion=7)]
        merged = [next(merges[0]), next(merges[1]), *merges[0], *merges[1]]
    assert in_all(iter(merged)) == BulkMerged(created=20, updated=0, skipped=0)
    assert count_landed(session) == 0


def test_devices_that_write_meanwhile_and_bulk_merges_end_in_the_rows_of_the_rules(
    database: Database, session: Session, lessons: None
) -> None:
    """Whole changes with stamps of their own, all of them past: their order means nothing."""
    random = Random(7)
    seconds = iter(random.sample(range(10_000), 200))
    told = [
        (user, device, {lesson: whole_change(random, next(seconds)) for lesson in KNOWN})
        for user in USERS
        for device in DEVICES
        for _ in range(10)
    ]
    random.shuffle(told)

    def in_bulk(mine: Sequence[Told]) -> None:
        with database.session() as session:
            for start in range(0, len(mine), 5):
                land_all(session, mine[start : start + 5])
                in_all(merge_landed(session, portion=3))

    def one_by_one(mine: Sequence[Told]) -> None:
        with database.session() as session:
            for user, device, changes in mine:
                merge_changes(session, user, device, changes)

    with ThreadPoolExecutor() as threads:
        writers = [threads.submit(in_bulk, told[:60])]
        writers += [threads.submit(one_by_one, mine) for mine in (told[60:75], told[75:])]
    for writer in writers:
        writer.result()
    model = Model({})
    model.land(Batch(told, 0, 1, False))
    model.merge(DAY + timedelta(days=1))
    assert tables(session) == {key: (one, one.time_ms) for key, one in model.rows.items()}


def whole_change(random: Random, second: int) -> Change:
    return Change(
        DAY + timedelta(seconds=second),
        seen=random.random() < 0.5,
        completed=random.random() < 0.5,
        percent=random.randrange(101),
        time_ms=random.randrange(1000),
        score_best=random.choice([None, random.randrange(101)]),
        score_last=random.choice([None, random.randrange(101)]),
        last_seen_at=DAY,
    )
