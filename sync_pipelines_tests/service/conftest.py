"""The service on a real socket. Every answer that a test sees is held against the OpenAPI document."""

import itertools
import re
from collections.abc import Callable, Generator
from typing import Any

import httpx
import jsonschema
import pytest
from fastapi import FastAPI

from sync_pipelines.postgres.api_tokens import Scope, create_token
from sync_pipelines.postgres.engine import Database
from sync_pipelines.service.app import make_app
from sync_pipelines.settings import Settings
from sync_pipelines_tests.service.asking import Learner

LESSONS = range(1, 6)


@pytest.fixture
def service(
    database_url: str, monkeypatch: pytest.MonkeyPatch, query: Callable[..., list[Any]]
) -> Generator[FastAPI]:
    """The app, of a platform with the lessons 1 to 5."""
    monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
    # Where nobody listens: at the usual address a developer's own may.
    monkeypatch.setenv("DAGSTER_WEBSERVER_URL", "http://127.0.0.1:9")
    for lesson in LESSONS:
        query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES (:id, 'Zlomky')", id=str(lesson))
    app = make_app(Settings.load())
    yield app
    app.state.database.engine.dispose()


@pytest.fixture
def address(service: FastAPI, serve: Callable[..., str]) -> str:
    return serve(service, lifespan=True)


@pytest.fixture
def api(service: FastAPI, address: str) -> Generator[httpx.Client]:
    """A client without a token."""
    hooks = {"response": [documented(service)]}
    with httpx.Client(base_url=address, event_hooks=hooks, timeout=60) as client:
        yield client


@pytest.fixture
def token(database: Database) -> Callable[..., str]:
    """Makes tokens."""
    numbers = itertools.count()

    def make(scope: Scope, subject: str | None = None) -> str:
        with database.session() as session:
            return create_token(session, f"token {next(numbers)}", {scope}, subject)[0]

    return make


@pytest.fixture
def learner(api: httpx.Client, token: Callable[..., str]) -> Callable[..., Learner]:
    """Makes learners that nobody knew before, each with a token."""
    numbers = itertools.count()

    def make() -> Learner:
        user = f"user-{next(numbers)}"
        return Learner(api, user, token("learner", user))

    return make


def documented(app: FastAPI) -> Callable[[httpx.Response], None]:
    """Checks that the document knows an answer of an operation that it has: status, headers and body."""
    document = app.openapi()

    def check(response: httpx.Response) -> None:
        response.read()
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", response.headers["X-Request-ID"])
        for template, operations in document["paths"].items():
            path = "[^/]+".join(map(re.escape, re.split(r"\{\w+\}", template)))
            operation = operations.get(response.request.method.lower())
            if operation and re.fullmatch(
                path, response.request.url.path.rstrip("/") + "/" * template.endswith("/")
            ):
                (said,) = [
                    a for status, a in operation["responses"].items() if int(status) == response.status_code
                ]
                assert response.headers.keys() >= {name.lower() for name in said["headers"]} - {
                    "idempotency-replayed"
                }
                (content,) = said["content"].values()
                schema = {**content["schema"], "components": document["components"]}
                jsonschema.validate(response.json(), schema, format_checker=jsonschema.FormatChecker())
                return
        assert response.status_code in (404, 405) or response.request.url.path == app.openapi_url

    return check
