"""The in-memory target and store keep the laws that every implementation keeps."""

from collections.abc import Sequence
from contextlib import nullcontext

import pytest

from sync_pipelines.core import (
    Binding,
    Change,
    ExternalKey,
    MemoryStateStore,
    MemoryTarget,
    Projection,
    TargetError,
    Written,
)
from sync_pipelines.core.testing import (
    Law,
    PairUnderTest,
    StoreUnderTest,
    TargetUnderTest,
    bulk_target_laws,
    pair_laws,
    store_laws,
    target_laws,
)


def good(n: int) -> Projection:
    return Projection("rooms", {"code": str(n), "seats": n})


def changed(n: int) -> Projection:
    return Projection("rooms", {"code": str(n), "seats": n + 1000})


class Choosy(MemoryTarget):
    """It can also refuse a row when it is written, as a database does."""

    def upsert_many(self, changes: Sequence[Change]) -> Sequence[Written | TargetError]:
        return [self._choose(change) for change in changes]

    def _choose(self, change: Change) -> Written | TargetError:
        if change.projection.fields["code"] == "refused":
            return TargetError("the code is refused")
        return super().upsert_many([change])[0]


def memory_store() -> StoreUnderTest:
    store = MemoryStateStore()
    return StoreUnderTest(store, lambda: nullcontext(store), last_report=store.reports.__getitem__)


def memory_target(store: MemoryStateStore | None = None) -> TargetUnderTest:
    target = Choosy(store)
    return TargetUnderTest(
        target,
        good=good,
        changed=changed,
        rows=lambda: {i: {**row, "vanished": i in target.vanished} for i, row in target.rows.items()},
        remove=lambda internal_id: target.rows.pop(internal_id),
        invalid=Projection("rooms", {}),
        refused=Projection("rooms", {"code": "refused"}),
    )


def memory_pair() -> PairUnderTest:
    store = MemoryStateStore()
    return PairUnderTest(store, memory_target(store))


class OneByOne:
    """The smallest Target there is; the engine, and the laws, put it behind an adapter."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, object]] = {}

    def validate(self, key: ExternalKey, projection: Projection) -> None:
        if projection.kind != "rooms":
            raise TargetError("these are no rooms")

    def upsert(self, key: ExternalKey, projection: Projection) -> str:
        if projection.fields["code"] == "refused":
            raise TargetError("the code is refused")
        self.rows[key.key] = dict(projection.fields)
        return key.key

    def delete(self, key: ExternalKey, binding: Binding) -> None:
        self.rows.pop(binding.internal_id, None)


def one_by_one() -> TargetUnderTest:
    target = OneByOne()
    return TargetUnderTest(
        target,
        good=good,
        changed=changed,
        rows=lambda: dict(target.rows),
        remove=lambda internal_id: target.rows.pop(internal_id),
        invalid=Projection("desks", {"code": "1"}),
        refused=Projection("rooms", {"code": "refused"}),
    )


@pytest.mark.parametrize("law", store_laws(), ids=str)
def test_the_store_in_memory_keeps_the_law(law: Law[StoreUnderTest]) -> None:
    law.check(memory_store)


@pytest.mark.parametrize("law", bulk_target_laws(), ids=str)
def test_the_target_in_memory_keeps_the_law(law: Law[TargetUnderTest]) -> None:
    law.check(memory_target)


@pytest.mark.parametrize("law", target_laws(), ids=str)
def test_a_target_that_takes_a_record_at_a_time_keeps_the_law(law: Law[TargetUnderTest]) -> None:
    law.check(one_by_one)


@pytest.mark.parametrize("law", pair_laws(), ids=str)
def test_target_and_store_in_memory_keep_the_law(law: Law[PairUnderTest]) -> None:
    law.check(memory_pair)
