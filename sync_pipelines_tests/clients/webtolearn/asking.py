"""Clients of servers on real sockets, whose waits take no time, and servers that answer as no server should."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_pipelines.clients.budget import RateBudget
from sync_pipelines.clients.http import Sender
from sync_pipelines.clients.webtolearn import WebToLearnClient
from sync_pipelines.sandbox.webtolearn import Platform, webtolearn_app

Query = Mapping[str, str]


def answering(*answers: Response) -> Starlette:
    """Gives the answers in turn, the last one for ever."""
    left = list(answers)

    async def endpoint(request: Request) -> Response:
        return left.pop(0) if len(left) > 1 else left[0]

    return Starlette(routes=[Route("/{path:path}", endpoint)])


def client(url: str, waits: list[float] | None = None, page_size: int = 1000) -> WebToLearnClient:
    waited = [] if waits is None else waits

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await asyncio.sleep(0)

    budget = RateBudget(clock=lambda: sum(waited))
    sender = Sender(url, {"X-Auth-Token": "sandbox-token"}, sleep=sleep, budget=budget)
    return WebToLearnClient(url, "sandbox-token", page_size=page_size, sender=sender)


def listed(body: bytes | str, total: int | None = 0, **options: Any) -> Response:
    headers = {} if total is None else {"Content-Range": f"trainings 0-1001/{total}"}
    return Response(body, media_type="application/json", headers=headers, **options)


class Recording:
    """An application, and what it was asked: method, path below /api/v1, and query."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            query = dict(parse_qsl(scope["query_string"].decode()))
            self.asked.append((scope["method"], scope["path"].removeprefix("/api/v1/"), query))
        await self.app(scope, receive, send)

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _ in self.asked]


def replying(reply: Callable[[str, Query], Response | None], platform: Platform | None = None) -> Recording:
    """Answers what `reply` gives for path and query, and where it gives None, as the platform does."""
    otherwise = webtolearn_app(platform or Platform())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope)
        answer = reply(scope["path"].removeprefix("/api/v1/"), dict(request.query_params))
        await (otherwise if answer is None else answer)(scope, receive, send)

    return Recording(app)
