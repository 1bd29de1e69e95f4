"""What waits, for how long, and in which order it is written."""

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.core import Records, Unreadable, fingerprint
from sync_pipelines_tests.core.workshop import (
    SYSTEM,
    BulkTitleMapper,
    Workshop,
    counts,
    key,
    record,
)


def sizes_of(workshop: Workshop, step: str, argument: int = 0) -> list[int]:
    """How many each call of a step of the store is given, from now on."""
    real: Callable[..., Any] = getattr(workshop.store, step)
    sizes: list[int] = []

    def call(*arguments: Any, **named: Any) -> Any:
        sizes.append(len(arguments[argument]))
        return real(*arguments, **named)

    setattr(workshop.store, step, call)
    return sizes


def broken(*ids: str) -> list[Unreadable]:
    return [Unreadable(key(i), {"id": i}, "no title") for i in ids]


@pytest.mark.parametrize("batch_size", [1, 3, 10])
def test_refused_rows_are_kept_a_batch_at_a_time(workshop: Workshop, batch_size: int) -> None:
    sizes = sizes_of(workshop, "save_rejects")
    report = workshop.sync([*broken(*map(str, range(25))), record("good", "Fizyka")], batch_size=batch_size)
    assert counts(report) == {"created": 1, "failed": 25}
    assert (max(sizes), sum(sizes)) == (batch_size, 25)


@pytest.mark.parametrize("batch_size", [1, 3, 10])
def test_records_that_come_twice_are_kept_a_batch_at_a_time(workshop: Workshop, batch_size: int) -> None:
    ids = [str(i) for i in range(25)]
    twice = [Records(SYSTEM, ids, [fingerprint(title)] * 25, [title] * 25) for title in ("A", "B")]
    sizes = sizes_of(workshop, "save_rejects")
    assert counts(workshop.sync(twice, batch_size=batch_size)) == {"created": 25, "failed": 25}
    assert max(sizes) <= batch_size


@pytest.mark.parametrize("batch_size", [1, 3, 10])
def test_records_that_are_good_again_are_settled_a_batch_at_a_time(workshop: Workshop, batch_size: int) -> None:
    items = [record(str(i), f"Kurs {i}") for i in range(25)]
    workshop.sync(items)
    workshop.sync([record(str(i), "malformed") for i in range(25)])
    assert len(workshop.rejects()) == 25
    sizes = sizes_of(workshop, "resolve_rejects")
    assert counts(workshop.sync(items, batch_size=batch_size)) == {"skipped": 25}
    assert max(sizes) <= batch_size
    assert workshop.rejects() == {}


def test_a_refused_row_does_not_hurry_a_first_load(workshop: Workshop) -> None:
    sizes = sizes_of(workshop, "load_bindings", 1)
    items = [
        item for i in range(6) for item in [Records(SYSTEM, [str(i)], ["1"], [f"Kurs {i}"]), *broken(f"bad {i}")]
    ]
    report = workshop.snapshot(items, mapper=BulkTitleMapper(), batch_size=3)
    assert counts(report) == {"created": 6, "failed": 6}
    assert sizes == [3, 3]


@pytest.mark.parametrize("batch_size", [2, 3, 100])
@pytest.mark.parametrize("good_first", [True, False])
def test_a_refused_row_and_its_good_record_keep_their_order_in_a_first_load(
    workshop: Workshop, batch_size: int, good_first: bool
) -> None:
    good, bad = [record("1", "Fizyka")], broken("1")
    items = [record("2", "A"), *(good if good_first else bad), record("3", "B"), *(bad if good_first else good)]
    report = workshop.snapshot([*items, record("4", "C")], mapper=BulkTitleMapper(), batch_size=batch_size)
    assert counts(report) == {"created": 4, "failed": 1}
    assert list(workshop.rejects()) == (["1"] if good_first else [])


def test_a_record_that_is_refused_and_then_good_in_one_read_is_written_and_settled(workshop: Workshop) -> None:
    items = [record("1", "malformed"), record("2", "Chemia"), record("1", "Fizyka")]
    for expected in ({"created": 2, "failed": 1}, {"skipped": 2, "failed": 1}):
        assert counts(workshop.sync(items, batch_size=1)) == expected
        assert workshop.rejects() == {}


def test_what_was_written_before_is_not_what_is_written_now(workshop: Workshop) -> None:
    """The old version comes after the new one, in one read: they are two records under one key."""
    workshop.sync([record("1", "Fizyka"), record("2", "Chemia")])
    items = [record("1", "Fizyka 2"), record("2", "Chemia"), record("1", "Fizyka")]
    assert counts(workshop.sync(items, batch_size=1)) == {"updated": 1, "skipped": 1, "failed": 1}
    assert workshop.titles()["1"] == "Fizyka 2"
    assert list(workshop.rejects()) == ["1"]


def test_a_record_that_comes_twice_the_same_is_one_record(workshop: Workshop) -> None:
    assert counts(workshop.sync([record("1", "Fizyka")] * 3)) == {"created": 1, "skipped": 2}


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_two_records_under_one_key_are_a_failure_of_that_key(workshop: Workshop, batch_size: int) -> None:
    items = [record("1", "Fizyka"), record("1", "Chemia"), record("2", "Biologia")]
    assert counts(workshop.sync(items, batch_size=batch_size)) == {"created": 2, "failed": 1}
    assert workshop.titles() == {"1": "Fizyka", "2": "Biologia"}
    assert "twice" in workshop.rejects()["1"]


def test_an_unchanged_record_of_a_long_stream_costs_no_look_up(workshop: Workshop) -> None:
    items = [record(str(i), f"Kurs {i}") for i in range(10)]
    workshop.sync(items)
    workshop.store.get_bindings = lambda _: pytest.fail("a binding was looked up")
    assert counts(workshop.sync(items, batch_size=3)) == {"skipped": 10}


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_a_record_without_a_version_is_compared_in_a_long_stream_too(workshop: Workshop, batch_size: int) -> None:
    workshop.snapshot([record("1", "A", None), record("2", "B", None)], batch_size=batch_size)
    report = workshop.snapshot([record("1", "A2", None), record("2", "B", None)], batch_size=batch_size)
    assert counts(report) == {"updated": 1, "skipped": 1}
