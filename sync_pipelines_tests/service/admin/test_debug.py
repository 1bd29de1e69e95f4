"""The debug page: what a platform does with a course's lessons, as the command line says it."""

from collections.abc import Callable, Generator

import pytest
from fastapi import FastAPI
from selectolax.lexbor import LexborHTMLParser

from sync_pipelines.clients.webtolearn.diagnosis import diagnose_lessons
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.service.app import make_app
from sync_pipelines.settings import Settings
from sync_pipelines_tests.service.admin.visiting import Visitor


@pytest.fixture
def debugging(
    service: FastAPI, serve: Callable[..., str], token: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> Generator[tuple[Visitor, Platform, str]]:
    """An operator of a service that is set up for a platform, the platform, and its address."""
    platform = Platform.invented(courses=3, lessons=12, users=3)
    address = serve(platform)
    monkeypatch.setenv("WTL_API_URL", address)
    monkeypatch.setenv("WTL_API_TOKEN", "sandbox-token")
    app = make_app(Settings.load())
    with Visitor(serve(app, lifespan=True)) as me:
        me.log_in(token("operator"))
        yield me, platform, address
    app.state.database.engine.dispose()


def test_the_page_says_what_was_asked_what_came_and_what_to_do(debugging: tuple[Visitor, Platform, str]) -> None:
    me, platform, address = debugging
    course = platform.courses[0]["id"]
    answer = me.submit(me.read("/admin/debug"), "/admin/debug/lessons", course=f" {course} ")
    shown = LexborHTMLParser(answer.text).text()
    found = diagnose_lessons(address, "sandbox-token", course)
    for advice in found.recommendations:
        assert advice.text in shown
    for endpoint in found.endpoints:
        assert endpoint.path in shown
        assert endpoint.why in shown
    assert "sandbox-token" not in answer.text


@pytest.mark.parametrize("course", ["", "x y", "../../user/list", "1?range=[0,1]"])
def test_what_is_no_id_is_asked_of_nobody(operator: Visitor, course: str) -> None:
    """Not even whether there is somebody to ask."""
    page = operator.read("/admin/debug")
    answer = operator.submit(page, "/admin/debug/lessons", course=course)
    assert "This is no id of a course" in answer.text


def test_a_platform_that_is_not_set_up_is_told_of(operator: Visitor) -> None:
    answer = operator.submit(operator.read("/admin/debug"), "/admin/debug/lessons", course="12")
    assert "WebToLearn is not set up" in answer.text
