"""Servers on real sockets: one that answers byte for byte, one that decides who is answered when."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from sync_pipelines.clients.budget import RateBudget
from sync_pipelines.clients.http import Answer, Request, Sender
from sync_pipelines.errors import RateLimited, SourceUnavailable, UnexpectedAnswer


def answering(body: bytes, encoding: str = "identity") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-ENCODING: {encoding}\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


OK = answering(b"[]")


@contextmanager
def raw_server(*replies: bytes, heard: list[bytes] | None = None) -> Generator[str, None, None]:
    """Answers each connection with the next reply, byte for byte, and closes it. `heard` gets what it was told."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for reply in replies:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    told = connection.recv(65536)
                    if heard is not None:
                        heard.append(told)
                    connection.sendall(reply)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class Upstream:
    """Requests ask for `n`. `answer` gives the status of one, as soon as it likes."""

    def __init__(self, answer: Callable[["Upstream", int], Awaitable[int]]) -> None:
        self.answer = answer
        self.arrived: list[int] = []
        self.answered: list[int] = []
        self.dropped: set[int] = set()
        self.now = self.most = 0
        self.all_dropped = threading.Event()
        self._changed = asyncio.Condition()

    async def until(self, true: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(true)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        n = int(parse_qs(scope["query_string"].decode())["n"][0])
        self.arrived.append(n)
        self.now += 1
        self.most = max(self.most, self.now)
        await self._tell()
        answering = asyncio.ensure_future(self.answer(self, n))
        leaving = asyncio.ensure_future(self._left(receive))
        await asyncio.wait([answering, leaving], return_when=asyncio.FIRST_COMPLETED)
        self.now -= 1
        if answering.done():
            leaving.cancel()
            self.answered.append(n)
            await send({"type": "http.response.start", "status": answering.result(), "headers": []})
            await send({"type": "http.response.body", "body": str(n).encode()})
        else:
            answering.cancel()
            self.dropped.add(n)
            if not self.now:
                self.all_dropped.set()
        await self._tell()

    async def _left(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


async def never(upstream: Upstream) -> int:
    await upstream.until(lambda: False)
    return 200


def read(answer: Answer) -> int:
    if answer.status == 429:
        raise RateLimited("slow down", retry_after=7.0)
    if answer.status >= 500:
        raise SourceUnavailable(f"status {answer.status}")
    if answer.status != 200:
        raise UnexpectedAnswer(f"status {answer.status}")
    return int(answer.body)


async def no_sleep(seconds: float) -> None:
    pass


@contextmanager
def sending(url: str, in_flight: int, sleep: Callable[[float], Awaitable[None]] = no_sleep) -> Iterator[Sender]:
    now = 0.0

    async def timed(seconds: float) -> None:
        nonlocal now
        await sleep(seconds)
        now += seconds

    http = Sender(url, {}, in_flight=in_flight, sleep=timed, budget=RateBudget(clock=lambda: now))
    try:
        yield http
    finally:
        http.close()


def requests(count: int, taken: list[int] | None = None) -> Generator[Request, None, None]:
    for n in range(count):
        if taken is not None:
            taken.append(n)
        yield "x", {"n": str(n)}
