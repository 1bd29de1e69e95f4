"""The sender, against real sockets that misbehave."""

import gzip
import socket
import zlib
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.clients.budget import RateBudget
from sync_pipelines.clients.http import Answer, Sender, retry_after_seconds
from sync_pipelines.errors import RateLimited, SourceError, SourceUnavailable, UnexpectedAnswer
from sync_pipelines_tests.clients.servers import OK, answering, raw_server

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
MakeSender = Callable[[str, list[float]], Sender]


def body(answer: Answer) -> bytes:
    if answer.status >= 500:
        raise SourceUnavailable(f"status {answer.status}")
    return answer.body


def noting(waits: list[float]) -> Callable[[float], Awaitable[None]]:
    """A sleep that takes no time."""

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    return sleep


@pytest.fixture
def sender() -> Generator[MakeSender, None, None]:
    with ExitStack() as stack:

        def make(url: str, waits: list[float]) -> Sender:
            http = Sender(
                url, {"X-Auth-Token": "hunter22"}, sleep=noting(waits), budget=RateBudget(clock=lambda: sum(waits))
            )
            stack.callback(http.close)
            return http

        yield make


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n[1,2",
        answering(b"nope", "gzip"),
        answering(gzip.compress(b"[1,2]")[:-1], "gzip"),
        answering(zlib.compress(b"[1,2]")[:-1], "deflate"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1",
        b"HTTP/1.1 200 OK\r\nSet-Coo",
        b"not http at all\r\n\r\n",
    ],
    ids=[
        *("reset", "503", "cut short", "damaged gzip", "cut gzip", "cut deflate"),
        *("cut in a chunk", "half a header", "not http"),
    ],
)
def test_a_broken_answer_is_asked_for_again(sender: MakeSender, broken: bytes) -> None:
    waits: list[float] = []
    with raw_server(broken, broken, OK) as url:
        http = sender(url, waits)
        assert http.get("x", {}, body) == b"[]"
    assert (http.requests, http.retries) == (3, 2)
    assert all(0 < wait <= 8 for wait in waits)


@pytest.mark.parametrize(
    ("sent", "encoding"),
    [
        (b"[1,2]", "identity"),
        (gzip.compress(b"[1,2]"), "gzip"),
        (gzip.compress(b"[1,") + gzip.compress(b"2]"), "GZip"),
        (zlib.compress(b"[1,2]"), "deflate"),
        (zlib.compress(b"[1,2]", wbits=-15), "deflate"),
        (b"", "gzip"),
        (b"", "deflate"),
    ],
    ids=["plain", "gzip", "gzip in two parts", "deflate", "deflate without header", "no gzip", "no deflate"],
)
def test_a_body_is_unpacked_once(sender: MakeSender, sent: bytes, encoding: str) -> None:
    heard: list[bytes] = []
    with raw_server(answering(sent, encoding), heard=heard) as url:
        answer = sender(url, []).get("x", {}, lambda answer: answer)
    assert answer.body == (b"[1,2]" if sent else b"")
    assert answer.headers["CONTENT-encoding"] == encoding
    assert b"accept-encoding: gzip, deflate\r\n" in heard[0].lower()


def test_a_reason_in_any_letters_is_no_error(sender: MakeSender) -> None:
    with raw_server(OK.replace(b"200 OK", b"404 B\xb3\xb1d")) as url:
        assert sender(url, []).get("x", {}, lambda answer: answer.status) == 404


def test_trying_ends_and_says_where_it_failed(sender: MakeSender) -> None:
    waits: list[float] = []
    with raw_server(*[b""] * 4) as url:
        http = sender(url, waits)
        with pytest.raises(SourceUnavailable, match=r"cannot reach 127\.0\.0\.1"):
            http.get("training/list", {}, body)
    assert (http.requests, http.retries, len(waits)) == (4, 3, 3)


