"""Real parts: one PostgreSQL for the session, a database of its own for each test, the sandbox on real sockets."""

import os
import signal
import sys
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings

from sync_pipelines.postgres import migrate
from sync_pipelines.postgres.embedded import embedded_postgres
from sync_pipelines.postgres.engine import Database, Session
from sync_pipelines.sandbox.bakalari import School
from sync_pipelines.sandbox.server import serving
from sync_pipelines.sandbox.town import PASSWORD, schools_file, town_app
from sync_pipelines.sandbox.webtolearn import Platform, webtolearn_app
from sync_pipelines.settings import Settings

SCHEMAS = {"sync": "sync", "wtl": "wtl", "bakalari": "bakalari", "learning": "learning", "dagster": "dagster"}

settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
settings.load_profile("default")


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and so would all it starts: tests interrupt what they started."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A test sees the settings it makes: not the developer's environment, not a .env."""
    for name in [*(str(f.validation_alias) for f in Settings.model_fields.values())]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def no_instance_of_another_test() -> Generator[None, None, None]:
    """Dagster keeps whose instance is current, and instances that overlapped leave one there that is gone."""
    state = sys.modules.get("dagster._core.storage.defs_state.base")
    with state.set_defs_state_storage(None) if state else nullcontext():
        yield


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    """A PostgreSQL server: SYNC_TEST_DATABASE_URL's, or an embedded one."""
    if given := os.environ.get("SYNC_TEST_DATABASE_URL"):
        yield given
        return
    with embedded_postgres(tmp_path_factory.mktemp("pg")) as url:
        _never_wait_for_the_disk(url)
        yield url


def _never_wait_for_the_disk(url: str) -> None:
    """Tests kill clients, never the machine: what the server has written, it has."""
    admin = sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(sa.text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(sa.text("SELECT pg_reload_conf()"))


@pytest.fixture(scope="session")
def create_database(server_url: str) -> Generator[Callable[..., str], None, None]:
    """Makes databases, empty or with the schema in place, and gives their addresses."""
    admin = sa.create_engine(
        sa.make_url(server_url).set(drivername="postgresql+psycopg"),
        poolclass=sa.NullPool,
        isolation_level="AUTOCOMMIT",
    )
    made: list[str] = []

    def create(*, empty: bool = False, template: str | None = None) -> str:
        name = f"t_{uuid.uuid4().hex[:12]}"
        source = "template0" if empty else template or migrated
        with admin.connect() as connection:
            connection.execute(sa.text(f'CREATE DATABASE "{name}" TEMPLATE "{source}"'))
        made.append(name)
        return name

    def address(name: str) -> str:
        return sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)

    migrated = create(empty=True)
    migrate.upgrade(Database(address(migrated), SCHEMAS))
    yield lambda **options: address(create(**options))
    with admin.connect() as connection:
        for name in made:
            connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


@pytest.fixture
def database_url(create_database: Callable[..., str]) -> str:
    """A fresh database at this version's revision."""
    return create_database()


@pytest.fixture
def database(database_url: str) -> Database:
    return Database(database_url, SCHEMAS)


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.session() as session:
        yield session


@pytest.fixture
def query(database: Database) -> Callable[..., list[Any]]:
    """Runs SQL on a connection of its own; gives rows as tuples, or plain values for one column."""

    def run(statement: str, **parameters: Any) -> list[Any]:
        with database.engine.begin() as connection:
            return plain_rows(connection.execute(sa.text(statement), parameters))

    return run


def plain_rows(result: sa.CursorResult[Any]) -> list[Any]:
    """Rows as tuples, or plain values for one column."""
    if not result.returns_rows:
        return []
    rows = [tuple(row) for row in result]
    return [row[0] for row in rows] if rows and len(rows[0]) == 1 else rows


@pytest.fixture
def serve() -> Generator[Callable[..., str], None, None]:
    """Serves a Platform (or any ASGI app) on a socket until the test ends; gives the base address."""
    with ExitStack() as stack:

        def start(served: Any, **options: Any) -> str:
            if isinstance(served, Platform):
                return stack.enter_context(serving(webtolearn_app(served))) + "/api/v1"
            return stack.enter_context(serving(served, **options))

        yield start


@pytest.fixture
def set_up_schools(serve: Callable[..., str], database_url: str, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Serves schools; gives the environment that names them, each with its superuser, and the test's database."""

    def set_up(*schools: School, accounts: Any = "superuser", at_most: int | None = None) -> dict[str, str]:
        address = serve(town_app(Platform.invented(courses=0, lessons=0, users=0), schools))
        path = tmp_path / "schools.toml"
        path.write_text(schools_file(schools, address, accounts, at_most, "SANDBOX_PASSWORD"), "utf-8")
        return {
            "SYNC_DATABASE_URL": database_url,
            "BAKALARI_SCHOOLS_FILE": str(path),
            "SANDBOX_PASSWORD": PASSWORD,
        }

    return set_up


@pytest.fixture
def sync_settings(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Settings]:
    """Settings for the test's database and the WebToLearn platform at an address."""

    def make(api_url: str, token: str = "sandbox-token") -> Settings:
        monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
        monkeypatch.setenv("WTL_API_URL", api_url)
        monkeypatch.setenv("WTL_API_TOKEN", token)
        return Settings.load()

    return make
