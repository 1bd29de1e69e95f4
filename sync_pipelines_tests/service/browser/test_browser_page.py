"""The demo page, used as a learner uses it."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from sync_pipelines.service.demo_page import FILES
from sync_pipelines_tests.service.asking import Learner
from sync_pipelines_tests.service.browser.tabs import Network

expect.set_options(timeout=60_000)


@pytest.fixture
def ann(learner: Callable[..., Learner]) -> Learner:
    return learner()


@pytest.fixture
def open_page(context: BrowserContext, origin: str) -> Callable[[], Page]:
    """Opens the page, and waits until it could open without a network."""

    def make() -> Page:
        page = context.new_page()
        page.goto(f"{origin}/progress/")
        expect(page.locator("html[data-ready]")).to_be_attached()
        expect(page.locator("#opens-offline")).to_have_text("yes")
        return page

    return make


def sign_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def read(page: Page, identity: str) -> None:
    """Opens the lesson, completes it, and closes it once some time has passed."""
    page.get_by_label("Lesson", exact=True).fill(identity)
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_role("heading", name=f"Lesson {identity}")).to_be_focused()
    expect(page.get_by_label("Time in this sitting")).not_to_have_text("0:00")
    page.get_by_role("button", name="Mark complete").click()
    expect(page.get_by_role("button", name="Not complete")).to_be_enabled()
    page.get_by_role("button", name="Close lesson").click()
    expect(page.get_by_role("button", name="Close lesson")).to_be_hidden()


def state(page: Page, identity: str) -> str:
    return page.locator(f"tr[data-lesson='{identity}'] .state").inner_text()


def test_two_lessons_read_offline_survive_a_reload_and_reach_the_service(
    open_page: Callable[[], Page], context: BrowserContext, network: Network, ann: Learner
) -> None:
    page = open_page()
    sign_in(page, ann.token)
    expect(page.locator("#phase")).to_have_text("Up to date")
    asked = len(network.asked)
    context.set_offline(True)
    expect(page.locator("#network")).to_have_text("Offline")
    read(page, "1")
    read(page, "2")
    page.reload()
    expect(page.locator("html[data-ready]")).to_be_attached()
    expect(page.locator("#network")).to_have_text("Offline")
    expect(page.locator("#pending")).to_have_text("2: 1, 2")
    assert [state(page, "1"), state(page, "2")] == ["pending", "pending"]
    assert len(network.asked) == asked
    context.set_offline(False)
    expect(page.locator("#pending")).to_have_text("nothing")
    expect(page.locator("#phase")).to_have_text("Up to date")
    kept = page.evaluate(
        "async () => (await (await import('/progress/progress.js')).openProgressStore()).exportState()"
    )
    assert kept["pending"] == []
    rows = ann.rows(device_id=kept["device_id"])
    assert [row["lesson_id"] for row in rows] == [1, 2]
    for row in rows:
        lesson = kept["lessons"][str(row.pop("lesson_id"))]
        assert lesson.pop("own_time_ms") == row.pop("device_time_ms") > 0
        assert lesson == row
        assert (row["seen"], row["completed"], row["percent"]) == (True, True, 100)
    assert [state(page, "1"), state(page, "2")] == ["synced", "synced"]


def test_a_cafes_login_page_is_not_kept_for_ours(
    open_page: Callable[[], Page], context: BrowserContext, network: Network
) -> None:
    page = open_page()
    expect(page.locator("#opens-offline")).to_have_text("yes")
    read(page, "1")
    network.portal = True
    for offline in (False, True):
        context.set_offline(offline)
        page.reload()
        expect(page.locator("html[data-ready]")).to_be_attached()
        expect(page.locator("#pending")).to_have_text("1: 1")


def test_the_page_says_why_a_token_is_refused_and_takes_another(
    open_page: Callable[[], Page], ann: Learner
) -> None:
    page = open_page()
    sign_in(page, "spl_nobody")
    expect(page.locator("#phase")).to_have_text("Refused")
    expect(page.locator("#last-error")).to_contain_text("401")
    sign_in(page, ann.token)
    expect(page.locator("#phase")).to_have_text("Up to date")
    expect(page.locator("#last-error")).to_have_text("none")


def test_the_page_shows_why_a_lesson_is_refused(open_page: Callable[[], Page], ann: Learner) -> None:
    page = open_page()
    sign_in(page, ann.token)
    read(page, "999")
    row = page.locator("tr[data-lesson='999']")
    expect(row.locator(".state")).to_have_text("refused")
    expect(row).to_contain_text("no lesson has this id")


def test_a_token_is_gone_with_its_tab_and_with_the_sign_out(open_page: Callable[[], Page], ann: Learner) -> None:
    page = open_page()
    sign_in(page, ann.token)
    expect(page.locator("#phase")).to_have_text("Up to date")
    other = open_page()
    expect(other.locator("#phase")).to_have_text("Signed out")
    page.get_by_role("button", name="Sign out").click()
    assert page.evaluate("() => sessionStorage.length + localStorage.length") == 0


def test_tabs_show_what_another_did(open_page: Callable[[], Page]) -> None:
    one, other = open_page(), open_page()
    read(one, "3")
    expect(other.locator("tr[data-lesson='3']")).to_contain_text("100 %")


def test_the_time_of_a_lesson_that_is_left_open_is_kept_when_the_page_is_left(
    open_page: Callable[[], Page], origin: str
) -> None:
    page = open_page()
    page.get_by_label("Lesson", exact=True).fill("1")
    page.get_by_label("Lesson", exact=True).press("Enter")
    expect(page.get_by_label("Time in this sitting")).not_to_have_text("0:00")
    page.goto(f"{origin}/healthz")
    page.goto(f"{origin}/progress/")
    expect(page.locator("tr[data-lesson='1'] [data-label='Time here']")).not_to_have_text("0:00")


def test_the_exported_state_is_a_state_file(open_page: Callable[[], Page], tmp_path: Path) -> None:
    page = open_page()
    read(page, "1")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export state").click()
    assert download.value.suggested_filename == "pp_progress_v1.json"
    download.value.save_as(tmp_path / "state.json")
    exported = json.loads((tmp_path / "state.json").read_text("utf-8"))
    assert (exported["schema_version"], list(exported["lessons"]), exported["pending"]) == (1, ["1"], ["1"])


def test_the_page_is_no_wider_than_its_window(open_page: Callable[[], Page]) -> None:
    page = open_page()
    read(page, "9000000000000000000")
    page.get_by_role("button", name="Open lesson 9000000000000000000").click()
    expect(page.get_by_role("button", name="Close lesson")).to_be_visible()
    for width in (320, 390, 800, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("() => document.documentElement.scrollWidth") == width


def test_every_file_has_its_type_a_strict_policy_and_is_sent_once(origin: str) -> None:
    types = {
        "": "text/html; charset=utf-8",
        "html": "text/html; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "css": "text/css; charset=utf-8",
        "svg": "image/svg+xml",
    }
    with httpx.Client(base_url=f"{origin}/progress/") as client:
        for address in FILES:
            answer = client.get(address)
            assert answer.status_code == 200
            assert answer.headers["content-type"] == types[address.rpartition(".")[2]]
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["cache-control"] == "no-cache"
            for tag in (answer.headers["etag"], f'"other", W/{answer.headers["etag"]}'):
                again = client.get(address, headers={"If-None-Match": tag})
                assert (again.status_code, again.content) == (304, b"")
            assert client.get(address, headers={"If-None-Match": '"other"'}).content == answer.content
            assert client.head(address).content == b""
        assert client.get("nothing.js").status_code == 404
    moved = httpx.get(f"{origin}/progress")
    assert (moved.status_code, moved.headers["location"]) == (308, "/progress/")
