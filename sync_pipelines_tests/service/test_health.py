"""/healthz and /readyz: what they look at, what they say to anybody, and how little it costs."""

import re
import socket
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sync_pipelines.flows.naming import FLOWS_BY_NAME
from sync_pipelines.flows.progress.inbox import Inbox
from sync_pipelines.sandbox.bakalari import School
from sync_pipelines.service.app import make_app
from sync_pipelines.service.health import CHECKS, Readiness
from sync_pipelines.settings import Settings
from sync_pipelines_tests.service.conftest import documented

Query = Callable[..., list[Any]]
Client = Callable[..., httpx.Client]


class Dagster:
    """A webserver that says its version, and counts how often it was asked for that."""

    def __init__(self) -> None:
        self.asked = 0
        self.app = Starlette(routes=[Route("/graphql", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> JSONResponse:
        self.asked += (await request.json())["query"] == "{ version }"
        return JSONResponse({"data": {"version": "1"}})


@pytest.fixture
def dagster() -> Dagster:
    return Dagster()


@pytest.fixture
def ask(
    serve: Callable[..., str], database_url: str, dagster: Dagster, monkeypatch: pytest.MonkeyPatch
) -> Generator[Client]:
    """Makes clients of a service of these settings; by default its database and its Dagster are well."""
    with ExitStack() as stack:

        def make(change: Callable[[FastAPI], None] = lambda app: None, **settings: str) -> httpx.Client:
            well = {"SYNC_DATABASE_URL": database_url, "DAGSTER_WEBSERVER_URL": serve(dagster.app)}
            for name, value in {**well, **settings}.items():
                monkeypatch.setenv(name, value)
            Inbox.of(Settings.load()).make()
            app = make_app(Settings.load())
            change(app)
            hooks = {"response": [documented(app)]}
            address = serve(app, lifespan=True)
            return stack.enter_context(httpx.Client(base_url=address, event_hooks=hooks, timeout=60))

        yield make


@pytest.fixture
def synced(query: Query) -> Callable[..., None]:
    """Writes down that all of a flow was complete so many minutes ago."""

    def note(flow: str, minutes: int, *sites: str) -> None:
        for stream in FLOWS_BY_NAME[flow].settled:
            for name in [f"{stream}/{site}" for site in sites] or [stream]:
                query(
                    "INSERT INTO sync.streams (stream, last_complete_at, last_report) "
                    "VALUES (:name, now() - :minutes * interval '1 minute', '{\"fetched\": 1}')",
                    name=name,
                    minutes=minutes,
                )

    return note


def wrong(answer: httpx.Response) -> str:
    """Why the service is not ready, in the one shape and in words."""
    said = answer.json()
    assert (answer.status_code, said["code"], said["status"]) == (503, "unavailable", "unavailable")
    assert said["requestId"] == answer.headers["X-Request-ID"]
    assert int(answer.headers["Retry-After"]) > 0
    return said["detail"]


def test_where_all_is_well_it_is_said_of_each(ask: Client, synced: Callable[..., None]) -> None:
    synced("progress", 1)
    said = ask().get("/readyz").json()
    (flow,) = said["checks"].pop("flows").items()
    assert said == {"status": "ok", "checks": {"database": {"status": "ok"}, "dagster": {"status": "ok"}}}
    assert flow[0] == "progress"
    assert flow[1]["status"] == "fresh"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", flow[1]["lastCompleteAt"])


def test_each_may_be_asked_for_by_itself(ask: Client, synced: Callable[..., None]) -> None:
    synced("progress", 1)
    client = ask()
    for check in CHECKS:
        assert client.get("/readyz", params={"check": check}).json()["checks"].keys() == {check}
    two = client.get("/readyz", params={"check": ["flows", "database"]})
    assert two.json()["checks"].keys() == {"flows", "database"}


def test_a_check_that_there_is_not_is_refused(ask: Client) -> None:
    for odd in (["databases"], ["database", ""], ["database,flows"]):
        answer = ask().get("/readyz", params={"check": odd})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
        assert [error["field"] for error in answer.json()["errors"]] == ["check"]


def test_without_dagster_the_service_is_not_ready_and_learners_are_served(
    ask: Client, synced: Callable[..., None]
) -> None:
    synced("progress", 1)
    client = ask(DAGSTER_WEBSERVER_URL="http://127.0.0.1:9")
    answer = client.get("/readyz")
    assert wrong(answer) == "Dagster does not answer."
    assert answer.json()["checks"]["dagster"] == {"status": "unavailable", "reason": "Dagster does not answer."}
    assert answer.json()["checks"]["database"] == {"status": "ok"}
    assert client.get("/readyz?check=database&check=flows").status_code == 200


def test_without_a_database_the_service_is_up_and_not_ready(ask: Client, caplog: pytest.LogCaptureFixture) -> None:
    client = ask(SYNC_DATABASE_URL="postgresql://anna:hunter22@127.0.0.1:1/d")
    assert client.get("/healthz").json() == {"status": "ok"}
    for check in ("database", "flows"):
        answer = client.get("/readyz", params={"check": check})
        assert "database" in wrong(answer)
        assert not {"hunter22", "anna", "127.0.0.1"} & set(re.split(r"[^\w.]", answer.text))
    assert "DatabaseUnavailable" in caplog.text
    assert "hunter22" not in caplog.text


def test_who_never_answers_is_not_waited_for(ask: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        nobody = {"SYNC_DATABASE_URL": f"postgresql://u@127.0.0.1:{port}/d?connect_timeout=6"}
        answer = ask(**nobody, DAGSTER_WEBSERVER_URL=f"http://127.0.0.1:{port}").get("/readyz")
    checks = answer.json()["checks"]
    assert wrong(answer).startswith("The database does not answer. Dagster does not answer.")
    assert (checks["database"]["status"], checks["dagster"]["status"]) == ("unavailable", "unavailable")


def test_another_versions_tables_are_none(ask: Client, create_database: Callable[..., str]) -> None:
    answer = ask(SYNC_DATABASE_URL=create_database(empty=True)).get("/readyz?check=database")
    assert wrong(answer) == "The database does not have this version's tables."


def test_a_flow_that_is_old_or_never_was_is_named_and_no_school_is(
    ask: Client, synced: Callable[..., None], set_up_schools: Callable[..., dict[str, str]]
) -> None:
    schools = [School.invented(name, classes=1, students=1, teachers=1) for name in ("prvni", "druha")]
    synced("bakalari", 0, "prvni")
    synced("bakalari", 51, "druha")
    answer = ask(**set_up_schools(*schools)).get("/readyz")
    assert re.fullmatch(
        r"bakalari: 1 of 2 schools: no complete sync since \S+ \S+ UTC\. progress: no complete sync so far\.",
        wrong(answer),
    )
    flows = answer.json()["checks"]["flows"]
    assert {name: flow["status"] for name, flow in flows.items()} == {"bakalari": "stale", "progress": "never"}
    assert not {"prvni", "druha"} & set(re.split(r"\W", answer.text))


def test_many_who_ask_at_once_cost_one_look_and_all_are_told_the_same(ask: Client, dagster: Dagster) -> None:
    clock = [0.0]

    def with_our_clock(app: FastAPI) -> None:
        app.state.readiness = Readiness(app.state.settings, app.state.database, lambda: clock[0])

    client = ask(with_our_clock)
    with ThreadPoolExecutor(8) as threads:
        said = {answer.text for answer in threads.map(client.get, ["/readyz?check=dagster"] * 24)}
    assert (len(said), dagster.asked) == (1, 1)
    for clock[0], looks in ((1.9, 1), (2.0, 2)):
        client.get("/readyz?check=dagster")
        assert dagster.asked == looks
