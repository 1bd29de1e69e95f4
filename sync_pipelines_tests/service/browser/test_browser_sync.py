"""The browser's sync, against the service and over a network that fails."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines_tests.service.asking import Learner, lesson
from sync_pipelines_tests.service.browser.tabs import Network, Tab

IDLE = "sync.status.phase === 'idle'"


@pytest.fixture
def ann(learner: Callable[..., Learner]) -> Learner:
    return learner()


def test_what_two_browsers_did_is_added_and_both_know_it(
    tab: Tab, other_browser: Callable[[], Tab], ann: Learner
) -> None:
    tabs = [tab, other_browser()]
    for number, one in enumerate(tabs, 1):
        one.do("store.markSeen(1)")
        one.do("store.addTime(1, it)", number * 1000)
        one.do("store.setScore(1, it)", number * 40)
        one.log_in(ann.token)
        one.until(f"(await store.pending()).length === 0 && {IDLE}")
    tab.do("store.setCompletion(2, true)")
    tab.until(f"(await store.pending()).length === 0 && {IDLE}")
    for one in tabs:
        assert one.do("sync.sync()")
    lessons = [one.do("store.lessons()") for one in tabs]
    assert [each["1"]["own_time_ms"] for each in lessons] == [1000, 2000]
    for row in ann.rows():
        for each in lessons:
            kept = each[str(row["lesson_id"])]
            assert {name: kept[name] for name in row.keys() - {"lesson_id"}} == {
                name: row[name] for name in row.keys() - {"lesson_id"}
            }
    assert (lessons[0]["1"]["time_ms"], lessons[0]["1"]["score_best"]) == (3000, 80)


def test_a_stamp_is_newer_by_a_microsecond(tab: Tab, ann: Learner) -> None:
    stamps = ["2026-01-12T10:20:30.123455Z", "2026-01-12T10:20:30.123456Z", "2026-01-12T10:20:30.123457Z"]
    for identity, theirs in enumerate(stamps, 1):
        ann.send({str(identity): lesson(updated_at=theirs, percent=7)})
        ours = {**lesson(updated_at=stamps[1], percent=3), "seen": True}
        tab.do("localStorage.clear()")
        entry: dict[str, Any] = {"schema_version": 1, "device_id": "d", "lessons": {str(identity): ours}}
        tab.do("localStorage.setItem('pp_progress_v1', JSON.stringify(it))", {**entry, "pending": [str(identity)]})
        tab.open(name=f"microseconds {identity}")
        tab.log_in(ann.token)
        tab.until(f"(await store.pending()).length === 0 && {IDLE}")
        # Of two that are equal each keeps its own.
        assert tab.do("store.lesson(it)", identity)["percent"] == (7 if theirs > stamps[1] else 3)
        assert ann.rows()[-1]["percent"] == (3 if theirs < stamps[1] else 7)
        tab.do("sync.stop()")


def test_many_lessons_are_sent_two_hundred_at_a_time(
    tab: Tab, network: Network, ann: Learner, query: Callable[..., Any]
) -> None:
    query("INSERT INTO wtl.lessons (wtl_lesson_id, title) SELECT n::text, 'Zlomky' FROM generate_series(6, 450) n")
    tab.do("Promise.all(Array.from({length: 450}, (_, n) => store.addTime(n + 1, n + 1)))")
    tab.log_in(ann.token)
    tab.until("(await store.pending()).length === 0")
    imports = [json.loads(body)["lessons"] for method, _, body in network.asked if method == "POST"]
    assert [len(lessons) for lessons in imports] == [200, 200, 50]
    assert {row["lesson_id"]: row["time_ms"] for row in ann.rows()} == {n: n for n in range(1, 451)}


def test_a_lesson_that_nobody_knows_stays_pending_with_its_reason_until_somebody_does(
    tab: Tab, ann: Learner, query: Callable[..., Any]
) -> None:
    for identity in (1, 999):
        tab.do("store.markSeen(it)", identity)
    tab.log_in(ann.token)
    tab.until(f"Object.keys(await store.refused()).length && {IDLE}")
    assert tab.do("store.pending()") == ["999"]
    assert tab.do("store.refused()")["999"]["code"] == "unknown_lesson"
    query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('999', 'Zlomky')")
    assert tab.do("sync.sync()")
    assert tab.do("Promise.all([store.pending(), store.refused()])") == [[], {}]
    assert [row["lesson_id"] for row in ann.rows()] == [1, 999]


def test_an_import_whose_answer_was_lost_is_the_same_import_when_it_is_sent_again(
    tab: Tab, network: Network, ann: Learner
) -> None:
    tab.do("store.addTime(1, 1000)")
    network.lost = 2
    tab.log_in(ann.token)
    tab.until(f"(await store.pending()).length === 0 && {IDLE}")
    keys = {key for method, key, _ in network.asked if method == "POST"}
    assert len(keys) == 1
    assert None not in keys
    assert ann.rows()[0]["time_ms"] == 1000


def test_a_service_that_fails_is_asked_again_until_it_answers(tab: Tab, network: Network, ann: Learner) -> None:
    network.failures = [(503, {}), (429, {"Retry-After": "0"}), (500, {}), (408, {})]
    tab.do("store.markSeen(1)")
    tab.log_in(ann.token)
    tab.until(f"(await store.pending()).length === 0 && {IDLE}")
    assert tab.do("sync.status.lastError") is None
    assert network.failures == []


def test_a_service_that_asks_to_be_left_alone_is_left_alone(tab: Tab, network: Network, ann: Learner) -> None:
    in_seconds = {"Retry-After": "3000"}
    as_date = {"Retry-After": "Mon, 12 Jan 2026 11:10:00 GMT", "Date": "Mon, 12 Jan 2026 10:20:00 GMT"}
    for number, headers in enumerate((in_seconds, as_date)):
        tab.open(name=str(number))
        network.failures, network.asked = [(503, headers)], []
        tab.do("store.markSeen(1)")
        tab.log_in(ann.token)
        tab.until("sync.status.lastError !== null && sync.status.phase === 'waiting'")
        tab.do("store.markSeen(2)")
        tab.do("globalThis.dispatchEvent(new Event('online'))")
        wait = tab.do("sync.status.nextAttemptAt - sync.status.lastError.at")
        assert 2_990_000 < wait < 3_010_000
        assert len(network.asked) == 1
        assert tab.do("sync.sync()"), "who asks for it by hand is not kept waiting"
        assert tab.do("store.pending()") == []
        tab.do("sync.stop()")


def test_a_refusal_ends_the_attempts_until_the_next_login(tab: Tab, network: Network, ann: Learner) -> None:
    for status in (401, 403, 400, 404):
        tab.open(name=str(status))
        network.failures, network.asked = [(status, {})], []
        tab.do("store.markSeen(1)")
        tab.log_in(ann.token)
        tab.until("sync.status.phase === 'refused'")
        tab.do("store.markSeen(2)")
        tab.do("globalThis.dispatchEvent(new Event('online'))")
        assert tab.do("sync.status.nextAttemptAt") is None
        assert tab.do("sync.sync()") is False
        assert len(network.asked) == 1
        assert tab.do("store.pending()") == ["1", "2"]
        tab.do("sync.login(it)", ann.token)
        tab.until(f"(await store.pending()).length === 0 && {IDLE}")
        tab.do("sync.stop()")


def test_a_token_that_the_service_does_not_know_is_refused_and_nothing_is_lost(tab: Tab) -> None:
    tab.do("store.markSeen(1)")
    tab.log_in("spl_nobody")
    tab.until("sync.status.phase === 'refused'")
    assert "401" in tab.do("sync.status.lastError.message")
    assert tab.do("store.pending()") == ["1"]


def test_an_answer_that_is_not_the_services_takes_nothing_from_what_is_pending(
    tab: Tab, network: Network, ann: Learner
) -> None:
    for answer in ("<html>Log in to the café</html>", "[1]", '{"imported": 1}', '{"rejected": [null]}'):
        tab.open(name=answer)
        network.instead = [answer]
        tab.do("store.markSeen(1)")
        tab.log_in(ann.token, firstRetryMs=10**8, longestRetryMs=10**8)
        tab.until("sync.status.lastError !== null")
        assert tab.do("store.pending()") == ["1"]
        assert "not the server's" in tab.do("sync.status.lastError.message")
        assert tab.do("sync.status.phase") == "waiting"
        tab.do("sync.stop()")


def test_what_can_be_no_token_is_refused_at_once(tab: Tab) -> None:
    tab.log_in(None)
    for token in ("", "a b", "spl_é", "spl\n"):
        assert (
            tab.do("(() => { try { sync.login(it) } catch (error) { return error.name } })()", token)
            == "RangeError"
        )
    assert tab.do("sync.status.phase") == "signed out"


def test_one_sync_is_in_flight_over_all_tabs(new_tab: Callable[..., Tab], network: Network, ann: Learner) -> None:
    tabs = [new_tab(), new_tab()]
    network.open.clear()
    for number, tab in enumerate(tabs, 1):
        tab.do("store.addTime(it, 1)", number)
        tab.log_in(ann.token)
        tab.do("void sync.sync()")
        tab.until("sync.status.phase === 'syncing'")
    network.open.set()
    for tab in tabs:
        tab.until(f"(await store.pending()).length === 0 && {IDLE}")
    assert network.most_at_once == 1
    assert [row["time_ms"] for row in ann.rows()] == [1, 1]


def test_what_was_done_while_it_was_sent_is_sent_too(tab: Tab, network: Network, ann: Learner) -> None:
    tab.do("store.setCompletion(1, false, 40)")
    network.open.clear()
    tab.log_in(ann.token)
    assert network.arrived.wait(60)
    tab.do("store.setCompletion(1, true)")
    network.open.set()
    tab.until(f"(await store.pending()).length === 0 && {IDLE}")
    assert (ann.rows()[0]["completed"], ann.rows()[0]["percent"]) == (True, 100)


def test_what_is_answered_after_a_logout_is_not_written(tab: Tab, network: Network, ann: Learner) -> None:
    tab.do("store.markSeen(1)")
    network.open.clear()
    tab.log_in(ann.token)
    assert network.arrived.wait(60)
    tab.do("sync.logout()")
    network.open.set()
    tab.until("sync.status.phase === 'signed out'")
    assert tab.do("sync.sync()") is False
    assert tab.do("store.pending()") == ["1"]
    tab.do("sync.login(it)", ann.token)
    tab.until(f"(await store.pending()).length === 0 && {IDLE}")


def test_progress_is_never_sent_as_another_accounts(
    tab: Tab, ann: Learner, learner: Callable[..., Learner]
) -> None:
    tab.log_in(None)
    tab.do("store.markSeen(1)")
    tab.do("sync.login(it, 'ann')", ann.token)
    tab.until(f"(await store.pending()).length === 0 && {IDLE}")
    bob = learner()
    tab.do("store.markSeen(2)")
    for account in ("bob", None):
        tab.do("sync.login(it.token, it.account)", {"token": bob.token, "account": account})
        tab.until("sync.status.phase === 'refused'")
    assert bob.rows() == []
    assert tab.do("store.pending()") == ["2"]
    assert "account" not in tab.do("store.exportState()")


def test_while_something_is_pending_it_is_tried_again_and_again(tab: Tab, network: Network, ann: Learner) -> None:
    """Every five minutes; here more often."""
    tab.do("store.markSeen(999)")
    tab.log_in(ann.token, everyMs=30)
    tab.do(
        """new Promise((done) => {
          let rounds = 0;
          const end = sync.onStatus(({ phase }) => phase === "idle" && ++rounds === 3 && (end(), done()));
        })"""
    )
    assert sum(method == "POST" for method, _, _ in network.asked) >= 3
    tab.do("sync.stop()")


def test_a_device_whose_clock_runs_ahead_goes_on_to_be_heard(new_tab: Callable[..., Tab], ann: Learner) -> None:
    tab = new_tab(opened=False)
    tab.do(
        """(async () => {
          globalThis.ahead = 3600_000;
          globalThis.store = await library.openProgressStore({ clock: () => Date.now() + ahead });
        })()"""
    )
    tab.log_in(ann.token)
    tab.do("store.setCompletion(1, false, 10)")
    tab.until(f"(await store.pending()).length === 0 && {IDLE}")
    assert tab.do("store.lesson(1)")["updated_at"] == ann.rows()[0]["updated_at"]
    tab.do("ahead = 1800_000")
    tab.do("store.setCompletion(1, false, 20)")
    tab.until(f"(await store.pending()).length === 0 && {IDLE}")
    assert [row["percent"] for row in ann.rows()] == [20]


def test_the_code_of_the_guide_does_what_the_guide_says(unopened: Tab, ann: Learner) -> None:
    text = (Path(__file__).parents[3] / "docs" / "offline-progress.md").read_text("utf-8")
    guide = text.partition("## In the browser")[2]
    blocks = re.findall(r"^```js\n(.*?)^```$", guide, re.M | re.S)
    unopened.do("Object.assign(globalThis, it)", {"token": ann.token, "lessonId": "1"})
    code = "\n".join([*blocks, "Object.assign(globalThis, { store, sync });"])
    unopened.page.add_script_tag(content=code, type="module")
    unopened.until(f"globalThis.store && (await store.pending()).length === 0 && {IDLE}")
    unopened.do("document.dispatchEvent(new Event('visibilitychange'))")
    unopened.until(f"(await store.lesson(1)).own_time_ms > 0 && (await store.pending()).length === 0 && {IDLE}")
    (row,) = ann.rows()
    assert (row["seen"], row["time_ms"] > 0) == (True, True)
    named = re.findall(r"`(store|sync)\.(\w+)", guide)
    assert len(named) > 20
    assert unopened.do("it.filter(([one, name]) => !(name in globalThis[one]))", named) == []
