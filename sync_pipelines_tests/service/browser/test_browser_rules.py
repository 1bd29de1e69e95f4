"""The browser's rules against those of `progress.merge`, `progress.wire` and the device library's store."""

import json
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.progress import wire
from sync_pipelines.progress.merge import NEVER, Lesson, Progress, acknowledge, pull
from sync_pipelines.progress.store import ProgressStore
from sync_pipelines_tests.service.browser.tabs import Tab

# Few, so that they meet; with microseconds, where JavaScript has none of its own.
_DAY = datetime(2026, 1, 12, 10, 20, 30, tzinfo=UTC)
_TIMES = st.just(NEVER) | st.builds(
    lambda ms, us: _DAY + timedelta(milliseconds=ms, microseconds=us),
    st.integers(0, 3),
    st.sampled_from([0, 1, 999]),
)
_SCORES = st.none() | st.integers(0, 2)
_LESSONS = st.builds(
    Lesson,
    st.builds(
        Progress,
        updated_at=_TIMES,
        seen=st.booleans(),
        completed=st.booleans(),
        percent=st.integers(0, 2),
        score_best=_SCORES,
        score_last=_SCORES,
        last_seen_at=st.none() | _TIMES,
    ),
    own_time_ms=st.integers(0, 3),
    others_time_ms=st.integers(0, 3) | st.just(2**40),
)


def written(lesson: Lesson | None) -> dict[str, Any] | None:
    """A lesson as the browser has it."""
    if lesson is None:
        return None
    values = {**wire.row_of(0, lesson), "own_time_ms": lesson.own_time_ms}
    del values["lesson_id"]
    return values


# A lesson and what was sent of it are often the same, or the same but for the time.
_SENT = _LESSONS.flatmap(
    lambda lesson: st.tuples(
        st.just(lesson),
        st.just(lesson) | st.builds(lambda ms: replace(lesson, own_time_ms=ms), st.integers(0, 3)) | _LESSONS,
        _TIMES,
    )
)


@given(cases=st.lists(_SENT, min_size=50, max_size=150))
@settings(max_examples=5)
def test_the_browser_acknowledges_as_the_rules_say(
    tab: Tab, cases: Sequence[tuple[Lesson, Lesson, datetime]]
) -> None:
    given_ = [[written(lesson), written(sent), wire.stamp(time)] for lesson, sent, time in cases]
    expected = [acknowledge(*case) for case in cases]
    got = tab.do("it.map((case_) => library.acknowledge(...case_))", given_)
    assert got == [[written(lesson), pending] for lesson, pending in expected]


@given(cases=st.lists(st.tuples(st.none() | _LESSONS, st.booleans(), _LESSONS), min_size=50, max_size=150))
@settings(max_examples=5)
def test_the_browser_pulls_as_the_rules_say(tab: Tab, cases: Sequence[tuple[Lesson | None, bool, Lesson]]) -> None:
    given_ = [[written(lesson), pending, written(said)] for lesson, pending, said in cases]
    expected = [pull(*case) for case in cases]
    got = tab.do("it.map(([lesson, ...rest]) => library.pull(lesson ?? undefined, ...rest))", given_)
    assert got == [[written(lesson), pending] for lesson, pending in expected]


_DIGITS = st.sampled_from(["00", "01", "12", "23", "24", "28", "29", "30", "31", "59", "60"])
_TIME_TEXTS = st.builds(
    "{}-{}-{}{}{}:{}{}{}".format,
    st.sampled_from(["0000", "0001", "1900", "2000", "2024", "2026", "9999"]),
    *(_DIGITS, _DIGITS, st.sampled_from(["T", "t", " ", "_"]), _DIGITS, _DIGITS),
    st.just("") | st.builds(":{}{}".format, _DIGITS, st.sampled_from(["", ".", ".1", ",1234567", ".123456999"])),
    st.sampled_from(["Z", "z", "", "+00", "-0000", "+02:00", "-1130", "+14:00", "+24:00", "+1"]),
)


def as_wire_reads(text: str) -> str | None:
    try:
        return wire.stamp(wire.server_time(text))
    except wire.BadPayload:
        return None


