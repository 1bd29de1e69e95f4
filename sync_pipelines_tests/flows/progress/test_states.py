"""A state file is read alike by columns and lesson by lesson, and what is none is refused with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.flows.progress.states import State, read_by_columns, read_by_lessons, read_state
from sync_pipelines.progress.merge import MAX_TIME_MS, NEVER, Lesson, Progress
from sync_pipelines.progress.state import Kept, encode, to_json
from sync_pipelines.progress.state import State as DeviceState
from sync_pipelines.progress.wire import BadPayload, server_time, stamp

LESSON = {
    "seen": True,
    "completed": False,
    "percent": 40,
    "time_ms": 120_000,
    "own_time_ms": 60_000,
    "score_best": 80,
    "score_last": None,
    "updated_at": "2026-01-12T10:20:30.000Z",
    "last_seen_at": "2026-01-12T10:20:30.123456Z",
}
FILE = {"schema_version": 1, "device_id": "a device", "locale": "fr-FR", "lessons": {"123": LESSON}, "pending": []}


class Pairs(list[tuple[str, Any]]):
    """An object as it stands in a file: a name may stand there more than once."""


def written(value: Any) -> str:
    if isinstance(value, Pairs):
        return "{" + ", ".join(f"{json.dumps(key)}: {written(item)}" for key, item in value) + "}"
    return json.dumps(value, ensure_ascii=False)


def rows(state: State) -> dict[int, tuple[Any, ...]]:
    return {row[0]: row[1:] for row in zip(*state.changes, strict=True)}


def outcome(read: Callable[[bytes], State], body: bytes) -> Any:
    try:
        state = read(body)
    except BadPayload as error:
        return str(error)
    return state.device_id, state.user_id, rows(state), list(state.refused)


# --- two ways of reading --------------------------------------------------------------------------------------

OUR_TIMES = st.datetimes(timezones=st.just(UTC)).map(stamp)
ODD_TIMES = [
    "2026-01-12T10:20:30Z",
    "2026-01-12T10:20:30.1234567Z",
    "2026-01-12t10:20:30.999999999z",
    "2026-01-12 10:20+01:00",
    "2026-01-12T10:20:30.000",
    "2026-02-30T10:20:30.000Z",
    "2026-01-12T24:00:00.000Z",
    "2026-01-12T23:59:60.000Z",
    "0001-01-01T00:00:00+05:00",
    "2026-01-12T10:20:30.000Z,2026-01-12T10:20:30.000Z",
    "2026-01-12T10:20:30.00٠Z",
    "2026-W02-1T10:20:30.000Z",
]
ODD = [None, True, 0, -1, 101, 40.0, MAX_TIME_MS, MAX_TIME_MS + 1, float("nan"), "", "40", [], {}]
# As it stands in the file: more digits or levels than Python reads, and odd spellings.
RAW = [b"9" * 5000, b"[" * 100_000, b"Infinity", b"-0", b"1E2", b"040", b'"a\tb"', b'"\xff"', b'"\\ud800"']
odd = st.sampled_from(ODD)


def mostly(usual: st.SearchStrategy[Any], unusual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A file has many values: were one in two unusual, none would be read by columns."""
    return st.integers(0, 40).flatmap(lambda number: usual if number else unusual)


