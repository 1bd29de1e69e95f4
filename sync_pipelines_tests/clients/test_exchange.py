"""What goes out on the wire: addresses, headers, forms, and nothing that was not asked for."""

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sync_pipelines.clients.budget import RateBudget
from sync_pipelines.clients.exchange import Answer, Message
from sync_pipelines.clients.http import Sender, Spent
from sync_pipelines.errors import SourceUnavailable, UnexpectedAnswer
from sync_pipelines_tests.clients.servers import OK, no_sleep, raw_server

FAILED = b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
MakeSender = Callable[[str], Sender]


@pytest.fixture
def sender() -> Generator[MakeSender, None, None]:
    with ExitStack() as stack:

        def make(url: str) -> Sender:
            http = Sender(url, {"X-Fixed": "1"}, sleep=no_sleep, budget=RateBudget(in_flight=64))
            stack.callback(http.close)
            return http

        yield make


def status(answer: Answer) -> int:
    if answer.status >= 500:
        raise SourceUnavailable(f"status {answer.status}")
    return answer.status


def first_line(told: bytes) -> str:
    return told.split(b"\r\n")[0].decode()


@pytest.mark.parametrize(
    "path",
    [
        "api/3/marking/marks/%206%7B",
        "a/%2F%2e%2E%41/x",
        "a/..%2f/%28%7D%5B%7C*%3A%3D_.",
        "a/%2E%2E/b",
        "a/../b/./c",
        "a/%2e",
        "a//b/",
        "a/%C4%8D%25%2520",
    ],
)
def test_a_path_goes_out_to_the_letter(sender: MakeSender, path: str) -> None:
    heard: list[bytes] = []
    with raw_server(OK, heard=heard) as url:
        answer = sender(f"{url}/school/").get(path, {"q": "a b/č&"}, lambda answer: answer)
    assert first_line(heard[0]) == f"GET /school/{path}?q=a%20b%2F%C4%8D%26 HTTP/1.1"
    assert answer.path == path


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_an_id_in_a_path_arrives_as_the_id_it_is(item_id: str) -> None:
    heard: list[bytes] = []
    with raw_server(OK, heard=heard) as url:
        http = Sender(url, {})
        try:
            http.get(f"x/{quote(item_id, safe='')}", {}, status)
        finally:
            http.close()
    assert first_line(heard[0]) == f"GET /x/{quote(item_id, safe='')} HTTP/1.1"


def test_headers_of_one_request_are_that_ones_alone(sender: MakeSender) -> None:
    heard: list[bytes] = []
    with raw_server(OK, OK, heard=heard) as url:
        http = sender(url)
        http.get("x", {}, status, headers={"Authorization": "Bearer a", "X-Fixed": "2"})
        http.get("x", {}, status)
    first, second = heard
    assert b"authorization: Bearer a\r\n" in first
    assert b"x-fixed: 2\r\n" in first
    assert b"x-fixed: 1" not in first
    assert b"authorization" not in second
    assert b"x-fixed: 1\r\n" in second


def test_no_cookie_of_one_answer_goes_out_with_the_next_request(
    serve: Callable[..., str], sender: MakeSender
) -> None:
    sent: list[str | None] = []

    async def endpoint(request: Request) -> Response:
        sent.append(request.headers.get("cookie"))
        return Response(b"[]", headers={"Set-Cookie": "session=somebody"})

    # By name: cookies for bare numbers are kept by nobody.
    url = serve(Starlette(routes=[Route("/x", endpoint)])).replace("127.0.0.1", "localhost")
    http = sender(url)
    for _ in range(3):
        http.get("x", {}, status)
    assert sent == [None] * 3


def test_a_form_is_posted_whole(serve: Callable[..., str], sender: MakeSender) -> None:
    form = {"client_id": "ANDR", "password": "a&b=č %+\ud800", "empty": ""}
    got: list[tuple[str, str, bytes]] = []

    async def endpoint(request: Request) -> Response:
        got.append((request.method, request.headers["content-type"], await request.body()))
        return Response(b"{}")

    url = serve(Starlette(routes=[Route("/login", endpoint, methods=["GET", "POST"])]))
    assert sender(url).post_form("login", form, status) == 200
    ((method, kind, body),) = got
    assert (method, kind) == ("POST", "application/x-www-form-urlencoded")
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True, errors="surrogatepass"))
    assert fields == form


def test_a_form_is_sent_once_unless_it_is_said_to_bear_more(sender: MakeSender) -> None:
    with raw_server(FAILED, OK, b"", FAILED, OK) as url:
        http = sender(url)
        with pytest.raises(SourceUnavailable):
            http.post_form("login", {}, status)
        assert http.requests == 1
        assert http.post_form("login", {}, status) == 200
        assert http.post_form("login", {}, status, attempts=3) == 200
    assert (http.requests, http.retries) == (5, 2)


def test_a_form_whose_reply_is_lost_is_not_sent_again_behind_our_back(sender: MakeSender) -> None:
    heard: list[bytes] = []
    with raw_server(b"", OK, heard=heard) as url, pytest.raises(SourceUnavailable, match="cannot reach"):
        sender(url).post_form("login", {}, status)
    assert len(heard) == 1


def test_a_form_does_not_follow_where_it_is_sent_to(sender: MakeSender) -> None:
    heard: list[bytes] = []
    with raw_server(OK, heard=heard) as elsewhere:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n".encode()
        with raw_server(moved) as url:
            assert sender(url).post_form("login", {"password": "hunter22"}, status) == 307
    assert not heard


def test_what_a_request_took_is_counted_for_whom_it_was(sender: MakeSender) -> None:
    mine, other = Spent(), Spent()
    with raw_server(FAILED, OK, OK, FAILED, FAILED, OK) as url:
        http = sender(url)
        http.get("x", {}, status, spent=mine)
        http.get("x", {}, status)
        http.post_form("x", {}, status, attempts=3, spent=other)
    assert (mine, other) == (Spent(2, 1), Spent(3, 2))
    assert (http.requests, http.retries) == (6, 3)


def test_many_threads_may_ask_at_once_and_each_gets_its_own_answer(
    serve: Callable[..., str], sender: MakeSender
) -> None:
    async def endpoint(request: Request) -> Response:
        if request.path_params["n"] % 5 == 0:
            return Response(b"", 404)
        return Response(f"{request.path_params['n']} for {request.headers['x-caller']}")

    http = sender(serve(Starlette(routes=[Route("/{n:int}", endpoint)])))
    ready = Barrier(8)

    def read(answer: Answer) -> str:
        if answer.status == 404:
            raise UnexpectedAnswer("gone")
        return answer.body.decode()

    def ask(caller: int) -> tuple[list[str], Spent]:
        ready.wait()
        spent, got = Spent(), list[str]()
        for n in range(30):
            try:
                got.append(http.get(f"{n}", {}, read, headers={"X-Caller": f"{caller}"}, spent=spent))
            except UnexpectedAnswer:
                got.append("gone")
        return got, spent

    with ThreadPoolExecutor(8) as threads:
        for caller, (got, spent) in enumerate(threads.map(ask, range(8))):
            assert got == [f"{n} for {caller}" if n % 5 else "gone" for n in range(30)]
            assert spent == Spent(30, 0)
    assert http.requests == 240


def test_neither_a_message_nor_an_answer_shows_what_is_secret() -> None:
    message = Message("login", {}, {"Authorization": "Bearer hunter22"}, {"password": "hunter22"})
    answer = Answer(200, {"Set-Cookie": "hunter22"}, b'{"access_token":"hunter22"}', "login")
    assert "hunter22" not in f"{message!r} {answer!r}"
