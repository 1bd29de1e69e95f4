"""What is personal in a record that is shown: nothing of it is readable, and the record's shape stays."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.service.admin.masking import masked

PERSONAL = ("name", "email", "full_name", "FullName", "login", "phone", "address", "username", "note", "x")
FIELDS = (*PERSONAL, "id", "course_id", "status", "code", "updated_at")
# Of few letters, so that one text is in another now and then.
WORDS = st.text("aAnNž1 -@.", min_size=1, max_size=12) | st.text(max_size=12)
LEAVES = WORDS | st.none() | st.booleans() | st.integers()
FLAT = st.dictionaries(st.sampled_from(FIELDS) | WORDS, LEAVES, max_size=4)
RECORDS = st.recursive(
    FLAT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
    max_leaves=6,
)


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in strings(one)]
    if isinstance(value, list):
        return [text for one in value for text in strings(one)]
    return [value] if isinstance(value, str) else []


def names(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [name for key, one in value.items() for name in (key, *names(one))]
    return [name for one in value for name in names(one)] if isinstance(value, list) else []


def personal(value: Any, field: str = "") -> list[str]:
    """The texts of fields that are a person's."""
    if isinstance(value, dict):
        return [text for name, one in value.items() for text in personal(one, name)]
    if isinstance(value, list):
        return [text for one in value for text in personal(one, field)]
    return [value] if isinstance(value, str) and field in PERSONAL else []


@given(RECORDS)
def test_no_three_letters_of_a_personal_field_are_shown_anywhere(record: Any) -> None:
    shown = " ".join([*strings(masked(record)), *names(masked(record))]).casefold()
    for text in personal(record):
        letters = "".join(c if c.isalpha() else " " for c in text).casefold().split()
        assert not [word for word in letters if len(word) >= 3 and word in shown]


@given(st.text(max_size=200))
def test_each_letter_becomes_a_dot_and_each_digit_a_number_sign(text: str) -> None:
    shown = masked({"name": text})["name"]
    assert len(shown) == len(text)
    assert not any(c.isalnum() for c in shown)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "12"),
        ("course_id", "UZ4T1"),
        ("ClassId", "2B"),
        ("status", "active"),
        ("code", "MAT-1"),
        ("updated_at", "2026-01-12T10:20:30Z"),
        ("expires", "2026-01-12 10:20"),
        ("visits", 12),
        ("percent", 12.5),
        ("active", True),
        ("note", None),
    ],
)
def test_ids_codes_times_and_small_numbers_are_shown(field: str, value: Any) -> None:
    assert masked({field: value}) == {field: value}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "novakova"),
        ("id", "anna@skola.cz"),
        ("login_id", "anna12"),
        ("national_id", "0505051234"),
        ("birth_id", "050505/1234"),
        ("paid", "yes1"),
        ("status", "moved to Brno"),
        ("updated_at", "by Anna"),
        ("birth_date_at", "2005-05-05"),
        ("telefon", 420777123456),
        ("anything", "Anna"),
        ("Abbrev", "NovA"),
    ],
)
def test_what_may_be_a_persons_is_masked_whatever_it_is_called(field: str, value: Any) -> None:
    shown = masked({field: value})[field]
    assert not any(c.isalnum() for c in shown)


def test_a_persons_name_is_masked_in_every_place_that_has_it() -> None:
    record = {"name": "Anna Nováková", "code": "anna", "id": "novakova1", "Anna": "x", "status": "active"}
    shown = masked({**record, "surname": "Novakova"})
    assert json.dumps(shown, ensure_ascii=False).casefold().count("anna") == 0
    assert shown["id"] == "••••••••#"
    assert shown["status"] == "active"


def test_what_is_long_is_cut_and_its_length_is_told() -> None:
    assert masked({"note": "a" * 1000})["note"] == "•" * 200 + "… (1000)"