TIMES = mostly(OUR_TIMES | st.just("2026-01-12T10:20:30.000Z"), st.sampled_from(ODD_TIMES) | odd)
PERCENTS = mostly(st.integers(0, 100), odd)
COUNTS = mostly(st.integers(0, MAX_TIME_MS), odd)
FLAGS = mostly(st.booleans(), odd)
LESSONS = st.fixed_dictionaries(
    {"updated_at": TIMES},
    optional={
        "seen": FLAGS,
        "completed": FLAGS,
        "percent": PERCENTS,
        "time_ms": COUNTS,
        "own_time_ms": COUNTS,
        "score_best": PERCENTS | st.none(),
        "score_last": PERCENTS | st.none(),
        "last_seen_at": TIMES | st.none(),
        "stamped_at": TIMES,
    },
).map(lambda fields: Pairs(fields.items()))
NO_LESSONS = odd | LESSONS.flatmap(
    lambda fields: st.sampled_from(
        [
            Pairs(pair for pair in fields if pair[0] != "updated_at"),
            Pairs([*fields, fields[0]]),
            Pairs([*fields, ("updated_at", "2026-01-12T10:20:30.000Z")]),
            Pairs([*fields, ("note", "updated_at")]),
        ]
    )
)
IDS = st.integers(1, 10**18 - 1).map(str) | st.integers(1, 9).map(str)
ODD_IDS = ["0", "012", "+1", " 1", "1_2", "١", "", "1,2", "-1", "1\n", str(MAX_TIME_MS), "9" * 19]
BY_ID = st.lists(st.tuples(mostly(IDS, st.sampled_from(ODD_IDS)), mostly(LESSONS, NO_LESSONS)), max_size=5).map(
    Pairs
)
USERS = st.sampled_from(["u1", "żółw", "", "x" * 255, "x" * 256, "a\x7f", "a\n", None])
TOPS = st.fixed_dictionaries(
    {"schema_version": mostly(st.just(1), odd), "lessons": mostly(BY_ID, odd)},
    optional={
        "device_id": mostly(st.sampled_from(["phone", " ", ""]), odd | st.just("x" * 256)),
        "user_id": mostly(st.just("u1"), odd | USERS),
        "account": mostly(st.text(), odd),
        "locale": mostly(st.text(), odd),
        "pending": mostly(st.lists(IDS), odd),
        "last_sync_at": TIMES | st.none(),
    },
).map(lambda fields: Pairs(fields.items()))
FILES = mostly(
    TOPS,
    odd
    | TOPS.map(lambda fields: Pairs([*fields, fields[1]]))
    | TOPS.map(lambda fields: Pairs([fields[1], *fields[:1], ("lessons", Pairs())]))
    | TOPS.map(lambda fields: Pairs([*fields, ("more", float("nan"))])),
)
SPOILS: st.SearchStrategy[Callable[[str], bytes]] = st.sampled_from(
    [
        lambda text: text.replace("updated_at", "updated\\u005fat", 1).encode(),
        lambda text: text.encode("utf-16"),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode() + b"}",
        lambda text: text.encode()[:-1],
        lambda text: text.replace(" ", "\n\t").encode(),
        lambda text: text.replace("phone", "ph\none").encode(),
        lambda text: text.replace("phone", "ph\udcffne").encode(errors="surrogateescape"),
        lambda text: text.replace("40", "040").encode(),
        lambda text: text.replace("}", ",}").encode(),
    ]
)
BODIES = FILES.map(written).flatmap(
    lambda text: mostly(st.just(text.encode()), SPOILS.map(lambda spoil: spoil(text)))
)


@given(BODIES)
@settings(max_examples=600)
def test_a_file_is_read_alike_by_columns_and_by_lessons(body: bytes) -> None:
    if by_columns := read_by_columns(body):
        assert outcome(lambda _: by_columns, body) == outcome(read_by_lessons, body)
    assert read_alike(body)


def read_alike(body: bytes) -> bool:
    return outcome(read_state, body) == outcome(read_by_lessons, body)


@pytest.mark.parametrize("name", [*LESSON, "stamped_at", "more"])
def test_a_lesson_with_one_odd_value_is_read_alike(name: str) -> None:
    assert all(read_alike(file_with({**LESSON, name: value})) for value in [*ODD, *ODD_TIMES])
    assert all(read_alike(file_with({**LESSON, name: "†"}).replace(b'"\\u2020"', raw)) for raw in RAW)


@pytest.mark.parametrize("name", [*FILE, "user_id", "account", "last_sync_at", "more"])
def test_a_file_with_one_odd_value_is_read_alike(name: str) -> None:
    assert all(read_alike(file_with(**{name: value})) for value in [*ODD, *ODD_TIMES])
    assert all(read_alike(file_with(**{name: "†"}).replace(b'"\\u2020"', raw)) for raw in RAW)


@pytest.mark.parametrize("key", ODD_IDS)
def test_a_lesson_with_an_odd_id_is_read_alike(key: str) -> None:
    assert read_alike(file_with(lessons={key: LESSON, "7": LESSON}))


