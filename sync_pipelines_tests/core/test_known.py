"""What a long stream knows before it settles anything."""

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.postgres.engine import Session
from sync_pipelines_tests.core.workshop import BulkTitleMapper, Workshop, counts, in_postgres, record

ITEMS = [record(str(i), f"Kurs {i}") for i in range(10)]


def test_an_unchanged_long_stream_reads_versions_and_no_bindings(
    session: Session, query: Callable[..., list[Any]]
) -> None:
    workshop = in_postgres(session, query)
    workshop.sync(ITEMS)
    workshop.store.iter_bindings = lambda _: pytest.fail("bindings were read")
    assert counts(workshop.sync(ITEMS, batch_size=3)) == {"skipped": 10}


@pytest.mark.parametrize("mapper", [BulkTitleMapper(), None])
def test_a_system_of_which_no_row_is_left_is_not_taken_for_a_new_one(
    workshop: Workshop, mapper: BulkTitleMapper | None
) -> None:
    options = {"mapper": mapper} if mapper else {}
    workshop.snapshot(ITEMS)
    for item in ITEMS:
        workshop.forget_row(item[0].key)
    workshop.store.load_bindings = lambda *_: pytest.fail("a key that is bound was loaded")
    assert counts(workshop.snapshot(ITEMS, batch_size=3, **options)) == {"created": 10}


def test_a_system_of_which_all_vanished_is_not_taken_for_a_new_one(workshop: Workshop) -> None:
    workshop.snapshot(ITEMS)
    workshop.snapshot([], allow_mass_vanish=True)
    workshop.store.load_bindings = lambda *_: pytest.fail("a key that is bound was loaded")
    report = workshop.snapshot(ITEMS, batch_size=3, mapper=BulkTitleMapper())
    assert counts(report) == {"updated": 10, "restored": 10}
