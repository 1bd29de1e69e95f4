"""The quick lane for records of which none is bound: as safe as the slow one, and left where it is not open."""

from collections.abc import Sequence
from typing import Any

import pytest

from sync_pipelines.core import (
    Coverage,
    ExternalKey,
    Mark,
    Records,
    SilentLogger,
    SyncReport,
    TargetError,
    Unreadable,
    fingerprint,
)
from sync_pipelines.errors import SyncError
from sync_pipelines_tests.core.workshop import (
    STREAM,
    SYSTEM,
    BulkTitleMapper,
    Workshop,
    counts,
    key,
    record,
)


class Death(BaseException):
    """The process ends here."""


class DiesAt(SilentLogger):
    """Ends the process once so many records are said to be written."""

    def __init__(self, created: int) -> None:
        self._created = created

    def progress(self, report: SyncReport) -> None:
        if report.created >= self._created:
            raise Death


def titled(*ids: str) -> list[Any]:
    return [record(i, f"Kurs {i}") for i in ids]


def load(workshop: Workshop, items: Sequence[Any], **options: Any) -> SyncReport:
    return workshop.snapshot(items, **{"mapper": BulkTitleMapper(), "batch_size": 2, **options})


def bypassed(*_: object, **__: object) -> None:
    raise AssertionError("this was to go the quick way")


def test_records_of_which_none_is_bound_are_loaded_at_once(workshop: Workshop) -> None:
    workshop.target.upsert_many = bypassed
    assert counts(load(workshop, titled(*"12345"))) == {"created": 5}
    assert workshop.bound() == dict.fromkeys("12345", False)
    assert counts(load(workshop, titled(*"54321"))) == {"skipped": 5}


@pytest.mark.parametrize("bad", ["malformed", "forbidden", "clashing", "x" * 501])
@pytest.mark.parametrize("position", range(6))
def test_one_refused_record_sends_its_neighbours_the_slow_way_and_fails_alone(
    workshop: Workshop, bad: str, position: int
) -> None:
    items = titled(*"012345")
    items[position] = record(str(position), bad)
    assert counts(load(workshop, items)) == {"created": 5, "failed": 1}
    assert list(workshop.rejects()) == [str(position)]
    assert workshop.titles().keys() == workshop.bound().keys() == set("012345") - {str(position)}
    items[position] = record(str(position), "Fizyka")
    assert counts(load(workshop, items)) == {"created": 1, "skipped": 5}
    assert workshop.rejects() == {}


@pytest.mark.parametrize("bad", ["malformed", "forbidden", "clashing"])
def test_a_record_that_was_refused_and_is_loaded_settles_its_reject(workshop: Workshop, bad: str) -> None:
    load(workshop, [record("1", bad)])
    assert list(workshop.rejects()) == ["1"]
    assert counts(load(workshop, titled("1", "2", "3"))) == {"created": 3}
    assert workshop.rejects() == {}


def test_loaded_rows_and_their_bindings_stand_or_fall_together(workshop: Workshop) -> None:
    real = workshop.store.load_bindings

    def die(*arguments: Any) -> None:
        real(*arguments)
        raise Death

    workshop.store.load_bindings = die
    with pytest.raises(Death):
        load(workshop, titled(*"123"))
    del workshop.store.load_bindings
    assert (workshop.titles(), workshop.bound()) == ({}, {})
    assert counts(load(workshop, titled(*"123"))) == {"created": 3}


@pytest.mark.parametrize(("partition", "name"), [(None, STREAM), ("2026", f"{STREAM}/2026")])
def test_a_load_saves_the_mark_that_it_covers_and_no_later_one(
    workshop: Workshop, partition: str | None, name: str
) -> None:
    items = [*titled("1", "2"), Mark("2"), *titled("3", "4"), Mark("4"), *titled("5", "6"), Mark("6")]
    with pytest.raises(Death):
        load(workshop, items, logger=DiesAt(4), partition=partition)
    assert workshop.store.get_checkpoint(name) == "1:2"
    assert workshop.titles().keys() == set("1234")


