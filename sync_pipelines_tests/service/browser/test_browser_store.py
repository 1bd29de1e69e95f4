"""The browser's store: what it keeps, from whom it takes over, and what it never touches."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines_tests.service.browser.tabs import Tab

KEY = "pp_progress_v1"
# requirements/002, with a key of another app.
ENTRY = {
    "schema_version": 1,
    "device_id": "7a7e11f0-0000-4000-8000-000000000001",
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
            "bookmark": 7,
        }
    },
    "pending": ["123"],
    "last_sync_at": "2026-01-12T10:21:00.000Z",
    "theme": "dark",
}


def put_entry(tab: Tab, value: Any) -> None:
    """What an app of schema v1 has left in localStorage."""
    text = value if isinstance(value, str) else json.dumps(value)
    tab.do(f"localStorage.setItem('{KEY}', it)", text)


def local_storage(tab: Tab) -> str:
    return tab.do(f"localStorage.getItem('{KEY}')")


def test_what_was_done_is_there_after_a_reload(new_tab: Callable[..., Tab], tab: Tab) -> None:
    tab.do("store.markSeen(12)")
    tab.do("store.addTime('12', 61_000)")
    tab.do("store.setScore('12', 70)")
    tab.do("store.setScore('12', 50)")
    tab.do("store.setCompletion('7', true)")
    before = tab.do("store.exportState()")
    tab.page.close()
    assert new_tab().do("store.exportState()") == before
    assert before["pending"] == ["7", "12"]
    seen = before["lessons"]["12"]
    assert (seen["seen"], seen["time_ms"], seen["own_time_ms"]) == (True, 61_000, 61_000)
    assert (seen["score_last"], seen["score_best"]) == (50, 70)
    assert (before["lessons"]["7"]["completed"], before["lessons"]["7"]["percent"]) == (True, 100)


def test_tabs_that_write_at_once_lose_nothing(new_tab: Callable[..., Tab]) -> None:
    tabs = [new_tab(), new_tab()]
    begun = [
        tab.page.evaluate_handle(
            "() => ({work: Promise.all(Array.from({length: 100}, (_, n) =>"
            " n % 2 ? store.addTime(1, 10) : store.addTime(n + 2, 1)))})"
        )
        for tab in tabs
    ]
    for work in begun:
        work.evaluate("async ({work}) => { await work }")
    lessons = tabs[0].do("store.lessons()")
    assert lessons == tabs[1].do("store.lessons()")
    assert lessons.pop("1")["own_time_ms"] == 2 * 50 * 10
    assert [lesson["own_time_ms"] for lesson in lessons.values()] == [2] * 50


def test_a_tab_is_told_of_what_another_did(new_tab: Callable[..., Tab]) -> None:
    one, other = new_tab(), new_tab()
    for tab in (one, other):
        tab.do("(globalThis.told = [], store.onChange((cause, here) => told.push([cause, here])))")
    one.do("store.markSeen(3)")
    other.until("told.length === 1")
    assert other.do("told") == [["change", False]]
    assert one.do("told") == [["change", True]]


def test_time_that_was_added_on_leaving_is_there_when_the_store_is_opened_again_and_once(
    tab: Tab, new_tab: Callable[..., Tab]
) -> None:
    tab.do("store.addTime(1, 5)")
    tab.page.evaluate(
        "() => addEventListener('pagehide', () => [1, 1, 2].forEach((id) => store.addTimeOnLeaving(id, 1000.4)))"
    )
    origin = tab.page.url
    tab.page.goto("about:blank")
    tab.page.goto(origin)
    left = tab.do("({ ...localStorage })")
    assert len(left) == 3
    for _ in range(2):
        later = new_tab()
        lessons = later.do("store.lessons()")
        assert [(each["own_time_ms"], each["seen"]) for each in lessons.values()] == [(2005, False), (1000, False)]
        assert later.do("store.pending()") == ["1", "2"]
        assert later.do("localStorage.length") == 0
        # As if the browser had been killed before they could be removed.
        later.do("Object.assign(localStorage, it)", left)


def test_a_sitting_is_no_longer_than_half_an_hour(tab: Tab) -> None:
    tab.do("store.addTime(1, 8 * 3600_000)")
    assert tab.do("store.lesson(1)")["own_time_ms"] == 30 * 60_000


def test_time_alone_moves_no_stamp_and_a_change_always_does(tab: Tab) -> None:
    tab.do("store.addTime(1, 5)")
    assert tab.do("store.lesson(1)")["updated_at"] == "1970-01-01T00:00:00.000000Z"
    times = []
    for _ in range(5):
        tab.do("store.markSeen(1)")
        times.append(tab.do("store.lesson(1)")["updated_at"])
    assert sorted(set(times)) == times
    tab.do("store.addTime(1, 5)")
    assert tab.do("store.lesson(1)")["updated_at"] == times[-1]


def test_time_beyond_what_javascript_counts_stays_at_the_greatest_it_does(unopened: Tab) -> None:
    lesson = {**ENTRY["lessons"]["123"], "time_ms": 2**63 - 1}
    put_entry(unopened, {**ENTRY, "lessons": {"123": lesson}})
    unopened.open()
    unopened.do("store.addTime(123, 1000)")
    assert unopened.do("store.lesson(123)")["time_ms"] == 2**53 - 1


def test_a_value_that_no_lesson_has_is_refused_and_changes_nothing(tab: Tab) -> None:
    for call in (
        *("markSeen('01')", "markSeen('+1')", "markSeen(0)", "markSeen(1.5)", "markSeen(2 ** 60)", "markSeen()"),
        *("addTime(1, -1)", "addTime(1, NaN)", "addTime(1)"),
        *("setScore(1, 101)", "setScore(1, '40')", "setCompletion(1, true, 40.5)", "lesson('x')"),
    ):
        assert tab.do(f"store.{call}.then(() => 'taken', (error) => error.name)") == "RangeError", call
    assert tab.do("store.lessons()") == {}


def test_the_local_storage_of_an_app_is_taken_over_once_and_stays_as_it_is(
    unopened: Tab, new_tab: Callable[..., Tab]
) -> None:
    put_entry(unopened, ENTRY)
    unopened.open()
    state = unopened.do("store.exportState()")
    assert state["device_id"] == ENTRY["device_id"]
    assert (state["locale"], state["pending"], state["theme"]) == ("fr-FR", ["123"], "dark")
    assert state["last_sync_at"] == "2026-01-12T10:21:00.000000Z"
    assert state["lessons"]["123"] == {
        **ENTRY["lessons"]["123"],
        "own_time_ms": 120000,
        "updated_at": "2026-01-12T10:20:30.000000Z",
        "last_seen_at": "2026-01-12T10:20:30.000000Z",
    }
    unopened.do("store.addTime(123, 1000)")
    again = new_tab().do("store.lesson(123)")
    assert (again["own_time_ms"], again["bookmark"]) == (121000, 7)
    assert local_storage(unopened) == json.dumps(ENTRY)


BROKEN = {
    "no JSON": json.dumps(ENTRY)[:-9],
    "a newer schema": json.dumps({**ENTRY, "schema_version": 2}),
    "no schema": json.dumps({k: v for k, v in ENTRY.items() if k != "schema_version"}),
    "no device": json.dumps({**ENTRY, "device_id": " "}),
    "no lessons": json.dumps({**ENTRY, "lessons": []}),
    "no pending": json.dumps({**ENTRY, "pending": None}),
    "a list": "[]",
    "null": "null",
    "empty": "",
}


def test_an_entry_that_cannot_be_read_is_set_aside_and_left_and_the_device_is_a_new_one(unopened: Tab) -> None:
    devices: set[str] = set()
    for name, text in BROKEN.items():
        put_entry(unopened, text)
        for _once_more in range(2):
            unopened.open(name=name)
            state = unopened.do("store.exportState()")
            assert [one["value"] for one in unopened.do("store.setAside()")] == [text]
            assert state["lessons"].keys() <= {"5"}
            unopened.do("store.markSeen(5)")
            devices.add(state["device_id"])
        assert unopened.do("store.pending()") == ["5"]
        assert local_storage(unopened) == text
    assert len(devices - {ENTRY["device_id"]}) == len(BROKEN)


def test_a_lesson_that_cannot_be_read_is_set_aside_by_itself(unopened: Tab) -> None:
    bad: dict[str, Any] = {"1": {"percent": 400}, " 2": {}, "3": None, "4": {"updated_at": "yesterday"}}
    lessons = {**ENTRY["lessons"], **bad, "5": {}}
    put_entry(unopened, {**ENTRY, "lessons": lessons, "pending": ["1", "123", "9"]})
    unopened.open()
    state = unopened.do("store.exportState()")
    assert (list(state["lessons"]), state["pending"]) == (["5", "123"], ["123"])
    assert state["lessons"]["5"]["updated_at"] == "1970-01-01T00:00:00.000000Z"
    aside = [one["value"] for one in unopened.do("store.setAside()")]
    assert sorted(map(str, aside)) == sorted(map(str, bad.values()))


WRITE = """
new Promise((done, failed) => {
  const opening = indexedDB.open("pp_progress");
  opening.onerror = failed;
  opening.onsuccess = () => {
    const writing = opening.result.transaction(it.table, "readwrite");
    writing.objectStore(it.table).put(it.value, it.key);
    writing.oncomplete = () => (opening.result.close(), done());
  };
})
"""


def test_a_record_that_cannot_be_read_is_set_aside_with_its_lessons(tab: Tab) -> None:
    for number, record in enumerate([{"schema_version": 2, "device_id": "d"}, {}, "x", None]):
        tab.do("store.markSeen(1)")
        before = tab.do("store.exportState()")
        tab.do(WRITE, {"table": "state", "key": KEY, "value": record})
        tab.open()
        after = tab.do("store.exportState()")
        assert (after["lessons"], after["pending"]) == ({}, [])
        assert after["device_id"] != before["device_id"]
        assert tab.do("store.setAside()")[number]["value"] == {
            "state": record,
            "lessons": before["lessons"],
            "pending": ["1"],
        }


def test_a_kept_lesson_that_cannot_be_read_is_set_aside_by_itself(new_tab: Callable[..., Tab], tab: Tab) -> None:
    tab.do("store.markSeen(1)")
    tab.do("store.markSeen(2)")
    tab.do(WRITE, {"table": "lessons", "key": "1", "value": {"seen": "yes"}})
    later = new_tab()
    assert later.do("store.pending()") == ["2"]
    assert [one["value"] for one in later.do("store.setAside()")] == [{"seen": "yes"}]


def test_a_database_of_another_version_is_left_as_it_is(unopened: Tab) -> None:
    for version in (1, 2):
        name = f"version {version}"
        unopened.do(
            """new Promise((done) => {
              const opening = indexedDB.open(it.name, it.version);
              opening.onupgradeneeded = () => opening.result.createObjectStore("all").put("precious", "1");
              opening.onsuccess = () => (opening.result.close(), done());
            })""",
            {"name": name, "version": version},
        )
        for seen in ([], ["1"]):
            unopened.open(name=name)
            assert unopened.do("store.pending()") == seen
            unopened.do("store.markSeen(1)")
        assert unopened.do("store.durable")
        assert "is left as it is" in unopened.do("store.warnings")[0]
        kept = unopened.do(
            """new Promise((done) => {
              const opening = indexedDB.open(it);
              opening.onsuccess = () => {
                const reading = opening.result.transaction("all").objectStore("all").get("1");
                reading.onsuccess = () => done([opening.result.version, reading.result]);
              };
            })""",
            name,
        )
        assert kept == [version, "precious"]


NO_DATABASE = {
    "none": "Object.defineProperty(globalThis, 'indexedDB', {value: undefined})",
    "forbidden": "IDBFactory.prototype.open = () => { throw new DOMException('', 'SecurityError') }",
    "fails": """
        IDBFactory.prototype.open = () => {
          const request = new EventTarget();
          setTimeout(() => { request.error = new DOMException('', 'UnknownError'); request.onerror(); });
          return request;
        }""",
}


@pytest.mark.parametrize("browser", NO_DATABASE.values(), ids=NO_DATABASE.keys())
def test_where_the_browser_keeps_nothing_progress_is_in_memory_and_it_says_so(unopened: Tab, browser: str) -> None:
    unopened.page.evaluate(f"() => {{ {browser} }}")
    put_entry(unopened, ENTRY)
    unopened.open()
    assert unopened.do("store.durable") is False
    assert "lost when the page is closed" in unopened.do("store.warnings")[0]
    unopened.do("Promise.all([store.addTime(123, 1), store.addTime(123, 1), store.setCompletion(4, true)])")
    assert unopened.do("store.lesson(123)")["own_time_ms"] == 120002
    assert unopened.do("store.pending()") == ["4", "123"]
    assert unopened.do("store.addTime(123, -1).catch((error) => error.name)") == "RangeError"
