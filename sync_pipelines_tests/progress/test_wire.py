"""Progress as JSON: contracts/faults.md 75 and 76, contracts/progress.md E2 and E11."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.progress import wire
from sync_pipelines.progress.merge import MAX_TIME_MS, UNSAID, Change, Lesson, Progress
from sync_pipelines.progress.wire import BadPayload, Refusal, TooMuch

STAMP = "2026-01-12T10:20:30.000Z"
AT = datetime(2026, 1, 12, 10, 20, 30, tzinfo=UTC)
WHOLE = {
    "seen": True,
    "completed": False,
    "percent": 40,
    "time_ms": 120000,
    "score_best": None,
    "score_last": None,
    "updated_at": STAMP,
    "last_seen_at": None,
}
BELOW = "a whole number from 0 to 100 is expected"
TIME = "a time is expected, as in 2026-01-12T10:20:30.000Z"

PERCENT = st.integers(0, 100)
TIMES = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.just(UTC))  # noqa: DTZ001
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
LESSONS = st.builds(
    Lesson,
    st.builds(
        Progress,
        TIMES,
        st.booleans(),
        st.booleans(),
        PERCENT,
        st.none() | PERCENT,
        st.none() | PERCENT,
        st.none() | TIMES,
    ),
    st.integers(0, MAX_TIME_MS),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.dictionaries(st.sampled_from(list(WHOLE)), JSON)


def imported(lessons: Any, **payload: Any) -> wire.Import:
    return wire.read_import(wire.parse(json.dumps({"lessons": lessons, **payload})))


def lesson(**changes: Any) -> dict[str, Any]:
    return {**WHOLE, **changes}


# A lesson.


def test_a_whole_lesson_is_read() -> None:
    assert wire.change_of(WHOLE) == Change(AT, True, False, 40, 120000, None, None, None)


def test_what_is_left_out_is_not_said_and_null_clears_only_where_it_may() -> None:
    assert wire.change_of({"updated_at": STAMP}) == Change(AT, score_last=UNSAID, last_seen_at=UNSAID)
    cleared = wire.change_of({"updated_at": STAMP, "score_last": None, "last_seen_at": None, "score_best": None})
    assert (cleared.score_last, cleared.last_seen_at, cleared.score_best) == (None, None, None)


REFUSED = [
    *[("percent", value, BELOW) for value in (101, -1, 40.5, 40.0, "40", True, None, float("nan"), 10**400)],
    *[("score_best", value, BELOW) for value in (101, -1, 0.5, "40", False, float("inf"))],
    *[("score_last", value, BELOW) for value in (101, -1, 0.5, "40", False)],
    *[
        ("time_ms", value, f"a whole number from 0 to {2**63 - 1} is expected")
        for value in (-1, 2**63, 1.0, None, "5", float("nan"))
    ],
    *[("seen", value, "true or false is expected") for value in (None, 0, 1, "true", [])],
    *[("completed", value, "true or false is expected") for value in (None, 1, "false")],
    ("updated_at", None, "is missing"),
    *[
        ("updated_at", value, TIME)
        for value in (
            "",
            "yesterday",
            1768213230,
            "2026-01-12",
            "2026-01-12T10:20:30+02:60",
            "٢٠٢٦-01-12T10:20:30Z",
        )
    ],
    *[("updated_at", value, TIME) for value in (" " + STAMP, STAMP + "\n", "2026-W03-1T10:20:30Z", [STAMP])],
    *[("updated_at", value, "has no time zone") for value in ("2026-01-12T10:20:30", "2026-01-12 10:20")],
    ("updated_at", "2026-02-30T10:20:30Z", "there is no such time"),
    ("updated_at", "2026-01-12T25:20:30Z", "there is no such time"),
    ("updated_at", "0001-01-01T00:00:00+14:00", "there is no such time"),
    ("updated_at", "9999-12-31T23:59:59-14:00", "there is no such time"),
    ("last_seen_at", "2026-01-12T10:20:30", "has no time zone"),
    ("last_seen_at", "", TIME),
]


@pytest.mark.parametrize(("field", "value", "why"), REFUSED)
def test_a_value_that_no_lesson_can_have_refuses_that_lesson_and_no_other(
    field: str, value: Any, why: str
) -> None:
    taken = imported({"1": WHOLE, "2": lesson(**{field: value}), "3": WHOLE})
    assert list(taken.changes) == [1, 3]
    assert taken.refused == [Refusal("2", "invalid", why, field)]


@pytest.mark.parametrize("value", [None, [], "x", 5, True, float("nan")])
def test_what_is_no_object_is_no_lesson(value: Any) -> None:
    taken = imported({"1": WHOLE, "2": value})
    assert list(taken.changes) == [1]
    assert taken.refused == [Refusal("2", "invalid", "an object is expected")]


def test_a_lesson_without_a_stamp_is_refused() -> None:
    assert imported({"1": {"seen": True}}).refused == [Refusal("1", "invalid", "is missing", "updated_at")]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-12T10:20:30.123456Z", AT.replace(microsecond=123456)),
        ("2026-01-12T10:20:30.1234567Z", AT.replace(microsecond=123456)),
        ("2026-01-12t10:20:30,5z", AT.replace(microsecond=500000)),
        ("2026-01-12 12:20:30+02:00", AT),
        ("2026-01-12T12:20:30+0200", AT),
        ("2026-01-12T12:20:30+02", AT),
        ("2026-01-12T10:20Z", AT.replace(second=0)),
    ],
)
def test_a_time_may_be_written_in_the_ways_of_iso_8601(text: str, time: datetime) -> None:
    assert wire.change_of({"updated_at": text}).updated_at == time
    assert wire.server_time(text) == time


@given(time=TIMES, zone=OFFSETS)
def test_a_time_is_the_same_in_every_zone_and_is_written_in_one(time: datetime, zone: timezone) -> None:
    assert wire.stamp(time.astimezone(zone)) == wire.stamp(time)
    assert wire.server_time(wire.stamp(time)) == time
    assert wire.change_of({"updated_at": time.astimezone(zone).isoformat()}).updated_at == time


@given(one=TIMES, other=TIMES)
def test_texts_compare_as_their_times_do(one: datetime, other: datetime) -> None:
    assert (wire.stamp(one) < wire.stamp(other)) == (one < other)
    assert len(wire.stamp(one)) == len("2026-01-12T10:20:30.123456Z")


@given(one=LESSONS, identity=st.integers(1, MAX_TIME_MS))
def test_a_lesson_that_is_answered_can_be_sent_as_it_is(one: Lesson, identity: int) -> None:
    row = wire.parse(json.dumps(wire.row_of(identity, one)))
    ours = one.row
    assert row.pop("lesson_id") == identity
    assert wire.change_of(row) == Change(
        updated_at=ours.updated_at,
        seen=ours.seen,
        completed=ours.completed,
        percent=ours.percent,
        time_ms=one.time_ms,
        score_best=ours.score_best,
        score_last=ours.score_last,
        last_seen_at=ours.last_seen_at,
    )


def test_percent_at_100_is_not_completed() -> None:
    assert wire.change_of({"updated_at": STAMP, "percent": 100}).completed is None


@given(values=FIELDS)
def test_whatever_is_said_of_a_lesson_it_is_read_or_refused_by_its_field(values: dict[str, Any]) -> None:
    taken = imported({"1": values})
    for refusal in taken.refused:
        assert refusal.field in {*values, "updated_at"}
    for change in taken.changes.values():
        assert change.updated_at.tzinfo is UTC
        assert 0 <= (change.time_ms or 0) <= MAX_TIME_MS
    assert len(taken.refused) + len(taken.changes) == 1


# Its id.

NOT_IDS = [" 12 ", "012", "1_2", "+12", "-12", "12.0", "1e3", "0", "", "x", "１２", "١٢", "²", str(2**63)]


@pytest.mark.parametrize("key", NOT_IDS)
def test_a_key_that_is_not_one_text_for_one_lesson_is_refused(key: str) -> None:
    taken = imported({"12": WHOLE, key: WHOLE})
    assert list(taken.changes) == [12]
    (refusal,) = taken.refused
    assert (refusal.key, refusal.code, refusal.field) == (key, "invalid", "lesson_id")


@given(identity=st.integers(1, MAX_TIME_MS))
def test_every_number_that_the_column_holds_is_an_id(identity: int) -> None:
    assert wire.lesson_id(str(identity)) == identity


@given(key=st.text() | st.text("0123456789 +-_.", max_size=4))
def test_an_id_is_written_in_one_way(key: str) -> None:
    taken = imported({key: WHOLE})
    assert taken.refused or [str(identity) for identity in taken.changes] == [key]


def test_a_lesson_that_stands_there_twice_is_refused_and_the_others_are_not() -> None:
    one, other = json.dumps(WHOLE), json.dumps(lesson(percent=50))
    taken = wire.read_import(wire.parse(f'{{"lessons": {{"1": {one}, "2": {one}, "1": {other}}}}}'))
    assert list(taken.changes) == [2]
    assert [(refusal.key, refusal.code) for refusal in taken.refused] == [("1", "duplicate")]


def test_a_key_that_is_long_or_cannot_be_written_is_shown_cut_and_escaped() -> None:
    taken = imported({"9" * 1000: WHOLE, "\ud800": WHOLE, "12\n": WHOLE})
    shown = [refusal.to_json()["lesson_id"] for refusal in taken.refused]
    assert shown == ["9" * 39 + "…", "\\ud800", "12\\n"]
    json.dumps(shown, ensure_ascii=False).encode()


# The payload.


@pytest.mark.parametrize("payload", [None, [], 5, "x", {}, {"lessons": None}, {"lessons": []}, {"lessons": "1"}])
def test_a_payload_without_lessons_is_none(payload: Any) -> None:
    with pytest.raises(BadPayload):
        wire.read_import(payload)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe\xfa", b"[" * 100_000, b"{'a': 1}", "NaN0", b"1" * 5000])
def test_what_is_no_json_is_said_without_its_content(body: bytes) -> None:
    with pytest.raises(BadPayload) as caught:
        wire.parse(body)
    assert len(str(caught.value)) < 60


@pytest.mark.parametrize("device", [5, [], True, "x" * 256, "a\nb", "a\0b", "\ud800"])
def test_a_device_that_can_be_none_refuses_the_payload(device: Any) -> None:
    with pytest.raises(BadPayload, match="device_id"):
        imported({}, device_id=device)


@pytest.mark.parametrize(
    ("device", "read"), [(None, ""), ("", ""), ("  ", ""), ("d", "d"), ("x" * 255, "x" * 255)]
)
def test_a_device_that_is_blank_is_the_anonymous_one(device: Any, read: str) -> None:
    assert imported({}, device_id=device).device_id == read
    assert imported({}).device_id == ""


def test_more_lessons_than_are_taken_at_once_are_too_many() -> None:
    most = {str(number): WHOLE for number in range(1, wire.LESSONS_AT_ONCE + 1)}
    assert len(imported(most).changes) == wire.LESSONS_AT_ONCE
    with pytest.raises(TooMuch, match="1001"):
        imported({**most, "9999": WHOLE})


@given(keys=st.permutations(["1", "2", "10", "9"]))
def test_lessons_come_in_the_order_of_their_ids(keys: list[str]) -> None:
    assert list(imported(dict.fromkeys(keys, WHOLE)).changes) == [1, 2, 9, 10]


def shuffled(value: Any, draw: st.DrawFn) -> Any:
    if isinstance(value, dict):
        return {key: shuffled(value[key], draw) for key in draw(st.permutations(list(value)))}
    return [shuffled(one, draw) for one in value] if isinstance(value, list) else value


@st.composite
def payloads_in_two_orders(draw: st.DrawFn) -> tuple[Any, Any]:
    lessons = draw(st.dictionaries(st.sampled_from(["1", "2", "x", "é"]), JSON | FIELDS, max_size=4))
    return lessons, shuffled(lessons, draw)


@given(pair=payloads_in_two_orders())
def test_the_fingerprint_does_not_depend_on_the_order_of_keys(pair: tuple[Any, Any]) -> None:
    one, other = (imported(lessons, device_id="d") for lessons in pair)
    assert one.sha256 == other.sha256
    spaced = json.dumps({"device_id": "d", "lessons": pair[1]}, indent=2, ensure_ascii=False)
    assert wire.read_import(wire.parse(spaced.encode("utf-8", "surrogatepass"))).sha256 == one.sha256


@given(one=st.integers(0, 100), other=st.integers(0, 100), devices=st.tuples(st.text("ab"), st.text("ab")))
def test_the_fingerprint_differs_where_device_or_content_does(
    one: int, other: int, devices: tuple[str, str]
) -> None:
    ours, theirs = ((number, device) for number, device in zip((one, other), devices, strict=True))
    prints = [
        imported({"1": lesson(percent=number)}, device_id=device).sha256 for number, device in (ours, theirs)
    ]
    assert (prints[0] == prints[1]) == (ours == theirs)


@given(payload=JSON | st.fixed_dictionaries({"lessons": st.dictionaries(st.text(), JSON)}))
def test_whatever_comes_it_is_taken_or_refused_in_words(payload: Any) -> None:
    try:
        taken = wire.read_import(wire.parse(json.dumps(payload)))
    except BadPayload:
        return
    assert len(taken.changes) + len(taken.refused) == len(payload["lessons"])
    json.dumps([refusal.to_json() for refusal in taken.refused], ensure_ascii=False).encode()