@given(texts=st.lists(_TIME_TEXTS, min_size=20, max_size=100))
@settings(max_examples=20)
def test_the_browser_reads_times_as_the_service_does(tab: Tab, texts: list[str]) -> None:
    got = tab.do("it.map(library.stamp)", texts)
    assert dict(zip(texts, got, strict=True)) == {text: as_wire_reads(text) for text in texts}


_IDS = st.integers(1, 3)
_STEPS = st.one_of(
    st.tuples(st.just("markSeen"), _IDS),
    st.tuples(st.just("addTime"), _IDS, st.sampled_from([0, 1, 60_000, 31 * 60_000])),
    st.tuples(st.just("setCompletion"), _IDS, st.booleans()),
    st.tuples(st.just("setCompletion"), _IDS, st.booleans(), st.integers(0, 100)),
    st.tuples(st.just("setScore"), _IDS, st.integers(0, 100)),
    st.tuples(st.just("acknowledge"), st.sets(_IDS), st.integers(-5, 5)),
    st.tuples(st.just("pull"), st.dictionaries(_IDS, _LESSONS, max_size=3)),
    st.tuples(st.just("clock"), st.integers(-3, 3)),
)
_PYTHON = {
    "markSeen": ProgressStore.mark_seen,
    "addTime": ProgressStore.add_time,
    "setCompletion": ProgressStore.set_completion,
    "setScore": ProgressStore.set_score,
}
# Each step in turn; `sent` is what was pending when an import would have begun.
_PLAY = """
(async () => {
  let now = it.now;
  const store = await library.openProgressStore({ name: it.name, clock: () => now });
  const device = await store.deviceId();
  for (const [step, ...given] of it.steps) {
    if (step === "clock") now += given[0];
    else if (step === "acknowledge") {
      const { lessons, pending } = await store.exportState();
      const sent = pending.filter((id) => given[0].includes(id)).map((id) => [id, lessons[id]]);
      const receivedAt = library.stamp(new Date(now + given[1]).toISOString());
      await store.acknowledge(device, Object.fromEntries(sent), new Map(), receivedAt);
    } else if (step === "pull") await store.pull(device, new Map(Object.entries(given[0])));
    else await store[step](...given);
  }
  const state = await store.exportState();
  store.close();
  return state;
})()
"""


def played(steps: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """What the device library comes to."""
    now = _DAY
    with tempfile.TemporaryDirectory() as folder:
        store = ProgressStore(folder, clock=lambda: now)
        for step, *given_ in steps:
            if step == "clock":
                now += timedelta(milliseconds=given_[0])
            elif step == "acknowledge":
                _, _, unsent = store.unsent()
                sent = {identity: lesson for identity, lesson in unsent.items() if identity in given_[0]}
                store.acknowledge(store.device_id, sent, now + timedelta(milliseconds=given_[1]))
            elif step == "pull":
                store.pull(store.device_id, given_[0])
            else:
                _PYTHON[step](store, *given_)
        return json.loads(store.export())


def as_json(step: tuple[Any, ...]) -> list[Any]:
    name, *given_ = step
    if name == "acknowledge":
        return [name, [str(identity) for identity in given_[0]], given_[1]]
    if name == "pull":
        return [name, {str(identity): written(lesson) for identity, lesson in given_[0].items()}]
    return [name, *given_]


@given(steps=st.lists(_STEPS, max_size=15))
@settings(max_examples=30)
def test_a_browser_comes_to_the_same_state_as_a_device_of_the_same_history(
    tab: Tab, steps: Sequence[tuple[Any, ...]]
) -> None:
    expected = played(steps)
    now = int(_DAY.timestamp() * 1000)
    asked = {"name": str(uuid.uuid4()), "now": now, "steps": [as_json(step) for step in steps]}
    got = tab.do(_PLAY, asked)
    assert got["lessons"] == expected["lessons"]
    assert got["pending"] == sorted(expected["pending"], key=int)
    assert got["last_sync_at"] == expected["last_sync_at"]
