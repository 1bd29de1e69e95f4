"""The further laws of a BulkTarget, and those of a LoadingTarget where it is one."""

from __future__ import annotations

import unittest
from collections.abc import Mapping, Sequence
from typing import Any

from sync_pipelines.core.ports import LoadingTarget
from sync_pipelines.core.records import Binding, Change, Outcome, Projection, Projections
from sync_pipelines.core.testing.laws import Law, Laws, must, needs
from sync_pipelines.core.testing.targets import TargetUnderTest, holds, target_laws, written
from sync_pipelines.errors import TargetError

__all__ = ["bulk_target_laws", "in_columns", "loading"]

_law = Laws[TargetUnderTest]()


def bulk_target_laws() -> Sequence[Law[TargetUnderTest]]:
    """Every law of a BulkTarget: those of a Target among them, and those of a LoadingTarget where it is one."""
    return (*target_laws(), *_law.all)


@_law
def an_equal_record_is_unchanged(given: TargetUnderTest) -> None:
    (binding,) = given.create(1)
    before = given.rows()
    (result,) = given.write(given.change(1, binding=binding))
    must(written(result).outcome is Outcome.UNCHANGED, f"an equal row counts as {written(result).outcome}")
    must(written(result).internal_id == binding.internal_id, "an equal row was given another id")
    must(given.rows() == before, "a row was touched though nothing of it differs")


@_law
def the_outcome_says_what_was_done(given: TargetUnderTest) -> None:
    (created,) = given.write(given.change(1))
    must(written(created).outcome is Outcome.CREATED, f"a new row counts as {written(created).outcome}")
    binding = Binding(given.change(1).key, written(created).internal_id, "1:a")
    (updated,) = given.write(given.change(1, given.changed(1), binding))
    must(written(updated).outcome is Outcome.UPDATED, f"a row that changed counts as {written(updated).outcome}")


@_law
def results_come_in_the_order_of_the_changes(given: TargetUnderTest) -> None:
    bindings = dict(enumerate(given.create(*range(100))))
    numbers = [*range(199, 99, -1), *range(100)]
    numbers = numbers[::3] + numbers[1::3] + numbers[2::3]
    results = given.write(*(given.change(n, given.changed(n), bindings.get(n)) for n in numbers))
    rows = given.rows()
    for number, result in zip(numbers, results, strict=True):
        holds(rows, written(result).internal_id, given.changed(number))
        if number in bindings:
            same = written(result).internal_id == bindings[number].internal_id
            must(same, "a batch gave a record the result of another")


@_law
def only_living_rows_are_alive(given: TargetUnderTest) -> None:
    needs(given.remove, "remove")
    here, gone = given.create(1, 2)
    if given.remove is not None:
        given.remove(gone.internal_id)
    alive = set(given.bulk.alive({here.internal_id, gone.internal_id}))
    must(here.internal_id in alive, "a row that is there is not alive: it would be made again at every run")
    must(gone.internal_id not in alive, "a row that is gone is alive: its record would be skipped for ever")
    must(set(given.bulk.alive({here.internal_id})) == {here.internal_id}, "alive depends on what else is asked")


@_law
def a_row_that_vanished_stays_with_its_values(given: TargetUnderTest) -> None:
    first, second = given.create(1, 2)
    given.bulk.vanish_many([first])
    holds(given.rows(), first.internal_id, given.good(1))
    holds(given.rows(), second.internal_id, given.good(2))
    alive = given.bulk.alive({first.internal_id})
    must(first.internal_id in alive, "a row that vanished upstream is not alive: on return it would be made anew")


@_law
def a_record_that_returns_has_its_own_row_as_it_was(given: TargetUnderTest) -> None:
    (binding,) = given.create(1)
    before = given.rows()
    given.bulk.vanish_many([binding])
    (result,) = given.write(given.change(1, binding=binding))
    must(written(result).internal_id == binding.internal_id, "a record that returned was given another row")
    must(given.rows() == before, f"a record that returned has {given.rows()}, and not {before}")


def _mixed(given: TargetUnderTest) -> list[Change]:
    """An equal record, a changed one, a returning one, and a new one."""
    equal, changed, gone = given.create(1, 2, 3)
    given.bulk.vanish_many([gone])
    return [
        given.change(4),
        given.change(2, given.changed(2), changed),
        given.change(1, binding=equal),
        given.change(3, binding=gone),
    ]


@_law
def a_preview_writes_nothing(given: TargetUnderTest) -> None:
    changes = _mixed(given)
    before = given.rows()
    given.bulk.preview(changes)
    must(given.rows() == before, f"preview made of {before} {given.rows()}")


