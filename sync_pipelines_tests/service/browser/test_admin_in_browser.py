"""The admin pages in a real browser: by keys alone, at a telephone's width, in every language, kept fresh."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from playwright.sync_api import BrowserContext, Page, expect

from sync_pipelines.service.app import make_app
from sync_pipelines.settings import Settings

expect.set_options(timeout=60_000)

Query = Callable[..., list[Any]]


@pytest.fixture
def service(service: FastAPI, query: Query, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The app of a WebToLearn that was synced, of which long records were refused."""
    monkeypatch.setenv("WTL_API_URL", "http://127.0.0.1:9/api/v1")
    monkeypatch.setenv("WTL_API_TOKEN", "sandbox-token")
    query(
        "INSERT INTO sync.streams (stream, last_complete_at, last_report) SELECT s, now(), :r "
        "FROM unnest(ARRAY['wtl/courses', 'wtl/lesson_catalog', 'wtl/users']) s",
        r=json.dumps({"fetched": 2_000_000, "created": 1_234_567, "complete": True}),
    )
    query(
        "INSERT INTO sync.rejects (system, type, external_id, stage, error, payload) "
        "VALUES ('wtl', 'user', repeat('9', 200), 'mapping', repeat('long ', 60) || repeat('x', 200), :p)",
        p=json.dumps({"name": "a" * 500, "id": "1"}),
    )
    app = make_app(Settings.load())
    yield app
    app.state.database.engine.dispose()


@pytest.fixture
def origin(service: FastAPI, serve: Callable[..., str]) -> str:
    return serve(service, lifespan=True)


def test_somebody_logs_in_looks_around_and_logs_out_by_keys_alone(
    context: BrowserContext, origin: str, token: Callable[..., str]
) -> None:
    page = context.new_page()
    page.goto(f"{origin}/admin/rejects")
    expect(page.locator("#token")).to_be_focused()
    page.keyboard.type(token("operator"))
    page.keyboard.press("Enter")
    expect(page.locator("table")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    press_until(page, "Tab", "table a")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/rejects/*")
    expect(page.locator("#payload")).to_contain_text("•••")
    press_until(page, "Shift+Tab", "form[action='/admin/logout'] button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/login")
    page.goto(f"{origin}/admin/")
    expect(page.locator("#token")).to_be_visible()


def press_until(page: Page, key: str, selector: str) -> None:
    """Go on by a key to what is meant, each step of the way being where it can be seen to be."""
    for _ in range(60):
        page.keyboard.press(key)
        shown = page.evaluate(
            "() => { const style = getComputedStyle(document.activeElement); return style.outlineStyle }"
        )
        assert shown != "none"
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"{key} does not lead to {selector}")


def test_no_page_is_wider_than_its_window_in_any_language(
    context: BrowserContext, origin: str, token: Callable[..., str]
) -> None:
    page = context.new_page()
    page.goto(f"{origin}/admin/login")
    page.locator("#token").fill(token("operator"))
    page.locator("main button").click()
    page.wait_for_url("**/admin/")
    for language in ("en", "cs", "pl"):
        page.goto(f"{origin}/admin/language/{language}?next=/admin/")
        for path in ("", "rejects", "rejects/1", "debug", "nothing", "mapping", "login"):
            page.goto(f"{origin}/admin/{path}")
            for width in (320, 390, 820, 1280):
                page.set_viewport_size({"width": width, "height": 800})
                shown = page.evaluate("() => document.documentElement.scrollWidth")
                assert (language, path, shown) == (language, path, width)


def test_an_overview_that_is_looked_at_keeps_itself_fresh_and_what_is_being_chosen_stays(
    context: BrowserContext, origin: str, token: Callable[..., str], query: Query
) -> None:
    page = context.new_page()
    page.clock.install()
    page.goto(f"{origin}/admin/login")
    page.locator("#token").fill(token("operator"))
    page.locator("main button").click()
    state = page.locator("#state-wtl")
    expect(state).to_contain_text("3,703,701")
    page.locator("#key-wtl_courses").focus()
    query("UPDATE sync.streams SET last_report = :r", r=json.dumps({"fetched": 1, "created": 7, "complete": True}))
    page.clock.fast_forward(15_000)
    expect(state).to_contain_text("21")
    expect(page.locator("#key-wtl_courses")).to_be_focused()
    expect(page.locator("#notice")).to_be_hidden()
    context.set_offline(True)
    page.clock.fast_forward(15_000)
    expect(page.locator("#notice")).to_be_visible()
    context.set_offline(False)
    page.clock.fast_forward(15_000)
    expect(page.locator("#notice")).to_be_hidden()


def test_without_scripts_there_is_nothing_less_to_read_and_to_start(
    chromium: Any, origin: str, token: Callable[..., str]
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{origin}/admin/")
    page.locator("#token").fill(token("operator"))
    page.locator("main button").click()
    expect(page.locator("#state-wtl")).to_contain_text("3,703,701")
    page.get_by_role("button", name="Sync courses").click()
    expect(page.get_by_role("heading", name="Not just now")).to_be_visible()
    context.close()
