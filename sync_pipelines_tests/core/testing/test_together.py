"""Proof of the laws of a target and a store together: each broken pair is caught, by just the law it breaks."""

from collections.abc import Callable

import pytest

from sync_pipelines.core import Change, MemoryStateStore, TargetError, Written
from sync_pipelines.core.testing import PairUnderTest, broken, pair_laws
from sync_pipelines_tests.core.testing.test_stores import (
    BelievingInLife,
    MourningTheVanished,
    Store,
    VersionsOfTheDead,
    VersionsOfTheVanished,
)
from sync_pipelines_tests.core.testing.test_targets import Table, target_under_test


class SpoiltByARefusal(Table):
    def write(self, change: Change) -> Written | TargetError:
        written = super().write(change)
        if isinstance(written, TargetError):
            self.rows.clear()
        return written


BROKEN_PAIRS: list[tuple[Callable[[MemoryStateStore], Table], type[Store], set[str]]] = [
    (
        lambda store: Table(),
        Store,
        {"rows and bindings stand or fall together", "loaded rows and bindings stand or fall together"},
    ),
    (SpoiltByARefusal, Store, {"a refused row does not spoil the transaction"}),
    (Table, VersionsOfTheDead, {"the versions are those of rows that live"}),
    (Table, VersionsOfTheVanished, {"the versions are those of rows that live"}),
    (Table, BelievingInLife, {"all are alive only while the target has every row"}),
    (Table, MourningTheVanished, {"all are alive only while the target has every row"}),
]


@pytest.mark.parametrize(("table", "state", "laws"), BROKEN_PAIRS)
def test_a_pair_that_breaks_a_law_is_caught_by_it(
    table: Callable[[MemoryStateStore], Table], state: type[Store], laws: set[str]
) -> None:
    def make() -> PairUnderTest:
        store = state()
        return PairUnderTest(store, target_under_test(table(store)))

    assert broken(pair_laws(), make).keys() == laws


def test_every_law_is_seen_to_catch_something() -> None:
    assert {law.name for law in pair_laws()} == set[str]().union(*(laws for *_, laws in BROKEN_PAIRS))
