"""What the service's answers mean to a device. Each comes from a real socket, byte for byte."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from sync_pipelines.progress import SyncFailed, SyncRefused
from sync_pipelines.progress.merge import Lesson, Progress
from sync_pipelines.progress.server import Server, Taken
from sync_pipelines.sandbox.server import serving
from sync_pipelines_tests.clients.servers import raw_server

TOKEN = "spl_a-token-of-a-learner"
LESSON = {1: Lesson(Progress(datetime(2026, 1, 1, tzinfo=UTC), seen=True), own_time_ms=5, others_time_ms=7)}
ROW = {
    "lesson_id": 1,
    "seen": True,
    "completed": False,
    "percent": 0,
    "time_ms": 12,
    "score_best": None,
    "score_last": None,
    "updated_at": "2026-01-01T00:00:00.000000Z",
    "last_seen_at": None,
    "device_time_ms": 5,
}


class Answers:
    """An ASGI application that answers what it is given, and keeps what it was asked."""

    def __init__(self) -> None:
        self.response = Response()
        self.asked: list[tuple[str, httpx.Headers, bytes]] = []
        self.url = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        asked = f"{request.method} {request.url.path}?{request.url.query}"
        self.asked.append((asked, httpx.Headers(request.headers.raw), await request.body()))
        await self.response(scope, receive, send)

    def reply(self, status: int, body: Any = b"", **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.response = Response(content, status, headers=named)


@pytest.fixture(scope="module")
def answers() -> Generator[Answers]:
    app = Answers()
    with serving(app) as app.url:
        yield app


@pytest.fixture(scope="module")
def server(answers: Answers) -> Generator[Server]:
    with httpx.Client(timeout=60) as client:
        yield Server(client, answers.url, TOKEN)


Ask = Callable[[], Any]


@pytest.fixture(params=["send", "fetch"])
def ask(server: Server, request: pytest.FixtureRequest) -> Ask:
    """Either request."""
    return lambda: server.send("device", LESSON, None) if request.param == "send" else server.fetch("device")


def test_a_lesson_is_sent_whole_with_the_time_of_this_device_alone(answers: Answers, server: Server) -> None:
    answers.reply(200, {"rejected": []}, X_Received_At="2026-01-01T00:00:00.000000Z")
    answers.asked.clear()
    for last_sync_at in (None, None, datetime(2026, 1, 2, tzinfo=UTC)):
        server.send("device", LESSON, last_sync_at)
    expected = {name: ROW[name] for name in ROW if name not in ("lesson_id", "device_time_ms")} | {"time_ms": 5}
    for asked, headers, body in answers.asked:
        assert asked == "POST /api/v1/learning/progress/import/?"
        assert headers["authorization"] == f"Bearer {TOKEN}"
        assert headers["content-type"] == "application/json"
        assert json.loads(body) == {"device_id": "device", "lessons": {"1": expected}}
    keys = [headers["idempotency-key"] for _, headers, _ in answers.asked]
    assert keys[0] == keys[1] != keys[2], "one key for what is sent again, another once a sync was complete"


def test_what_the_server_says_is_taken_apart_into_this_devices_time_and_that_of_others(
    answers: Answers, server: Server
) -> None:
    answers.reply(200, [ROW])
    assert server.fetch("a device") == LESSON
    assert answers.asked[-1][0] == "GET /api/v1/learning/progress/?device_id=a+device"
    answers.reply(200, [])
    assert server.fetch("device") == {}


def test_a_refused_lesson_has_its_reason(answers: Answers, server: Server) -> None:
    refusal = {"lesson_id": "1", "code": "unknown_lesson", "field": None, "reason": "no lesson has this id"}
    odd = {**refusal, "lesson_id": "2", "code": "invalid", "field": "percent"}
    answers.reply(200, {"rejected": [refusal, odd]}, X_Received_At="2026-01-01T00:00:00.5Z")
    assert server.send("device", LESSON, None) == Taken(
        datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC),
        {1: "unknown_lesson: no lesson has this id", 2: "invalid: no lesson has this id (percent)"},
    )


NOT_OURS = {
    "a page": b"<html>Welcome</html>",
    "nothing": b"",
    "null": None,
    "a number": 5,
    "a text": "ok",
    "an empty object": {},
    "no list": {"rejected": 5},
    "no refusal": {"rejected": [{}]},
    "a row": [5],
    "a row without this device's time": [{name: ROW[name] for name in ROW if name != "device_time_ms"}],
    "a row of no lesson": [{**ROW, "lesson_id": "1"}],
    "a row of nonsense": [{**ROW, "percent": 101}],
}


@pytest.mark.parametrize("body", NOT_OURS.values(), ids=NOT_OURS.keys())
def test_an_answer_that_is_not_the_servers_takes_nothing_and_later_may_help(
    answers: Answers, ask: Ask, body: Any
) -> None:
    answers.reply(200, body, X_Received_At="2026-01-01T00:00:00Z")
    with pytest.raises(SyncFailed, match="not the server's"):
        ask()


@pytest.mark.parametrize("headers", [{}, {"X_Received_At": "2026-01-01T00:00:00"}, {"X_Received_At": ""}])
def test_an_import_without_the_servers_time_was_answered_by_another(
    answers: Answers, server: Server, headers: dict[str, str]
) -> None:
    answers.reply(200, {"rejected": []}, **headers)
    with pytest.raises(SyncFailed, match="not the server's"):
        server.send("device", LESSON, None)


@pytest.mark.parametrize("status", [201, 204, 301, 302, 307])
def test_a_status_that_the_server_never_gives_is_anothers_and_no_redirect_is_followed(
    answers: Answers, ask: Ask, status: int
) -> None:
    answers.reply(status, Location="http://127.0.0.1:9/")
    with pytest.raises(SyncFailed, match="not the server's"):
        ask()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_later_may_help(answers: Answers, ask: Ask, status: int) -> None:
    answers.reply(status)
    with pytest.raises(SyncFailed, match=f"status {status}") as caught:
        ask()
    assert caught.value.retry_after is None


IN_A_DAY = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
WAITS = [
    ("7", 7),
    ("0", 1),
    ("-5", 1),
    ("999999", 3600),
    ("1.5", 1.5),
    ("nan", None),
    ("soon", None),
    ("inf", 3600),
]


@pytest.mark.parametrize(("header", "seconds"), [*WAITS, pytest.param(IN_A_DAY, 3600, id="a date")])
def test_the_wait_that_a_server_asks_for_is_bounded(
    answers: Answers, ask: Ask, header: str, seconds: float | None
) -> None:
    answers.reply(503, Retry_After=header)
    with pytest.raises(SyncFailed) as caught:
        ask()
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused_needs_a_login(answers: Answers, ask: Ask, status: int) -> None:
    answers.reply(status, {"detail": "no"})
    with pytest.raises(SyncRefused, match="log in again"):
        ask()


@pytest.mark.parametrize("status", [400, 404, 405, 409, 413, 415, 422])
def test_a_fault_of_ours_is_said_as_the_server_says_it(answers: Answers, ask: Ask, status: int) -> None:
    answers.reply(status, {"detail": "the key was used " + "x" * 1000})
    with pytest.raises(SyncRefused, match=rf"status {status}\): the key was used") as caught:
        ask()
    assert len(str(caught.value)) < 300
    answers.reply(status, b"<html>")
    with pytest.raises(SyncRefused, match=rf"status {status}\)$"):
        ask()


def test_a_server_that_is_not_there_may_be_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with httpx.Client() as client, pytest.raises(SyncFailed, match="cannot be reached"):
        Server(client, f"http://127.0.0.1:{port}", TOKEN).fetch("device")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[", b"\0\0\0\r\n\r\n"])
def test_half_an_answer_is_none(answer: bytes) -> None:
    with raw_server(answer) as url, httpx.Client(timeout=60) as client:
        server = Server(client, url, TOKEN)
        with pytest.raises(SyncFailed, match="cannot be reached"):
            server.fetch("device")


@pytest.mark.parametrize("token", ["", "two words", "tok\nen", "tökén"])
def test_what_can_be_no_token_is_refused_and_not_told(token: str) -> None:
    with httpx.Client() as client, pytest.raises(ValueError, match="the token has") as caught:
        Server(client, "http://127.0.0.1:9", token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("url", ["", "sync.school.example", "ftp://school.example", "http://", "//x"])
def test_what_can_be_no_address_is_refused(url: str) -> None:
    with httpx.Client() as client, pytest.raises(ValueError, match="url: an address is expected"):
        Server(client, url, TOKEN)
