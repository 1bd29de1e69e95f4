"""The client against the sandbox and against servers that answer as no server should."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import Response

from sync_pipelines.clients.webtolearn import Course, RefusedRow, WebToLearnClient
from sync_pipelines.clients.webtolearn.answers import content_range_total
from sync_pipelines.errors import AccessRefused, RateLimited, SourceError, SourceUnavailable, UnexpectedAnswer
from sync_pipelines.sandbox.webtolearn import Platform, webtolearn_app
from sync_pipelines_tests.clients.webtolearn.asking import answering, client, listed

Serve = Callable[[Any], str]
SIZES = [0, 1, 999, 1000, 1001, 1002, 2503]


@pytest.mark.parametrize("cap", [None, 50])
@pytest.mark.parametrize("size", SIZES)
def test_every_list_is_read_exactly(serve: Serve, size: int, cap: int | None) -> None:
    platform = Platform.invented(courses=size, lessons=size, users=size)
    platform.page_cap, platform.limit_minute, platform.limit_hour = cap, 10**6, 10**6
    with client(serve(platform)) as wtl:
        courses, lessons, users = wtl.courses(), wtl.lessons(), wtl.users()
    assert [(c.id, c.title) for c in _all(courses)] == [(r["id"], r["name"]) for r in platform.courses]
    assert [(x.id, x.title) for x in _all(lessons)] == [(r["id"], r["name"]) for r in platform.lessons]
    assert [(u.id, u.email) for u in _all(users)] == [(r["id"], r["email"]) for r in platform.users]


@pytest.mark.timeout(30)  # fewer than five would wait for ever
def test_pages_are_read_five_at_a_time(serve: Serve) -> None:
    platform = Platform.invented(users=73)
    platform.page_cap = 10
    pages = webtolearn_app(platform)
    changed = asyncio.Condition()
    arrived = answered = most = 0

    async def in_company(scope: Any, receive: Any, send: Any) -> None:
        nonlocal arrived, answered, most
        async with changed:
            arrived += 1
            changed.notify_all()
            await changed.wait_for(lambda: arrived == 1 or arrived >= 6)
            most = max(most, wtl.requests - answered)  # as begun, not as arrived: none is too late
            answered += 1
        await pages(scope, receive, send)

    with WebToLearnClient(serve(in_company) + "/api/v1", platform.token) as wtl:
        assert len(_all(wtl.users())) == 73
        assert wtl.requests == 9
    assert most == 5


def _all(records: Any) -> list[Any]:
    assert records.complete
    return list(records.items)


def test_a_wrong_token_is_access_refused_at_once(serve: Serve) -> None:
    with WebToLearnClient(serve(Platform.invented()), "hunter22") as wtl:
        with pytest.raises(AccessRefused, match="WTL_API_TOKEN") as caught:
            wtl.courses()
        assert wtl.requests == 1
    assert "hunter22" not in f"{caught.value} {wtl!r}"


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (Response(b"", 404), UnexpectedAnswer, "/api/v1"),
        (Response(b"{", 401), AccessRefused, "token"),
        (Response(b'{"Status":[{"message":"licence"} {"x":1}],"Code":402}', 400), AccessRefused, "402"),
        (Response(b"", 402), AccessRefused, "licence"),
        (Response(b'{"success":false,"message":"bad sort\\n"}', 400), UnexpectedAnswer, "400"),
        (Response(b"", 302, headers={"Location": "/login"}), UnexpectedAnswer, "final address"),
        (listed(b'{"data":[]}'), UnexpectedAnswer, "instead of a list"),
        (listed(b"null"), UnexpectedAnswer, "instead of a list"),
    ],
)
def test_a_refusal_is_permanent_and_says_what_to_do(
    serve: Serve, answer: Response, error: type[SourceError], says: str
) -> None:
    with client(serve(answering(answer))) as wtl:
        with pytest.raises(error, match=says):
            wtl.courses()
        assert wtl.requests == 1


@pytest.mark.parametrize(
    "answer",
    [
        Response(b"<html>", 500),
        Response(b"<!doctype html><title>Log in</title>", media_type="text/html"),
        listed(b'[{"id":"1"'),
        listed(b"\xef\xbb\xbf[]"),
        listed(b"[NaN]"),
        listed("[" * 100_000),
    ],
    ids=["500", "login page", "cut short", "byte order mark", "NaN", "deep"],
)
def test_half_an_answer_is_asked_for_again_and_never_taken_for_an_empty_list(
    serve: Serve, answer: Response
) -> None:
    with client(serve(answering(answer))) as wtl:
        with pytest.raises(SourceUnavailable):
            wtl.courses()
        assert wtl.requests == 4
    with client(serve(answering(answer, listed(b"[]")))) as wtl:
        assert wtl.courses().complete


def test_a_login_page_is_called_by_its_name(serve: Serve) -> None:
    page = Response(b"\n <!doctype html><title>Log in</title>", media_type="application/json")
    with client(serve(answering(page))) as wtl, pytest.raises(SourceUnavailable, match="web page instead of data"):
        wtl.courses()


def test_201_with_a_body_is_an_answer(serve: Serve) -> None:
    with client(serve(answering(listed(b"[]", status_code=201)))) as wtl:
        assert wtl.courses().complete


def test_429_waits_to_the_next_minute_and_goes_on(serve: Serve) -> None:
    waits: list[float] = []
    with client(serve(answering(Response(b'{"Code" 429}', 429), listed(b"[]"))), waits) as wtl:
        assert wtl.courses().complete
    assert len(waits) == 1
    assert 0 < waits[0] <= 61.5


def test_429_with_the_hour_used_up_ends_the_run(serve: Serve) -> None:
    spent = Response(b"", 429, headers={"X-RateLimit-Remaining-Hour": "0"})
    waits: list[float] = []
    with client(serve(answering(spent)), waits) as wtl, pytest.raises(RateLimited):
        wtl.courses()
    assert waits == []


def test_without_content_range_nothing_is_proven(serve: Serve) -> None:
    rows = listed(b'[{"id":"1","name":"x"}]', total=None)
    with client(serve(answering(rows))) as wtl:
        courses = wtl.courses()
    assert list(courses.items) == [Course("1", "x")]
    assert not courses.complete


def test_rows_that_are_no_records_are_handed_on_whole(serve: Serve) -> None:
    twice = b'{"id":"4","id":"5","name":"y"}'
    body = b'[{"id":"1","name":"x"},null,{"id":"3"},{"name":"no id"},' + twice + b"]"
    with client(serve(answering(listed(body, 5), listed(b"[" + twice + b"]", 5)))) as wtl:
        first, *refused = wtl.courses().items
    assert first == Course("1", "x")
    assert [(r.id, r.row) for r in refused if isinstance(r, RefusedRow)] == [
        (None, None),
        ("3", {"id": "3"}),
        (None, {"name": "no id"}),
        (None, [("id", "4"), ("id", "5"), ("name", "y")]),
    ]


@pytest.mark.parametrize(
    ("value", "total"),
    [
        (None, None), ("", None), ("x", None), ("lessons 0-11/5", 5), ("lessons */0", 0), ("lessons 0-11/*", None),
        ("lessons 0-11/-5", None), ("lessons 0-11/ 7 ", 7), ("lessons 0-11/٣", None), ("5", 5),
    ],
)  # fmt: skip
def test_of_content_range_only_the_total_is_believed(value: str | None, total: int | None) -> None:
    assert content_range_total(value) == total


def test_a_probe_tells_budget_and_clock(serve: Serve) -> None:
    with client(serve(Platform.invented())) as wtl:
        probe = wtl.probe()
    assert (probe.remaining_minute, probe.remaining_hour) == (359, 3599)
