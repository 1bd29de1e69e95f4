"""A transaction that the server took back in favour of another's is done again, as if it were the first time."""

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.core import Mark
from sync_pipelines.core.transactions import in_transaction
from sync_pipelines.errors import DatabaseUnavailable, TransactionConflict
from sync_pipelines_tests.core.workshop import (
    STREAM,
    BulkTitleMapper,
    TitleMapper,
    Workshop,
    counts,
    in_memory,
    record,
)

BEFORE = [record("1", "Fizyka"), record("2", "Chemia"), record("3", "Biologia")]
AFTER = [record("1", "Fizyka 2"), record("2", "forbidden"), record("4", "Łacina"), Mark("4")]


def taken_back(workshop: Workshop, step: str, times: int) -> Callable[[], object]:
    """Let a step of the store succeed, and its transaction be taken back right after, so many times."""
    real = getattr(workshop.store, step)
    left = times

    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        result = real(*arguments, **named)
        left -= 1
        if left >= 0:
            raise TransactionConflict("another transaction came first")
        return result

    setattr(workshop.store, step, call)
    return lambda: delattr(workshop.store, step)


@pytest.mark.parametrize(
    "step", ["bind_many", "save_rejects", "resolve_rejects", "save_checkpoint", "mark_vanished"]
)
@pytest.mark.parametrize("times", [1, 3])
def test_what_is_done_again_counts_once(workshop: Workshop, step: str, times: int) -> None:
    workshop.snapshot(BEFORE)
    taken_back(workshop, step, times)
    report = workshop.snapshot(AFTER)
    assert counts(report) == {"updated": 1, "failed": 1, "created": 1, "deleted": 1}
    assert report.complete
    assert workshop.titles() == {"1": "Fizyka 2", "2": "Chemia", "3": "Biologia", "4": "Łacina"}
    assert workshop.vanished() == {"3"}
    assert list(workshop.rejects()) == ["2"]
    assert workshop.store.get_checkpoint(STREAM) == "1:4"


def test_a_first_load_is_done_again_too(workshop: Workshop) -> None:
    taken_back(workshop, "load_bindings", 3)
    assert counts(workshop.snapshot(BEFORE, mapper=BulkTitleMapper(), batch_size=2)) == {"created": 3}
    assert workshop.titles().keys() == workshop.bound().keys() == {"1", "2", "3"}


@pytest.mark.parametrize("mapper", [TitleMapper(), BulkTitleMapper()])
def test_a_server_that_always_takes_it_back_ends_the_run_and_nothing_is_kept(
    workshop: Workshop, mapper: TitleMapper
) -> None:
    steps = ("bind_many", "load_bindings")
    restore = [taken_back(workshop, step, 10_000) for step in steps]
    with pytest.raises(TransactionConflict) as caught:
        workshop.snapshot([*BEFORE, Mark("3")], mapper=mapper, batch_size=2)
    assert (caught.value.transient, caught.value.report.created) == (True, 0)
    assert (workshop.titles(), workshop.bound(), workshop.store.get_checkpoint(STREAM)) == ({}, {}, None)
    for each in restore:
        each()
    assert counts(workshop.snapshot(BEFORE, mapper=mapper)) == {"created": 3}


def test_other_trouble_is_not_tried_again() -> None:
    tried: list[int] = []

    def write() -> None:
        tried.append(1)
        raise DatabaseUnavailable("the connection is lost")

    with pytest.raises(DatabaseUnavailable):
        in_transaction(in_memory().store, write)
    assert len(tried) == 1