@_law
def a_preview_says_what_the_upsert_then_does(given: TargetUnderTest) -> None:
    changes = _mixed(given)
    before = given.rows()
    seen = given.bulk.preview(changes)
    results = given.write(*changes)
    must(len(seen) == len(changes), f"{len(changes)} changes had {len(seen)} previews")
    for change, found, result in zip(changes, seen, results, strict=True):
        outcome = written(result).outcome
        if found is None or isinstance(found, TargetError):
            must(found is None, f"preview refused what upsert_many wrote: {found}")
            must(outcome is Outcome.UNCHANGED, f"preview saw nothing to do, and the row was {outcome}")
            continue
        must(found.key == change.key, f"the preview of {change.key} speaks of {found.key}")
        expected = "created" if outcome is Outcome.CREATED else "updated or restored"
        must(found.change in expected.split(" or "), f"preview said {found.change}, and the row was {outcome}")
        binding = None if found.change == "created" else change.binding
        row: Mapping[str, Any] = before.get(binding.internal_id, {}) if binding else {}
        differing = {name for name, value in change.projection.fields.items() if row.get(name) != value}
        must(
            set(found.fields) == differing,
            f"preview said that {sorted(found.fields)} would change, and it was {sorted(differing)}",
        )


# --- very many new rows at once -------------------------------------------------------------------------------


def loading(given: TargetUnderTest) -> LoadingTarget:
    """The target, which can load; skips the law where it cannot."""
    if not isinstance(given.bulk, LoadingTarget):
        raise unittest.SkipTest("the target has no `load_rows`: it takes a batch at a time")
    return given.bulk


def in_columns(*projections: Projection) -> Projections:
    """Many projections, as a mapper gives them for a load; skips the law where they are not alike."""
    (kind, fields), *_ = projections
    if any(p.kind != kind or p.fields.keys() != fields.keys() for p in projections):
        raise unittest.SkipTest("it needs projections of one kind and the same fields, `refused` too")
    return Projections(kind, {name: [p.fields[name] for p in projections] for name in fields})


@_law
def the_ids_of_a_load_are_in_the_order_of_its_rows(given: TargetUnderTest) -> None:
    target = loading(given)
    (before,) = given.create(1000)
    numbers = [*range(199, 99, -1), *range(100)]
    numbers = numbers[::3] + numbers[1::3] + numbers[2::3]
    ids = list(target.load_rows(in_columns(*map(given.good, numbers))))
    must(len(ids) == len(numbers), f"a load of {len(numbers)} rows gave {len(ids)} ids")
    must(all(type(i) is str and i for i in ids), "a load gave a row an id that is empty, or no text")
    rows = given.rows()
    must(len(rows) == len(numbers) + 1, f"a load of {len(numbers)} rows into a table of one left {len(rows)}")
    for number, internal_id in zip(numbers, ids, strict=True):
        holds(rows, internal_id, given.good(number))
    holds(rows, before.internal_id, given.good(1000))


@_law
def a_row_that_was_loaded_is_a_row_like_any_other(given: TargetUnderTest) -> None:
    first, second = loading(given).load_rows(in_columns(given.good(1), given.good(2)))
    must(set(given.bulk.alive({first, second})) == {first, second}, "a row that was loaded is not alive")
    bindings = [Binding(given.change(n).key, i, "1:a") for n, i in ((1, first), (2, second))]
    results = given.write(given.change(1, binding=bindings[0]), given.change(2, given.changed(2), bindings[1]))
    outcomes = [written(result).outcome for result in results]
    must(
        outcomes == [Outcome.UNCHANGED, Outcome.UPDATED],
        f"rows that were loaded count as {outcomes} when an equal and a changed record come for them",
    )
    holds(given.rows(), second, given.changed(2))
    must(len(given.rows()) == 2, "a record that changed after its row was loaded has a second row")


@_law
def a_load_that_is_refused_keeps_nothing(given: TargetUnderTest) -> None:
    target = loading(given)
    needs(given.refused, "refused")
    given.create(0)
    before = given.rows()
    for place in range(3):
        rows = [given.good(n) for n in (1, 2, 3)]
        rows[place] = given.refused or rows[place]
        columns = in_columns(*rows)
        try:
            target.load_rows(columns)
        except TargetError:
            must(given.rows() == before, f"a load was refused for its row {place}, and left {given.rows()}")
        else:
            must(False, "a load took a row that cannot be written: it raises TargetError, whichever row it is")


@_law
def a_load_makes_all_of_its_rows_or_none(given: TargetUnderTest) -> None:
    target = loading(given)
    given.create(1)
    before = given.rows()
    try:
        ids = set(target.load_rows(in_columns(given.good(2), given.good(1), given.good(3))))
    except TargetError:
        must(given.rows() == before, f"a load was refused for a row that was there, and left {given.rows()}")
    else:
        made = given.rows().keys() - before.keys()
        must(
            made == ids and len(ids) == 3,
            "a load met a row that was there, and neither refused it nor made its own",
        )
