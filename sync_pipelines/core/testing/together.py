"""The laws of a BulkTarget and a StateStore that share their transactions, as those of one database do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sync_pipelines.core.ports import StateStore
from sync_pipelines.core.records import Binding
from sync_pipelines.core.testing.bulk_targets import in_columns, loading
from sync_pipelines.core.testing.laws import CRASHES, Law, Laws, crashing, must, needs
from sync_pipelines.core.testing.optional_stores import load, remembering
from sync_pipelines.core.testing.targets import TargetUnderTest
from sync_pipelines.errors import TargetError

__all__ = ["PairUnderTest", "pair_laws"]


@dataclass(frozen=True)
class PairUnderTest:
    """An empty store, and an empty target whose writes belong to the store's transactions."""

    store: StateStore
    target: TargetUnderTest


_law = Laws[PairUnderTest]()


def pair_laws() -> Sequence[Law[PairUnderTest]]:
    """Every law of a target and a store together."""
    return tuple(_law.all)


@_law
def rows_and_bindings_stand_or_fall_together(given: PairUnderTest) -> None:
    store, target = given.store, given.target
    with store.transaction():
        first, second = target.create(1, 2)
        store.bind_many([first, second], new=True)
    rows, bindings = target.rows(), set(store.iter_bindings("law:record"))
    must(len(rows) == len(bindings) == 2, "a transaction that ended well did not keep both rows and bindings")
    for how in CRASHES:
        with crashing(store, how):
            store.bind_many(target.create(3), new=True)
            target.write(target.change(1, target.changed(1), first))
            target.bulk.vanish_many([second])
            store.mark_vanished([second.key])
        must(target.rows() == rows, f"a transaction ended by {how.__name__} left the rows {target.rows()}")
        after = set(store.iter_bindings("law:record"))
        must(after == bindings, f"a transaction ended by {how.__name__} left the bindings {after}")


@_law
def a_refused_row_does_not_spoil_the_transaction(given: PairUnderTest) -> None:
    store, target = given.store, given.target
    needs(target.refused, "target.refused")
    with store.transaction():
        (first,) = target.create(1)
        refused, _ = target.write(target.change(2, target.refused), target.change(3))
        store.bind_many([first], new=True)
    must(isinstance(refused, TargetError), f"a row that cannot be written came out as {refused}")
    must(len(target.rows()) == 2, f"beside a refused row two were written, and there are {len(target.rows())}")
    must(store.get_binding(first.key) == first, "beside a refused row a binding was lost")


@_law
def the_versions_are_those_of_rows_that_live(given: PairUnderTest) -> None:
    store, target = given.store, given.target
    needs(target.remove, "target.remove")
    here, gone, vanished = target.create(1, 2, 3)
    store.bind_many([here, gone, vanished])
    store.mark_vanished([vanished.key])
    if target.remove is not None:
        target.remove(gone.internal_id)
    versions = dict(row for rows in store.iter_versions("law:record", target.bulk) for row in rows)
    must("2" not in versions, "iter_versions gives a key whose row is gone: it would be skipped for ever")
    must("3" not in versions, "iter_versions gives a vanished key: it would be skipped on its return")
    must(versions == {"1": "1:a"}, f"iter_versions gave {versions}, and not {{'1': '1:a'}}")


@_law
def loaded_rows_and_bindings_stand_or_fall_together(given: PairUnderTest) -> None:
    store, target = given.store, given.target

    def load_some(*numbers: int) -> None:
        ids = loading(target).load_rows(in_columns(*map(target.good, numbers)))
        load(store, [Binding(target.change(n).key, i, "1:a") for n, i in zip(numbers, ids, strict=True)])

    with store.transaction():
        load_some(1, 2)
    rows, bindings = target.rows(), set(store.iter_bindings("law:record"))
    must(set(rows) == {b.internal_id for b in bindings}, "a load that ended well did not keep rows and bindings")
    for how in CRASHES:
        with crashing(store, how):
            load_some(3, 4)
        must(target.rows() == rows, f"a load ended by {how.__name__} left the rows {target.rows()}")
        after = set(store.iter_bindings("law:record"))
        must(after == bindings, f"a load ended by {how.__name__} left the bindings {after}")


@_law
def all_are_alive_only_while_the_target_has_every_row(given: PairUnderTest) -> None:
    store, target = remembering(given.store), given.target
    needs(target.remove, "target.remove")
    here, gone, vanished = target.create(1, 2, 3)
    given.store.bind_many([here, gone, vanished])
    given.store.mark_vanished([vanished.key])
    must(store.all_alive("law:record", target.bulk), "every row is there, and not all_alive")
    if target.remove is not None:
        target.remove(vanished.internal_id)
        must(store.all_alive("law:record", target.bulk), "all_alive asks for the row of a record that vanished")
        target.remove(gone.internal_id)
    must(
        not store.all_alive("law:record", target.bulk),
        "a row is gone, and all_alive: it would never be made again",
    )