def test_nobody_listening_is_an_unavailable_source(sender: MakeSender) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SourceUnavailable, match=rf"cannot reach 127\.0\.0\.1:{port}"):
        sender(f"http://127.0.0.1:{port}", []).get("x", {}, body)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n["])
def test_a_server_that_falls_silent_is_an_unavailable_source(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        http = Sender(f"http://127.0.0.1:{listener.getsockname()[1]}", {}, attempts=1, timeout=0.1)
        with closing(http), ThreadPoolExecutor(1) as caller:
            asked = caller.submit(http.get, "x", {}, body)
            connection, _ = listener.accept()
            with connection:
                connection.sendall(said)
                with pytest.raises(SourceUnavailable, match="in time"):
                    asked.result()


@pytest.mark.parametrize("address", ["http://127.0.0.1:99999", "ftp://127.0.0.1", "school"])
def test_an_address_that_is_none_is_not_tried_again(sender: MakeSender, address: str) -> None:
    http = sender(address, [])
    with pytest.raises(UnexpectedAnswer, match="cannot ask"):
        http.get("x", {}, body)
    assert http.requests == 1


@pytest.mark.parametrize(("exempt", "status"), [("", 202), ("127.0.0.1", 200)])
def test_requests_go_through_the_proxy_of_the_environment(
    sender: MakeSender, monkeypatch: pytest.MonkeyPatch, exempt: str, status: int
) -> None:
    with raw_server(OK) as upstream, raw_server(OK.replace(b"200 OK", b"202 Accepted")) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", exempt)
        assert sender(upstream, []).get("x", {}, lambda answer: answer.status) == status


def test_a_proxy_that_passes_on_a_secure_connection_does_not_see_the_token(
    sender: MakeSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bytes] = []
    refusal = b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"
    with raw_server(*[refusal] * 4, heard=heard) as proxy:
        monkeypatch.setenv("https_proxy", proxy)
        with pytest.raises(SourceUnavailable, match="the proxy answered status 407"):
            sender("https://school.example", []).get("x", {}, body)
    assert heard
    assert all(told.startswith(b"CONNECT") and b"hunter22" not in told for told in heard)


def test_a_permanent_error_is_not_tried_again(sender: MakeSender) -> None:
    def refuse(answer: Answer) -> None:
        raise UnexpectedAnswer("no")

    with raw_server(OK, OK) as url:
        http = sender(url, [])
        with pytest.raises(UnexpectedAnswer):
            http.get("x", {}, refuse)
    assert http.requests == 1


@pytest.mark.parametrize(("asked", "waited"), [(3.0, [3.0]), (65.0, [65.0]), (66.0, []), (None, [])])
def test_a_rate_limit_is_waited_for_within_bounds(
    sender: MakeSender, asked: float | None, waited: list[float]
) -> None:
    waits: list[float] = []
    answers = iter([RateLimited("slow down", retry_after=asked)])

    def once(answer: Answer) -> bytes:
        for error in answers:
            raise error
        return answer.body

    with raw_server(OK, OK) as url:
        http = sender(url, waits)
        if waited:
            assert http.get("x", {}, once) == b"[]"
        else:
            with pytest.raises(RateLimited):
                http.get("x", {}, once)
    assert waits == waited


def test_a_redirect_is_not_followed_with_the_token(sender: MakeSender) -> None:
    heard: list[bytes] = []
    with raw_server(OK, heard=heard) as elsewhere:
        moved = f"HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n".encode()
        with raw_server(moved) as url:
            assert sender(url, []).get("x", {}, lambda answer: answer.status) == 302
    assert not heard


def test_no_message_holds_the_token(sender: MakeSender) -> None:
    def failing(reply: Callable[[str], object]) -> str:
        with raw_server(*[b""] * 4) as url, pytest.raises(SourceError) as caught:
            reply(url)
        return str(caught.value)

    assert "hunter22" not in failing(lambda url: sender(url, []).get("x", {}, body))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7),
        ("0", 1),
        ("-5", 1),
        ("86400", 300),
        ("nan", None),
        ("soon", None),
        ("Sat, 21 Nov 2026 12:01:00 GMT", 30),
        ("Sat, 21 Nov 2020 12:01:00 GMT", 1),
    ],
)
def test_retry_after_is_read_in_both_forms_and_clamped(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds


@given(st.text())
def test_whatever_stands_in_retry_after_is_a_sane_wait_or_none(value: str) -> None:
    wait = retry_after_seconds(value, NOW)
    assert wait is None or 1 <= wait <= 300
