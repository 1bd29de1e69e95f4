"""An answer before it is sent: what a fault may change, and how it then goes out on the connection."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sync_pipelines.sandbox.server import TRANSPORT

__all__ = ["Answer", "Page"]


@dataclass
class Page:
    """A part of a list: `rows` begin at place `first` (from 0) of `total`; `end` is what the header says."""

    resource: str
    rows: list[Any]
    first: int
    end: int
    total: int

    def content_range(self, *, end: int | None = None, total: int | None = None) -> str:
        """The header; its end is not clamped to the total (wtl.md A13)."""
        last, of = self.end if end is None else end, self.total if total is None else total
        return f"{self.resource} {self.first}-{last}/{of}"


@dataclass
class Answer:
    """`value` becomes the JSON body, unless there is a `text`. The value of a list is its page's rows."""

    value: Any = None
    status: int = 200
    page: Page | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    text: str | None = None
    media_type: str = "application/json"
    rewrites: list[Callable[[bytes], bytes]] = field(default_factory=list[Callable[[bytes], bytes]])
    delay: float = 0.0  # seconds; math.inf: it never goes out
    connection: Literal["kept", "reset", "cut"] = "kept"
    padding: int = 0  # bytes of white space after the first of the body
    now: float = 0.0  # seconds since 1970, by the clock of the upstream

    @property
    def listing(self) -> Page:
        """The page of an answer that is a list."""
        assert self.page is not None
        return self.page

    @property
    def outcome(self) -> str:
        """What a client gets: a status, or nothing."""
        return "no answer" if self.delay == math.inf or self.connection == "reset" else str(self.status)

    def say(self, status: int, text: str, media_type: str = "application/json", *, bare: bool = False) -> None:
        """Become something else; a bare answer has no header of the API."""
        self.status, self.text, self.media_type, self.page = status, text, media_type, None
        self.headers = {} if bare else {k: v for k, v in self.headers.items() if k != "Content-Range"}

    def body(self) -> bytes:
        # Compact and ASCII-escaped, as recorded (wtl.md A6).
        text = json.dumps(self.value, separators=(",", ":")) if self.text is None else self.text
        body = text.encode()
        for rewrite in self.rewrites:
            body = rewrite(body)
        return body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _wait_unless_left(receive, self.delay)
        if self.delay == math.inf:
            return
        if self.connection == "reset":
            _reset(scope["extensions"][TRANSPORT])
            await _wait_unless_left(receive, math.inf)
            return
        response = Response(self.body(), self.status, self.headers, self.media_type)
        if self.connection == "kept" and not self.padding:
            await response(scope, receive, send)
            return
        body = bytes(response.body)
        if self.padding:
            del response.headers["Content-Length"]
        await send({"type": "http.response.start", "status": self.status, "headers": response.raw_headers})
        if self.connection == "cut":
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            scope["extensions"][TRANSPORT].close()
            await _wait_unless_left(receive, math.inf)
            return
        async for chunk in self._padded(body):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _padded(self, body: bytes) -> AsyncIterator[bytes]:
        yield body[:1]
        for start in range(0, self.padding, 65536):
            yield b" " * min(65536, self.padding - start)
        yield body[1:]


def _reset(transport: asyncio.Transport) -> None:
    """End a connection without lingering: the other end gets RST, not an end of data."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _wait_unless_left(receive: Receive, seconds: float) -> None:
    """That long, or until the client has gone."""
    if not seconds:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(None if seconds == math.inf else seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
