"""What holds for every page: its policy, its language, what it says when things fail."""

import re
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from selectolax.lexbor import LexborHTMLParser

from sync_pipelines.service.app import make_app
from sync_pipelines.settings import Settings
from sync_pipelines_tests.service.admin.visiting import Visitor, heading

Visit = Callable[..., Visitor]
PAGES = ("/admin/login", "/admin/", "/admin/rejects", "/admin/debug", "/admin/mapping", "/admin/nothing")


def test_every_page_has_a_strict_policy_and_is_kept_nowhere(operator: Visitor) -> None:
    for path in (*PAGES, "/admin/overview/live"):
        headers = operator.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-opener-policy"] == "same-origin"


def test_no_page_holds_a_script_or_a_style_of_its_own(operator: Visitor) -> None:
    for path in PAGES:
        page = LexborHTMLParser(operator.get(path).text)
        assert all(script.attributes.get("src") and not script.text() for script in page.css("script"))
        assert not page.css("style, [style]")
        assert not [name for node in page.css("*") for name in node.attributes if name.startswith(("on", "hx-on"))]


def test_every_file_that_a_page_names_is_served_with_its_type_and_once(operator: Visitor) -> None:
    named = {
        address
        for path in PAGES
        for address in re.findall(r'(?:src|href)="(/admin/static/[^"]+)"', operator.get(path).text)
    }
    assert len(named) > 3
    for address in named:
        answer = operator.get(address)
        kind = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}[address.rpartition(".")[2]]
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["cache-control"] == "no-cache"
        again = operator.get(address, headers={"If-None-Match": f'W/{answer.headers["etag"]}, "x"'})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(("language", "said"), [("en", "Overview"), ("cs", "Přehled"), ("pl", "Przegląd")])
def test_a_page_speaks_the_browsers_language_or_the_one_that_was_chosen(
    operator: Visitor, language: str, said: str
) -> None:
    asked = operator.get("/admin/", headers={"Accept-Language": f"{language}-XX, de"})
    assert heading(asked) == said
    assert f'<html lang="{language}">' in asked.text
    chosen = operator.get(f"/admin/language/{language}?next=/admin/rejects%3Fpage%3D2")
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/admin/rejects?page=2")
    assert heading(operator.get("/admin/", headers={"Accept-Language": "fr"})) == said


def test_a_language_that_is_none_is_not_chosen_and_leads_nowhere_else(operator: Visitor) -> None:
    assert operator.get("/admin/language/xx").status_code == 404
    away = operator.get("/admin/language/cs?next=https://evil.example/admin/")
    assert away.headers["location"] == "/admin/"


def test_what_is_not_there_is_said_by_a_page_with_the_requests_number(operator: Visitor) -> None:
    for path in ("/admin/nothing", "/admin/syncs/x", "/admin/rejects/1", "/admin/rejects/x", "/admin/static/x.js"):
        answer = operator.get(path, headers={"X-Request-ID": "this-one"})
        assert answer.status_code == 404
        assert heading(answer) == "There is nothing here"
        assert "this-one" in answer.text
    assert operator.delete("/admin/").status_code == 405
    assert operator.get("/admin").headers["location"] == "/admin/"


def test_beside_the_pages_errors_stay_json(operator: Visitor) -> None:
    assert operator.get("/nothing").json()["code"] == "not_found"


def test_a_failure_of_our_own_is_a_page_that_says_nothing_of_the_inside(
    service: FastAPI, visit: Visit, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        secret = "hunter" + "22"
        raise LookupError(secret)

    service.add_api_route("/admin/fail", fail)
    answer = visit(**{"Accept-Language": "cs"}).get("/admin/fail", headers={"X-Request-ID": "this-one"})
    assert (answer.status_code, heading(answer)) == (500, "Něco se pokazilo")
    assert "LookupError" not in answer.text
    assert "this-one" in answer.text
    assert answer.headers["content-security-policy"]
    assert "request this-one failed: LookupError" in caplog.text


def test_without_a_database_a_page_asks_to_come_back(
    serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", "postgresql://anna:hunter22@127.0.0.1:1/d")
    with Visitor(serve(make_app(Settings.load()), lifespan=True)) as me:
        assert me.get("/admin/login").status_code == 200
        answer = me.get("/admin/", headers={"Cookie": f"sync_session={'A' * 43}"})
        assert (answer.status_code, heading(answer)) == (503, "Not just now")
        assert me.log_in("spl_" + "A" * 43).status_code == 503
        assert "hunter22" not in answer.text
