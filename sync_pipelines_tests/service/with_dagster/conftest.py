"""The service beside a Dagster of its own: webserver, daemons and code server, two schools and a platform.

Of a module, for Dagster takes long to start. No schedule runs: what happens, a test has asked for.
"""

import itertools
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from sync_pipelines.cli.dagster_ui import DagsterUi
from sync_pipelines.cli.workplace import project_file, workplace
from sync_pipelines.postgres.api_tokens import Scope, create_token
from sync_pipelines.postgres.engine import Database
from sync_pipelines.sandbox.bakalari import School
from sync_pipelines.sandbox.server import serving
from sync_pipelines.sandbox.town import PASSWORD, schools_file, town_app
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.service.app import make_app
from sync_pipelines.settings import Settings
from sync_pipelines_tests.conftest import plain_rows
from sync_pipelines_tests.service.conftest import documented

_REPOSITORY = '{repositoryName: "__repository__", repositoryLocationName: "sync_pipelines"}'


@dataclass
class Place:
    """What there is: who is asked, who asks, and who runs it."""

    platform: Platform
    schools: list[School]
    settings: Settings
    app: FastAPI
    address: str
    ui: DagsterUi

    def graphql(self, query: str, **variables: Any) -> Any:
        """Dagster as its own pages see it."""
        asked = {"query": query, "variables": variables}
        said = httpx.post(f"{self.ui.url}/graphql", json=asked, timeout=60).json()
        assert "errors" not in said, said
        return said["data"]

    def query(self, statement: str, **parameters: Any) -> list[Any]:
        with self.database.engine.begin() as connection:
            return plain_rows(connection.execute(sa.text(statement), parameters))

    @property
    def database(self) -> Database:
        return self.app.state.database


@pytest.fixture(scope="module")
def place(create_database: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Generator[Place]:
    folder = tmp_path_factory.mktemp("with_dagster")
    platform = Platform.invented(courses=3, lessons=12, users=9)
    schools = [School.invented(name, classes=2, students=12, teachers=4) for name in ("prvni", "druha")]
    with pytest.MonkeyPatch.context() as environment, serving(town_app(platform, schools)) as upstreams:
        file = folder / "schools.toml"
        file.write_text(schools_file(schools, upstreams, "superuser", None, "SANDBOX_PASSWORD"), "utf-8")
        ui = DagsterUi(_port(), project_file("workspace.yaml"), folder / "dagster.log")
        for name, value in {
            "SYNC_DATABASE_URL": create_database(),
            "SYNC_HOME": str(folder / "home"),
            "SYNC_RETRIES": "0",
            "SYNC_EVERY_MINUTES": "60",
            "DAGSTER_WEBSERVER_URL": ui.url,
            "WTL_API_URL": f"{upstreams}/api/v1",
            "WTL_API_TOKEN": platform.token,
            "BAKALARI_SCHOOLS_FILE": str(file),
            "SANDBOX_PASSWORD": PASSWORD,
        }.items():
            environment.setenv(name, value)
        with workplace(Settings.load()) as settings, ui:
            ui.wait_until_it_answers()
            app = make_app(settings)
            with serving(app, lifespan=True) as address:
                here = Place(platform, schools, settings, app, address, ui)
                _stop_schedules(here)
                yield here


def _port() -> int:
    """One that the system gives to nobody else for a while: another process of tests may look for one, too."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def _stop_schedules(place: Place) -> None:
    asked = f"{{schedulesOrError(repositorySelector: {_REPOSITORY}) {{... on Schedules {{results {{id}}}}}}}}"
    for schedule in place.graphql(asked)["schedulesOrError"]["results"]:
        stop = "mutation($id: String!) {stopRunningSchedule(id: $id) {__typename}}"
        place.graphql(stop, id=schedule["id"])


_numbers = itertools.count()


@pytest.fixture
def token(place: Place) -> Callable[[Scope], str]:
    """Makes tokens."""

    def make(scope: Scope) -> str:
        with place.database.session() as session:
            return create_token(session, f"token {next(_numbers)}", {scope})[0]

    return make


@pytest.fixture
def asking(place: Place, token: Callable[[Scope], str]) -> Generator[Callable[[Scope], httpx.Client]]:
    """Makes clients of the service, each with a token of a scope; every answer is held against the document."""
    clients: list[httpx.Client] = []

    def make(scope: Scope) -> httpx.Client:
        client = httpx.Client(
            base_url=place.address,
            headers={"Authorization": f"Bearer {token(scope)}"},
            event_hooks={"response": [documented(place.app)]},
            timeout=120,
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def operator(asking: Callable[[Scope], httpx.Client]) -> httpx.Client:
    return asking("operator")
