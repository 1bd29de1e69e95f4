"""Sessions and forms: who is let in, by what, and who may send what."""

import re
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.postgres.api_tokens import revoke_token
from sync_pipelines.postgres.engine import Database
from sync_pipelines.service.admin.person import own_path
from sync_pipelines.service.app import make_app
from sync_pipelines.settings import Settings
from sync_pipelines_tests.service.admin.visiting import Visitor

Visit = Callable[..., Visitor]
Token = Callable[..., str]
SOMETHING = "00000000-0000-0000-0000-000000000000"
OPEN_TO_ALL = re.compile(r"/admin|/admin/(login|language/.*|static/.*)")


def routes(app: FastAPI, method: str) -> list[str]:
    """The addresses of pages that take the method, with something in place of what varies."""
    contexts = [route for route in iter_route_contexts(app.routes) if method in (route.methods or ())]
    paths = [str(context.path) for context in contexts]
    return [re.sub(r"{[^}]+}", SOMETHING, path) for path in paths if path.startswith("/admin")]


def cookie_of(answer: httpx.Response, name: str) -> Any:
    said = SimpleCookie(answer.headers["set-cookie"])
    return said[name]


def test_a_token_opens_a_session(visit: Visit, token: Token) -> None:
    me = visit()
    asked = me.get("/admin/")
    assert (asked.status_code, asked.headers["location"]) == (303, "/admin/login")
    let_in = me.log_in(token("operator"))
    assert (let_in.status_code, let_in.headers["location"]) == (303, "/admin/")
    assert me.get("/admin/").status_code == 200


def test_every_page_but_the_login_asks_who_one_is(service: FastAPI, visit: Visit) -> None:
    me = visit()
    for method in ("GET", "POST"):
        paths = [p for p in routes(service, method) if not OPEN_TO_ALL.fullmatch(p)]
        assert len(paths) > 3
        for path in paths:
            answer = me.request(method, path, headers={"Origin": me.origin})
            assert (path, answer.status_code) == (path, 303)
            assert answer.headers["location"].startswith("/admin/login")


def test_who_logs_in_comes_back_to_where_they_were(visit: Visit, token: Token) -> None:
    me = visit()
    asked = me.get("/admin/rejects?stream=wtl/users&page=2")
    page = me.read(asked.headers["location"])
    back = me.submit(page, "/admin/login", token=token("viewer"))
    assert back.headers["location"] == "/admin/rejects?stream=wtl/users&page=2"


@given(st.text() | st.from_regex(r"/?/?(admin)?[/\\]{0,2}[a-z.:@/\\?\s]*"))
def test_no_login_leads_to_another_site(given: str) -> None:
    then = own_path(given)
    assert then.startswith("/admin/")
    assert httpx.URL("https://ours.example").join(then).host == "ours.example"
    assert not set(then) & set("\\\r\n\t\0 ")


def test_a_cookie_is_for_these_pages_alone_and_for_no_script(visit: Visit, token: Token) -> None:
    cookie = cookie_of(visit().log_in(token("operator")), "sync_session")
    assert (cookie["path"], cookie["samesite"], cookie["httponly"]) == ("/admin", "strict", True)
    assert cookie["secure"] == ""
    assert len(cookie.value) == 43


