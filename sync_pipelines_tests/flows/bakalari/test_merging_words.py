"""Laws of what is said of a thing: whose word counts, and how subjects are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.flows.bakalari.merging import Sighting, Whole, merged
from sync_pipelines.flows.bakalari.snapshot import Kind, Snapshot
from sync_pipelines_tests.flows.bakalari.histories import Read, befores, readings

# --- whose word counts ------------------------------------------------------------------------------------------

words = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([None, "A", "B", "C"])), min_size=1, max_size=6)


def saying(said: Iterable[tuple[int, Any]], field: str = "name", kind: Kind = "user") -> list[Sighting]:
    return [Sighting(kind, "x", {field: value}, rank) for rank, value in said]


@given(words, words)
def test_of_those_who_say_a_field_the_highest_rank_counts_and_of_equals_the_later(
    first: list[tuple[int, str | None]], second: list[tuple[int, str | None]]
) -> None:
    before = merged(Snapshot(), saying(first), Whole()).snapshot
    after = merged(before, saying(second), Whole()).snapshot.of("user")["x"]
    expected = None
    for said in (first, second):
        ranks = [rank for rank, value in said if value is not None]
        expected = next((v for rank, v in reversed(said) if v and rank == max(ranks)), expected)
    assert after.fields.get("name") == expected


@given(st.permutations([1, 2, 2, 3]))
def test_a_class_is_in_the_year_that_most_of_its_students_are_in(years: list[int]) -> None:
    said = saying([(0, year) for year in years], "study_year", "class")
    assert merged(Snapshot(), said, Whole()).snapshot.of("class")["x"].fields["study_year"] == 2


@pytest.mark.parametrize(
    ("said", "conflicts"),
    [
        ([(1, "Nováková Eva"), (1, "NOVÁKOVÁ  Eva")], {}),
        ([(1, "Nováková Eva"), (1, "Nova\u0301kova\u0301 Eva")], {}),
        ([(1, "Nováková Eva"), (0, "Nováková Eva, 1.A"), (1, None)], {}),
        ([(1, "Nováková Eva"), (1, "Dvořáková Eva"), (1, "Nováková Eva")], {"user name": 1}),
    ],
)
def test_equals_who_disagree_are_counted_and_a_letters_case_is_no_disagreement(
    said: list[tuple[int, str | None]], conflicts: dict[str, int]
) -> None:
    assert merged(Snapshot(), saying(said), Whole()).conflicts == Counter(conflicts)


def class_called(abbrev: str, study_year: int | None = None) -> Sighting:
    return Sighting("class", "XL", {"abbrev": abbrev} | ({} if study_year is None else {"study_year": study_year}))


@pytest.mark.parametrize(
    ("sighting", "study_year"),
    [
        (class_called("2.A"), None),
        (class_called("2.A", 2), 2),
        (class_called("1.A"), 1),
        (class_called("1.a"), 1),
        (Sighting("class", "XL"), 1),
    ],
)
def test_a_class_that_is_called_anew_in_september_is_in_last_years_year_no_more(
    sighting: Sighting, study_year: int | None
) -> None:
    before = merged(Snapshot(), [class_called("1.A", 1)], Whole()).snapshot
    assert merged(before, [sighting], Whole()).snapshot.of("class")["XL"].fields["study_year"] == study_year


# --- codes of subjects ------------------------------------------------------------------------------------------


def codes(snapshot: Snapshot) -> dict[str, Any]:
    return {key: fact.fields["code"] for key, fact in snapshot.of("subject").items()}


@given(befores)
def test_no_two_subjects_of_a_school_have_one_code(snapshot: Snapshot) -> None:
    assert len(set(codes(snapshot).values())) == len(codes(snapshot))


@given(befores, readings)
def test_a_subject_keeps_its_code_while_it_is_called_the_same(before: Snapshot, read: Read) -> None:
    after = read.onto(before).snapshot
    for key, fact in before.of("subject").items():
        now = after.of("subject").get(key)
        if now is not None and now.fields.get("abbrev") == fact.fields.get("abbrev"):
            assert now.fields["code"] == fact.fields["code"]


@given(befores, readings)
def test_a_code_is_the_bare_abbreviation_unless_another_subject_has_that(before: Snapshot, read: Read) -> None:
    had, after = codes(before), read.onto(before).snapshot
    for key, fact in after.of("subject").items():
        bare = fact.fields.get("abbrev") or key.strip()
        assert str(fact.fields["code"]).startswith(str(bare))
        if fact.fields["code"] not in (bare, had.get(key)):
            assert bare in {code for other, code in codes(after).items() if other != key}
