"""Proof of the laws of stores: each broken one is caught, by just the laws it breaks."""

import copy
import unicodedata
import unittest
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, cast

import pytest

from sync_pipelines.core import Binding, BulkTarget, ExternalKey, MemoryStateStore, Reject, StateStore, SyncReport
from sync_pipelines.core.testing import StoreUnderTest, broken, store_laws
from sync_pipelines.core.testing.optional_stores import optional_store_laws
from sync_pipelines.errors import StreamBusy


class Store(MemoryStateStore):
    """A store that keeps the laws, and counts occurrences."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[ExternalKey] = Counter()

    def save_rejects(self, rejects: Sequence[Reject]) -> None:
        super().save_rejects(rejects)
        self.seen.update(reject.key for reject in rejects)


class Respelling(Store):
    """Keeps keys in another spelling than they came in."""

    def respelt(self, text: str) -> str:
        raise NotImplementedError

    def _key(self, key: ExternalKey) -> ExternalKey:
        return ExternalKey(key.system, self.respelt(key.key) or "-")

    def bind_many(self, bindings: Sequence[Binding], *, new: bool = False) -> None:
        super().bind_many([b._replace(key=self._key(b.key)) for b in bindings], new=new)

    def get_binding(self, key: ExternalKey) -> Binding | None:
        return self.get_bindings([key]).get(key)

    def get_bindings(self, keys: Sequence[ExternalKey]) -> Mapping[ExternalKey, Binding]:
        found = super().get_bindings([self._key(key) for key in keys])
        return {key: found[self._key(key)]._replace(key=key) for key in keys if self._key(key) in found}


class Trimming(Respelling):
    def respelt(self, text: str) -> str:
        return text.strip()


class Composing(Respelling):
    def respelt(self, text: str) -> str:
        return unicodedata.normalize("NFC", text)


class Cutting(Respelling):
    def respelt(self, text: str) -> str:
        return text[:250]


class BlindToTheInstance(Store):
    """Takes the entity for the whole system."""

    def iter_bindings(self, system: str) -> Iterator[Binding]:
        entity = system.rpartition(":")[2]
        return iter([b for b in self.bindings.values() if b.key.system.rpartition(":")[2] == entity])


class Inventing(Store):
    def get_binding(self, key: ExternalKey) -> Binding | None:
        return super().get_binding(key) or (Binding(key, "0", None) if self.bindings and key.key == "2" else None)


class KeepingTheFirst(Store):
    def bind(self, key: ExternalKey, internal_id: str, version: str | None) -> None:
        if key not in self.bindings:
            super().bind(key, internal_id, version)


class BelievingTheHint(Store):
    def bind_many(self, bindings: Sequence[Binding], *, new: bool = False) -> None:
        if new and any(b.key in self.bindings for b in bindings):
            return
        super().bind_many(bindings, new=new)


class TakingAThousand(Store):
    def get_bindings(self, keys: Sequence[ExternalKey]) -> Mapping[ExternalKey, Binding]:
        return super().get_bindings(keys[:1000])


class NeedingSomething(Store):
    def mark_vanished(self, keys: Sequence[ExternalKey]) -> None:
        assert keys[0]
        super().mark_vanished(keys)


class Trusting(Store):
    def validate_binding(self, binding: Binding) -> None: ...


class ForgettingWhatVanished(Store):
    def iter_bindings(self, system: str) -> Iterator[Binding]:
        return (b for b in super().iter_bindings(system) if b.remote_deleted_at is None)


class VanishedForEver(Store):
    def bind_many(self, bindings: Sequence[Binding], *, new: bool = False) -> None:
        since = {b.key: found.remote_deleted_at for b in bindings if (found := self.bindings.get(b.key))}
        super().bind_many([b._replace(remote_deleted_at=since.get(b.key)) for b in bindings], new=new)


class CountingTheVanished(Store):
    def count_bindings(self, system: str) -> int:
        return min(len(list(self.iter_bindings(system))), 2999)


class VersionsOfTheVanished(Store):
    def iter_versions(self, system: str, target: BulkTarget) -> Iterator[Sequence[tuple[str, str | None]]]:
        alive = target.alive({b.internal_id for b in self.iter_bindings(system)})
        yield [(b.key.key, b.version) for b in self.iter_bindings(system) if b.internal_id in alive]


class VersionsOfTheDead(Store):
    def iter_versions(self, system: str, target: BulkTarget) -> Iterator[Sequence[tuple[str, str | None]]]:
        yield [(b.key.key, b.version) for b in self.iter_bindings(system) if b.remote_deleted_at is None]


class UndoingOnlyDefects(Store):
    """`except Exception` in place of BaseException: a kill leaves half."""

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        before = copy.copy(self.bindings), copy.copy(self.checkpoints), copy.copy(self.rejects)
        try:
            yield
        except Exception:
            self.bindings, self.checkpoints, self.rejects = before
            raise


class CommittingInside(Store):
    """The end of an inner transaction is the end of the outer one."""

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        self.undo: Any = copy.copy(self.bindings), copy.copy(self.checkpoints), copy.copy(self.rejects)
        try:
            yield
        except BaseException:
            if self.undo:
                self.bindings, self.checkpoints, self.rejects = self.undo
            raise
        self.undo = None


class KeepingNothing(Store):
    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        before = copy.copy(self.bindings), copy.copy(self.checkpoints), copy.copy(self.rejects)
        try:
            yield
        finally:
            self.bindings, self.checkpoints, self.rejects = before


class OneCheckpoint(Store):
    def get_checkpoint(self, stream: str) -> str | None:
        return next(iter(self.checkpoints.values()), None)


class ReOpeningNothing(Store):
    def save_rejects(self, rejects: Sequence[Reject]) -> None:
        again = [reject for reject in rejects if self.seen[reject.key]]
        super().save_rejects([reject for reject in rejects if reject not in again])
        self.seen.update(reject.key for reject in again)


class RefusingPayloads(Store):
    def save_rejects(self, rejects: Sequence[Reject]) -> None:
        if any("\ud800" in reject.error for reject in rejects):
            raise ValueError("surrogates not allowed")
        super().save_rejects(rejects)


class CountingOnce(Store):
    def save_rejects(self, rejects: Sequence[Reject]) -> None:
        super().save_rejects(rejects)
        self.seen = Counter(set(self.seen))


class KeepingTheFirstReport(Store):
    def run_started(self, stream: str) -> None: ...

    def run_ended(self, stream: str, report: SyncReport) -> None:
        self.reports.setdefault(stream, report)


class LettingEverybodyIn(Store):
    def exclusive(self, stream: str) -> Any:
        return nullcontext()


class OneLockForAll(Store):
    @contextmanager
    def exclusive(self, stream: str) -> Generator[None, None, None]:
        try:
            with super().exclusive("the one"):
                yield
        except StreamBusy:
            raise StreamBusy(f"{stream} is busy") from None


class LockedForEver(Store):
    def __init__(self) -> None:
        super().__init__()
        self.held: list[Any] = []

    @contextmanager
    def exclusive(self, stream: str) -> Generator[None, None, None]:
        lock = super().exclusive(stream)
        self.held.append(lock)  # a lock that is forgotten lets go
        lock.__enter__()
        yield
        lock.__exit__(None, None, None)


class LoadingAllButOne(Store):
    def load_bindings(
        self, system: str, keys: Sequence[str], internal_ids: Sequence[str], versions: Sequence[str | None]
    ) -> None:
        super().load_bindings(system, keys[:-1], internal_ids[:-1], versions[:-1])


class LoadingOver(Store):
    """A load in place of what is bound."""

    def load_bindings(
        self, system: str, keys: Sequence[str], internal_ids: Sequence[str], versions: Sequence[str | None]
    ) -> None:
        for key, internal_id, version in zip(keys, internal_ids, versions, strict=True):
            self.bind(ExternalKey(system, key), internal_id, version)


class LoadingHalf(Store):
    """It notices a key that is bound when it comes to it."""

    def load_bindings(
        self, system: str, keys: Sequence[str], internal_ids: Sequence[str], versions: Sequence[str | None]
    ) -> None:
        for key, internal_id, version in zip(keys, internal_ids, versions, strict=True):
            super().load_bindings(system, [key], [internal_id], [version])


class RememberingOneRead(Store):
    def remembered_pages(self, stream: str) -> Mapping[str, tuple[str, int]]:
        return super().remembered_pages(next(iter(self.pages), stream))


class Unmoved(Store):
    """Remembers pages after some change of a binding all the same."""

    def unmoved(self) -> None:
        self.pages = {stream: (dict(self.bindings), pages) for stream, (_, pages) in self.pages.items()}


class UnmovedByOneBinding(Unmoved):
    def bind(self, key: ExternalKey, internal_id: str, version: str | None) -> None:
        super().bind(key, internal_id, version)
        self.unmoved()


class UnmovedByNewVersions(Unmoved):
    def bind_many(self, bindings: Sequence[Binding], *, new: bool = False) -> None:
        before = len(self.bindings)
        super().bind_many(bindings, new=new)
        if len(self.bindings) == before:
            self.unmoved()


class UnmovedByNewKeys(Unmoved):
    def bind_many(self, bindings: Sequence[Binding], *, new: bool = False) -> None:
        super().bind_many(bindings, new=new)
        if new:
            self.unmoved()


class UnmovedByAbsence(Unmoved):
    def mark_vanished(self, keys: Sequence[ExternalKey]) -> None:
        super().mark_vanished(keys)
        self.unmoved()


class UnmovedByALoad(Unmoved):
    def load_bindings(
        self, system: str, keys: Sequence[str], internal_ids: Sequence[str], versions: Sequence[str | None]
    ) -> None:
        super().load_bindings(system, keys, internal_ids, versions)
        self.unmoved()


class ForgettingAtTheEnd(Store):
    def run_ended(self, stream: str, report: SyncReport) -> None:
        super().run_ended(stream, report)
        self.pages.pop(stream, None)


class BelievingInLife(Store):
    def all_alive(self, system: str, target: BulkTarget) -> bool:
        return True


class MourningTheVanished(Store):
    def all_alive(self, system: str, target: BulkTarget) -> bool:
        ids = {binding.internal_id for binding in self.iter_bindings(system)}
        return ids <= set(target.alive(ids))


CHANGES = "any change of a binding forgets the pages"
BROKEN_STORES: list[tuple[type[Store], set[str]]] = [
    (Trimming, {"a binding comes back as it was", "a load binds every key"}),
    (Composing, {"a binding comes back as it was", "a load binds every key"}),
    (Cutting, {"a binding comes back as it was", "a load binds every key"}),
    (BlindToTheInstance, {"a key of another system is another key"}),
    (Inventing, {"a key that was never bound has no binding"}),
    (KeepingTheFirst, {"binding again replaces the binding", CHANGES}),
    (BelievingTheHint, {"a hint that is wrong does no harm"}),
    (TakingAThousand, {"many keys are one call", "a load binds every key"}),
    (NeedingSomething, {"nothing to do is no trouble"}),
    (Trusting, {"a binding that contradicts itself is refused"}),
    (ForgettingWhatVanished, {"a vanished key keeps its binding"}),
    (VanishedForEver, {"a vanished key that is bound again is no longer vanished"}),
    (CountingTheVanished, {"the count leaves out what vanished", "many keys are one call"}),
    (VersionsOfTheVanished, {"the versions leave out what vanished"}),
    (VersionsOfTheDead, {"the versions leave out rows that are gone"}),
    (
        UndoingOnlyDefects,
        {"a transaction that fails leaves nothing", "a nested transaction is part of the outer one"},
    ),
    (CommittingInside, {"a nested transaction is part of the outer one"}),
    (KeepingNothing, {"a transaction that ends well is there for everybody"}),
    (OneCheckpoint, {"a checkpoint is its streams own and comes back as it was"}),
    (ReOpeningNothing, {"a reject is open until it is resolved"}),
    (RefusingPayloads, {"a reject is kept whatever its payload"}),
    (CountingOnce, {"a reject that is seen again counts one occurrence more"}),
    (KeepingTheFirstReport, {"the last report of a stream is kept"}),
    (LettingEverybodyIn, {"a second run of a stream is kept out"}),
    (OneLockForAll, {"runs of different streams do not meet"}),
    (LockedForEver, {"a run lets go of its stream however it ends"}),
    (LoadingAllButOne, {"a load binds every key", CHANGES}),
    (LoadingOver, {"a load with a bound key is refused and keeps nothing"}),
    (LoadingHalf, {"a load with a bound key is refused and keeps nothing"}),
    (RememberingOneRead, {"what is remembered comes back and is the streams own"}),
    *((unmoved, {CHANGES}) for unmoved in (UnmovedByOneBinding, UnmovedByNewVersions, UnmovedByNewKeys)),
    *((unmoved, {CHANGES}) for unmoved in (UnmovedByAbsence, UnmovedByALoad)),
    (ForgettingAtTheEnd, {"a run that ends keeps the pages"}),
    (BelievingInLife, {"all are alive only while no row is gone"}),
    (MourningTheVanished, {"all are alive only while no row is gone"}),
]


def store_under_test(make: Callable[[], Store]) -> Callable[[], StoreUnderTest]:
    def subject() -> StoreUnderTest:
        store = make()
        return StoreUnderTest(
            store,
            another=lambda: nullcontext(store),
            occurrences=lambda key: store.seen[key],
            last_report=lambda stream: store.reports[stream],
        )

    return subject


@pytest.mark.parametrize(("make", "laws"), BROKEN_STORES, ids=lambda p: getattr(p, "__name__", ""))
def test_a_store_that_breaks_a_law_is_caught_by_it(make: Callable[[], Store], laws: set[str]) -> None:
    assert broken(store_laws(), store_under_test(make)).keys() == laws


def test_a_store_that_does_only_what_it_must_has_the_other_laws_skipped() -> None:
    class Plain:
        """`Store` without what is optional."""

        def __init__(self) -> None:
            store = Store()
            optional = {"load_bindings", "remembered_pages", "remember_pages", "all_alive"}
            for name in set(dir(MemoryStateStore)) - optional:
                if not name.startswith("_"):
                    setattr(self, name, getattr(store, name))

    skipped: set[str] = set()
    for law in store_laws():
        try:
            law.check(lambda: StoreUnderTest(cast("StateStore", Plain())))
        except unittest.SkipTest as why:
            if "the store has no" in str(why):
                skipped.add(law.name)
    assert skipped == {law.name for law in optional_store_laws()}


def test_the_store_that_the_broken_ones_are_made_from_keeps_every_law() -> None:
    assert broken(store_laws(), store_under_test(Store)) == {}


def test_every_law_is_seen_to_catch_something() -> None:
    assert {law.name for law in store_laws()} == set[str]().union(*(laws for *_, laws in BROKEN_STORES))
