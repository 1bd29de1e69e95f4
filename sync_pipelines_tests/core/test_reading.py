"""A fetch's items, and what it proves."""

from collections.abc import Generator
from typing import Any

import pytest

from sync_pipelines.core import Coverage
from sync_pipelines.core.reading import Reading
from sync_pipelines.errors import SourceUnavailable
from sync_pipelines_tests.core.workshop import record

ITEMS = [record("1", "Fizyka"), record("2", "Chemia")]


def fetch(returned: Any, error: Exception | None = None) -> Generator[Any, None, Any]:
    yield from ITEMS
    if error is not None:
        raise error
    return returned


def test_what_a_fetch_returns_is_known_after_its_last_item() -> None:
    reading = Reading[str](fetch(Coverage.changes()))
    for item in reading:
        assert item in ITEMS
        assert not reading.coverage.complete
    assert reading.coverage == Coverage.changes()


@pytest.mark.parametrize("given", [ITEMS, iter(ITEMS), fetch(None), fetch("everything"), fetch(True)])
def test_a_fetch_that_returns_no_coverage_has_proven_nothing(given: Any) -> None:
    reading = Reading[str](given)
    assert list(reading) == ITEMS
    assert reading.coverage == Coverage(complete=False)


def test_a_fetch_that_fails_has_proven_nothing_and_its_error_comes_through() -> None:
    reading = Reading[str](fetch(Coverage.changes(), SourceUnavailable("page 2 did not come")))
    with pytest.raises(SourceUnavailable):
        list(reading)
    assert not reading.coverage.complete
