"""Whatever is asked of the client, it sends GETs, and the token in its header alone (contracts/wtl.md A1, A3)."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from starlette.responses import Response

from sync_pipelines.clients.webtolearn import WebToLearnClient
from sync_pipelines.clients.webtolearn.relation import WAYS, Relation
from sync_pipelines.errors import SourceError
from sync_pipelines.sandbox.webtolearn import Platform, webtolearn_app
from sync_pipelines_tests.clients.webtolearn.asking import Query, Recording, answering, client, listed, replying

Serve = Callable[[Any], str]
TOKEN = "sandbox-token"


def uses(wtl: WebToLearnClient) -> dict[str, Callable[[], object]]:
    """Each public method of the client, used."""
    courses = ["1", "2", "3"]
    return {
        "courses": wtl.courses,
        "lessons": wtl.lessons,
        "users": wtl.users,
        "course_users": lambda: list(wtl.course_users(courses)),
        "course_lessons": lambda: [
            list(wtl.course_lessons(courses, Relation(way, "shown", all_lessons=90))) for way in WAYS
        ],
        "probe": wtl.probe,
        "attempt": lambda: wtl.attempt("lesson/list", {"range": "[0,1]"}),
        "lesson_relation": lambda: wtl.lesson_relation(courses),
    }


def public(of: type[object]) -> Iterator[str]:
    methods = inspect.getmembers(of, inspect.isfunction)
    return (name for name, _ in methods if not name.startswith("_"))


def redirecting(path: str, query: Query) -> Response | None:
    return Response(b"", 307, headers={"Location": "/api/v1/user"})


@pytest.mark.parametrize(
    "app",
    [
        *(
            Recording(webtolearn_app(Platform(**{**vars(Platform.invented(courses=3)), "relation": relation})))
            for relation in ("none", "path", "filter", "query")
        ),
        Recording(answering(listed(b"[]"))),
        Recording(answering(Response(b"", 404))),
        Recording(answering(Response(b"", 405, headers={"Allow": "POST"}))),
        Recording(answering(Response(b"", 503))),
        replying(redirecting),
    ],
    ids=["none", "path", "filter", "query", "empty", "unknown", "not allowed", "failing", "redirecting"],
)
def test_the_client_sends_nothing_but_gets_and_shows_the_token_in_no_address(serve: Serve, app: Recording) -> None:
    with client(serve(app) + "/api/v1") as wtl:
        used = uses(wtl)
        assert set(used) == set(public(WebToLearnClient))
        for name, use in used.items():
            before = len(app.asked)
            with suppress(SourceError):
                use()
            assert len(app.asked) > before, name
    assert {method for method, _, _ in app.asked} == {"GET"}
    assert all(path.endswith("/list") for path in app.paths)
    assert TOKEN not in str(app.asked)
