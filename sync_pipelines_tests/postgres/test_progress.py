"""Merging a learner's progress in the database gives what the pure rules give, whoever comes at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.errors import KeyReused
from sync_pipelines.postgres.engine import Database, Session
from sync_pipelines.postgres.progress import answer_once, merge_changes, progress_of
from sync_pipelines.progress.merge import MAX_TIME_MS, UNSAID, Change, Stored, merge

LESSONS = (3, 20, 100)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)

moments = st.integers(0, 6).map(lambda n: LONG_AGO + timedelta(seconds=n, microseconds=n))
percents = st.integers(0, 100)
changes = st.builds(
    Change,
    updated_at=moments,
    seen=st.none() | st.booleans(),
    completed=st.none() | st.booleans(),
    percent=st.none() | percents,
    time_ms=st.none() | st.integers(0, 1000) | st.just(MAX_TIME_MS),
    score_best=st.none() | percents,
    score_last=st.just(UNSAID) | st.none() | percents,
    last_seen_at=st.just(UNSAID) | st.none() | moments,
)
imports = st.tuples(st.sampled_from(["", "phone", "tablet"]), st.dictionaries(st.sampled_from(LESSONS), changes))


@pytest.fixture
def lessons(query: Callable[..., Any]) -> None:
    for lesson in LESSONS:
        query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES (:id, 'a lesson')", id=str(lesson))


def nobody(query: Callable[..., Any]) -> None:
    query("TRUNCATE learning.lesson_progress, learning.device_time")


def folded(history: Sequence[tuple[str, Mapping[int, Change]]], now: datetime) -> dict[int, Stored]:
    model: dict[int, Stored] = {}
    for device, said in history:
        for lesson, change in said.items():
            model[lesson] = merge(model.get(lesson), change, device, now)
    return model


@given(history=st.lists(imports, max_size=6))
@settings(max_examples=60)
def test_what_is_stored_is_what_the_pure_rules_say(
    lessons: None, session: Session, query: Callable[..., Any], history: list[Any]
) -> None:
    nobody(query)
    expected: dict[int, Stored] = {}
    for device, said in history:
        before = dict(expected)
        merged = merge_changes(session, "anna", device, said)
        for lesson, change in said.items():
            expected[lesson] = merge(expected.get(lesson), change, device, merged.received_at)
        forward = [i for i in said if i not in before or expected[i].row.updated_at > before[i].row.updated_at]
        assert (merged.imported, merged.updated, merged.unknown) == (len(said), len(forward), [])
    there = progress_of(session, "anna", "phone")
    assert {i: (lesson.row, lesson.time_ms) for i, lesson in there.items()} == {
        i: (stored.row, stored.time_ms) for i, stored in expected.items()
    }
    assert list(there) == sorted(there)
    for i, lesson in there.items():
        counter = expected[i].devices.get("phone")
        assert lesson.own_time_ms == (counter.time_ms if counter else 0)
    assert progress_of(session, "bruno") == {}


@given(ahead=st.lists(st.integers(1, 50), min_size=1, max_size=4))
@settings(max_examples=20)
def test_a_device_whose_clock_is_ahead_is_heard_once(
    lessons: None, session: Session, query: Callable[..., Any], ahead: list[int]
) -> None:
    nobody(query)
    said = [Change(datetime.now(UTC) + timedelta(days=n), percent=n) for n in sorted(ahead)]
    for change in said:
        merge_changes(session, "anna", "phone", {3: change})
    merge_changes(session, "anna", "tablet", {3: Change(datetime.now(UTC), percent=100)})
    before = progress_of(session, "anna")
    for change in said:
        assert merge_changes(session, "anna", "phone", {3: change}).updated == 0
    assert progress_of(session, "anna") == before
    assert before[3].row.percent == 100


def test_unknown_lessons_are_named_and_leave_nothing(
    lessons: None, session: Session, query: Callable[..., Any]
) -> None:
    query("UPDATE wtl.lessons SET remote_deleted_at = now() WHERE wtl_lesson_id = '3'")
    query("DELETE FROM wtl.lessons WHERE wtl_lesson_id = '20'")
    query(
        "INSERT INTO sync.external_refs (system, type, external_id, internal_id) "
        "VALUES ('wtl', 'lesson', '20', gen_random_uuid()), ('wtl', 'course', '4', gen_random_uuid())"
    )
    merged = merge_changes(session, "anna", "", {3: Change(LONG_AGO), 4: Change(LONG_AGO), 20: Change(LONG_AGO)})
    assert (merged.imported, merged.updated, merged.unknown) == (2, 2, [4])
    assert list(progress_of(session, "anna")) == [3, 20]


def test_a_stamp_in_the_future_that_was_stored_is_pulled_down(
    lessons: None, session: Session, query: Callable[..., Any]
) -> None:
    far = datetime.now(UTC) + timedelta(days=300)
    query(
        "INSERT INTO learning.lesson_progress (user_id, lesson_id, updated_at, time_ms) "
        "VALUES ('anna', 3, :t, 50)",
        t=far,
    )
    merged = merge_changes(session, "anna", "phone", {3: Change(LONG_AGO, percent=9, time_ms=10)})
    lesson = progress_of(session, "anna", "phone")[3]
    assert lesson.row.updated_at == merged.received_at
    assert lesson.row.percent == 0
    assert (lesson.own_time_ms, lesson.time_ms) == (10, 60), "time that no device told of is lost"


@given(histories=st.lists(st.lists(imports, min_size=1, max_size=5), min_size=2, max_size=3))
@settings(max_examples=15)
def test_devices_that_send_at_the_same_time_lose_nothing(
    lessons: None, database: Database, query: Callable[..., Any], histories: list[list[Any]]
) -> None:
    """Whatever the order in which they come: the best score, the devices' times, the latest stamp."""
    nobody(query)
    failures: list[BaseException] = []

    def send(history: list[Any]) -> None:
        try:
            with database.session() as session:
                for device, said in history:
                    merge_changes(session, "anna", device, said)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=send, args=[history]) for history in histories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    expected = folded([one for history in histories for one in history], datetime.now(UTC))
    with database.session() as session:
        there = progress_of(session, "anna")
    assert {i: (x.time_ms, x.row.score_best, x.row.updated_at) for i, x in there.items()} == {
        i: (x.time_ms, x.row.score_best, x.row.updated_at) for i, x in expected.items()
    }