def test_a_mark_waits_for_a_refused_record_that_waits_for_its_batch(workshop: Workshop) -> None:
    items = [record("1", "malformed"), *titled("2"), Mark("2"), *titled("3", "4"), Mark("4"), *titled("5", "6")]
    with pytest.raises(Death):
        load(workshop, items, logger=DiesAt(1))
    if workshop.store.get_checkpoint(STREAM) is not None:
        assert list(workshop.rejects()) == ["1"]


@pytest.mark.parametrize("batch_size", [2, 3, 4, 100])
def test_a_key_that_comes_again_while_its_record_waits_is_one_record(workshop: Workshop, batch_size: int) -> None:
    items = [*titled("1", "2", "3"), Mark("3"), *titled("3"), record("2", "Chemia"), *titled("1")]
    for expected in ({"created": 3, "skipped": 2, "failed": 1}, {"skipped": 5, "failed": 1}):
        assert counts(load(workshop, items, batch_size=batch_size)) == expected
    assert workshop.titles() == {i: f"Kurs {i}" for i in "123"}
    assert list(workshop.rejects()) == ["2"]


@pytest.mark.parametrize("batch_size", [2, 3, 100])
def test_a_reject_that_comes_after_its_loaded_record_stays_open(workshop: Workshop, batch_size: int) -> None:
    broken = Unreadable(key("4"), {"id": 4}, "no title")
    load(workshop, [broken])
    load(workshop, [*titled("1", "2", "3"), Mark("3"), *titled("4"), broken, *titled("5")], batch_size=batch_size)
    assert list(workshop.rejects()) == ["4"]
    assert workshop.titles().keys() == set("12345")


def test_a_key_that_is_bound_already_is_not_bound_by_a_load(workshop: Workshop) -> None:
    ids = [f"6f1b2c3d-0000-4000-8000-00000000000{i}" for i in range(3)]
    workshop.store.bind(key("1"), ids[0], "1:x")
    with pytest.raises(TargetError):
        workshop.store.load_bindings(SYSTEM, ["2", "1"], ids[1:], ["1:y", "1:y"])
    assert list(workshop.bound()) == ["1"]
    assert workshop.store.get_binding(key("1")).internal_id == ids[0]


def test_columns_of_several_systems_are_bound_each_to_its_own(workshop: Workshop) -> None:
    def columns(system: str, *ids: str) -> Records[str]:
        return Records(system, ids, [fingerprint(i) for i in ids], [f"Kurs {i}" for i in ids])

    other = "wtl:old course"
    items = [columns(SYSTEM, "1", "2"), columns(other, "3", "4"), columns(SYSTEM, "5", "6")]
    for expected in ({"created": 6}, {"skipped": 6}):
        assert counts(load(workshop, items, batch_size=3)) == expected
    bound = {s: {b.key.key for b in workshop.store.iter_bindings(s)} for s in (SYSTEM, other)}
    assert bound == {SYSTEM: {"1", "2", "5", "6"}, other: {"3", "4"}}


def test_a_new_mapper_writes_what_was_loaded_by_the_old_one(workshop: Workshop) -> None:
    load(workshop, titled(*"123"))
    versions = {b.version for b in workshop.store.iter_bindings(SYSTEM)}
    assert all(version.startswith("1:") for version in versions)
    assert counts(load(workshop, titled(*"123"), mapper=BulkTitleMapper("2"))) == {"skipped": 3}
    assert {b.version for b in workshop.store.iter_bindings(SYSTEM)} == {f"2{v[1:]}" for v in versions}