def test_where_people_come_by_tls_the_cookie_does_too(
    service: FastAPI, token: Token, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_URL", "https://sync.example")
    app = make_app(Settings.load())
    with Visitor(serve(app, lifespan=True)) as me:
        form = {"token": token("operator"), "next": ""}
        answer = me.post("/admin/login", data=form, headers={"Origin": "https://sync.example"})
        cookie = cookie_of(answer, "__Secure-sync_session")
        assert cookie["secure"] is True
        held = {"Cookie": f"__Secure-sync_session={cookie.value}"}
        assert me.get("/admin/", headers=held).status_code == 200
        assert me.get("/admin/", headers={"Cookie": f"sync_session={cookie.value}"}).status_code == 303
    app.state.database.engine.dispose()


def test_a_learner_is_told_what_a_stranger_is_told(visit: Visit, token: Token) -> None:
    told = set()
    for shown in (token("learner", "u1"), "spl_" + "A" * 43, "hunter22", "", "é"):
        answer = visit().log_in(shown)
        assert (answer.status_code, answer.headers.get("set-cookie")) == (401, None)
        told.add(answer.text)
        assert not shown or shown not in answer.text
    assert len(told) == 1


def test_each_login_has_a_new_id_and_ends_the_one_before(visit: Visit, token: Token) -> None:
    me, shown = visit(), token("operator")
    me.log_in(shown)
    old = me.cookies["sync_session"]
    me.log_in(shown)
    assert me.cookies["sync_session"] != old
    assert visit().get("/admin/", headers={"Cookie": f"sync_session={old}"}).status_code == 303


def test_no_id_that_somebody_else_chose_becomes_a_session(visit: Visit, token: Token) -> None:
    me, planted = visit(), "A" * 43
    me.cookies.set("sync_session", planted, path="/admin")
    me.log_in(token("operator"))
    assert visit().get("/admin/", headers={"Cookie": f"sync_session={planted}"}).status_code == 303


def test_logging_out_ends_the_session(operator: Visitor, visit: Visit) -> None:
    held = operator.cookies["sync_session"]
    answer = operator.submit(operator.read("/admin/"), "/admin/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/login")
    assert "sync_session" not in operator.cookies
    assert visit().get("/admin/", headers={"Cookie": f"sync_session={held}"}).status_code == 303


def test_a_revoked_token_ends_its_sessions_with_the_next_page(
    visit: Visit, token: Token, database: Database
) -> None:
    me = visit()
    me.log_in(token("operator"))
    with database.session() as session:
        revoke_token(session, "token 0")
    assert me.get("/admin/").status_code == 303


def test_a_script_is_told_to_go_to_the_login(visit: Visit) -> None:
    shown = {"HX-Request": "true", "HX-Current-URL": "http://x.example/admin/rejects?page=2#a"}
    answer = visit().get("/admin/overview/live", headers=shown)
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/admin/login?next=/admin/rejects%3Fpage%3D2"
    elsewhere = {"HX-Request": "true", "HX-Current-URL": "https://evil.example//evil.example/admin/"}
    assert visit().get("/admin/", headers=elsewhere).headers["hx-redirect"] == "/admin/login"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
def test_nobody_is_logged_in_from_elsewhere(visit: Visit, token: Token, headers: dict[str, str]) -> None:
    answer = visit().post("/admin/login", data={"token": token("operator")}, headers=headers)
    assert (answer.status_code, answer.headers.get("set-cookie")) == (403, None)


def test_nothing_is_done_without_the_token_of_the_sessions_forms(
    service: FastAPI, operator: Visitor, visit: Visit, token: Token
) -> None:
    other = visit()
    other.log_in(token("operator"))
    field = other.read("/admin/").css_first('input[name="csrf"]')
    assert field is not None
    theirs = str(field.attributes["value"])
    for path in routes(service, "POST"):
        if path == "/admin/login":
            continue
        for data, headers in (
            ({}, {}),
            ({"csrf": ""}, {}),
            ({"csrf": "é"}, {}),
            ({"csrf": theirs}, {}),
            ({}, {"X-CSRF-Token": theirs}),
            ({}, {"X-CSRF-Token": "x" * 64}),
        ):
            answer = operator.post_form(path, data, **headers)
            assert (path, answer.status_code) == (path, 403)
            assert "grown old" in answer.text
    assert operator.get("/admin/").status_code == 200


def test_nothing_is_done_that_another_site_sent(operator: Visitor) -> None:
    page = operator.read("/admin/")
    for said in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        field = page.css_first('form[action="/admin/logout"] input[name="csrf"]')
        assert field is not None
        data = {"csrf": str(field.attributes["value"])}
        assert operator.post("/admin/logout", data=data, headers=said).status_code == 403
    assert operator.get("/admin/").status_code == 200


def test_a_viewer_may_look_at_everything_and_start_nothing(service: FastAPI, viewer: Visitor) -> None:
    for path in ("/admin/", "/admin/rejects", "/admin/debug", "/admin/mapping"):
        page = viewer.read(path)
        assert [form.attributes.get("action") for form in page.css("form[method=post]")] == ["/admin/logout"]
    field = viewer.read("/admin/").css_first('input[name="csrf"]')
    assert field is not None
    csrf = {"csrf": str(field.attributes["value"])}
    for path in routes(service, "POST"):
        if path not in ("/admin/login", "/admin/logout"):
            answer = viewer.post_form(path, csrf)
            assert (path, answer.status_code) == (path, 403)
            assert "for operators" in answer.text


def test_a_form_is_of_bounded_size(visit: Visit) -> None:
    answer = visit().post_form("/admin/login", {"token": "x" * 300_000})
    assert answer.status_code == 413


def test_no_token_and_no_session_is_in_the_log(
    visit: Visit, token: Token, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "sync_pipelines")
    me, good, bad = visit(), token("operator"), "spl_" + "B" * 43
    me.log_in(bad)
    me.log_in(good)
    held = me.cookies["sync_session"]
    me.submit(me.read("/admin/"), "/admin/logout")
    assert "logged in" in caplog.text
    assert not [secret for secret in (good, bad, held) if secret in caplog.text]
