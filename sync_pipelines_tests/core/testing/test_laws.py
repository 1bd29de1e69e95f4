"""How a law speaks: what a broken one raises, and one that cannot look."""

import unittest
from collections.abc import Sequence

import pytest

from sync_pipelines.core import Binding
from sync_pipelines.core.testing import SourceUnderTest, broken, source_laws, store_laws
from sync_pipelines_tests.core.testing.test_sources import Rooms
from sync_pipelines_tests.core.testing.test_stores import (
    ForgettingWhatVanished,
    NeedingSomething,
    Store,
    store_under_test,
)


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
