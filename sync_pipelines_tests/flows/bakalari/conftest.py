from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.postgres.engine import Database
from sync_pipelines.sandbox.bakalari import School
from sync_pipelines.sandbox.server import serving
from sync_pipelines_tests.conftest import SCHEMAS
from sync_pipelines_tests.flows.bakalari.known import truth
from sync_pipelines_tests.flows.bakalari.town import Town


class _Door:
    """An address on a real socket, behind which one town comes after the other."""

    url = ""
    town: Town

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.town(scope, receive, send)


@pytest.fixture(scope="module")
def shared_database_url(create_database: Callable[..., str]) -> str:
    """One for all towns of a module: each begins with empty tables."""
    return create_database()


@pytest.fixture(scope="module")
def door() -> Iterator[_Door]:
    door = _Door()
    with serving(door) as door.url:
        yield door


@pytest.fixture
def town(shared_database_url: str, door: _Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    """A town without schools."""
    engine: Any = Database(shared_database_url, SCHEMAS).engine
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        town = door.town = Town(connection, shared_database_url, tmp_path, monkeypatch)
        town.url = door.url
        yield town


@pytest.fixture
def school(town: Town) -> School:
    """The town's only one, of which everything is known."""
    school = School.invented("s", classes=3, students=24, teachers=4, seed=3)
    town.open_whole(school)
    town.run_well()
    assert town.held("s") == truth(school)
    return school
