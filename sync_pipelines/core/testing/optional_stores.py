"""The laws of what a StateStore may do further: bind very many keys at once, and remember pages."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from sync_pipelines.core.memory import MemoryTarget
from sync_pipelines.core.ports import LoadingStore, RememberingStore, StateStore
from sync_pipelines.core.records import Binding
from sync_pipelines.core.report import SyncReport
from sync_pipelines.core.testing.bindings import AWKWARD, StoreUnderTest, again
from sync_pipelines.core.testing.laws import Law, Laws, must
from sync_pipelines.errors import TargetError

__all__ = ["load", "optional_store_laws", "remembering"]

_law = Laws[StoreUnderTest]()
_STREAM = "law/rooms"
_PAGES: Mapping[str, tuple[str, int]] = {"1:a": ("law:room", 2), "1:b": ("law:room", 1000), "1:c": ("law:desk", 1)}


def optional_store_laws() -> Sequence[Law[StoreUnderTest]]:
    """Every law of a LoadingStore and of a RememberingStore; other stores skip them."""
    return tuple(_law.all)


def _loading(store: StateStore) -> LoadingStore:
    if not isinstance(store, LoadingStore):
        raise unittest.SkipTest("the store has no `load_bindings`: it binds a batch at a time")
    return store


def remembering(store: StateStore) -> RememberingStore:
    """The store, which can remember pages; skips the law where it cannot."""
    if not isinstance(store, RememberingStore):
        raise unittest.SkipTest("the store has no `remember_pages`: every page is read at every run")
    return store


def load(store: StateStore, bindings: Sequence[Binding]) -> None:
    """Bind keys of one system as a first load does; skips the law where the store cannot."""
    system = bindings[0].key.system
    keys, ids = [binding.key.key for binding in bindings], [binding.internal_id for binding in bindings]
    _loading(store).load_bindings(system, keys, ids, [binding.version for binding in bindings])


# --- very many keys at once -----------------------------------------------------------------------------------


@_law
def a_load_binds_every_key(given: StoreUnderTest) -> None:
    texts = [*AWKWARD, *map(str, range(1000, 3000))]
    bindings = [given.bound(text, version=None if text == "6" else f"1:{text}") for text in texts]
    namesake = given.bound("6", "law:desk")
    given.store.bind_many([namesake])
    load(given.store, bindings)
    found = given.store.get_bindings([binding.key for binding in bindings])
    for binding in bindings:
        must(found.get(binding.key) == binding, f"loaded {binding} and got {found.get(binding.key)}")
    listed = {binding.key for binding in given.store.iter_bindings("law:room")}
    must(listed == set(found), "after a load iter_bindings gives other keys than were loaded")
    count = given.store.count_bindings("law:room")
    must(count == len(bindings), f"after a load of {len(bindings)} keys count_bindings gives {count}")
    must(given.store.get_binding(namesake.key) == namesake, "a load touched another system's key")


@_law
def a_load_with_a_bound_key_is_refused_and_keeps_nothing(given: StoreUnderTest) -> None:
    here, gone = given.bound("2"), given.bound("4")
    given.store.bind_many([here, gone])
    given.store.mark_vanished([gone.key])
    before = set(given.store.iter_bindings("law:room"))
    for there in (here, gone):
        with given.store.transaction():
            try:
                load(given.store, [given.bound("1"), again(there), given.bound("3")])
            except TargetError:
                pass
            else:
                must(False, f"a load took a key that was bound already, {there}: it raises TargetError")
        after = set(given.store.iter_bindings("law:room"))
        must(after == before, f"a load that was refused left {after}, and not {before}")


# --- what a complete read was made of -------------------------------------------------------------------------


@_law
def what_is_remembered_comes_back_and_is_the_streams_own(given: StoreUnderTest) -> None:
    store = remembering(given.store)
    given.store.bind_many([given.bound("1")])
    must(not store.remembered_pages(_STREAM), "a stream that never ran remembers pages")
    given.store.run_started(_STREAM)
    for pages in (_PAGES, {text: ("law:a:room", n) for n, text in enumerate(AWKWARD)}, {}):
        store.remember_pages(_STREAM, pages)
        found = dict(store.remembered_pages(_STREAM))
        must(found == pages, f"remembered {pages} and got {found}")
    store.remember_pages(_STREAM, _PAGES)
    must(not store.remembered_pages("law/desks"), "a stream remembers the pages of another")
    with ExitStack() as stack:
        other = stack.enter_context(given.another()) if given.another else given.store
        found = dict(remembering(other).remembered_pages(_STREAM))
        must(found == _PAGES, "another store on the same state does not remember the pages")


def _binds(given: StoreUnderTest, first: Binding) -> None:
    given.store.bind(first.key, first.internal_id, "1:b")


def _binds_many(given: StoreUnderTest, first: Binding) -> None:
    given.store.bind_many([again(first)])


def _binds_a_new_key(given: StoreUnderTest, first: Binding) -> None:
    given.store.bind_many([given.bound("new", "law:desk")], new=True)


def _marks_vanished(given: StoreUnderTest, first: Binding) -> None:
    given.store.mark_vanished([first.key])


def _loads(given: StoreUnderTest, first: Binding) -> None:
    if isinstance(given.store, LoadingStore):
        load(given.store, [given.bound("new", "law:chair")])
    else:
        _binds_many(given, first)


_CHANGES: Mapping[str, Callable[[StoreUnderTest, Binding], None]] = {
    "bind": _binds,
    "bind_many": _binds_many,
    "bind_many(new=True)": _binds_a_new_key,
    "mark_vanished": _marks_vanished,
    "load_bindings": _loads,
}


@_law
def any_change_of_a_binding_forgets_the_pages(given: StoreUnderTest) -> None:
    store = remembering(given.store)
    given.store.run_started(_STREAM)
    for number, (name, change) in enumerate(_CHANGES.items()):
        first = given.bound(str(number))
        given.store.bind_many([first])
        store.remember_pages(_STREAM, _PAGES)
        must(
            dict(store.remembered_pages(_STREAM)) == _PAGES,
            f"before {name} nothing changed, and pages are forgotten",
        )
        change(given, first)
        must(
            not store.remembered_pages(_STREAM),
            f"{name} changed a binding, and the pages are remembered: what they hold would be left unread",
        )


@_law
def a_run_that_ends_keeps_the_pages(given: StoreUnderTest) -> None:
    store = remembering(given.store)
    given.store.run_started(_STREAM)
    given.store.bind_many([given.bound("1")])
    store.remember_pages(_STREAM, _PAGES)
    given.store.run_ended(_STREAM, SyncReport(_STREAM, complete=True))
    given.store.run_started(_STREAM)
    given.store.save_checkpoint(_STREAM, "7")
    must(dict(store.remembered_pages(_STREAM)) == _PAGES, "a run that began or ended took the pages away")


@_law
def all_are_alive_only_while_no_row_is_gone(given: StoreUnderTest) -> None:
    store = remembering(given.store)
    here, gone, vanished = given.bound("1"), given.bound("2"), given.bound("3")
    given.store.bind_many([here, gone, vanished, given.bound("1", "law:desk")])
    given.store.mark_vanished([vanished.key])
    target = MemoryTarget()
    target.rows = {here.internal_id: {}, gone.internal_id: {}}
    must(
        store.all_alive("law:room", target),
        "every row is there, and not all_alive: does it count what vanished?",
    )
    del target.rows[gone.internal_id]
    must(not store.all_alive("law:room", target), "a row is gone, and all_alive: it would never be made again")
    must(store.all_alive("law:nothing", target), "a system without bindings has lost a row")
