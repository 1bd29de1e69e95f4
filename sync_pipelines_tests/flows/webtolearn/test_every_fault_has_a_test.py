"""What can go wrong with WebToLearn and in the engine (contracts/faults.md) is covered: tests name the number."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
FLOWS = TESTS / "flows"
#: Those that concern WebToLearn or the engine; the others are Bakalari's and the learning apps' own.
NUMBERS = {*range(1, 22), *range(23, 47), *range(67, 75), *range(77, 80)}
#: What is proven of them where the flows cannot bring it about.
ELSEWHERE = {
    # The database holds no binding without a row's id.
    71: "core/test_writing.py::test_an_inconsistent_binding_fails_its_key_and_is_left_alone",
    # The platform sends no time of change.
    74: "core/test_traps.py::test_04_a_clock_in_the_future_does_not_hide_what_follows",
}


def functions_of(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node


def named(docstring: str) -> set[int]:
    """The numbers of "Fault 12." or "Faults 13, 14 and 43: …"."""
    said = re.match(r"Faults? ([0-9]+(?:(?:, | and )[0-9]+)*)[.:]", docstring)
    return {int(number) for number in re.findall("[0-9]+", said[1])} if said else set()


@pytest.fixture(scope="module")
def naming() -> dict[str, set[int]]:
    """The numbers that the flows' tests name."""
    paths = (path for path in FLOWS.rglob("test_*.py") if path.parent.name != "bakalari")
    found = (test for path in paths for test in functions_of(path))
    return {test.name: named(ast.get_docstring(test) or "") for test in found}


@pytest.mark.parametrize("number", sorted(NUMBERS))
def test_a_fault_that_concerns_the_flows_has_a_test_that_names_it(
    naming: dict[str, set[int]], number: int
) -> None:
    assert [name for name, numbers in naming.items() if number in numbers]


def test_no_test_names_a_number_that_is_nobodys(naming: dict[str, set[int]]) -> None:
    assert set().union(*naming.values()) <= NUMBERS


@pytest.mark.parametrize("number", sorted(ELSEWHERE))
def test_what_is_proven_elsewhere_is_there(number: int) -> None:
    file, _, name = ELSEWHERE[number].partition("::")
    assert name in {test.name for test in functions_of(TESTS / file)}


def test_the_numbers_are_read_as_they_are_written() -> None:
    assert named("Fault 12.") == {12}
    assert named("Fault 12: and more 13.") == {12}
    assert named("Faults 1, 22 and 43.") == {1, 22, 43}
    assert named("Default 7.") == named("Faulty 7.") == named("contracts, Fault 7.") == set()
