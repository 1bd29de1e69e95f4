"""What a school's things are in the tables' terms."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sync_pipelines.core import ExternalKey, MappingError, Payload
from sync_pipelines.flows.bakalari import mapping
from sync_pipelines.flows.bakalari.mapping import SchoolMapper

SCHOOL = "gymnazium"
texts = st.text(max_size=40)


@dataclass
class Rows:
    """Knows a row of whatever it is asked for."""

    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def internal_id(self, system: str, key: str) -> str:
        self.asked.append((system, key))
        return f"row of {key!r}"


def mapped(
    make: Callable[..., SchoolMapper], fields: Mapping[str, Any], school: str = SCHOOL
) -> tuple[dict[str, Any], Mapping[str, Any], list[tuple[str, str]]]:
    """Its row, its note, and the rows it was looked up by."""
    rows = Rows()
    mapper = make(rows, school)
    key, payload = ExternalKey("bakalari:x:y", "k"), Payload(fields, None)
    return dict(mapper.map(key, payload).fields), mapper.metadata(key, payload), rows.asked


def user(user_type: str = "student", code: str = "GTU4V", **more: Any) -> dict[str, Any]:
    return {"type": user_type, "code": code, "name": "Nováková Eva", "class_id": " XL", **more}


def address(user_type: str, code: str, school: str = SCHOOL, **more: Any) -> str:
    return mapped(mapping.user_mapper, user(user_type, code, **more), school)[0]["email"]


# --- notes (D3) -------------------------------------------------------------------------------------------------


def test_each_binding_has_beside_it_what_the_contract_says() -> None:
    notes = [
        mapped(make, fields)[1]
        for make, fields in (
            (mapping.school_mapper, {"name": None, "base_url": "https://a.cz"}),
            (mapping.class_mapper, {"id": " XL", "abbrev": "1.A"}),
            (mapping.subject_mapper, {"id": " 6", "code": "M", "name": "Matematika"}),
            (mapping.user_mapper, user(uid="sid/GTU4V")),
            (mapping.user_mapper, user("teacher", "U  12")),
            (mapping.enrollment_mapper, {"key": "k", "user": "student:a", "subject": " 6", "class_id": " XL"}),
        )
    ]
    assert notes == [
        {"school": SCHOOL},
        {"bakalariClassId": " XL", "bakalariClassAbbrev": "1.A"},
        {"bakalariSubjectId": " 6", "bakalariSubjectCode": "M"},
        {"bakalariUserId": "sid/GTU4V", "bakalariUserType": "student"},
        {"bakalariUserId": "U  12", "bakalariUserType": "teacher"},
        {"userId": "student:a", "subjectId": " 6", "classId": " XL"},
    ]


# --- classes and subjects ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{"abbrev": "X.A"}, {}, {"abbrev": None, "study_year": None}, {"abbrev": " "}])
def test_a_grade_that_nobody_says_is_not_written_and_the_row_says_so(fields: dict[str, Any]) -> None:
    row, note, _ = mapped(mapping.class_mapper, {"id": "XL", **fields})
    assert "grade" not in row
    assert row["grade_guessed"] is True
    assert note["gradeGuessed"] is True


@pytest.mark.parametrize("fields", [{"abbrev": "3.A"}, {"study_year": 3}, {"abbrev": "1.A", "study_year": 3}])
def test_a_grade_that_somebody_says_is_written(fields: dict[str, Any]) -> None:
    row, note, _ = mapped(mapping.class_mapper, {"id": "XL", **fields})
    assert (row["grade"], row["grade_guessed"], "gradeGuessed" in note) == (3, False, False)


def test_a_class_without_a_name_is_called_by_its_abbreviation() -> None:
    assert mapped(mapping.class_mapper, {"id": "XL", "abbrev": "3.A", "name": " "})[0]["name"] == "3.A"


@pytest.mark.parametrize(
    ("fields", "name"), [({"name": "Matematika", "abbrev": "M"}, "Matematika"), ({"abbrev": "M"}, "M"), ({}, " 6")]
)
def test_a_subject_is_called_by_the_best_of_what_it_has(fields: dict[str, Any], name: str) -> None:
    assert mapped(mapping.subject_mapper, {"id": " 6", "code": "M", **fields})[0]["name"] == name


# --- people (D5, D6) --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user_type", "role"), [("student", "STUDENT"), ("teacher", "TEACHER"), ("parents", "PARENT")]
)
def test_a_persons_role_is_that_of_their_type(user_type: str, role: str) -> None:
    assert mapped(mapping.user_mapper, user(user_type))[0]["role"] == role


def test_ids_are_kept_exactly_and_looked_up_in_their_school() -> None:
    row, _, asked = mapped(mapping.user_mapper, user(code=" a ", uid="sid/ a "))
    assert (row["external_id"], row["user_uid"], row["class_id"]) == (" a ", "sid/ a ", "row of ' XL'")
    enrollment = {"key": "k", "user": "student: a ", "subject": " 6", "class_id": " XL"}
    of_enrollment = mapped(mapping.enrollment_mapper, enrollment)
    assert asked == [("bakalari:gymnazium:class", " XL")]
    assert of_enrollment[2] == [
        ("bakalari:gymnazium:user", "student: a "),
        ("bakalari:gymnazium:subject", " 6"),
        ("bakalari:gymnazium:class", " XL"),
    ]


@pytest.mark.parametrize("user_type", ["student", "teacher", "parents"])
@pytest.mark.parametrize("name", [None, "", "  "])
def test_a_person_of_whom_nobody_says_a_name_is_refused(user_type: str, name: str | None) -> None:
    with pytest.raises(MappingError, match="nobody says a name"):
        mapped(mapping.user_mapper, user(user_type, name=name))


def test_a_student_without_a_class_is_refused_and_so_is_what_they_learn() -> None:
    with pytest.raises(MappingError, match="a student without a class") as caught:
        mapped(mapping.user_mapper, user(class_id=None))
    assert "Nováková" not in str(caught.value)
    with pytest.raises(MappingError, match="class is not known"):
        mapped(mapping.enrollment_mapper, {"key": "k", "user": "u", "subject": "s", "class_id": None})


@pytest.mark.parametrize("user_type", ["teacher", "parents"])
def test_who_is_no_student_needs_no_class(user_type: str) -> None:
    assert mapped(mapping.user_mapper, user(user_type, class_id=None))[0]["class_id"] is None


people = st.tuples(st.sampled_from(["student", "teacher", "parents"]), texts, st.sampled_from(["a", "b", "a-b"]))


@given(people, people)
def test_made_addresses_are_the_same_for_one_person_and_different_for_two(
    one: tuple[str, str, str], two: tuple[str, str, str]
) -> None:
    assert (address(*one) == address(*two)) == (one == two)


@pytest.mark.parametrize(
    "codes", [(" 6", "6"), ("6", "6 "), ("a/b", "a-b"), ("é", "e\u0301"), ("A", "a"), ("\0", " ")]
)
def test_codes_that_look_alike_have_addresses_of_their_own(codes: tuple[str, str]) -> None:
    assert len({address("teacher", code) for code in codes}) == 2


@given(people)
@example(("teacher", f"{'x' * 29}/y", "a"))
def test_a_made_address_is_one_that_any_server_takes(person: tuple[str, str, str]) -> None:
    made = address(*person)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*@bakalari\.local", made)
    assert len(made.partition("@")[0]) <= 64


def test_a_made_address_stays_what_it_is_in_every_release() -> None:
    assert address("teacher", "U  12") == "u-12-fd58f62ba8@bakalari.local"


def test_an_address_that_the_school_gives_is_the_persons() -> None:
    assert address("teacher", "U  12", email="eva@skola.cz") == "eva@skola.cz"
    assert address("teacher", "U  12", email=" ") == address("teacher", "U  12")
