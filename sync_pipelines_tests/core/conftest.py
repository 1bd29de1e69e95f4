from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sync_pipelines.postgres.engine import Session
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
