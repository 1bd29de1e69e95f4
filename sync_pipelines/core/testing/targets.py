"""The laws of a Target, and what is looked at: a target of either kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sync_pipelines.core.one_by_one import as_bulk
from sync_pipelines.core.ports import BulkTarget, Target
from sync_pipelines.core.records import Binding, Change, ExternalKey, Projection, Written
from sync_pipelines.core.testing.laws import Law, Laws, must, needs
from sync_pipelines.errors import TargetError

__all__ = ["Rows", "TargetUnderTest", "holds", "target_laws", "written"]

Rows = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class TargetUnderTest:
    """An empty target, and what the laws need to write to it and to look at it.

    `good(n)` is the projection of a record number n, `changed(n)` that of the same record with other values.
    `rows` shows every row by its id: the projection's fields under their names, and whatever else is worth
    comparing (a mark of vanishing), times left out. `remove` deletes a row behind the target's back.
    `invalid` is a projection that `validate` refuses; `refused` one that it lets pass and that cannot be written.
    """

    target: Target | BulkTarget
    good: Callable[[int], Projection]
    changed: Callable[[int], Projection]
    rows: Callable[[], Rows]
    remove: Callable[[str], object] | None = None
    invalid: Projection | None = None
    refused: Projection | None = None

    @property
    def bulk(self) -> BulkTarget:
        """The target as the engine sees it."""
        return as_bulk(self.target)

    def change(self, number: int, projection: Projection | None = None, binding: Binding | None = None) -> Change:
        """A change to record `number`, to its good projection unless another is given."""
        return Change(_key(number), projection or self.good(number), "1:a", binding)

    def create(self, *numbers: int) -> list[Binding]:
        """Write the good projections of new records, and give their bindings."""
        return [
            Binding(_key(number), written(result).internal_id, "1:a")
            for number, result in zip(numbers, self.write(*map(self.change, numbers)), strict=True)
        ]

    def write(self, *changes: Change) -> Sequence[Written | TargetError]:
        """Write a batch, and see that there is one result for each change."""
        results = self.bulk.upsert_many(changes)
        must(len(results) == len(changes), f"{len(changes)} changes had {len(results)} results")
        return results


_law = Laws[TargetUnderTest]()


def target_laws() -> Sequence[Law[TargetUnderTest]]:
    """Every law of a Target that takes a record at a time."""
    return tuple(_law.all)


def _key(number: int) -> ExternalKey:
    return ExternalKey("law:record", str(number))


def written(result: Written | TargetError) -> Written:
    """The result of a change that is to be taken."""
    assert isinstance(result, Written), f"a projection that is good was refused: {result}"
    must(type(result.internal_id) is str and bool(result.internal_id), f"the row's id is {result.internal_id!r}")
    return result


def holds(rows: Rows, internal_id: str, projection: Projection) -> None:
    """Fail unless the row has the projection's values."""
    must(internal_id in rows, f"there is no row {internal_id}, though the target gave this id")
    row = rows[internal_id]
    for name, value in projection.fields.items():
        must(
            name in row and row[name] == value,
            f"{name} was written as {value!r}, and the row has {row.get(name)!r}",
        )


# --- every target ---------------------------------------------------------------------------------------------


@_law
def a_good_projection_passes_validation(given: TargetUnderTest) -> None:
    for number in range(3):
        given.target.validate(_key(number), given.good(number))
        given.target.validate(_key(number), given.changed(number))
    must(not given.rows(), "validate wrote a row")


@_law
def an_invalid_projection_is_refused(given: TargetUnderTest) -> None:
    needs(given.invalid, "invalid")
    try:
        given.target.validate(_key(1), given.invalid or given.good(1))
    except TargetError:
        return
    must(False, "validate let a projection pass that no row can hold: it raises TargetError")


@_law
def a_new_record_becomes_a_row_with_an_id(given: TargetUnderTest) -> None:
    (binding,) = given.create(1)
    holds(given.rows(), binding.internal_id, given.good(1))
    must(len(given.rows()) == 1, f"one record made {len(given.rows())} rows")


@_law
def different_records_are_different_rows(given: TargetUnderTest) -> None:
    bindings = given.create(1, 2, 3)
    ids = {binding.internal_id for binding in bindings}
    must(len(ids) == 3, f"three records were given {len(ids)} ids")
    for number, binding in enumerate(bindings, 1):
        holds(given.rows(), binding.internal_id, given.good(number))


@_law
def the_same_record_again_is_the_same_row(given: TargetUnderTest) -> None:
    first, second = given.create(1, 2)
    (result,) = given.write(given.change(1, given.changed(1), first))
    must(written(result).internal_id == first.internal_id, "a record that changed was given another id")
    rows = given.rows()
    must(len(rows) == 2, f"a record that changed made a new row: there are {len(rows)}, and not 2")
    holds(rows, first.internal_id, given.changed(1))
    holds(rows, second.internal_id, given.good(2))


@_law
def one_refused_row_fails_alone(given: TargetUnderTest) -> None:
    needs(given.refused, "refused")
    for start, place in ((0, 0), (10, 2), (20, 4)):
        numbers = range(start, start + 5)
        bad = start + place
        before = len(given.rows())
        results = given.write(*(given.change(n, given.refused if n == bad else None) for n in numbers))
        for number, result in zip(numbers, results, strict=True):
            if number == bad:
                must(isinstance(result, TargetError), f"a row that cannot be written came out as {result}")
            else:
                holds(given.rows(), written(result).internal_id, given.good(number))
        must(len(given.rows()) == before + 4, "a row that was refused left something behind")


@_law
def nothing_to_write_is_no_trouble(given: TargetUnderTest) -> None:
    must(not given.write(), "an empty batch had a result")
    must(not given.bulk.vanish_many([]), "vanishing nothing had a result")
    must(not given.bulk.preview([]), "previewing nothing had a result")
    must(not given.bulk.alive(set()), "of no ids one was alive")


@_law
def vanishing_twice_is_no_trouble(given: TargetUnderTest) -> None:
    first, second = given.create(1, 2)
    for time in ("first", "second"):
        results = list(given.bulk.vanish_many([first]))
        must(
            results == [None], f"the {time} time a record vanished, the target answered {results}, and not [None]"
        )
    holds(given.rows(), second.internal_id, given.good(2))


@_law
def a_row_that_is_gone_already_may_vanish(given: TargetUnderTest) -> None:
    needs(given.remove, "remove")
    here, gone = given.create(1, 2)
    if given.remove is not None:
        given.remove(gone.internal_id)
    results = list(given.bulk.vanish_many([gone, here]))
    must(results == [None, None], f"a row that somebody had deleted vanished, and the target answered {results}")


@_law
def a_record_that_returns_has_a_row_again(given: TargetUnderTest) -> None:
    (binding,) = given.create(1)
    given.bulk.vanish_many([binding])
    (result,) = given.write(given.change(1, given.changed(1), binding))
    holds(given.rows(), written(result).internal_id, given.changed(1))
    must(len(given.rows()) == 1, "a record that returned has a second row beside its first")
