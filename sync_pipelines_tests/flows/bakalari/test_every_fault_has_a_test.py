"""What can go wrong with Bakalari (contracts/faults.md) is covered: by number, in the docstrings of tests."""

from __future__ import annotations

import ast

import pytest

from sync_pipelines_tests.flows.webtolearn.test_every_fault_has_a_test import TESTS, functions_of, named

HERE = TESTS / "flows" / "bakalari"
#: Those of Bakalari alone, and those of any upstream in which it is unlike others.
NUMBERS = {*range(47, 66), 14, 16, *range(20, 24), *range(28, 31), *range(37, 43), 46, 65, 72, 73, 77, 80}


@pytest.fixture(scope="module")
def numbers() -> set[int]:
    """Those that the tests here name."""
    found = (test for path in HERE.glob("test_*.py") for test in functions_of(path))
    return set().union(*(named(ast.get_docstring(test) or "") for test in found))


def test_a_fault_that_concerns_bakalari_has_a_test_that_names_it(numbers: set[int]) -> None:
    assert numbers >= NUMBERS
