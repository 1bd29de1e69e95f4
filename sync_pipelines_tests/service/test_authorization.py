"""Every route, asked by everybody: who gets in where. A new route wants a line here."""

import itertools
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from sync_pipelines.postgres.api_tokens import SCOPES, create_token, revoke_token
from sync_pipelines.postgres.engine import Database
from sync_pipelines.service.throttle import Throttle
from sync_pipelines_tests.service.admin.visiting import Visitor

CALLERS = ("no token", "malformed", "unknown", "expired", "revoked", "learner", "viewer", "operator")
#: What each caller is answered there: a status; "login": to log in first; "in": whatever else there is to say.
DOORS: dict[str, tuple[int | str, ...]] = {
    "open": ("in", "in", "in", "in", "in", "in", "in", "in"),
    "learner": (401, 401, 401, 401, 401, "in", 403, 403),
    "viewer": (401, 401, 401, 401, 401, 403, "in", "in"),
    "operator": (401, 401, 401, 401, 401, 403, 403, "in"),
    "signed": (401, 401, 401, 401, 401, 401, 401, 401),
    "login form": (401, 401, 401, 401, 401, 401, "in", "in"),
    "page": ("login", "login", "login", "login", "login", "login", "in", "in"),
    "operator's page": ("login", "login", "login", "login", "login", "login", 403, "in"),
}
ROUTES = {
    "GET /healthz": "open",
    "GET /readyz": "open",
    "GET /api/openapi.json": "open",
    "GET /progress*": "open",
    "* /api/v1/learning/progress*": "learner",
    "POST /api/sync/*": "operator",
    "GET /api/sync/runs/{run_id}": "viewer",
    "POST /api/webhooks/*": "signed",
    "GET /admin": "open",
    "GET /admin/static/*": "open",
    "GET /admin/language/{language}": "open",
    "GET /admin/login": "open",
    "POST /admin/login": "login form",
    "POST /admin/logout": "page",
    "GET /admin/": "page",
    "GET /admin/overview/live": "page",
    "GET /admin/syncs/{run_id}": "page",
    "POST /admin/syncs": "operator's page",
    "GET /admin/mapping": "page",
    "GET /admin/mapping/{course:uuid}": "page",
    "POST /admin/mapping/*": "operator's page",
    "GET /admin/rejects": "page",
    "GET /admin/rejects/{reject_id}": "page",
    "POST /admin/rejects/*": "operator's page",
    "GET /admin/debug": "page",
    "POST /admin/debug/*": "operator's page",
}
UUID = "5f0c3c0e-4f6b-4a1e-9a53-0d5a6a1f2b3c"
PLACES = {"lesson_id": "2", "run_id": UUID, "course": UUID, "lesson": UUID, "reject_id": "1"}
PLACES |= {"intent": "pin", "language": "en"}


def routes(app: FastAPI) -> set[str]:
    return {
        f"{method} {route.path}"
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
        if method != "HEAD"
    }


def entries(route: str) -> list[str]:
    """The entry of a route: that of its own name, or those that fit it."""
    return [route] if route in ROUTES else [entry for entry in ROUTES if fnmatchcase(route, entry)]


@pytest.fixture(autouse=True)
def signed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Webhooks are let in, if they are signed."""
    for name in ("WTL_WEBHOOK_SECRET", "BAKALARI_WEBHOOK_SECRET"):
        monkeypatch.setenv(name, "whsec_" + "QUJD" * 8)


@pytest.fixture
def tokens(token: Callable[..., str], database: Database) -> Mapping[str, str]:
    """By the caller. What expired or was revoked had been good for everything."""
    with database.session() as session:
        expired, _ = create_token(session, "expired", SCOPES, "user-0", timedelta(microseconds=1))
        revoked, _ = create_token(session, "revoked", SCOPES, "user-0")
        revoke_token(session, "revoked")
    return {
        "malformed": "two words",
        "unknown": "spl_" + "A" * 43,
        "expired": expired,
        "revoked": revoked,
        "learner": token("learner", "user-0"),
        "viewer": token("viewer"),
        "operator": token("operator"),
    }


@pytest.fixture
def ask(service: FastAPI, address: str, tokens: Mapping[str, str]) -> Generator[Callable[..., Any]]:
    """Asks as a caller by all that it has: its token in the header, and the session that it may get for it."""
    # A minute goes by each time that somebody looks: how much is too much is another test's affair.
    service.state.throttle = Throttle(itertools.count(0, 60).__next__)

    with ExitStack() as stack:
        visitors = {caller: stack.enter_context(Visitor(address)) for caller in CALLERS}

        def outcome(route: str, caller: str) -> int | str:
            method, template = route.split(" ", 1)
            path = re.sub(r"\{(\w+)[^}]*\}", lambda found: PLACES[found[1]], template)
            visitor, shown = visitors[caller], tokens.get(caller)
            visitor.cookies.clear()
            headers = {"Authorization": f"Bearer {shown}"} if shown else {}
            if not template.startswith("/admin"):
                return _outcome(visitor.request(method, path, headers=headers))
            if shown and ROUTES[entries(route)[0]] != "login form":
                headers |= _session(visitor, shown)
            if method == "POST":
                return _outcome(visitor.post_form(path, {"token": shown or ""}, **headers))
            return _outcome(visitor.get(path, headers=headers))

        yield outcome


def _session(visitor: Visitor, token: str) -> dict[str, str]:
    """Log in, if one may; gives what shows that a page of ours sent a form."""
    visitor.log_in(token)
    found = re.search(r'name="csrf" value="(\w+)"', visitor.get("/admin/debug").text)
    return {"X-CSRF-Token": found[1]} if found else {}


def _outcome(answer: httpx.Response) -> int | str:
    assert answer.status_code != 500, answer.request.url
    if answer.status_code in (401, 403, 429):
        return answer.status_code
    # Who logs out is sent there too, and loses a cookie.
    to_log_in = answer.headers.get("Location", "").startswith("/admin/login")
    return "login" if to_log_in and "Set-Cookie" not in answer.headers else "in"


def test_every_route_has_its_entry_and_every_entry_a_route(service: FastAPI) -> None:
    found = {route: entries(route) for route in routes(service)}
    assert {route: fitting for route, fitting in found.items() if len(fitting) != 1} == {}
    assert ROUTES.keys() == {fitting[0] for fitting in found.values()}


def test_everybody_gets_in_where_they_may_and_nowhere_else(
    service: FastAPI, ask: Callable[[str, str], int | str]
) -> None:
    wrong = {
        (route, caller): (found, "in place of", expected)
        for route in sorted(routes(service))
        for caller, expected in zip(CALLERS, DOORS[ROUTES[entries(route)[0]]], strict=True)
        if (found := ask(route, caller)) != expected
    }
    assert wrong == {}
