"""People in front of the admin pages, over a real socket."""

from collections.abc import Callable, Generator
from contextlib import ExitStack

import pytest

from sync_pipelines_tests.service.admin.visiting import Visitor


@pytest.fixture
def visit(address: str) -> Generator[Callable[..., Visitor]]:
    """Makes browsers, without scripts, that have never been here."""
    with ExitStack() as stack:
        yield lambda **headers: stack.enter_context(Visitor(address, **headers))


@pytest.fixture
def operator(visit: Callable[..., Visitor], token: Callable[..., str]) -> Visitor:
    """An operator who is logged in."""
    visitor = visit()
    visitor.log_in(token("operator"))
    return visitor


@pytest.fixture
def viewer(visit: Callable[..., Visitor], token: Callable[..., str]) -> Visitor:
    """A viewer who is logged in."""
    visitor = visit()
    visitor.log_in(token("viewer"))
    return visitor