def test_the_logger_hears_of_every_loaded_record(workshop: Workshop) -> None:
    heard: list[str] = []

    class Listening(SilentLogger):
        def created(self, key: ExternalKey) -> None:
            heard.append(key.key)

        def error(self, key: ExternalKey, stage: str, error: SyncError) -> None:
            heard.append(f"{stage} {key.key}")

    load(workshop, [*titled("1", "2", "3"), record("4", "forbidden")], logger=Listening())
    assert sorted(heard) == ["1", "2", "3", "mapping 4"]


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
@pytest.mark.parametrize("bad", [None, "forbidden", "clashing", "x" * 501])
def test_a_first_load_in_columns_comes_to_the_same_as_one_by_one(
    workshop: Workshop, batch_size: int, bad: str | None
) -> None:
    titles = [bad if bad and i % 6 == 5 else f"Kurs {i}" for i in range(20)]
    columns = [
        Records(SYSTEM, [str(i)], [fingerprint(titles[i])], [titles[i]]) if i % 2 else record(str(i), titles[i])
        for i in range(20)
    ]
    refused = titles.count(bad or "")
    for expected in ({"created": 20 - refused}, {"skipped": 20 - refused}):
        if refused:
            expected["failed"] = refused
        report = workshop.snapshot(columns, mapper=BulkTitleMapper(), batch_size=batch_size)
        assert counts(report) == expected
    assert len(workshop.titles()) == 20 - refused
    assert len(workshop.rejects()) == refused


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_a_stream_of_several_systems_is_loaded_system_by_system(workshop: Workshop, batch_size: int) -> None:
    items = [
        Records(f"{name}:course", [f"{name} {i}"], [fingerprint(f"Kurs {i}")], [f"Kurs {i}"])
        for i in range(6)
        for name in ("one", "two")
    ]
    coverage = Coverage.snapshot("one:course", "two:course")
    for expected in ({"created": 12}, {"skipped": 12}):
        report = workshop.sync(items, coverage, mapper=BulkTitleMapper(), batch_size=batch_size)
        assert counts(report) == expected
    rest = [item for item in items if item.keys != ["two 5"]]
    report = workshop.sync(rest, coverage, mapper=BulkTitleMapper(), batch_size=batch_size)
    assert counts(report) == {"skipped": 11, "deleted": 1}


def test_a_first_load_that_is_interrupted_leaves_the_store_to_nobody_else(workshop: Workshop) -> None:
    """The batch under way is written or not, but the run does not end before that is over."""
    items = [Records(SYSTEM, [str(i)], ["1"], [f"Kurs {i}"]) for i in range(10)]
    with pytest.raises(KeyboardInterrupt):
        workshop.sync([*items, KeyboardInterrupt()], mapper=BulkTitleMapper(), batch_size=2)
    assert workshop.titles().keys() == workshop.bound().keys()
    counted = counts(workshop.snapshot(items, mapper=BulkTitleMapper(), batch_size=2))
    assert sum(counted.values()) == 10
    assert len(workshop.titles()) == 10


@pytest.mark.parametrize("bad", [("2", "a\ud800b"), ("a\ud800b", "B")])
def test_half_a_character_in_a_first_load_fails_alone(workshop: Workshop, bad: tuple[str, str]) -> None:
    items = [record("1", "A"), record(*bad), record("3", "C")]
    assert workshop.snapshot(items, mapper=BulkTitleMapper(), batch_size=1).created >= 2


@pytest.mark.parametrize("dies_at", range(1, 5))
@pytest.mark.parametrize("refused", ["forbidden", "clashing", "x" * 501])
def test_a_mark_waits_for_all_of_a_load_that_was_refused_and_goes_batch_by_batch(
    workshop: Workshop, refused: str, dies_at: int
) -> None:
    titles = ["A", "B", refused, "D", "E"]
    columns = Records(SYSTEM, list("12345"), [fingerprint(title) for title in titles], titles)
    with pytest.raises(Death):
        load(workshop, [columns, Mark("5")], logger=DiesAt(dies_at))
    if workshop.store.get_checkpoint(STREAM) is not None:
        assert workshop.titles().keys() == set("1245")
        assert list(workshop.rejects()) == ["3"]
