"""Proof of the laws of targets: each broken one is caught, by just the laws it breaks."""

from collections.abc import Callable, Collection, Sequence

import pytest

from sync_pipelines.core import (
    Binding,
    Change,
    Difference,
    ExternalKey,
    MemoryTarget,
    Outcome,
    Projection,
    Projections,
    TargetError,
    Written,
)
from sync_pipelines.core.testing import TargetUnderTest, broken, bulk_target_laws, target_laws


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

    def load_rows(self, rows: Projections) -> Sequence[str]:
        if "refused" in rows.columns["code"]:
            raise TargetError("a code is refused")
        return super().load_rows(rows)


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
        new = super().preview([change._replace(binding=None) for change in changes])
        return [made if found else None for made, found in zip(new, super().preview(changes), strict=True)]


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


def one_by_one(rows: Projections) -> list[Projections]:
    columns = zip(*rows.columns.values(), strict=True)
    return [Projections(rows.kind, {n: [v] for n, v in zip(rows.columns, row, strict=True)}) for row in columns]


class LoadingInOrderOfValues(Table):
    def load_rows(self, rows: Projections) -> Sequence[str]:
        return sorted(super().load_rows(rows), key=lambda i: self.rows[i]["code"])


class LoadingAsVanished(Table):
    def load_rows(self, rows: Projections) -> Sequence[str]:
        ids = super().load_rows(rows)
        self.vanished.update(ids)
        return ids


class LoadingAnything(Table):
    def load_rows(self, rows: Projections) -> Sequence[str]:
        return MemoryTarget.load_rows(self, rows)


class LoadingUntilRefused(Table):
    def load_rows(self, rows: Projections) -> Sequence[str]:
        return [super(LoadingUntilRefused, self).load_rows(row)[0] for row in one_by_one(rows)]


class LoadingWhatIsNew(Table):
    """ON CONFLICT DO NOTHING."""

    def load_rows(self, rows: Projections) -> Sequence[str]:
        there = {row["code"]: internal_id for internal_id, row in self.rows.items()}
        if "refused" in rows.columns["code"]:
            raise TargetError("a code is refused")
        super().load_rows(Projections(rows.kind, {**rows.columns, "code": ["" for _ in rows.columns["code"]]}))
        new = [i for i, row in self.rows.items() if not row["code"]]
        for internal_id, code in zip(new, rows.columns["code"], strict=True):
            self.rows[internal_id]["code"] = code
            if code in there:
                del self.rows[internal_id]
        return [there.get(code, i) for i, code in zip(new, rows.columns["code"], strict=True)]


LOADED = "a row that was loaded is a row like any other"
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
            *("an equal record is unchanged", "the outcome says what was done", LOADED),
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
    (Restless, {"an equal record is unchanged", LOADED}),
    (CallingAllNew, {"the outcome says what was done", LOADED}),
    (ByKindOfChange, {"results come in the order of the changes"}),
    (Undead, {"only living rows are alive"}),
    (
        VanishingForGood,
        {"a row that vanished stays with its values", "a record that returns has its own row as it was"},
    ),
    (StayingVanished, {"a record that returns has its own row as it was"}),
    (WritingToPreview, {"a preview writes nothing"}),
    (SeeingNothing, {"a preview says what the upsert then does"}),
    (LoadingInOrderOfValues, {"the ids of a load are in the order of its rows"}),
    (LoadingAsVanished, {LOADED}),
    (LoadingAnything, {"a load that is refused keeps nothing"}),
    (LoadingUntilRefused, {"a load that is refused keeps nothing"}),
    (LoadingWhatIsNew, {"a load makes all of its rows or none"}),
]


def target_under_test(target: MemoryTarget) -> TargetUnderTest:
    return TargetUnderTest(
        target,
        good=lambda n: Projection("rooms", {"code": str(n), "seats": n}),
        changed=lambda n: Projection("rooms", {"code": str(n), "seats": n + 1000}),
        rows=lambda: {i: {**row, "vanished": i in target.vanished} for i, row in target.rows.items()},
        remove=lambda internal_id: target.rows.pop(internal_id),
        invalid=Projection("rooms", {}),
        refused=Projection("rooms", {"code": "refused", "seats": 1}),
    )


@pytest.mark.parametrize(("make", "laws"), BROKEN_TARGETS, ids=lambda p: getattr(p, "__name__", ""))
def test_a_target_that_breaks_a_law_is_caught_by_it(make: Callable[[], Table], laws: set[str]) -> None:
    found = broken(bulk_target_laws(), lambda: target_under_test(make()))
    assert found.keys() >= laws
    if make not in (WithoutIds, OneRowForAll, WritingToValidate):  # with these nothing can be seen to work
        assert found.keys() == laws


def test_the_target_that_the_broken_ones_are_made_from_keeps_every_law() -> None:
    assert broken(bulk_target_laws(), lambda: target_under_test(Table())) == {}


def test_the_laws_of_a_simple_target_are_among_those_of_a_bulk_one() -> None:
    assert set(target_laws()) < set(bulk_target_laws())


def test_every_law_is_seen_to_catch_something() -> None:
    assert {law.name for law in bulk_target_laws()} == set[str]().union(*(laws for *_, laws in BROKEN_TARGETS))
