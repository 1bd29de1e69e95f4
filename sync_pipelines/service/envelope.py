"""What is around every answer: a request id, a line in the log, and an answer where everything else failed.

Log lines name the route and never the path as it was sent, which may hold anything.
"""

from __future__ import annotations

import logging
import re
import time
import traceback
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sync_pipelines.service.refusals import Refused, problem

__all__ = ["Envelope"]

_SANE = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)

_log = logging.getLogger(__name__)


class Envelope:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = time.perf_counter(), 0

        def note() -> None:
            route = getattr(scope.get("route"), "path", "(no route)")
            took = (time.perf_counter() - began) * 1000
            _log.info("%s %s: %d after %.0f ms, request %s", scope["method"], route, status, took, request_id)

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
                headers["X-Content-Type-Options"] = "nosniff"
                note()
            await send(message)

        try:
            await self._app(scope, receive, marked)
        except Exception as error:  # noqa: BLE001 - whatever it is, there is an answer to it
            # Not its text, which may quote the request.
            _log.error("request %s failed: %s\n%s", request_id, type(error).__name__, _where(error))
            if status:
                raise ConnectionAbortedError(f"request {request_id} was answered in part") from None
            refused = Refused(500, "internal", "The service failed; its log says why.")
            await problem(Request(scope), refused)(scope, receive, marked)


def _request_id(headers: Headers) -> str:
    given = headers.getlist("x-request-id")
    return given[0] if len(given) == 1 and _SANE.fullmatch(given[0]) else uuid.uuid4().hex


def _where(error: BaseException) -> str:
    return "".join(traceback.format_tb(error.__traceback__))
