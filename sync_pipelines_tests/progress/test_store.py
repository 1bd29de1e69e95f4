"""What a device keeps, with nothing of a server: helpers, the file, and files that are not as they should be."""

from __future__ import annotations

import json
import logging
import multiprocessing
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.progress import SESSION_CAP_MS, Lesson, ProgressStore, StoreError
from sync_pipelines.progress.merge import MAX_TIME_MS, NEVER, Progress
from sync_pipelines.progress.state import Kept, State, encode, read, to_json

SEED = {
    "schema_version": 1,
    "device_id": "0b0e8d1e-7a0c-4c39-9c5b-0d6c5b1d0c11",
    "locale": "fr-FR",
    "lessons": {
        "123": {
            "seen": True,
            "completed": False,
            "percent": 40,
            "time_ms": 120000,
            "score_best": None,
            "score_last": None,
            "updated_at": "2026-01-12T10:20:30.000Z",
            "last_seen_at": "2026-01-12T10:20:30.000Z",
        }
    },
    "pending": ["123"],
    "last_sync_at": "2026-01-12T10:21:00.000Z",
}
SEEN_AT = datetime(2026, 1, 12, 10, 20, 30, tzinfo=UTC)


class Hands:
    """A clock that people set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def store(tmp_path: Path, clock: Hands) -> ProgressStore:
    return ProgressStore(tmp_path, clock=clock)


def file(folder: Path) -> Path:
    return folder / "pp_progress_v1.json"


def opened(folder: Path, content: Any) -> ProgressStore:
    """A store on a file with this content: bytes, or a value as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    file(folder).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return ProgressStore(folder)


def seed(**changes: Any) -> dict[str, Any]:
    return {**SEED, **changes}


def lesson(**changes: Any) -> dict[str, Any]:
    return {**SEED["lessons"]["123"], **changes}


# What helpers do.

IDS = st.integers(1, 4)
PERCENT = st.integers(0, 100)
DEEDS = st.one_of(
    st.tuples(st.just("seen"), IDS),
    st.tuples(st.just("time"), IDS, st.integers(0, 3 * SESSION_CAP_MS)),
    st.tuples(st.just("completion"), IDS, st.booleans(), st.none() | PERCENT),
    st.tuples(st.just("score"), IDS, PERCENT),
    st.tuples(st.just("reopen")),
    st.tuples(st.just("clock"), st.integers(-100_000, 100_000)),
)


