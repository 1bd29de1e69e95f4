"""The three calls, over real HTTP."""

from collections.abc import Callable

import pytest

from sync_pipelines_tests.service.asking import PROGRESS, Learner, lesson

Learners = Callable[..., Learner]
KEYS = {"lesson_id", "seen", "completed", "percent", "time_ms", "score_best", "score_last"}
KEYS |= {"updated_at", "last_seen_at"}


def test_who_has_done_nothing_has_no_rows(learner: Learners) -> None:
    assert learner().rows() == []


def test_an_import_is_answered_and_the_rows_come_in_order(learner: Learners) -> None:
    me = learner()
    sent = {
        "5": lesson(seen=True),
        "2": lesson(percent=40, time_ms=90_000, last_seen_at="2026-01-12T11:20:30+01:00"),
    }
    answer = me.send(sent)
    assert answer.status_code == 200
    said = answer.json()
    assert (said["imported"], said["updated"], said["rejected"]) == (2, 2, [])
    two, five = me.rows()
    assert two.keys() == KEYS
    assert two == {
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
    assert (five["lesson_id"], five["seen"]) == (5, True)
