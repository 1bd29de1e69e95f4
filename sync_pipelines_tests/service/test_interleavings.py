"""Three devices of a learner, each with a history of its own, sent in parts, late, twice, in any order: the rows
are the same. Through the real API, against the rules folded over everything that was ever sent."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.progress import wire
from sync_pipelines.progress.merge import Lesson, Stored, merge
from sync_pipelines_tests.service.asking import Learner

Learners = Callable[..., Learner]
DEVICES = ("tablet", "phone", "")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = BEGIN + timedelta(days=300)
SCORE = st.none() | st.integers(0, 100)


@dataclass(frozen=True)
class Import:
    """Lessons that a device sent at a time, whole, and the key that it sends them by each time, if it has one."""

    device: str
    lessons: dict[str, Any]
    key: str | None


@st.composite
def histories(draw: st.DrawFn) -> list[Import]:
    """What three devices did, in the imports that each made of it.

    Own times only grow. No two changes have one stamp; two that have one are the same change, time excepted.
    """
    stamps = iter(draw(st.lists(st.integers(0, 10**9), min_size=24, max_size=24, unique=True)))
    imports: list[Import] = []
    for device in DEVICES:
        known: dict[str, dict[str, Any]] = {}
        for number in range(draw(st.integers(1, 4))):
            sent = draw(st.lists(st.sampled_from("123"), min_size=1, max_size=2, unique=True))
            for lesson in sent:
                before = known.get(lesson)
                spent = (before["time_ms"] if before else 0) + draw(st.integers(0, 60_000))
                only_time = before is not None and draw(st.booleans())
                row = before if before and only_time else draw(_changed(next(stamps)))
                known[lesson] = {**row, "time_ms": spent}
            key = draw(st.sampled_from([None, f"import-{number}"]))
            imports.append(Import(device, {lesson: known[lesson] for lesson in sent}, key))
    return imports


def _changed(stamp: int) -> st.SearchStrategy[dict[str, Any]]:
    """A whole lesson, as it is from this microsecond on."""
    at = wire.stamp(BEGIN + timedelta(microseconds=stamp))
    return st.fixed_dictionaries(
        {
            "seen": st.booleans(),
            "completed": st.booleans(),
            "percent": st.integers(0, 100),
            "score_best": SCORE,
            "score_last": SCORE,
            "last_seen_at": st.sampled_from([None, at]),
            "updated_at": st.just(at),
        }
    )


def deliveries(imports: Sequence[Import]) -> st.SearchStrategy[list[Import]]:
    """Any order in which each arrives, and some of them again: under its own key, under another, without any."""
    again = st.lists(
        st.builds(
            lambda one, key: Import(one.device, one.lessons, one.key if key == "its own" else key),
            st.sampled_from(imports),
            st.sampled_from(["its own", None, "other-a", "other-b"]),
        ),
        max_size=len(imports),
    )
    return again.flatmap(lambda more: st.permutations([*imports, *more]))


def deliver(learner: Learner, sent: Sequence[Import]) -> None:
    for one in sent:
        answer = learner.send(one.lessons, one.device, one.key)
        # A foreign key may have been used for another payload: that is no delivery.
        assert answer.status_code == 200 or (answer.status_code == 409 and one.key in ("other-a", "other-b"))


def folded(imports: Sequence[Import]) -> list[dict[str, Any]]:
    """The rows by the rules alone."""
    stored: dict[int, Stored | None] = {}
    for one in imports:
        for lesson, said in one.lessons.items():
            stored[int(lesson)] = merge(stored.get(int(lesson)), wire.change_of(said), one.device, NOW)
    return [
        wire.row_of(identity, Lesson(one.row, one.time_ms))
        for identity, one in sorted(stored.items())
        if one is not None
    ]


@given(data=st.data())
@settings(max_examples=30)
def test_any_interleaving_of_three_devices_with_retries_and_replays_ends_in_the_same_rows(
    learner: Learners, data: st.DataObject
) -> None:
    imports = data.draw(histories())
    for _ in range(2):
        me = learner()
        sent = data.draw(deliveries(imports))
        deliver(me, sent)
        assert me.rows() == folded(imports)
        # Everything once more, latest first.
        deliver(me, sent[::-1])
        assert me.rows() == folded(imports)
        for device in DEVICES:
            told = {row["lesson_id"]: row["device_time_ms"] for row in me.rows(device_id=device)}
            own: dict[int, int] = dict.fromkeys(told, 0)
            for one in imports:
                if one.device == device:
                    own |= {int(lesson): said["time_ms"] for lesson, said in one.lessons.items()}
            assert told == own


@given(data=st.data())
@settings(max_examples=15)
def test_devices_that_send_at_once_end_in_the_same_rows(learner: Learners, data: st.DataObject) -> None:
    imports = data.draw(histories())
    me = learner()
    both = [data.draw(deliveries(imports)) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(deliver, me, sent) for sent in both]:
            done.result()
    assert me.rows() == folded(imports)
