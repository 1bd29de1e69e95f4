from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from sync_pipelines.postgres.engine import Database, Session
from sync_pipelines_tests.conftest import plain_rows
from sync_pipelines_tests.core.workshop import Workshop, in_memory, in_postgres


@pytest.fixture(params=["memory", "postgres"])
def workshop(request: pytest.FixtureRequest) -> Iterator[Workshop]:
    """Each law is held by the in-memory store and by PostgreSQL alike."""
    if request.param == "memory":
        yield in_memory()
    else:
        session: Session = request.getfixturevalue("session")
        query: Callable[..., list[Any]] = request.getfixturevalue("query")
        yield in_postgres(session, query)


@pytest.fixture
def quick_query(database: Database) -> Iterator[Callable[..., list[Any]]]:
    """As `query`, on one connection that stays open: for tests that ask thousands of times."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield lambda statement, **parameters: plain_rows(connection.execute(sa.text(statement), parameters))
