"""An invented school is like those that there are (contracts/bakalari.md C9–C12, D7), and holds together."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.sandbox.bakalari import Atom, Pupil, School, SchoolClass, Subject, Teacher

few = st.integers(0, 5)
sizes = st.fixed_dictionaries({"classes": few, "students": few, "teachers": few, "seed": st.integers(0, 50)})


@pytest.fixture(scope="module")
def invented() -> School:
    return School.invented("gym-01", classes=12, students=300, teachers=40)


@given(sizes)
def test_the_same_seed_invents_the_same_school(size: dict[str, int]) -> None:
    assert School.invented("a", **size) == School.invented("a", **size)


def test_another_seed_or_another_school_is_another() -> None:
    schools = [School.invented("a"), School.invented("a", seed=2), School.invented("b")]
    assert len({tuple(pupil.code for pupil in school.pupils) for school in schools}) == 3


@given(sizes)
def test_a_school_of_any_size_is_as_large_as_asked_and_refers_to_what_it_has(size: dict[str, int]) -> None:
    school = School.invented("a", **size)
    assert (len(school.classes), len(school.pupils), len(school.teachers)) == (
        size["classes"],
        size["students"],
        size["teachers"],
    )
    for records, key in (
        (school.classes, "id"),
        (school.teachers, "id"),
        (school.subjects, "id"),
        (school.atoms, "id"),
        (school.pupils, "code"),
    ):
        ids = [getattr(record, key) for record in records]
        assert len(set(ids)) == len(ids)
    codes = {pupil.code for pupil in school.pupils}
    for atom in school.atoms:
        assert school.subject(atom.subject_id)
        assert school.teacher(atom.teacher_id)
        assert atom.class_id is None or school.class_(atom.class_id)
        assert atom.released <= set(atom.pupils) <= codes
    for pupil in school.pupils:
        assert (pupil.class_id is None) == (size["classes"] == 0)


@given(sizes)
def test_everybody_has_an_account_and_a_pupil_a_parents_too(size: dict[str, int]) -> None:
    school = School.invented("a", **size)
    for pupil in school.pupils:
        assert school.account_of(pupil).code == pupil.code
        assert school.account_of(pupil, "parent").code == "R" + pupil.code
    for teacher in school.teachers:
        assert school.account_of(teacher).code == teacher.id
    assert ("spravce" in school.accounts) == bool(school.teachers)
    codes = {account.code for account in school.accounts.values()}
    assert not codes & school.accounts.keys()


@given(sizes)
def test_who_is_enrolled_is_who_learns_it(size: dict[str, int]) -> None:
    school = School.invented("a", **size)
    learnt = {(p.code, subject) for p in school.pupils for subject in school.subjects_of(p.code)}
    assert school.enrolled() == learnt


def test_ids_are_of_one_width_and_their_blanks_count(invented: School) -> None:
    assert all(re.fullmatch(r"[A-Z0-9]{2}", class_.id) for class_ in invented.classes)
    assert all(re.fullmatch(r"U[ \d]{3}\d|U[A-Z]{4}", teacher.id) for teacher in invented.teachers)
    assert all(re.fullmatch(r"[ \d]\d", subject.id) for subject in invented.subjects)
    assert {len(teacher.id.replace(" ", "")) for teacher in invented.teachers} > {2, 5}
    assert any(subject.id.startswith(" ") for subject in invented.subjects)


def test_ids_of_atoms_have_what_paths_and_separators_are_made_of(invented: School) -> None:
    ids = [atom.id for atom in invented.atoms]
    assert set("(}[|*:=_/% ") <= set("".join(ids))
    assert any(key.startswith(" ") for key in ids)


def test_classes_are_called_in_many_ways() -> None:
    schools = [School.invented(f"school-{n}") for n in range(30)]
    abbrevs = {class_.abbrev for school in schools for class_ in school.classes}
    assert {"1.A", "prima", "G1.A", "K3", "2. AG", "4AV", "E2.A", "II.A"} <= abbrevs
    for school in schools:
        assert len({class_.abbrev for class_ in school.classes}) == len(school.classes)
        assert all(1 <= class_.study_year <= 10 for class_ in school.classes)
    assert {bool(class_.name) for school in schools for class_ in school.classes} == {True, False}


def test_some_subjects_share_an_abbreviation(invented: School) -> None:
    assert max(Counter(subject.abbrev for subject in invented.subjects).values()) > 1


def test_a_class_has_ten_to_fourteen_subjects_and_some_are_taught_in_two_groups(invented: School) -> None:
    for class_ in invented.classes:
        subjects = Counter(atom.subject_id for atom in invented.atoms if atom.class_id == class_.id)
        assert 10 <= len(subjects) <= 14
        assert sorted(subjects.values())[-2:] == [2, 2]
        for subject_id, groups in subjects.items():
            members = [
                code
                for atom in invented.atoms
                if (atom.class_id, atom.subject_id) == (class_.id, subject_id)
                for code in atom.pupils
            ]
            assert sorted(members) == sorted(p.code for p in invented.pupils if p.class_id == class_.id), groups


def test_some_groups_join_pupils_of_two_classes_and_some_are_released(invented: School) -> None:
    joined = [atom for atom in invented.atoms if atom.class_id is None]
    assert {len({invented.pupil(code).class_id for code in atom.pupils}) for atom in joined} == {2}
    assert sum(len(atom.released) for atom in invented.atoms) > 10
    assert {atom.disabled for atom in invented.atoms} == {True, False}


def test_who_is_released_does_not_learn_it() -> None:
    school = School("a", pupils=[Pupil("G1", "A", "B", "XL"), Pupil("G2", "A", "B", "XL")])
    school.classes = [SchoolClass("XL", "1.A")]
    school.teachers, school.subjects = [Teacher("U   4", "Nov  ", "Nov A")], [Subject(" 6", "M   ", "Matematika")]
    school.atoms = [Atom(" (}", " 6", "U   4", "XL", ["G1", "G2", "gone"], {"G2"})]
    assert school.enrolled() == {("G1", " 6")}


def test_a_pupil_who_leaves_takes_the_accounts_along() -> None:
    school = School.invented("a")
    gone = school.pupils[0]
    usernames = {school.account_of(gone).username, school.account_of(gone, "parent").username}
    before = school.enrolled()
    school.remove_pupil(gone.code)
    assert not usernames & school.accounts.keys()
    assert school.enrolled() == {(code, subject) for code, subject in before if code != gone.code}


def test_no_password_and_no_name_is_in_the_repr_of_a_school_or_an_account() -> None:
    school = School.invented("a")
    account = school.account_of(school.pupils[0])
    assert account.password not in repr(account)
    assert school.pupils[0].last_name not in repr(school)
