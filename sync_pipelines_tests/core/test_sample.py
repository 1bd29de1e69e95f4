"""What a run shows of what it changed: the first rows, the names of their fields, and no value."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sync_pipelines.core import Change, Difference, ExternalKey, MemoryTarget, Projection, TargetError
from sync_pipelines.postgres.engine import Session
from sync_pipelines_tests.core.workshop import (
    BulkTitleMapper,
    TitleMapper,
    Workshop,
    in_memory,
    in_postgres,
    record,
)

BEFORE = [record("1", "Fizyka"), record("2", "Chemia"), record("3", "Biologia"), record("4", "Łacina")]


def shown(differences: Sequence[Difference]) -> set[tuple[str, str, str]]:
    return {(d.key.key, d.change, ", ".join(d.fields)) for d in differences}


@pytest.mark.parametrize("mapper", [TitleMapper(), BulkTitleMapper()])
def test_a_run_names_what_it_changed_and_of_an_updated_row_the_fields(
    workshop: Workshop, mapper: TitleMapper
) -> None:
    first = workshop.snapshot(BEFORE, mapper=mapper)
    assert shown(first.differences) == {(n, "created", "") for n in "1234"}
    done = workshop.snapshot([*BEFORE[:2], record("3", "Historia"), record("5", "Fizyka")])
    assert shown(done.differences) == {("3", "updated", "title"), ("4", "vanished", ""), ("5", "created", "")}
    assert shown(workshop.snapshot(BEFORE[3:], allow_mass_vanish=True).differences) >= {("4", "restored", "")}


def test_no_value_is_in_what_a_run_shows(workshop: Workshop) -> None:
    workshop.snapshot(BEFORE)
    done = workshop.snapshot([record(n, "tajemnica") for n in "12345"])
    assert len(done.differences) == 5
    assert {value for d in done.differences for pair in d.fields.values() for value in pair} == {"•••"}
    for title in ("tajemnica", "Fizyka", "Chemia"):
        assert title not in repr(done)


def test_an_unchanged_run_shows_nothing_and_looks_at_nothing() -> None:
    workshop = in_memory()
    workshop.snapshot(BEFORE)
    target = Looking(workshop.target)
    assert workshop.snapshot(BEFORE, target=target).differences == ()
    assert target.looked_at == []


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_of_very_many_changes_the_first_twenty_are_shown_and_no_more_are_looked_at(batch_size: int) -> None:
    workshop = in_memory()
    workshop.snapshot([record(str(n), "Fizyka") for n in range(100)])
    target = Looking(workshop.target)
    done = workshop.snapshot([record(str(n), "Chemia") for n in range(100)], target=target, batch_size=batch_size)
    assert (done.updated, len(done.differences)) == (100, 20)
    assert sum(target.looked_at) == 20


def test_in_postgresql_looking_is_one_query_more(session: Session, query: Callable[..., list[Any]]) -> None:
    workshop = in_postgres(session, query)
    workshop.snapshot([record(str(n), "Fizyka") for n in range(30)])
    target = Looking(workshop.target)
    done = workshop.snapshot([record(str(n), "Chemia") for n in range(30)], target=target)
    assert target.looked_at == [20]
    assert {tuple(d.fields) for d in done.differences} == {("title",)}


def test_a_row_that_cannot_be_looked_at_is_written_all_the_same() -> None:
    workshop = in_memory()
    workshop.snapshot(BEFORE)
    done = workshop.snapshot([record(n, "Historia") for n in "1234"], target=Blind(workshop.target))
    assert done.updated == 4
    assert shown(done.differences) == {(n, "updated", "") for n in "1234"}


def test_a_target_that_takes_a_record_at_a_time_shows_keys_and_what_became_of_them() -> None:
    workshop, rows = in_memory(), dict[str, str]()
    workshop.snapshot(BEFORE[:1], target=OneAtATime(rows))
    done = workshop.snapshot([record("1", "Historia"), record("2", "Chemia")], target=OneAtATime(rows))
    assert shown(done.differences) == {("1", "updated", ""), ("2", "created", "")}


def test_a_refused_row_is_not_among_what_changed(workshop: Workshop) -> None:
    workshop.snapshot(BEFORE)
    done = workshop.snapshot([record("1", "clashing"), record("2", "Historia"), *BEFORE[2:]])
    assert shown(done.differences) == {("2", "updated", "title")}


class Looking:
    """A target that notes how many changes it was asked to look at."""

    def __init__(self, target: MemoryTarget) -> None:
        self._target = target
        self.looked_at: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def preview(self, changes: Sequence[Change]) -> Sequence[Difference | TargetError | None]:
        self.looked_at.append(len(changes))
        return self._target.preview(changes)


class Blind(Looking):
    def preview(self, changes: Sequence[Change]) -> Sequence[Difference | TargetError | None]:
        return [TargetError("cannot be compared")] * len(changes)


class OneAtATime:
    def __init__(self, rows: dict[str, str]) -> None:
        self._rows = rows

    def validate(self, key: ExternalKey, projection: Projection) -> None: ...

    def upsert(self, key: ExternalKey, projection: Projection) -> str:
        self._rows[key.key] = projection.fields["title"]
        return key.key
