"""The laws of a StateStore's bindings, and the store they look at."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sync_pipelines.core.memory import MemoryTarget
from sync_pipelines.core.ports import StateStore
from sync_pipelines.core.records import Binding, ExternalKey
from sync_pipelines.core.report import SyncReport
from sync_pipelines.core.testing.laws import Laws, must
from sync_pipelines.errors import StateError

__all__ = ["AWKWARD", "StoreUnderTest", "again", "law"]


def _uuid() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True)
class StoreUnderTest:
    """An empty store, and what the laws need to look at it.

    `another` opens a second store on the same state, as another process would; it does not wait long for a lock.
    `new_id` makes an id as the store's targets have them. `occurrences` tells how often a key was refused,
    `last_report` what the last run of a stream reported: the protocol has no way to ask for these.
    """

    store: StateStore
    another: Callable[[], AbstractContextManager[StateStore]] | None = None
    new_id: Callable[[], str] = _uuid
    occurrences: Callable[[ExternalKey], int] | None = None
    last_report: Callable[[str], SyncReport] | None = None

    def bound(self, text: str = "1", system: str = "law:room", version: str | None = "1:a") -> Binding:
        """A binding that is not in the store yet."""
        return Binding(ExternalKey(system, text), self.new_id(), version)


law = Laws[StoreUnderTest]()

#: Texts that somebody's trimming, folding, quoting or splitting would change.
AWKWARD = (
    *("6", " 6", "6 ", "06", "\u00a06", "A", "a", "\u00e9", "e\u0301", "\u212b", "\u00c5", "🎓", "ß", "ss"),
    *("a'b", 'a"b', "a\\b", "a\\nb", "a\nb", "a\r\nb", "a\tb", "\x01", "a:b", "a,b", "a|b", "a/b", "a;b"),
    *("a-b", '["a-b","c"]', '["a","b-c"]', "{a}", "(a)", "%", "%s", "%(a)s", ":a", "?", "$1", "_", "*"),
    *("NULL", "null", "None", "\\N", "true", "1e3", "--", "x" * 255, "ż" * 255),
)
#: Systems that are the same once a colon is dropped or the text is cut at the wrong one.
_SYSTEMS = ("law", "law:room", "law:a:room", "lawa:room", "law:room:a", "law:Room", "room")
_MANY = 3000


def again(binding: Binding) -> Binding:
    """The binding with another version."""
    return Binding(binding.key, binding.internal_id, "1:b")


def _as_bound(store: StateStore, bindings: Collection[Binding], why: str) -> None:
    """Fail unless the store holds just these, in these systems, by every way there is to ask."""
    expected = {binding.key: binding for binding in bindings}
    by_keys = dict(store.get_bindings(list(expected)))
    one_by_one = {key: found for key in list(expected)[:100] if (found := store.get_binding(key)) is not None}
    listed = {b.key: b for system in {key.system for key in expected} for b in store.iter_bindings(system)}
    for key, binding in expected.items():
        got = by_keys.get(key)
        must(got == binding, f"{why}: get_bindings gave {got} for {key}, and not {binding}")
    for key, got in one_by_one.items():
        must(got == by_keys[key], f"{why}: get_binding and get_bindings disagree about {key}")
    for key in expected.keys() ^ listed.keys():
        must(False, f"{why}: iter_bindings {'lacks' if key in expected else 'has'} {key}")
    must(listed == by_keys, f"{why}: iter_bindings and get_bindings disagree")


def _versions(store: StateStore, system: str, living: Collection[str]) -> Mapping[str, str | None]:
    target = MemoryTarget()
    target.rows = {internal_id: {} for internal_id in living}
    return {key: version for rows in store.iter_versions(system, target) for key, version in rows}


# --- bindings -------------------------------------------------------------------------------------------------


@law
def a_binding_comes_back_as_it_was(given: StoreUnderTest) -> None:
    bindings = [given.bound(text, version=f"1:{text}") for text in AWKWARD]
    given.store.bind_many([*bindings, given.bound("no version", version=None)], new=True)
    for binding in bindings:
        found = given.store.get_bindings([binding.key]).get(binding.key)
        must(found == binding, f"bound {binding} and got {found}: a key and a version are kept exactly as sent")
    listed = {b.key for b in given.store.iter_bindings("law:room")}
    for binding in bindings:
        must(binding.key in listed, f"iter_bindings lacks {binding.key}")
    none = given.store.get_binding(ExternalKey("law:room", "no version"))
    must(none is not None and none.version is None, "a version of None came back as something else")


@law
def a_key_of_another_system_is_another_key(given: StoreUnderTest) -> None:
    bindings = [given.bound("1", system) for system in _SYSTEMS]
    given.store.bind_many(bindings)
    for binding in bindings:
        found = list(given.store.iter_bindings(binding.key.system))
        must(found == [binding], f"iter_bindings({binding.key.system!r}) gave {found}, and not just {binding}")
    _as_bound(given.store, bindings, "the same key in several systems")


@law
def a_key_that_was_never_bound_has_no_binding(given: StoreUnderTest) -> None:
    given.store.bind_many([given.bound("1")])
    key = ExternalKey("law:room", "2")
    must(given.store.get_binding(key) is None, "get_binding gave a binding for a key that has none")
    must(not given.store.get_bindings([key]), "get_bindings gave a binding for a key that has none")
    must(not list(given.store.iter_bindings("law:nothing")), "a system without bindings has some")
    must(given.store.count_bindings("law:nothing") == 0, "a system without bindings counts some")
    must(not _versions(given.store, "law:nothing", ()), "a system without bindings has versions")


@law
def binding_again_replaces_the_binding(given: StoreUnderTest) -> None:
    given.store.bind_many([given.bound("1"), given.bound("2")])
    again = [given.bound("1", version="1:b"), given.bound("2", version=None)]
    given.store.bind(again[0].key, again[0].internal_id, again[0].version)
    given.store.bind_many(again[1:])
    _as_bound(given.store, again, "after binding two keys twice")


@law
def a_hint_that_is_wrong_does_no_harm(given: StoreUnderTest) -> None:
    there, bystander = given.bound("1"), given.bound("3")
    given.store.bind_many([there, bystander])
    both = [again(there), given.bound("2")]
    given.store.bind_many(both, new=True)
    _as_bound(given.store, [*both, bystander], "after bind_many(new=True) of one bound key and one new one")


@law
def many_keys_are_one_call(given: StoreUnderTest) -> None:
    bindings = [given.bound(str(number)) for number in range(_MANY)]
    given.store.bind_many(bindings, new=True)
    _as_bound(given.store, bindings, f"after bind_many of {_MANY} keys")
    given.store.mark_vanished([binding.key for binding in bindings])
    must(given.store.count_bindings("law:room") == 0, f"mark_vanished of {_MANY} keys left some unmarked")


@law
def nothing_to_do_is_no_trouble(given: StoreUnderTest) -> None:
    given.store.bind_many([])
    given.store.bind_many([], new=True)
    given.store.mark_vanished([])
    given.store.save_rejects([])
    given.store.resolve_rejects([])
    given.store.resolve_rejects([ExternalKey("law:room", "never refused")])
    must(not given.store.get_bindings([]), "get_bindings([]) gave some")


@law
def a_binding_that_contradicts_itself_is_refused(given: StoreUnderTest) -> None:
    good = given.bound()
    given.store.validate_binding(good)
    try:
        given.store.validate_binding(Binding(good.key, "", good.version))
    except StateError:
        return
    must(False, "validate_binding let a binding without an internal id pass: it raises StateError")


# --- what vanished --------------------------------------------------------------------------------------------


@law
def a_vanished_key_keeps_its_binding(given: StoreUnderTest) -> None:
    gone, here = given.bound("1"), given.bound("2")
    given.store.bind_many([gone, here])
    given.store.mark_vanished([gone.key])
    found = given.store.get_binding(gone.key)
    must(found is not None, "mark_vanished took the binding away: its row could not be found on return")
    must(found is not None and found.remote_deleted_at is not None, "mark_vanished left no remote_deleted_at")
    unmarked = Binding(found.key, found.internal_id, found.version) if found else None
    must(unmarked == gone, f"mark_vanished changed {gone} into {found}")
    must(given.store.get_binding(here.key) == here, "mark_vanished of one key touched another")
    listed = {binding.key for binding in given.store.iter_bindings("law:room")}
    must(gone.key in listed, "iter_bindings leaves vanished keys out: it gives every binding")


@law
def a_vanished_key_that_is_bound_again_is_no_longer_vanished(given: StoreUnderTest) -> None:
    same, other = given.bound("1"), given.bound("2")
    given.store.bind_many([same, other])
    given.store.mark_vanished([same.key, other.key])
    given.store.bind_many([same, again(other)])
    for key in (same.key, other.key):
        found = given.store.get_binding(key)
        must(
            found is not None and found.remote_deleted_at is None,
            f"{key} was bound again and is still vanished: {found}",
        )


@law
def the_count_leaves_out_what_vanished(given: StoreUnderTest) -> None:
    bindings = [given.bound(str(number)) for number in range(5)]
    given.store.bind_many([*bindings, given.bound("1", "law:desk")])
    given.store.mark_vanished([bindings[0].key, bindings[1].key])
    count = given.store.count_bindings("law:room")
    must(count == 3, f"count_bindings gave {count}: of five keys two vanished, and a sixth is of another system")


@law
def the_versions_leave_out_what_vanished(given: StoreUnderTest) -> None:
    here, gone = given.bound("1", version=None), given.bound("2")
    given.store.bind_many([here, gone])
    given.store.mark_vanished([gone.key])
    versions = _versions(given.store, "law:room", (here.internal_id, gone.internal_id))
    must("2" not in versions, "iter_versions gives a vanished key: it would be skipped on its return")
    must(versions == {"1": None}, f"iter_versions gave {versions}, and not {{'1': None}}")


@law
def the_versions_leave_out_rows_that_are_gone(given: StoreUnderTest) -> None:
    here, gone = given.bound("1"), given.bound("2")
    given.store.bind_many([here, gone, given.bound("1", "law:desk", "1:other")])
    versions = _versions(given.store, "law:room", (here.internal_id,))
    must("2" not in versions, "iter_versions gives a key whose row is gone: it would be skipped for ever")
    must(versions == {"1": "1:a"}, f"iter_versions gave {versions}, and not {{'1': '1:a'}}")
