"""The laws of a StateStore: those of its bindings, and transactions, checkpoints, rejects, reports and locks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from sync_pipelines.core.ports import StateStore
from sync_pipelines.core.records import Binding, ExternalKey, Reject, Stage
from sync_pipelines.core.report import SyncReport
from sync_pipelines.core.testing.bindings import AWKWARD, StoreUnderTest, again, law
from sync_pipelines.core.testing.laws import CRASHES, Law, crash, crashing, must, needs
from sync_pipelines.core.testing.optional_stores import optional_store_laws
from sync_pipelines.errors import StreamBusy

__all__ = ["StoreUnderTest", "store_laws"]


def store_laws() -> Sequence[Law[StoreUnderTest]]:
    """Every law of a StateStore, and those of a LoadingStore and a RememberingStore where it is one."""
    return (*law.all, *optional_store_laws())


# --- transactions ---------------------------------------------------------------------------------------------


def _everything(store: StateStore) -> tuple[object, ...]:
    return (
        sorted(store.iter_bindings("law:room"), key=lambda binding: binding.key.key),
        store.get_checkpoint("law/rooms"),
        sorted(key.key for key in store.open_rejects("law:room")),
    )


def _change_everything(given: StoreUnderTest, first: Binding) -> None:
    """One change of each kind: a new key, an old one, a vanished one; checkpoint; a reject opened, one settled."""
    store = given.store
    store.bind_many([given.bound("new"), again(first)])
    store.mark_vanished([ExternalKey("law:room", "2")])
    store.save_checkpoint("law/rooms", "after")
    store.save_rejects([Reject(ExternalKey("law:room", "9"), Stage.SOURCE, "no name", {})])
    store.resolve_rejects([ExternalKey("law:room", "8")])


def _populate(given: StoreUnderTest) -> Binding:
    first = given.bound("1")
    given.store.bind_many([first, given.bound("2")])
    given.store.save_checkpoint("law/rooms", "before")
    given.store.save_rejects([Reject(ExternalKey("law:room", "8"), Stage.SOURCE, "no name", {})])
    return first


@law
def a_transaction_that_fails_leaves_nothing(given: StoreUnderTest) -> None:
    first = _populate(given)
    before = _everything(given.store)
    for how in CRASHES:
        with crashing(given.store, how):
            _change_everything(given, first)
        after = _everything(given.store)
        must(after == before, f"a transaction ended by {how.__name__} left {after}, and not {before}")


@law
def a_nested_transaction_is_part_of_the_outer_one(given: StoreUnderTest) -> None:
    first = _populate(given)
    before = _everything(given.store)
    for how in CRASHES:
        with crashing(given.store, how):
            with given.store.transaction():
                _change_everything(given, first)
            given.store.bind_many([given.bound("3")])
        after = _everything(given.store)
        must(after == before, "an inner transaction that ended well was kept though the outer one failed")


@law
def a_transaction_that_ends_well_is_there_for_everybody(given: StoreUnderTest) -> None:
    first = _populate(given)
    before = _everything(given.store)
    with given.store.transaction(), given.store.transaction():
        _change_everything(given, first)
    after = _everything(given.store)
    must(after != before, "nothing of a transaction that ended well is there")
    if given.another is not None:
        with given.another() as other:
            must(_everything(other) == after, "another store on the same state does not see what was committed")


# --- checkpoints, rejects, reports ----------------------------------------------------------------------------


@law
def a_checkpoint_is_its_streams_own_and_comes_back_as_it_was(given: StoreUnderTest) -> None:
    store = given.store
    must(store.get_checkpoint("law/rooms") is None, "a stream that never saved a checkpoint has one")
    for token in ("1:id:7", "updated_at:2026-11-21T00:00:00+00:00", *AWKWARD):
        store.save_checkpoint("law/rooms", token)
        found = store.get_checkpoint("law/rooms")
        must(found == token, f"saved the checkpoint {token!r} and got {found!r}")
    must(store.get_checkpoint("law/room") is None, "a stream has the checkpoint of another")
    store.run_started("law/rooms")
    store.run_ended("law/rooms", SyncReport("law/rooms", complete=True))
    must(store.get_checkpoint("law/rooms") == AWKWARD[-1], "a run that began and ended took the checkpoint away")


@law
def a_reject_is_open_until_it_is_resolved(given: StoreUnderTest) -> None:
    store = given.store
    rejects = [Reject(ExternalKey("law:room", text), Stage.MAPPING, "no name", {"id": text}) for text in AWKWARD]
    elsewhere = Reject(ExternalKey("law:desk", "6"), Stage.TARGET, "too long", {"id": "6"})
    for _ in range(2):
        store.save_rejects([*rejects, elsewhere])
        keys = sorted(key.key for key in store.open_rejects("law:room"))
        must(keys == sorted(AWKWARD), "open_rejects does not give the refused keys, each once, just as they are")
    store.resolve_rejects([reject.key for reject in rejects[1:]])
    keys = [key.key for key in store.open_rejects("law:room")]
    must(keys == [AWKWARD[0]], f"all but {AWKWARD[0]!r} were resolved, and open are {keys}")
    must(list(store.open_rejects("law:desk")) == [elsewhere.key], "resolving a reject settled another system's")
    store.save_rejects([rejects[1]])
    must(
        rejects[1].key in set(store.open_rejects("law:room")), "a key that is refused once more is not open again"
    )


@law
def a_reject_is_kept_whatever_its_payload(given: StoreUnderTest) -> None:
    payloads: tuple[object, ...] = (
        *(None, "", "text", 7, 10**30, True, [1, [2, None]], {"name": "Łąka", "more": {"a": [1]}}),
        *({"nul": "a\x00b", "half": "\ud800"}, '\x00 "', b"bytes", ("a", "b"), given.bound()),
    )
    for number, payload in enumerate(payloads):
        key = ExternalKey("law:room", str(number))
        given.store.save_rejects([Reject(key, Stage.SOURCE, "not\x00 a \ud800 name", payload)])
        must(
            key in set(given.store.open_rejects("law:room")), f"a reject with the payload {payload!r} is not kept"
        )


@law
def a_reject_that_is_seen_again_counts_one_occurrence_more(given: StoreUnderTest) -> None:
    needs(given.occurrences, "occurrences")
    key = ExternalKey("law:room", "1")
    for times in range(1, 4):
        given.store.save_rejects([Reject(key, Stage.SOURCE, "no name", {})])
        counted = given.occurrences(key) if given.occurrences else 0
        must(counted == times, f"a record refused {times} times counts {counted} occurrences")


@law
def the_last_report_of_a_stream_is_kept(given: StoreUnderTest) -> None:
    needs(given.last_report, "last_report")
    reports = [
        SyncReport("law/rooms", fetched=3, created=2, failed=1, errors=("1: source: no name", "incomplete: half")),
        SyncReport("law/rooms", fetched=3, skipped=3, complete=True),
    ]
    for report in reports:
        given.store.run_started("law/rooms")
        given.store.run_ended("law/rooms", report)
        given.store.run_ended("law/desks", SyncReport("law/desks"))
        kept = given.last_report("law/rooms") if given.last_report else None
        must(kept == report, f"the run reported {report}, and kept is {kept}")


# --- one run at a time ----------------------------------------------------------------------------------------


def _is_free(store: StateStore, stream: str) -> bool:
    try:
        with store.exclusive(stream):
            return True
    except StreamBusy as error:
        must(stream in str(error), f"StreamBusy does not name the stream: {error}")
        return False


@law
def a_second_run_of_a_stream_is_kept_out(given: StoreUnderTest) -> None:
    needs(given.another, "another")
    with ExitStack() as stack:
        other = stack.enter_context(given.another()) if given.another else given.store
        with given.store.exclusive("law/rooms"):
            must(not _is_free(other, "law/rooms"), "two runs of one stream were let in at once")


@law
def runs_of_different_streams_do_not_meet(given: StoreUnderTest) -> None:
    needs(given.another, "another")
    with ExitStack() as stack:
        other = stack.enter_context(given.another()) if given.another else given.store
        with given.store.exclusive("law/rooms"):
            must(_is_free(other, "law/desks"), "a run of one stream keeps out a run of another")


@law
def a_run_lets_go_of_its_stream_however_it_ends(given: StoreUnderTest) -> None:
    with ExitStack() as stack:
        other = stack.enter_context(given.another()) if given.another else given.store
        for how in CRASHES:
            try:
                with given.store.exclusive("law/rooms"):
                    crash(how)
            except how:
                must(_is_free(other, "law/rooms"), f"after a run ended by {how.__name__} the stream stays locked")
        with given.store.exclusive("law/rooms"):
            pass
        must(_is_free(other, "law/rooms"), "after a run that ended well the stream stays locked")