def test_an_import_that_comes_again_is_answered_and_does_nothing(session: Session) -> None:
    done: list[int] = []

    def work() -> dict[str, Any]:
        done.append(1)
        return {"imported": len(done)}

    assert answer_once(session, "anna", "phone", "k", "a" * 64, work) == ({"imported": 1}, False)
    assert answer_once(session, "anna", "phone", "k", "a" * 64, work) == ({"imported": 1}, True)
    assert answer_once(session, "bruno", "phone", "k", "b" * 64, work) == ({"imported": 2}, False)
    with pytest.raises(KeyReused):
        answer_once(session, "anna", "phone", "k", "b" * 64, work)
    assert len(done) == 2


def test_an_import_that_failed_is_not_remembered(session: Session, query: Callable[..., Any]) -> None:
    def fail() -> dict[str, Any]:
        raise KeyError("half way")

    with pytest.raises(KeyError):
        answer_once(session, "anna", "phone", "k", "a" * 64, fail)
    assert query("SELECT count(*) FROM learning.progress_imports") == [0]
    assert answer_once(session, "anna", "phone", "k", "a" * 64, dict) == ({}, False)


def test_two_at_once_with_one_key_are_one_import(database: Database, lessons: None) -> None:
    answers: list[Any] = []
    together = threading.Barrier(2)

    def send() -> None:
        with database.session() as session:
            together.wait()
            answers.append(answer_once(session, "anna", "p", "k", "a" * 64, lambda: {"by": threading.get_ident()}))

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(replayed for _, replayed in answers) == [False, True]
    assert answers[0][0] == answers[1][0]
