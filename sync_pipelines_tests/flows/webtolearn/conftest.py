from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sync_pipelines.postgres.engine import Database
from sync_pipelines.sandbox.server import serving
from sync_pipelines_tests.conftest import SCHEMAS
from sync_pipelines_tests.flows.webtolearn.school import Door, School


@pytest.fixture(scope="module")
def shared_database_url(create_database: Callable[..., str]) -> str:
    """One for all schools of a module: each begins with empty tables."""
    return create_database()


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    """An address for all schools of a module, one after the other."""
    door = Door()
    with serving(door) as door.url:
        yield door


@contextmanager
def _opened(database_url: str, door: Door, monkeypatch: pytest.MonkeyPatch) -> Generator[School, None, None]:
    engine: Any = Database(database_url, SCHEMAS).engine
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        school = School(connection, database_url, door)
        for module in ("lists", "by_course"):
            monkeypatch.setattr(f"sync_pipelines.flows.webtolearn.{module}.WebToLearnClient", school.client)
        yield school


@pytest.fixture
def school(shared_database_url: str, door: Door, monkeypatch: pytest.MonkeyPatch) -> Iterator[School]:
    """A school with eight courses, of which nothing is synced yet."""
    with _opened(shared_database_url, door, monkeypatch) as school:
        yield school


@pytest.fixture
def own_school(database_url: str, door: Door, monkeypatch: pytest.MonkeyPatch) -> Iterator[School]:
    """The same with a database of its own, for tests that change its tables."""
    with _opened(database_url, door, monkeypatch) as school:
        yield school
