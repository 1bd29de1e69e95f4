"""Headless Chromium, and the service behind a network that can fail."""

import os
import shutil
from collections.abc import Callable, Generator
from contextlib import ExitStack

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, sync_playwright

from sync_pipelines_tests.service.browser.tabs import Network, Tab

_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_WAIT_MS = 60_000


def _chromium() -> str:
    if os.environ.get("SYNC_TEST_WITHOUT_BROWSER") == "1":
        pytest.skip("SYNC_TEST_WITHOUT_BROWSER=1")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.fail(
            "Chromium is needed: `apt-get install chromium`, or SYNC_TEST_WITHOUT_BROWSER=1 to go without", False
        )
    return path


# Of a module, not of the session: it has an event loop in this thread, where other tests have theirs.
@pytest.fixture(scope="module")
def chromium() -> Generator[Browser]:
    path = _chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def new_context(chromium: Browser) -> Generator[Callable[[], BrowserContext]]:
    """Makes browsers that have never been anywhere. No page of theirs may fail, or break its own policy."""
    failures: list[str] = []

    def console(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            failures.append(message.text)

    with ExitStack() as stack:

        def make() -> BrowserContext:
            context = chromium.new_context()
            stack.callback(context.close)
            context.set_default_timeout(_WAIT_MS)
            context.on("weberror", lambda error: failures.append(str(error.error)))
            context.on("console", console)
            return context

        yield make
    assert failures == []


@pytest.fixture
def context(new_context: Callable[[], BrowserContext]) -> BrowserContext:
    return new_context()


@pytest.fixture
def network(service: FastAPI) -> Network:
    return Network(service)


@pytest.fixture
def origin(network: Network, serve: Callable[..., str]) -> str:
    """Where the browser finds the service."""
    return serve(network, lifespan=True)


def _tab(context: BrowserContext, origin: str) -> Tab:
    page = context.new_page()
    page.goto(f"{origin}/healthz")
    tab = Tab(page)
    tab.do("globalThis.library = await import('/progress/progress.js')")
    return tab


@pytest.fixture
def new_tab(context: BrowserContext, origin: str) -> Callable[..., Tab]:
    """Opens tabs, each with the library loaded and the store opened."""

    def make(*, opened: bool = True) -> Tab:
        tab = _tab(context, origin)
        if opened:
            tab.open()
        return tab

    return make


@pytest.fixture
def unopened(new_tab: Callable[..., Tab]) -> Tab:
    """A tab in which no store was opened yet."""
    return new_tab(opened=False)


@pytest.fixture
def tab(new_tab: Callable[..., Tab]) -> Tab:
    return new_tab()


@pytest.fixture
def other_browser(new_context: Callable[[], BrowserContext], origin: str) -> Callable[[], Tab]:
    """Opens a tab of another browser."""

    def make() -> Tab:
        tab = _tab(new_context(), origin)
        tab.open()
        return tab

    return make
