"""A network to the service that can fail, and tabs of a browser with the library in them."""

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page
from starlette.responses import HTMLResponse

from sync_pipelines.sandbox.server import TRANSPORT

__all__ = ["Network", "Tab"]

_API = "/api/v1/learning/progress/"


@dataclass
class Network:
    """What is between the browser and the service, as an ASGI application. It counts the API's requests."""

    app: Any
    #: Whether a café's login page is all that anybody is answered, of any address.
    portal: bool = False
    #: What the next requests are answered instead, in order: a status and headers.
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    #: What they are answered after that, with a status of 200.
    instead: list[str] = field(default_factory=list)
    #: How many answers are yet to be lost on their way, after the service has done its work.
    lost: int = 0
    #: Answers wait for this.
    open: threading.Event = field(default_factory=threading.Event)
    #: (method, the header Idempotency-Key, the body) of each request.
    asked: list[tuple[str, str | None, bytes]] = field(default_factory=list)
    answering: int = 0
    most_at_once: int = 0
    arrived: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and self.portal:
            await HTMLResponse("<html>Log in to the café</html>")(scope, receive, send)
            return
        if scope["type"] != "http" or not scope["path"].startswith(_API):
            await self.app(scope, receive, send)
            return
        self.answering += 1
        self.most_at_once = max(self.most_at_once, self.answering)
        try:
            await self._answer(scope, receive, send)
        finally:
            self.answering -= 1

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        body = b"".join(message.get("body", b"") for message in messages)
        headers = dict(scope["headers"])
        key = headers.get(b"idempotency-key")
        self.asked.append((scope["method"], key and key.decode(), body))
        self.arrived.set()

        async def again() -> Any:
            return messages.pop(0) if messages else await receive()

        await asyncio.to_thread(self.open.wait)
        if self.failures or self.instead:
            status, extra = self.failures.pop(0) if self.failures else (200, {})
            pairs = [(name.lower().encode(), value.encode()) for name, value in extra.items()]
            text = self.instead.pop(0) if status == 200 else ""
            await send({"type": "http.response.start", "status": status, "headers": pairs})
            await send({"type": "http.response.body", "body": text.encode()})
        elif self.lost:
            self.lost -= 1
            await self.app(scope, again, _nowhere)
            scope["extensions"][TRANSPORT].abort()
        else:
            await self.app(scope, again, send)


async def _nowhere(message: Any) -> None:
    """Where a lost answer goes."""


@dataclass
class Tab:
    """A page of the service's origin with the library in it, as `library`, `store` and `sync`."""

    page: Page

    def do(self, script: str, argument: Any = None) -> Any:
        """What an expression comes to; `it` is the argument."""
        return self.page.evaluate(f"async (it) => ({script})", argument)

    def until(self, script: str, argument: Any = None) -> None:
        """Waits until it is so."""
        # Playwright's own waiting takes a promise for what it promises.
        self.page.evaluate(
            f"""async (it) => {{
              const so = async () => ({script});
              while (!(await so())) await new Promise((go) => setTimeout(go, 20));
            }}""",
            argument,
        )

    def open(self, **options: Any) -> None:
        """Opens the store."""
        self.do("globalThis.store = await library.openProgressStore(it)", options)

    def log_in(self, token: str | None, **timing: int) -> None:
        """Makes a sync for the store, and starts it."""
        options = {"token": token, "timing": {"debounceMs": 20, "firstRetryMs": 50, **timing}}
        self.do("(globalThis.sync = new library.ProgressSync(store, it)).start()", options)
