"""The three calls, over real HTTP."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.progress import wire
from sync_pipelines.progress.merge import MAX_TIME_MS, Lesson, merge
from sync_pipelines_tests.service.asking import PROGRESS, Learner, lesson
from sync_pipelines_tests.service.saying import bad_lessons, lessons

Learners = Callable[..., Learner]
Query = Callable[..., list[Any]]
ROW = {
    "lesson_id": 2,
    "seen": False,
    "completed": False,
    "percent": 40,
    "time_ms": 90_000,
    "score_best": None,
    "score_last": None,
    "updated_at": "2026-01-12T10:20:30.000000Z",
    "last_seen_at": "2026-01-12T10:20:30.000000Z",
}
TWO = {"percent": 40, "time_ms": 90_000, "last_seen_at": "2026-01-12T11:20:30+01:00"}


def counts(answer: httpx.Response) -> tuple[int, int, int]:
    assert answer.status_code == 200
    said = answer.json()
    return said["imported"], said["updated"], len(said["rejected"])


def refused(answer: httpx.Response) -> list[tuple[str, str, str | None]]:
    assert answer.status_code == 200
    return [(one["lesson_id"], one["code"], one["field"]) for one in answer.json()["rejected"]]


def test_what_was_imported_comes_back_in_the_order_of_lessons(learner: Learners) -> None:
    me = learner()
    assert me.rows() == []
    assert counts(me.send({"5": lesson(seen=True), "2": lesson(**TWO)})) == (2, 2, 0)
    two, five = me.rows()
    assert two == ROW
    assert (five["lesson_id"], five["seen"]) == (5, True)


def test_a_device_that_asks_is_told_its_own_time_and_the_sum(learner: Learners) -> None:
    me = learner()
    me.send({"2": lesson(time_ms=60_000)}, device="tablet")
    me.send({"2": lesson(time_ms=5_000)}, device="phone")
    assert [row["time_ms"] for row in me.rows()] == [65_000]
    assert [(r["time_ms"], r["device_time_ms"]) for r in me.rows(device_id="phone")] == [(65_000, 5_000)]
    assert [(r["time_ms"], r["device_time_ms"]) for r in me.rows(device_id="watch")] == [(65_000, 0)]


@pytest.mark.parametrize("nobody", [None, "", "   "])
def test_devices_without_an_id_are_one_and_their_greatest_time_counts(learner: Learners, nobody: Any) -> None:
    me = learner()
    me.send({"2": lesson(time_ms=60_000)}, device=nobody)
    me.send({"2": lesson(time_ms=70_000)}, device="")
    assert [(r["time_ms"], r["device_time_ms"]) for r in me.rows(device_id="")] == [(70_000, 70_000)]


def test_a_patch_answers_the_merged_row(learner: Learners) -> None:
    me = learner()
    changed = me.patch(2, {"device_id": "tablet", **lesson(**TWO)})
    assert (changed.status_code, changed.json()) == (200, ROW)
    newer = me.patch(2, {"device_id": "phone", **lesson(updated_at="2026-01-12T10:20:31Z", seen=True, time_ms=1)})
    assert newer.json() == {**ROW, "seen": True, "time_ms": 90_001, "updated_at": "2026-01-12T10:20:31.000000Z"}
    assert me.rows() == [newer.json()]


def test_a_lesson_that_nobody_has_is_not_found(learner: Learners) -> None:
    me = learner()
    for unknown in ("6", "012", "+2", "1_2", "٣", "0", "-1", "2.0", "9" * 30, "import", "%20"):
        missing = me.patch(unknown, lesson())
        assert (missing.status_code, missing.json()) == (404, {"detail": "Lesson not found."})


@given(sent=bad_lessons())
@settings(max_examples=40)
def test_a_patch_that_is_wrong_names_the_field_and_changes_nothing(
    learner: Learners, sent: tuple[str | None, Mapping[str, Any]]
) -> None:
    me, (field, value) = learner(), sent
    wrong = me.patch(2, value)
    assert (wrong.status_code, me.rows()) == (400, [])
    (error,) = wrong.json()["errors"]
    assert error["field"] == field
    assert error["reason"] in wrong.json()["detail"]


@given(
    good=st.dictionaries(st.integers(1, 5), lessons(), max_size=4),
    unknown=st.dictionaries(st.integers(10, MAX_TIME_MS), lessons(), max_size=3),
    bad=st.dictionaries(st.integers(1, 9), bad_lessons(), max_size=4),
    odd=st.dictionaries(
        st.sampled_from(["", " 1", "01", "+1", "1_0", "٣", "1\x00", "\ud800", "1" * 99]), lessons()
    ),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=60)
def test_of_any_mixture_the_good_lessons_are_taken_and_each_bad_one_is_named(
    learner: Learners, good: Any, unknown: Any, bad: Any, odd: Any, order: Any
) -> None:
    me = learner()
    good = {identity: said for identity, said in good.items() if identity not in bad}
    mixed = [*good.items(), *unknown.items(), *((key, value) for key, (_, value) in bad.items()), *odd.items()]
    order.shuffle(mixed)
    answer = me.send({str(key): value for key, value in mixed})
    assert counts(answer) == (len(good), len(good), len(mixed) - len(good))
    named = refused(answer)
    no_lesson = [one for one in named if one[2] == "lesson_id"]
    assert len(no_lesson) == len(odd)
    expected = {(str(key), "unknown_lesson", None) for key in unknown}
    expected |= {(str(key), "invalid", field) for key, (field, _) in bad.items()}
    assert {*named} - {*no_lesson} == expected
    now = datetime.fromisoformat(answer.headers["X-Received-At"])
    merged = {key: merge(None, wire.change_of(said), "tablet", now) for key, said in sorted(good.items())}
    assert me.rows() == [wire.row_of(key, Lesson(one.row, one.time_ms)) for key, one in merged.items()]


def test_a_lesson_that_stands_there_twice_is_refused_and_the_others_are_not(learner: Learners) -> None:
    one, two = (json.dumps(lesson(percent=n)) for n in (1, 2))
    content = f'{{"lessons": {{"2": {one}, "3": {one}, "2": {two}}}}}'
    me = learner()
    answer = me.ask("POST", "import/", content=content)
    assert (counts(answer), refused(answer)) == ((1, 1, 1), [("2", "duplicate", None)])
    assert [row["lesson_id"] for row in me.rows()] == [3]


def test_a_replay_is_the_same_answer_and_changes_nothing(learner: Learners, query: Query) -> None:
    for key in ("first", None):
        me = learner()
        first = me.send({"2": lesson(**TWO), "99": lesson()} if key else {"2": lesson(**TWO)}, key=key)
        query("UPDATE learning.lesson_progress SET percent = 99")
        again = me.send({"2": lesson(**TWO), "99": lesson()} if key else {"2": lesson(**TWO)}, key=key)
        assert again.json() == first.json()
        assert first.headers.get("Idempotency-Replayed") is None
        assert again.headers["Idempotency-Replayed"] == "true"
        assert [row["percent"] for row in me.rows()] == [99]


def test_a_key_is_for_one_payload_of_one_device_of_one_learner(learner: Learners) -> None:
    me, other = learner(), learner()
    assert counts(me.send({"2": lesson()}, key="k")) == (1, 1, 0)
    reused = me.send({"2": lesson(percent=1)}, key="k")
    assert (reused.status_code, reused.json()["code"]) == (409, "key_reused")
    assert [row["percent"] for row in me.rows()] == [0]
    assert counts(me.send({"2": lesson(percent=1)}, device="phone", key="k")) == (1, 0, 0)
    assert counts(other.send({"2": lesson(percent=1)}, key="k")) == (1, 1, 0)


def test_the_same_payload_written_otherwise_is_the_same_payload(learner: Learners) -> None:
    me = learner()
    first = me.post({"lessons": {"2": lesson(percent=1), "3": lesson()}})
    spaced = json.dumps(
        {"lessons": {"3": lesson(), "2": lesson(percent=1)}, "device_id": None, "more": 1}, indent=3
    )
    again = me.ask("POST", "import/", content=spaced)
    assert (again.headers["Idempotency-Replayed"], again.json()) == ("true", first.json())


def test_no_key_is_the_fingerprint_of_a_payload(learner: Learners, query: Query) -> None:
    me = learner()
    me.send({"2": lesson()})
    (fingerprint,) = query("SELECT import_key FROM learning.progress_imports")
    for key in (fingerprint, fingerprint.partition(":")[2]):
        assert counts(me.send({"2": lesson(percent=1)}, key=key)) == (1, 0, 0)


def test_a_key_that_is_none_is_refused(learner: Learners) -> None:
    me = learner()
    for key in ("", "a b", "é", "k" * 256, "a\tb"):
        answer = me.post({"lessons": {"2": lesson()}}, headers={"Idempotency-Key": key.encode()})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "Idempotency-Key")
    assert me.rows() == []


def test_two_keys_are_no_key(learner: Learners) -> None:
    me = learner()
    headers = [("Authorization", f"Bearer {me.token}"), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = me.client.post(f"{PROGRESS}import/", json={"lessons": {}}, headers=headers)
    assert answer.status_code == 400


def test_an_unknown_lesson_that_became_known_is_taken_when_it_is_sent_again(
    learner: Learners, query: Query
) -> None:
    me = learner()
    first = me.send({"2": lesson(**TWO), "6": lesson(percent=6)})
    assert refused(first) == [("6", "unknown_lesson", None)]
    query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('6', 'Procenta')")
    again = me.send({"2": lesson(**TWO), "6": lesson(percent=6)})
    assert (counts(again), refused(again)) == ((2, 1, 0), [])
    assert [row["lesson_id"] for row in me.rows()] == [2, 6]


@pytest.mark.parametrize("key", ["k", None])
def test_of_two_identical_imports_at_once_one_is_done_and_both_are_answered(
    learner: Learners, key: str | None
) -> None:
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            me, together = learner(), Barrier(4)

            def send(_: int, me: Learner = me, together: Barrier = together) -> httpx.Response:
                together.wait()
                return me.send({"2": lesson(**TWO)}, key=key)

            answers = [*pool.map(send, range(4))]
            assert [counts(answer) for answer in answers] == [(1, 1, 0)] * 4
            assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 3
            assert [answer.json() for answer in answers] == [answers[0].json()] * 4
            assert me.rows() == [ROW]


def test_a_stamp_in_the_future_counts_once_and_becomes_the_servers_time(learner: Learners) -> None:
    me = learner()
    far = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    first = me.send({"2": lesson(updated_at=far, percent=10, last_seen_at=far)}, key="a")
    now = first.headers["X-Received-At"]
    (before,) = me.rows()
    assert (before["percent"], before["updated_at"], before["last_seen_at"]) == (10, now, now)
    me.send({"2": lesson(updated_at=now, percent=20)}, device="phone", key="b")
    assert [row["percent"] for row in me.rows()] == [10]
    for key in ("c", "d", None):
        assert counts(me.send({"2": lesson(updated_at=far, percent=10, last_seen_at=far)}, key=key)) == (1, 0, 0)
        assert me.rows() == [before]


def test_an_import_of_no_lessons_is_one(learner: Learners) -> None:
    assert counts(learner().send({})) == (0, 0, 0)


def test_what_is_no_import_is_refused_whole(learner: Learners) -> None:
    me = learner()
    for field, payload in (
        *((None, payload) for payload in ([], None, "lessons", 5)),
        *(("lessons", payload) for payload in ({}, {"lessons": []}, {"lessons": None})),
        *(("device_id", {"device_id": device, "lessons": {}}) for device in (5, "a\0b", "d" * 256, "\ud800", {})),
    ):
        answer = me.post(payload)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
        assert [error["field"] for error in answer.json().get("errors", [])] == ([field] if field else [])


def test_more_lessons_than_are_taken_at_once_are_too_many_and_as_many_are_not(learner: Learners) -> None:
    me = learner()
    many = {str(n): lesson() for n in range(1, wire.LESSONS_AT_ONCE + 1)}
    assert counts(me.send(many)) == (5, 5, wire.LESSONS_AT_ONCE - 5)
    answer = me.send({**many, "5000": lesson()})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_device_that_can_have_no_such_id_is_refused(learner: Learners) -> None:
    me = learner()
    for device in ("a\0b", "d" * 256, "\x7f"):
        answer = me.ask("GET", params={"device_id": device})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "device_id")


def test_times_and_scores_are_merged_whatever_the_stamp(learner: Learners) -> None:
    me = learner()
    me.send({"2": lesson(percent=80, time_ms=5, score_best=60)})
    older = lesson(updated_at="2025-01-01T00:00:00Z", percent=10, time_ms=9, score_best=90, score_last=1)
    assert counts(me.send({"2": older})) == (1, 0, 0)
    (row,) = me.rows()
    assert (row["percent"], row["time_ms"], row["score_best"], row["score_last"]) == (80, 9, 90, None)


def test_a_sum_of_times_that_no_column_holds_is_the_most_that_it_holds(learner: Learners) -> None:
    me = learner()
    for device in ("tablet", "phone"):
        assert counts(me.send({"2": lesson(time_ms=MAX_TIME_MS)}, device=device))[0] == 1
    assert [row["time_ms"] for row in me.rows()] == [MAX_TIME_MS]


def test_a_path_is_the_same_without_its_last_slash(learner: Learners) -> None:
    me = learner()
    assert me.ask("POST", "import", json={"lessons": {"2": lesson()}}).status_code == 200
    assert me.ask("PATCH", "2", json=lesson(updated_at="2026-02-01T00:00:00Z")).status_code == 200
    headers = {"Authorization": f"Bearer {me.token}"}
    assert me.client.get(PROGRESS.removesuffix("/"), headers=headers).json() == me.rows()


def test_no_answer_with_progress_is_kept_on_the_way(learner: Learners) -> None:
    me = learner()
    for answer in (me.ask("GET"), me.patch(2, lesson()), me.send({}), me.patch(6, lesson())):
        assert answer.headers["Cache-Control"] == "no-store"
