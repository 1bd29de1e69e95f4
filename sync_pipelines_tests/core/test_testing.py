"""The conformance kit's own proof: each broken implementation is caught, by just the laws it breaks."""

import copy
import unicodedata
import unittest
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_pipelines.core import (
    Binding,
    BulkTarget,
    Change,
    Coverage,
    Difference,
    ExternalKey,
    MappingError,
    MemoryStateStore,
    MemoryTarget,
    Outcome,
    Payload,
    Projection,
    Records,
    Reject,
    SourceError,
    SyncReport,
    TargetError,
    Unreadable,
    UpdatedAt,
    Written,
)
from sync_pipelines.core.testing import (
    Law,
    PairUnderTest,
    SourceUnderTest,
    StoreUnderTest,
    TargetUnderTest,
    broken,
    bulk_target_laws,
    pair_laws,
    source_laws,
    store_laws,
    target_laws,
)
from sync_pipelines.errors import SourceUnavailable, StreamBusy

# --- stores ---------------------------------------------------------------------------------------------------


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


BROKEN_STORES: list[tuple[type[Store], set[str]]] = [
    (Trimming, {"a binding comes back as it was"}),
    (Composing, {"a binding comes back as it was"}),
    (Cutting, {"a binding comes back as it was"}),
    (BlindToTheInstance, {"a key of another system is another key"}),
    (Inventing, {"a key that was never bound has no binding"}),
    (KeepingTheFirst, {"binding again replaces the binding"}),
    (BelievingTheHint, {"a hint that is wrong does no harm"}),
    (TakingAThousand, {"many keys are one call"}),
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


# --- targets --------------------------------------------------------------------------------------------------


class Table(MemoryTarget):
    """A target that keeps the laws, and refuses a row whose code is "refused"; breakages override a step."""

    def upsert_many(self, changes: Sequence[Change]) -> Sequence[Written | TargetError]:
        return [self.write(self.meant(change)) for change in changes]

    def preview(self, changes: Sequence[Change]) -> Sequence[Difference | None]:
        return super().preview([self.meant(change) for change in changes])

    def meant(self, change: Change) -> Change:
        return change

    def write(self, change: Change) -> Written | TargetError:
        if change.projection.fields["code"] == "refused":
            return TargetError("the code is refused")
        return super().upsert_many([change])[0]


class WritingToValidate(Table):
    def validate(self, key: ExternalKey, projection: Projection) -> None:
        super().validate(key, projection)
        self.rows["0"] = {}


class LettingAllPass(Table):
    def validate(self, key: ExternalKey, projection: Projection) -> None: ...


class WithoutIds(Table):
    def write(self, change: Change) -> Written | TargetError:
        written = super().write(change)
        return written._replace(internal_id="") if isinstance(written, Written) else written


class OneRowForAll(Table):
    def write(self, change: Change) -> Written | TargetError:
        written = super().write(change)
        if isinstance(written, Written) and change.binding is None:
            self.rows["1"] = self.rows.pop(written.internal_id)
            return Written("1", Outcome.CREATED)
        return written


class NewRowEachTime(Table):
    def meant(self, change: Change) -> Change:
        return change._replace(binding=None)


class AllOrNothing(Table):
    """A refused row takes those after it along."""

    def upsert_many(self, changes: Sequence[Change]) -> Sequence[Written | TargetError]:
        results: list[Written | TargetError] = []
        for change in changes:
            stopped = any(isinstance(result, TargetError) for result in results)
            results.append(TargetError("the batch was refused") if stopped else self.write(change))
        return results


class NeedingARow(Table):
    def upsert_many(self, changes: Sequence[Change]) -> Sequence[Written | TargetError]:
        assert changes
        return super().upsert_many(changes)


class VanishingOnce(Table):
    def vanish_many(self, bindings: Sequence[Binding]) -> Sequence[TargetError | None]:
        again = [b.internal_id in self.vanished for b in bindings]
        super().vanish_many(bindings)
        return [TargetError("it vanished already") if twice else None for twice in again]


class VanishingOnlyWhatIsThere(Table):
    def vanish_many(self, bindings: Sequence[Binding]) -> Sequence[TargetError | None]:
        super().vanish_many(bindings)
        return [None if b.internal_id in self.rows else TargetError("there is no such row") for b in bindings]


class ReturningBesideItself(Table):
    def meant(self, change: Change) -> Change:
        returns = change.binding is not None and change.binding.internal_id in self.vanished
        return change._replace(binding=None) if returns else change


class Restless(Table):
    """Touches a row though nothing of it differs, and says so beforehand."""

    def write(self, change: Change) -> Written | TargetError:
        written = super().write(change)
        if isinstance(written, Written) and written.outcome is Outcome.UNCHANGED:
            return written._replace(outcome=Outcome.UPDATED)
        return written

    def preview(self, changes: Sequence[Change]) -> Sequence[Difference | None]:
        seen = zip(changes, super().preview(changes), strict=True)
        return [found or Difference(change.key, "updated", {}) for change, found in seen]


class CallingAllNew(Table):
    def write(self, change: Change) -> Written | TargetError:
        written = super().write(change)
        if isinstance(written, Written) and written.outcome is Outcome.UPDATED:
            return written._replace(outcome=Outcome.CREATED)
        return written

    def preview(self, changes: Sequence[Change]) -> Sequence[Difference | None]:
        seen = super().preview(changes)
        return [found and Difference(found.key, "created", found.fields) for found in seen]


class ByKindOfChange(Table):
    """Writes the new ones first, and gives the results in that order."""

    def upsert_many(self, changes: Sequence[Change]) -> Sequence[Written | TargetError]:
        new = [change for change in changes if change.binding is None]
        if len(changes) < 100:
            return super().upsert_many(changes)
        return super().upsert_many([*new, *(change for change in changes if change.binding is not None)])


class Undead(Table):
    def alive(self, internal_ids: Collection[str]) -> Collection[str]:
        return internal_ids


class VanishingForGood(Table):
    def vanish_many(self, bindings: Sequence[Binding]) -> Sequence[TargetError | None]:
        for binding in bindings:
            self.rows.pop(binding.internal_id, None)
        return [None] * len(bindings)

    def meant(self, change: Change) -> Change:
        there = change.binding is not None and change.binding.internal_id in self.rows
        return change if there else change._replace(binding=None)


class StayingVanished(Table):
    def write(self, change: Change) -> Written | TargetError:
        vanished = set(self.vanished)
        written = super().write(change)
        self.vanished = vanished
        return written


class WritingToPreview(Table):
    def preview(self, changes: Sequence[Change]) -> Sequence[Difference | None]:
        seen = super().preview(changes)
        self.rows["0"] = {}
        return seen


class SeeingNothing(Table):
    def preview(self, changes: Sequence[Change]) -> Sequence[Difference | None]:
        return [None] * len(changes)


BROKEN_TARGETS: list[tuple[type[Table], set[str]]] = [
    (WritingToValidate, {"a good projection passes validation"}),
    (LettingAllPass, {"an invalid projection is refused"}),
    (WithoutIds, {"a new record becomes a row with an id"}),
    (OneRowForAll, {"different records are different rows"}),
    (
        NewRowEachTime,
        {
            *("the same record again is the same row", "results come in the order of the changes"),
            *("a record that returns has a row again", "a record that returns has its own row as it was"),
            *("an equal record is unchanged", "the outcome says what was done"),
        },
    ),
    (AllOrNothing, {"one refused row fails alone"}),
    (NeedingARow, {"nothing to write is no trouble"}),
    (VanishingOnce, {"vanishing twice is no trouble"}),
    (VanishingOnlyWhatIsThere, {"a row that is gone already may vanish"}),
    (
        ReturningBesideItself,
        {"a record that returns has a row again", "a record that returns has its own row as it was"},
    ),
    (Restless, {"an equal record is unchanged"}),
    (CallingAllNew, {"the outcome says what was done"}),
    (ByKindOfChange, {"results come in the order of the changes"}),
    (Undead, {"only living rows are alive"}),
    (
        VanishingForGood,
        {"a row that vanished stays with its values", "a record that returns has its own row as it was"},
    ),
    (StayingVanished, {"a record that returns has its own row as it was"}),
    (WritingToPreview, {"a preview writes nothing"}),
    (SeeingNothing, {"a preview says what the upsert then does"}),
]


def target_under_test(target: MemoryTarget) -> TargetUnderTest:
    return TargetUnderTest(
        target,
        good=lambda n: Projection("rooms", {"code": str(n), "seats": n}),
        changed=lambda n: Projection("rooms", {"code": str(n), "seats": n + 1000}),
        rows=lambda: {i: {**row, "vanished": i in target.vanished} for i, row in target.rows.items()},
        remove=lambda internal_id: target.rows.pop(internal_id),
        invalid=Projection("rooms", {}),
        refused=Projection("rooms", {"code": "refused"}),
    )


@pytest.mark.parametrize(("make", "laws"), BROKEN_TARGETS, ids=lambda p: getattr(p, "__name__", ""))
def test_a_target_that_breaks_a_law_is_caught_by_it(make: Callable[[], Table], laws: set[str]) -> None:
    found = broken(bulk_target_laws(), lambda: target_under_test(make()))
    assert found.keys() >= laws
    if make not in (WithoutIds, OneRowForAll, WritingToValidate):  # with these nothing can be seen to work
        assert found.keys() == laws


# --- targets and stores together ------------------------------------------------------------------------------


class SpoiltByARefusal(Table):
    def write(self, change: Change) -> Written | TargetError:
        written = super().write(change)
        if isinstance(written, TargetError):
            self.rows.clear()
        return written


BROKEN_PAIRS: list[tuple[Callable[[MemoryStateStore], Table], type[Store], set[str]]] = [
    (lambda store: Table(), Store, {"rows and bindings stand or fall together"}),
    (SpoiltByARefusal, Store, {"a refused row does not spoil the transaction"}),
    (Table, VersionsOfTheDead, {"the versions are those of rows that live"}),
    (Table, VersionsOfTheVanished, {"the versions are those of rows that live"}),
]


@pytest.mark.parametrize(("table", "state", "laws"), BROKEN_PAIRS)
def test_a_pair_that_breaks_a_law_is_caught_by_it(
    table: Callable[[MemoryStateStore], Table], state: type[Store], laws: set[str]
) -> None:
    def make() -> PairUnderTest:
        store = state()
        return PairUnderTest(store, target_under_test(table(store)))

    assert broken(pair_laws(), make).keys() == laws


# --- sources --------------------------------------------------------------------------------------------------

NOON = datetime(2025, 11, 21, 12, tzinfo=UTC)


@dataclass
class Rooms:
    """A source that keeps the laws, over an upstream of names and times; each breakage overrides one step."""

    rows: dict[str, tuple[str, datetime]] = field(
        default_factory=lambda: {c: (f"Room {c}", NOON + timedelta(hours=n)) for n, c in enumerate("cab")}
    )
    fetches: int = 0
    since: str | None = None

    def validate(self, key: ExternalKey, payload: Payload[str]) -> None:
        if not payload.data:
            raise SourceError("the name is missing")

    def fetch(self, since: str | None) -> Any:
        self.fetches += 1
        self.since = since
        times = UpdatedAt(since, overlap=timedelta(0))
        for code, (name, when) in sorted(self.rows.items(), key=lambda item: item[1][1]):
            if self.wanted(times.start, when):
                times.saw(when)
                yield self.item(code, name, when)
                yield times.mark()
        yield self.refused()
        return self.coverage(since)

    def wanted(self, start: datetime | None, when: datetime) -> bool:
        return start is None or when >= start

    def item(self, code: str, name: str, when: datetime) -> Any:
        return ExternalKey("law:room", code), Payload(name, when.isoformat())

    def refused(self) -> Unreadable:
        return Unreadable(ExternalKey.unidentified("law:room", "?"), "?", "it has no code")

    def coverage(self, since: str | None) -> Any:
        return Coverage.changes()

    def change(self) -> list[ExternalKey]:
        self.rows["a"] = ("Room A", NOON + timedelta(hours=9))
        self.rows["d"] = ("Room D", NOON + timedelta(hours=9))
        return [ExternalKey("law:room", "a"), ExternalKey("law:room", "d")]


class Down(Rooms):
    def coverage(self, since: str | None) -> Any:
        raise SourceUnavailable("page 2 did not come")


class Columns(Rooms):
    """Keeps the laws too: many records at once, and a snapshot of them."""

    def fetch(self, since: str | None) -> Any:
        times = [when.isoformat() for _, when in self.rows.values()]
        yield Records("law:room", list(self.rows), times, [name for name, _ in self.rows.values()])
        return Coverage.snapshot("law:room")


class YieldingRows(Rooms):
    def item(self, code: str, name: str, when: datetime) -> Any:
        return {"code": code}


class EmptyVersions(Rooms):
    def item(self, code: str, name: str, when: datetime) -> Any:
        return ExternalKey("law:room", code), Payload(name, "" if code == "b" else when.isoformat())


class ByPosition(Rooms):
    """One of its keys says when the record was read."""

    def item(self, code: str, name: str, when: datetime) -> Any:
        again = code == "b" and self.fetches > 1 and self.since is None
        return ExternalKey("law:room", f"{code} again" if again else code), Payload(name, when.isoformat())


class OtherRejectsEachTime(Rooms):
    def refused(self) -> Unreadable:
        return Unreadable(ExternalKey("law:room", f"row {self.fetches}"), "?", "it has no code")


class VolatileVersions(Rooms):
    def item(self, code: str, name: str, when: datetime) -> Any:
        return ExternalKey("law:room", code), Payload(name, f"{when} {self.fetches if code == 'c' else ''}")


class OneVersionForAll(Rooms):
    """The version of the whole file: one change, and every record is written again."""

    def item(self, code: str, name: str, when: datetime) -> Any:
        return ExternalKey("law:room", code), Payload(name, str(max(when for _, when in self.rows.values())))


class HalfAKey(Rooms):
    def item(self, code: str, name: str, when: datetime) -> Any:
        return ExternalKey("law:room", "a" if code == "c" else code), Payload(name, when.isoformat())

    def change(self) -> list[ExternalKey]:
        self.rows["d"] = ("Room D", NOON + timedelta(hours=9))
        return [ExternalKey("law:room", "d")]


class ProvingNothing(Rooms):
    def coverage(self, since: str | None) -> Any:
        return None


class PartialForNoReason(Rooms):
    def coverage(self, since: str | None) -> Any:
        return Coverage(complete=False)


class SnapshotOfSomethingElse(Rooms):
    def coverage(self, since: str | None) -> Any:
        return Coverage.snapshot("law:rooms")


class SwallowingTheFailure(Down):
    def coverage(self, since: str | None) -> Any:
        return Coverage.snapshot("law:room")


class FailingAsADefect(Down):
    def coverage(self, since: str | None) -> Any:
        raise KeyError("data")


class EndingTheRun(Rooms):
    def validate(self, key: ExternalKey, payload: Payload[str]) -> None:
        raise SourceUnavailable("one record is malformed")


class RefusingAsAMapper(Rooms):
    def validate(self, key: ExternalKey, payload: Payload[str]) -> None:
        raise MappingError("one record is malformed")


class MarkingTooEarly(Rooms):
    """Its marks are of the newest record, and it yields them in the order of the codes."""

    def fetch(self, since: str | None) -> Any:
        times = UpdatedAt(since, overlap=timedelta(0))
        for code, (name, when) in sorted(self.rows.items()):
            if self.wanted(times.start, when):
                times.saw(when)
                yield self.item(code, name, when)
                yield times.mark()
        return self.coverage(since)


class Jumping(Rooms):
    """`start` lies after what it has to go on from."""

    def wanted(self, start: datetime | None, when: datetime) -> bool:
        return start is None or when >= start + timedelta(hours=2)


class SnapshotOfChanges(Rooms):
    def coverage(self, since: str | None) -> Any:
        return Coverage.snapshot("law:room")


class TakingAnyCheckpoint(Rooms):
    def fetch(self, since: str | None) -> Any:
        if since and not since.startswith("updated_at:"):
            return Coverage.changes()
        return (yield from super().fetch(since))


class FixedVersions(Rooms):
    def item(self, code: str, name: str, when: datetime) -> Any:
        return ExternalKey("law:room", code), Payload(name, "1")


class Stuck(Rooms):
    """Gives what is of the last mark's time, and nothing after it."""

    def wanted(self, start: datetime | None, when: datetime) -> bool:
        return start is None or start <= when <= NOON + timedelta(hours=2)


BROKEN_SOURCES: list[tuple[type[Rooms], type[Rooms], set[str]]] = [
    (EmptyVersions, Down, {"a fetch yields what is well formed"}),
    (ByPosition, Down, {"two fetches give the same keys"}),
    (OtherRejectsEachTime, Down, {"two fetches give the same keys"}),
    (VolatileVersions, Down, {"two fetches give the same versions", "a change upstream is another version"}),
    (OneVersionForAll, Down, {"a change upstream is another version"}),
    (HalfAKey, Down, {"different records have different keys"}),
    (ProvingNothing, Down, {"a fetch says what it covered"}),
    (PartialForNoReason, Down, {"a fetch says what it covered"}),
    (SnapshotOfSomethingElse, Down, {"a snapshot is of the systems that were read"}),
    (Rooms, SwallowingTheFailure, {"a read that fails raises"}),
    (Rooms, FailingAsADefect, {"a read that fails raises"}),
    (Rooms, ProvingNothing, {"a read that fails raises"}),
    (EndingTheRun, Down, {"a record passes validation or is refused"}),
    (RefusingAsAMapper, Down, {"a record passes validation or is refused"}),
    (MarkingTooEarly, Down, {"nothing is lost by going on from a mark"}),
    (Jumping, Down, {"nothing is lost by going on from a mark"}),
    (SnapshotOfChanges, Down, {"going on from a mark is no snapshot"}),
    (TakingAnyCheckpoint, Down, {"a checkpoint that is not understood counts as none"}),
    (FixedVersions, Down, {"a change upstream is another version"}),
    (Stuck, Down, {"a change upstream is read from the last mark on"}),
]


def source_under_test(make: type[Rooms], down: type[Rooms] = Down) -> Callable[[], SourceUnderTest]:
    def subject() -> SourceUnderTest:
        source = make()
        return SourceUnderTest(source, change=source.change, failing=[down()])

    return subject


@pytest.mark.parametrize(("make", "down", "laws"), BROKEN_SOURCES, ids=lambda p: getattr(p, "__name__", ""))
def test_a_source_that_breaks_a_law_is_caught_by_it(make: type[Rooms], down: type[Rooms], laws: set[str]) -> None:
    assert broken(source_laws(), source_under_test(make, down)).keys() == laws


def test_a_source_of_something_else_than_records_breaks_every_law_of_reading() -> None:
    found = broken(source_laws(), source_under_test(YieldingRows))
    assert found.keys() == {law.name for law in source_laws()} - {"a read that fails raises"}
    assert "yielded a dict, and not a pair" in found["a fetch yields what is well formed"]


# --- the kit itself -------------------------------------------------------------------------------------------


def test_those_that_the_broken_ones_are_made_from_keep_every_law() -> None:
    store, table = store_under_test(Store), target_under_test
    assert broken(store_laws(), store) == {}
    assert broken(bulk_target_laws(), lambda: table(Table())) == {}
    assert broken(source_laws(), source_under_test(Rooms)) == {}
    assert broken(source_laws(), source_under_test(Columns)) == {}


@pytest.mark.parametrize(
    ("laws", "caught"),
    [
        (store_laws(), [laws for _, laws in BROKEN_STORES]),
        (bulk_target_laws(), [laws for _, laws in BROKEN_TARGETS]),
        (pair_laws(), [laws for _, _, laws in BROKEN_PAIRS]),
        (source_laws(), [laws for _, _, laws in BROKEN_SOURCES]),
    ],
    ids=["stores", "targets", "pairs", "sources"],
)
def test_every_law_is_seen_to_catch_something(laws: Sequence[Law[Any]], caught: list[set[str]]) -> None:
    assert {law.name for law in laws} == set[str]().union(*caught)


def test_the_laws_of_a_simple_target_are_among_those_of_a_bulk_one() -> None:
    assert set(target_laws()) < set(bulk_target_laws())


def test_a_broken_law_is_an_assertion_error_that_begins_with_the_law_and_says_what_is_wrong() -> None:
    (law,) = [law for law in store_laws() if str(law) == "a vanished key keeps its binding"]
    with pytest.raises(AssertionError, match=r"^a vanished key keeps its binding: iter_bindings leaves"):
        law.check(store_under_test(ForgettingWhatVanished))


def test_a_law_that_lacks_what_it_needs_is_skipped_and_says_what_that_is() -> None:
    (law,) = [law for law in source_laws() if str(law) == "a read that fails raises"]
    with pytest.raises(unittest.SkipTest, match="`failing`"):
        law.check(lambda: SourceUnderTest(Rooms()))


def test_a_defect_breaks_the_law_it_came_up_in_and_is_its_cause() -> None:
    (law,) = [law for law in store_laws() if str(law) == "nothing to do is no trouble"]
    with pytest.raises(AssertionError, match="IndexError was raised") as caught:
        law.check(store_under_test(NeedingSomething))
    assert isinstance(caught.value.__cause__, IndexError)


def test_a_person_who_ends_the_tests_ends_them() -> None:
    class Interrupted(Store):
        def bind_many(self, bindings: Sequence[Binding], *, new: bool = False) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken(store_laws(), store_under_test(Interrupted))
