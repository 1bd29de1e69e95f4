"""What holds for every answer: its id, its shape, and what it says when things fail."""

import logging
import re
from collections.abc import Callable, Generator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI, Query

from sync_pipelines.errors import SettingsError
from sync_pipelines.postgres.engine import Database
from sync_pipelines.service.app import make_app
from sync_pipelines.settings import Settings
from sync_pipelines_tests.service.asking import PROGRESS, Learner, lesson

Learners = Callable[..., Learner]


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """An error, of the one shape."""
    said = answer.json()
    assert (answer.status_code, said["code"]) == (status, code)
    assert said.keys() <= {"detail", "code", "requestId", "errors"}
    assert said["requestId"] == answer.headers["X-Request-ID"]
    return said


@pytest.fixture
def client_of(serve: Callable[..., str]) -> Generator[Callable[[FastAPI], httpx.Client]]:
    clients: list[httpx.Client] = []

    def make(app: FastAPI) -> httpx.Client:
        clients.append(httpx.Client(base_url=serve(app, lifespan=True), timeout=60))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def without_database(monkeypatch: pytest.MonkeyPatch, client_of: Callable[..., httpx.Client]) -> httpx.Client:
    """The service, of a database that does not answer."""
    monkeypatch.setenv("SYNC_DATABASE_URL", "postgresql://anna:hunter22@127.0.0.1:1/d")
    return client_of(make_app(Settings.load()))


def test_a_callers_request_id_is_taken_where_it_is_sane(api: httpx.Client) -> None:
    for sane in ("a", "A-1_2.3", "x" * 128):
        assert api.get("/healthz", headers={"X-Request-ID": sane}).headers["X-Request-ID"] == sane
    for odd in ("", "a b", "x" * 129, "a/b", "é", "a\tb", '"'):
        given = api.get("/healthz", headers=[(b"X-Request-ID", odd.encode())]).headers["X-Request-ID"]
        assert re.fullmatch("[0-9a-f]{32}", given)
    twice = api.get("/healthz", headers=[("X-Request-ID", "a"), ("X-Request-ID", "b")])
    assert re.fullmatch("[0-9a-f]{32}", twice.headers["X-Request-ID"])


def test_every_answer_has_a_request_id_of_its_own(api: httpx.Client) -> None:
    paths = ("/healthz", "/readyz", PROGRESS, "/nothing", "/api/openapi.json")
    assert len({api.get(path).headers["X-Request-ID"] for path in paths}) == len(paths)


def test_what_is_not_there_is_not_found_in_the_one_shape(api: httpx.Client) -> None:
    for path in ("/", "/nothing", "/api/v1/learning/", "/api/docs", "/docs", "/redoc", f"{PROGRESS}2/3/"):
        problem(api.get(path), 404, "not_found")


def test_a_method_that_is_not_taken_is_told_which_are(api: httpx.Client) -> None:
    answer = api.delete(PROGRESS)
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET"


def test_no_page_of_another_origin_is_let_in(api: httpx.Client) -> None:
    answer = api.options(PROGRESS, headers={"Origin": "https://a.cz", "Access-Control-Request-Method": "GET"})
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_without_a_database_everybody_is_asked_to_come_back(
    without_database: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Authorization": "Bearer spl_" + "A" * 43}
    for method, path in (("GET", ""), ("PATCH", "2/"), ("POST", "import/")):
        answer = without_database.request(method, PROGRESS + path, headers=headers)
        problem(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert not {"hunter22", "anna", "127.0.0.1"} & set(re.split(r"[^\w.]", answer.text))
    assert "DatabaseUnavailable" in caplog.text
    assert "hunter22" not in caplog.text


def test_a_database_that_restarted_is_noticed_by_nobody(learner: Learners, database: Database) -> None:
    me = learner()
    me.send({"2": lesson()})
    with database.session() as session, session.transaction() as connection:
        others = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = :name"
        ended = connection.execute(sa.text(others), {"name": "sync-pipelines serve"}).all()
    assert ended
    assert len(me.rows()) == 1


def test_a_failure_of_the_database_is_told_to_the_log_and_not_to_the_caller(
    learner: Learners, query: Callable[..., list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    me = learner()
    query("ALTER TABLE learning.lesson_progress RENAME TO elsewhere")
    for answer in (me.ask("GET"), me.patch(2, lesson()), me.send({"2": lesson()})):
        said = problem(answer, 500, "internal")
        assert "lesson_progress" not in answer.text
        assert [
            record
            for record in caplog.records
            if said["requestId"] in record.getMessage()
            and 'lesson_progress" does not exist' in record.getMessage()
        ]


def test_a_failure_of_our_own_is_told_to_the_log_and_not_to_the_caller(
    service: FastAPI, serve: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        secret = "hunter" + "22"
        raise LookupError(secret)

    service.add_api_route("/fail", fail)
    answer = httpx.get(f"{serve(service)}/fail", headers={"X-Request-ID": "this-one"})
    said = problem(answer, 500, "internal")
    assert said["requestId"] == "this-one"
    assert "LookupError" not in answer.text
    assert "request this-one failed: LookupError" in caplog.text
    assert "in fail\n" in caplog.text
    assert "hunter22" not in caplog.text


def test_parameters_that_are_not_valid_are_named_in_the_one_shape(
    service: FastAPI, serve: Callable[..., str]
) -> None:
    """Of routes that leave reading them to the framework."""

    def wait(wait: int = Query(le=60)) -> int:
        return wait

    service.add_api_route("/wait", wait)
    said = problem(httpx.get(f"{serve(service)}/wait?wait=61"), 422, "invalid")
    assert [error["field"] for error in said["errors"]] == ["wait"]


def test_requests_are_logged_by_route_status_and_id(api: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sync_pipelines")
    api.get("/healthz", headers={"X-Request-ID": "this-one"})
    assert re.search(r"GET /healthz: 200 after \d+ ms, request this-one", caplog.text)


def test_a_service_without_a_database_in_its_settings_is_none() -> None:
    with pytest.raises(SettingsError, match="SYNC_DATABASE_URL"):
        make_app(Settings.load())