@given(
    st.dictionaries(st.integers(1, 99), st.tuples(st.booleans(), st.integers(0, 100), OUR_TIMES, st.booleans()))
)
def test_what_our_libraries_write_is_read_by_columns(done: dict[int, tuple[bool, int, str, bool]]) -> None:
    kept = {
        lesson: Kept(
            Lesson(Progress(server_time(at), completed=completed, percent=percent, score_best=percent), 5, 10),
            datetime.max.replace(tzinfo=UTC) if ahead else NEVER,
        )
        for lesson, (completed, percent, at, ahead) in done.items()
    }
    device = DeviceState("a device", "fr-FR", "an account", kept, tuple(kept))
    state = read_by_columns(encode(to_json(device)))
    assert state is not None
    assert rows(state) == {
        lesson: (False, completed, percent, 5, percent, None, True, server_time(at), None, True)
        for lesson, (completed, percent, at, _) in done.items()
    }


# --- what is read ---------------------------------------------------------------------------------------------


def file_with(lesson: Any = LESSON, **more: Any) -> bytes:
    return json.dumps({**FILE, "lessons": {"123": lesson}, **more}).encode()


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in LESSON.items() if name not in names}


def test_a_lesson_has_the_devices_own_time_or_else_all_of_it() -> None:
    assert [*read_state(file_with()).changes.time_ms] == [60_000]
    assert [*read_state(file_with(without("own_time_ms"))).changes.time_ms] == [120_000]


def test_what_is_left_out_is_told_from_what_is_null() -> None:
    null = {"score_last": None, "last_seen_at": None}
    for lesson, said in ((without("score_last", "last_seen_at"), False), ({**LESSON, **null}, True)):
        changes = read_state(file_with(lesson)).changes
        assert [*changes.score_last, *changes.last_seen_at] == [None, None]
        assert [*changes.score_last_said, *changes.last_seen_at_said] == [said, said]


@pytest.mark.parametrize("lesson", [without("updated_at"), {**LESSON, "updated_at": None}])
def test_a_lesson_that_nobody_dated_is_refused_and_stops_no_other(lesson: dict[str, Any]) -> None:
    state = read_state(file_with(lessons={"7": lesson, "8": LESSON}))
    assert state.changes.lesson_id == [8]
    assert [(refusal.key, refusal.field) for refusal in state.refused] == [("7", "updated_at")]


@pytest.mark.parametrize(
    ("field", "value"), [("percent", 101), ("own_time_ms", -1), ("score_best", "40"), ("updated_at", "yesterday")]
)
def test_a_bad_lesson_is_refused_by_itself_and_says_why(field: str, value: Any) -> None:
    lessons = {"1": LESSON, "2": {**LESSON, field: value}, "03": LESSON}
    state = read_state(file_with(lessons=lessons))
    assert rows(state).keys() == {1}
    assert [(refused.key, refused.field) for refused in state.refused] == [("2", field), ("03", "lesson_id")]


def test_a_lesson_that_stands_there_twice_is_refused() -> None:
    twice = Pairs([("5", LESSON), ("6", LESSON), ("5", LESSON)])
    state = read_state(written(Pairs([("schema_version", 1), ("lessons", twice)])).encode())
    assert rows(state).keys() == {6}
    assert {(refused.key, refused.code) for refused in state.refused} == {("5", "duplicate")}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no JSON"),
        (b"[1]", "an object is expected"),
        (b"[" * 100_000, "nested too deeply"),
        (file_with(schema_version=2), "schema_version: 1 is expected"),
        (file_with(schema_version=True), "schema_version: 1 is expected"),
        (b'{"lessons": {}}', "schema_version: 1 is expected"),
        (file_with(lessons=[]), "lessons: an object is expected"),
        (file_with(device_id=5), "device_id: a text is expected"),
        (file_with(user_id=""), "user_id: "),
        (file_with(user_id="x" * 256), "user_id: "),
        (file_with(user_id="a\u0000b"), "user_id: "),
        (file_with(user_id=7), "user_id: "),
    ],
)
def test_what_is_no_state_file_is_refused_whole_and_says_why(body: bytes, why: str) -> None:
    with pytest.raises(BadPayload, match=why):
        read_state(body)


@pytest.mark.parametrize("user_id", ["x", "żółw", "x" * 255, "Ł ą", None])
def test_a_file_may_say_whose_it_is(user_id: str | None) -> None:
    assert read_state(file_with(user_id=user_id)).user_id == user_id
