"""What a class's name says of its year."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.flows.bakalari.grades import grade_of

# Names as found in the wild: contracts/bakalari.md D7.
KNOWN = {
    "G1A": 1, "G6.A": 6, "Z1I": 1, "Z9.C": 9, "E2.A": 2, "K3": 3, "ME2": 2,
    "IV.B": 4, "oktáva": 8, "10.C": 10, "4.B8": 4, "2. AG": 2, "4AV": 4,
    "X.A": None, " X. a": None, "": None, "2024A": None, "0.A": None, None: None,
}  # fmt: skip
OTHERS = {
    "1.A": 1, "13.A": 13, "14.A": None, "２.A": 2, " 3. b ": 3, "Ⅳ.B": 4, "iv.b": 4, "IX. A": 9, "XIII.A": 13,
    "Oktava A": 8, "PRIMA": 1, "Sekunda B": 2, "tercie": 3, "kvarta": 4, "kvinta": 5, "sexta": 6, "septima": 7,
    "XIV.A": None, "IIII.A": None, "IV": None, "Maxi. A": None, "školka": None, "2024/3.A": 3,
}  # fmt: skip
texts = st.text(st.characters(codec="utf-8"), max_size=12)
numbers = st.integers(-5, 10**6)


@pytest.mark.parametrize(("abbrev", "grade"), {**KNOWN, **OTHERS}.items())
def test_a_name_says_its_year_or_nothing(abbrev: str | None, grade: int | None) -> None:
    assert grade_of(abbrev, None) == grade


@given(st.none() | texts | st.from_regex(r"[A-Z]?[0-9IVXivx]{1,5}[. ]{0,2}[A-Z]?", fullmatch=True), numbers)
def test_a_grade_is_never_outside_of_1_to_13(abbrev: str | None, study_year: int) -> None:
    assert grade_of(abbrev, study_year) in {None, *range(1, 14)}


@given(st.none() | texts, st.integers(1, 13))
def test_what_students_accounts_say_counts_whatever_the_class_is_called(abbrev: str | None, year: int) -> None:
    assert grade_of(abbrev, year) == year


@given(st.none() | texts, st.none() | st.integers(max_value=0) | st.integers(min_value=14))
def test_a_study_year_that_is_none_says_nothing(abbrev: str | None, year: int | None) -> None:
    assert grade_of(abbrev, year) == grade_of(abbrev, None)


@given(st.from_regex(r"[A-H]{0,2}[0-9]{3,6}[A-H]?", fullmatch=True))
def test_digits_of_a_longer_number_are_no_grade(abbrev: str) -> None:
    assert grade_of(abbrev, None) is None


@given(st.sampled_from([name for name in (*KNOWN, *OTHERS) if name]), st.sampled_from(["", " ", "\n", "\u00a0"]))
def test_blanks_around_a_name_change_nothing(abbrev: str, blank: str) -> None:
    assert grade_of(blank + abbrev + blank, None) == grade_of(abbrev, None)