@given(deeds=st.lists(DEEDS, max_size=25))
def test_a_store_holds_what_was_done_whatever_is_reopened_and_whatever_the_clock_says(
    deeds: list[tuple[Any, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, clock = tmp_path_factory.mktemp("store"), Hands()
    store = ProgressStore(folder, clock=clock)
    device = store.device_id
    plain: dict[int, dict[str, Any]] = {}
    for kind, *values in deeds:
        if kind == "reopen":
            store = ProgressStore(folder, clock=clock)
            continue
        if kind == "clock":
            clock.now += timedelta(seconds=values[0])
            continue
        identity, *values = values
        before = store.lesson(identity)
        row = plain.get(identity) or {"seen": False, "completed": False, "percent": 0, "time": 0, "best": None}
        if kind == "seen":
            store.mark_seen(identity)
            row["seen"] = True
        elif kind == "time":
            store.add_time(str(identity), *values)
            row["time"] += min(values[0], SESSION_CAP_MS)
        elif kind == "completion":
            store.set_completion(identity, *values)
            completed, percent = values
            row |= {"completed": completed, "percent": (100 if completed else 0) if percent is None else percent}
        else:
            store.set_score(identity, *values)
            row |= {"last": values[0], "best": max(values[0], row["best"] or 0)}
        if (kind, values) != ("time", [0]):
            plain[identity] = row
        after = store.lesson(identity)
        if kind == "time":
            assert (after and after.row) == (before.row if before else after and Progress(NEVER))
        else:
            assert after
            assert after.row.updated_at > (before.row.updated_at if before else NEVER)
            assert after.row.updated_at >= clock.now
    lessons = store.lessons()
    assert lessons.keys() == plain.keys() == set(store.pending())
    for identity, row in plain.items():
        ours = lessons[identity]
        assert ours.time_ms == ours.own_time_ms == row.pop("time")
        assert (ours.row.score_best, ours.row.score_last) == (row.pop("best"), row.pop("last", None))
        assert {name: getattr(ours.row, name) for name in row} == row
    assert store.device_id == device
    assert store.set_aside == []


def test_a_lesson_that_is_seen_is_stamped_and_pending(store: ProgressStore, clock: Hands) -> None:
    store.mark_seen(7)
    assert store.lesson("7") == Lesson(Progress(clock.now, seen=True, last_seen_at=clock.now))
    assert store.pending() == [7]


def test_those_that_wait_longest_come_first(store: ProgressStore) -> None:
    for identity in (9, 2, 5, 2, 9):
        store.mark_seen(identity)
    assert store.pending() == [9, 2, 5]


def test_no_time_writes_nothing(store: ProgressStore, tmp_path: Path) -> None:
    before = file(tmp_path).stat()
    store.add_time(7, 0)
    assert file(tmp_path).stat() == before
    assert store.lesson(7) is None


@pytest.mark.parametrize("ms", [-1, 1.5, True, "60", None])
def test_time_that_is_no_time_is_refused(store: ProgressStore, ms: Any) -> None:
    with pytest.raises(ValueError, match="ms"):
        store.add_time(7, ms)
    assert store.lessons() == {}


@pytest.mark.parametrize("percent", [-1, 101, 40.0, "40", True])
def test_a_percent_that_is_none_is_refused(store: ProgressStore, percent: Any) -> None:
    with pytest.raises(ValueError, match="percent"):
        store.set_completion(7, True, percent)
    with pytest.raises(ValueError, match="score"):
        store.set_score(7, percent)
    assert store.lessons() == {}


@pytest.mark.parametrize("identity", [0, -3, "012", " 12 ", "+12", "1_2", "１２", "", "x", True, 2**63])
def test_an_id_that_no_lesson_has_is_refused(store: ProgressStore, identity: Any) -> None:
    for act in (
        lambda: store.mark_seen(identity),
        lambda: store.add_time(identity, 5),
        lambda: store.set_completion(identity, True),
        lambda: store.set_score(identity, 5),
        lambda: store.lesson(identity),
    ):
        with pytest.raises(ValueError, match="lesson_id"):
            act()
    assert store.lessons() == {}


def test_a_stamp_at_the_end_of_time_is_no_obstacle(tmp_path: Path) -> None:
    store = opened(tmp_path, seed(lessons={"123": lesson(updated_at="9999-12-31T23:59:59.999999Z")}))
    store.set_completion(123, True)
    kept = ProgressStore(tmp_path).lesson(123)
    assert kept
    assert kept.row.completed


# The file.

TIMES = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
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
    st.integers(0, MAX_TIME_MS // 2),
    st.integers(0, MAX_TIME_MS // 2),
)
UNKNOWN = st.dictionaries(st.sampled_from(["theme", "été"]), st.integers() | st.text() | st.lists(st.booleans()))


@st.composite
def states(draw: st.DrawFn) -> State:
    lessons: dict[int, Kept] = {}
    for identity, one in draw(st.dictionaries(st.integers(1, MAX_TIME_MS), LESSONS, max_size=4)).items():
        stamped_at = draw(st.just(NEVER) | st.just(one.row.updated_at + timedelta(hours=1)))
        lessons[identity] = Kept(one, stamped_at, draw(UNKNOWN))
    pending = tuple(identity for identity in lessons if draw(st.booleans()))
    text = st.none() | st.text()
    times = st.none() | TIMES
    return State("a-device", draw(text), draw(text), lessons, pending, draw(times), draw(UNKNOWN))


@given(state=states())
def test_a_state_that_is_written_is_read_as_it_was(state: State) -> None:
    assert read(encode(to_json(state))) == (state, [])


def test_the_seeds_file_is_read_and_all_of_its_time_is_this_devices(tmp_path: Path) -> None:
    store = opened(tmp_path, SEED)
    row = Progress(SEEN_AT, seen=True, percent=40, last_seen_at=SEEN_AT)
    assert store.lessons() == {123: Lesson(row, own_time_ms=120_000)}
    assert (store.device_id, store.pending()) == (SEED["device_id"], [123])
    assert store.last_sync_at == datetime(2026, 1, 12, 10, 21, tzinfo=UTC)
    store.add_time(123, 1)
    assert json.loads(file(tmp_path).read_bytes()) == {
        **SEED,
        "lessons": {
            "123": {
                **lesson(time_ms=120001),
                "own_time_ms": 120001,
                "updated_at": "2026-01-12T10:20:30.000000Z",
                "last_seen_at": "2026-01-12T10:20:30.000000Z",
            }
        },
        "last_sync_at": "2026-01-12T10:21:00.000000Z",
    }


def test_what_is_not_known_of_a_file_stays_in_it(tmp_path: Path) -> None:
    theirs = {"streak": {"days": 3}, "note": "à voir"}
    store = opened(tmp_path, seed(app="micro", lessons={"123": lesson(**theirs), "4": lesson()}))
    store.mark_seen(123)
    store.mark_seen(5)
    after = json.loads(file(tmp_path).read_bytes())
    assert after["app"] == "micro"
    assert after["lessons"]["123"].items() >= theirs.items()


def test_what_nobody_dated_is_as_old_as_can_be(tmp_path: Path) -> None:
    undated = {"seen": True, "time_ms": 5}
    store = opened(tmp_path, seed(lessons={"1": undated, "2": {**undated, "updated_at": None}}))
    assert {one.row.updated_at for one in store.lessons().values()} == {NEVER}


def test_what_is_pending_and_is_no_lesson_is_not_pending(tmp_path: Path) -> None:
    store = opened(tmp_path, seed(pending=["9", "123", 123, None, "0123", "123", {}]))
    assert store.pending() == [123]


def test_the_export_is_the_file_and_whose_it_is(tmp_path: Path) -> None:
    store = opened(tmp_path, seed(account="an account", extra=1))
    exported = json.loads(store.export("anna"))
    assert exported.pop("user_id") == "anna"
    assert exported == json.loads(store.export())
    assert {**exported, "account": "an account"} == to_json(read(file(tmp_path).read_bytes())[0])


BROKEN: dict[str, bytes | dict[str, Any] | list[Any]] = {
    "empty": b"",
    "cut": json.dumps(SEED).encode()[:-9],
    "no text": b"\xff\xfe\x00",
    "nested": b"[" * 100_000,
    "a list": [],
    "an unknown key nested": json.dumps(SEED).encode()[:-1] + b', "x": ' + b"[" * 900 + b"]" * 900 + b"}",
    "lessons": seed(lessons=[]),
    "pending": seed(pending={"123": True}),
    "no pending": {key: value for key, value in SEED.items() if key != "pending"},
    "no device": seed(device_id=" "),
    "device": seed(device_id=5),
    "last_sync_at": seed(last_sync_at="yesterday"),
    "last_sync_at of a number": seed(last_sync_at=1736676060),
    "locale": seed(locale=["fr"]),
}
NEWER = [2, 0, True, 1.0, "1", None]


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_set_aside_and_another_device_begins(tmp_path: Path, content: Any) -> None:
    store = opened(tmp_path, content)
    before = content if isinstance(content, bytes) else json.dumps(content).encode()
    assert (store.lessons(), store.pending(), store.last_sync_at) == ({}, [], None)
    assert store.device_id != SEED["device_id"]
    assert store.set_aside == [tmp_path / "pp_progress_v1.broken-1.json"]
    assert store.set_aside[0].read_bytes() == before
    store.mark_seen(1)
    assert ProgressStore(tmp_path).pending() == [1]


@pytest.mark.parametrize("version", NEWER)
def test_a_file_of_another_schema_is_set_aside(tmp_path: Path, version: Any) -> None:
    store = opened(tmp_path, seed(schema_version=version))
    assert store.set_aside == [tmp_path / "pp_progress_v1.schema-1.json"]
    assert json.loads(store.set_aside[0].read_bytes()) == seed(schema_version=version)
    assert store.lessons() == {}


def test_a_lesson_that_cannot_be_read_is_set_aside_and_the_others_live(tmp_path: Path) -> None:
    bad = {
        "5": lesson(percent=101),
        "06": lesson(),
        "7": lesson(own_time_ms=-1),
        "8": [],
        "9": lesson(stamped_at=1),
    }
    bad["10"] = lesson(x=json.loads("[" * 60 + "]" * 60))
    content = seed(lessons={**SEED["lessons"], **bad}, pending=["5", "123", "9"])
    store = opened(tmp_path, content)
    assert (store.device_id, list(store.lessons()), store.pending()) == (SEED["device_id"], [123], [123])
    assert store.set_aside == [tmp_path / "pp_progress_v1.lessons-1.json"]
    assert json.loads(store.set_aside[0].read_bytes()) == content
    assert ProgressStore(tmp_path).set_aside == store.set_aside


def test_nothing_that_was_set_aside_is_ever_overwritten(tmp_path: Path) -> None:
    for number in range(1, 4):
        opened(tmp_path, f"broken {number}".encode())
    aside = ProgressStore(tmp_path).set_aside
    assert [path.read_bytes() for path in aside] == [b"broken 1", b"broken 2", b"broken 3"]


@given(content=st.binary(max_size=60) | st.recursive(st.integers() | st.text(), st.lists).map(str).map(str.encode))
def test_whatever_bytes_the_file_holds_are_kept(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = opened(tmp_path_factory.mktemp("any"), content)
    assert [path.read_bytes() for path in store.set_aside] == [content]


def test_a_file_that_breaks_while_it_is_in_use_is_set_aside_too(store: ProgressStore, tmp_path: Path) -> None:
    store.mark_seen(1)
    file(tmp_path).write_bytes(b"{")
    store.mark_seen(2)
    assert store.pending() == [2]
    assert [path.read_bytes() for path in store.set_aside] == [b"{"]


def test_the_log_says_where_it_lies_and_nothing_of_what_is_in_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        opened(tmp_path / "anna", seed(schema_version=2))
        opened(tmp_path / "anna", seed(lessons={"777": {"percent": "anna"}}))
    assert "pp_progress_v1.schema-1.json" in caplog.text
    assert "pp_progress_v1.lessons-1.json" in caplog.text
    for secret in ("anna", "777", str(SEED["device_id"])):
        assert secret not in caplog.messages[0] + caplog.messages[1]


FULL_DISK = """
import resource, signal, sys
from sync_pipelines.progress import ProgressStore, StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4, 4))
try:
    ProgressStore(sys.argv[1]).mark_seen(1)
except StoreError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("content", [b"broken file", json.dumps(SEED).encode()])
def test_where_nothing_can_be_written_the_file_stays_and_the_error_says_so(tmp_path: Path, content: bytes) -> None:
    file(tmp_path).write_bytes(content)
    done = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True, check=True)
    assert "cannot be used: File too large" in done.stdout
    assert file(tmp_path).read_bytes() == content
    assert list(tmp_path.glob("*.*-*.json")) == []


def test_a_folder_that_is_none_is_said_without_its_name(tmp_path: Path) -> None:
    (tmp_path / "anna").write_bytes(b"")
    with pytest.raises(StoreError) as caught:
        ProgressStore(tmp_path / "anna")
    assert "anna" not in str(caught.value)


# Several at once.


def read_for_a_while(folder: Path, times: int) -> None:
    store = ProgressStore(folder)
    for _ in range(times):
        store.add_time(1, 1)


def test_processes_stores_and_threads_do_not_lose_each_others_changes(tmp_path: Path) -> None:
    ProgressStore(tmp_path)
    fresh = multiprocessing.get_context("spawn")
    processes = [fresh.Process(target=read_for_a_while, args=(tmp_path, 40)) for _ in range(2)]
    shared = ProgressStore(tmp_path)
    threads = [threading.Thread(target=read_for_a_while, args=(tmp_path, 40)) for _ in range(2)]
    threads += [threading.Thread(target=lambda: [shared.add_time(1, 1) for _ in range(40)]) for _ in range(2)]
    for one in (*processes, *threads):
        one.start()
    for one in (*processes, *threads):
        one.join()
    kept = shared.lesson(1)
    assert kept == replace(Lesson(Progress(NEVER)), own_time_ms=240)
    assert shared.set_aside == []


def test_what_one_store_does_another_sees(tmp_path: Path) -> None:
    one, other = ProgressStore(tmp_path), ProgressStore(tmp_path, locale="cs-CZ")
    one.mark_seen(3)
    assert (other.pending(), other.device_id) == ([3], one.device_id)
    other.set_score(3, 70)
    kept = one.lesson(3)
    assert kept
    assert (kept.row.seen, kept.row.score_last) == (True, 70)
    assert json.loads(one.export())["locale"] == "cs-CZ"
