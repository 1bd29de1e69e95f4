"""The server under the sandbox, and under every test that serves an application of its own."""

import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.server import listen, serving
from sync_pipelines.sandbox.webtolearn import Platform, webtolearn_app


def test_an_answer_has_one_date_whosever_application_it_is(serve: Callable[[Any], str]) -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x"})

    async def dated(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Date", b"yesterday")]})
        await send({"type": "http.response.body", "body": b"x"})

    assert len(httpx.get(serve(silent)).headers.get_list("date")) == 1
    assert httpx.get(serve(dated)).headers.get_list("date") == ["yesterday"]


def test_an_answer_that_never_comes_does_not_keep_the_server(caplog: pytest.LogCaptureFixture) -> None:
    platform = Platform()
    asked = threading.Event()

    def clock() -> float:
        asked.set()
        return 0.0

    def ask(url: str) -> None:
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/api/v1/user/list", headers={"X-Auth-Token": platform.token}, timeout=60)

    platform.switch_on("hang")
    with serving(webtolearn_app(platform, clock)) as url:
        thread = threading.Thread(target=ask, args=(url,))
        thread.start()
        assert asked.wait(60)
    thread.join(60)
    assert not thread.is_alive()
    assert not [record for record in caplog.records if record.exc_info]


def test_a_taken_port_is_an_error() -> None:
    with listen() as sock, pytest.raises(OSError, match="in use"):
        listen(sock.getsockname()[1])
