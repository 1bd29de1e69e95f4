"""A clock, a network that loses things, and a model of the service: `merge.merge` and a ledger in memory."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from sync_pipelines.progress import wire
from sync_pipelines.progress.merge import Counter, Lesson, Stored, merge
from sync_pipelines.sandbox.server import TRANSPORT

#: What may befall a request: it is lost, its answer is lost or cut off, another answers, or a status.
Fault = Literal["lost", "answer lost", "answer cut", "portal"] | int


class Clock:
    """The time, which never stands still: no two things happen at once."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 12, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=10)
        return self.now


class Line:
    """The way to a server. Each request meets the next fault, or none where None or nothing is left."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.faults: deque[Fault | None] = deque()
        self.requests: list[tuple[str, str]] = []
        self.before_answer: Callable[[], None] | None = None

    def will(self, *faults: Fault | None) -> None:
        self.faults.extend(faults)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        fault = self.faults.popleft() if self.faults else None
        self.requests.append((scope["method"], scope["path"]))
        connection = scope["extensions"][TRANSPORT]
        if fault == "lost":
            connection.abort()
        elif fault == "portal":
            await HTMLResponse("<h1>Welcome to our café</h1>")(scope, receive, send)
        elif isinstance(fault, int):
            await JSONResponse({"detail": "not now"}, fault)(scope, receive, send)
        else:
            await self._app(scope, receive, _Send(send, connection, fault, self.before_answer))


class _Send:
    def __init__(self, send: Any, connection: Any, fault: Fault | None, before: Callable[[], None] | None) -> None:
        self._send = send
        self._before = before
        self._connection = connection
        self._fault = fault

    async def __call__(self, message: Any) -> None:
        if self._before:
            self._before()
        cut, begins = self._fault == "answer cut", message["type"] == "http.response.start"
        if self._fault is None or (cut and begins):
            await self._send(message)
            return
        if cut:
            half = message["body"][: len(message["body"]) // 2]
            await self._send({**message, "body": half, "more_body": True})
        self._connection.abort()


class Model:
    """The service as the contract has it. A token is the learner."""

    def __init__(self, clock: Clock, lessons: Iterable[int]) -> None:
        self._clock = clock
        self.known = set(lessons)
        self.stored: dict[str, dict[int, Stored]] = {}
        self.ledger: dict[tuple[str, str, str], tuple[str, Any]] = {}
        self.replays = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        learner = request.headers["authorization"].removeprefix("Bearer ")
        if request.method == "GET":
            answer = JSONResponse(self._rows(learner, request.query_params["device_id"]))
        else:
            answer = self._once(learner, request.headers["idempotency-key"], await request.body())
        await answer(scope, receive, send)

    def lessons(self, learner: str, device_id: str = "") -> dict[int, Lesson]:
        found: dict[int, Lesson] = {}
        for identity, stored in sorted(self.stored.get(learner, {}).items()):
            own = stored.devices.get(device_id, Counter()).time_ms
            found[identity] = Lesson(stored.row, own, stored.time_ms - own)
        return found

    def _rows(self, learner: str, device_id: str) -> list[dict[str, Any]]:
        lessons = self.lessons(learner, device_id)
        return [{**wire.row_of(i, one), "device_time_ms": one.own_time_ms} for i, one in lessons.items()]

    def _once(self, learner: str, key: str, body: bytes) -> Response:
        payload = wire.read_import(wire.parse(body))
        place, sha256 = (learner, payload.device_id, key), hashlib.sha256(body).hexdigest()
        if place in self.ledger:
            before, answer = self.ledger[place]
            assert before == sha256, "a key is one payload's"
            self.replays += 1
            return answer
        now = self._clock()
        rows = self.stored.setdefault(learner, {})
        assert not payload.refused
        for identity in payload.changes.keys() & self.known:
            rows[identity] = merge(rows.get(identity), payload.changes[identity], payload.device_id, now)
        unknown = [wire.Refusal(str(i), "unknown_lesson", "none") for i in payload.changes.keys() - self.known]
        answer = JSONResponse(
            {"rejected": [one.to_json() for one in unknown]}, headers={"X-Received-At": wire.stamp(now)}
        )
        self.ledger[place] = sha256, answer
        return answer


@dataclass(frozen=True)
class World:
    """A served model, and what is around it."""

    clock: Clock
    model: Model
    line: Line
    url: str
    client: httpx.Client
