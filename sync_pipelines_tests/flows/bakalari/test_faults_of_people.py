"""Who is whom: parents, twins, strangers, people who move. The numbers are those of contracts/faults.md."""

from __future__ import annotations

from typing import Any

import pytest

from sync_pipelines.sandbox.bakalari import School
from sync_pipelines_tests.flows.bakalari.known import seen_by, truth
from sync_pipelines_tests.flows.bakalari.town import Town

MOVED = "SELECT id::text, user_id::text, subject_id::text FROM bakalari.enrollments_current ORDER BY 1"


@pytest.fixture
def family(town: Town) -> School:
    """A school of whose first pupil there are the pupil's account and a parent's."""
    school = School.invented("s", classes=2, students=6, teachers=2, seed=6)
    town.open(school)
    pupil = school.pupils[0]
    town.accounts["s"] = [school.account_of(pupil).username, school.account_of(pupil, "parent").username]
    return school


def roles(town: Town) -> dict[str, str]:
    return dict(town.query("SELECT user_type || ' ' || external_id, role FROM bakalari.users_current"))


# --- who is no student --------------------------------------------------------------------------------------


def test_a_parent_is_a_parent_and_never_the_child_or_a_student(town: Town, family: School) -> None:
    """Fault 55."""
    town.run_well()
    code = family.pupils[0].code
    assert {key: role for key, role in roles(town).items() if code in key} == {
        f"student {code}": "STUDENT",
        f"parents R{code}": "PARENT",
    }
    assert {user for user, _, _ in town.enrolled("s")} == {code}
    names = "SELECT full_name FROM bakalari.users_current WHERE user_type = :t AND external_id = :c"
    (parent,) = town.query(names, t="parents", c=f"R{code}")
    assert parent == family.account_of(family.pupils[0], "parent").holder


def test_a_parent_of_whom_an_old_server_tells_the_childs_name_alone_is_set_aside(
    town: Town, family: School
) -> None:
    """Fault 55."""
    family.style = "old"
    done = town.run()["s"]
    code = family.pupils[0].code
    assert done.error is None
    assert [report.failed for report in done.reports if report.stream == "bakalari/users"] == [1]
    assert "nobody says a name" in town.rejects()[f"bakalari:s:user parents:R{code}"]
    assert f"parents R{code}" not in roles(town)


@pytest.mark.parametrize("kind", ["školník", "", "student2", "x" * 300, None])
def test_a_type_that_nobody_knows_makes_no_user_and_stops_nobody(
    town: Town, school: School, kind: str | None
) -> None:
    """Fault 55."""
    account = school.account_of(school.pupils[0])
    town.accounts["s"].append(account.username)

    def change(value: dict[str, Any]) -> None:
        if value["UserType"] == "student":
            value["UserType"] = kind

    town.alter(school, "/api/3/user", change)
    done = town.run()["s"]
    assert done.error is None
    assert [r.failed for r in done.reports if r.stream == "bakalari/users"] == [1]
    assert len(town.rejects()) == 1
    assert town.held("s") == truth(school)
    school.faults.clear()
    town.run_well()
    assert town.rejects() == {}


def test_a_student_without_a_class_is_set_aside_until_there_is_one(town: Town, family: School) -> None:
    """Faults 55 and 61."""
    pupil, town.accounts["s"] = family.pupils[0], town.accounts["s"][:1]
    theirs, pupil.class_id = pupil.class_id, None
    done = town.run()["s"]
    assert done.error is None
    assert ("student", pupil.code) not in town.users("s")
    assert town.enrolled("s") == set()
    assert "class" in town.rejects()[f"bakalari:s:user student:{pupil.code}"]
    pupil.class_id = theirs
    town.run_well()
    assert town.class_of("s") == {pupil.code: theirs}
    assert {subject for _, subject, _ in town.enrolled("s")} == family.subjects_of(pupil.code)
    assert town.rejects() == {}


def test_a_class_that_nothing_else_names_is_made_before_its_students(town: Town, school: School) -> None:
    """Fault 61: the public timetable does not know it yet, and neither does any account."""
    pupil = school.pupils[0]

    def change(value: dict[str, Any]) -> None:
        for student in value["Students"]:
            if student["Id"] == pupil.code:
                student["ClassId"] = "??"

    town.alter(school, "/api/3/marking/marks/*", change)
    town.run_well()
    assert town.class_of("s")[pupil.code] == "??"
    assert {c for user, _, c in town.enrolled("s") if user == pupil.code} == {"??"}
    assert town.query("SELECT grade, grade_guessed FROM bakalari.classes WHERE external_id = '??'") == [(1, True)]


# --- who is two ---------------------------------------------------------------------------------------------


def test_two_accounts_that_claim_to_be_one_person_are_set_aside_and_nothing_of_either_is_lost(
    town: Town, school: School
) -> None:
    """Fault 56."""
    one, other = (school.account_of(pupil) for pupil in school.pupils[:2])
    town.accounts["s"] += [one.username, other.username]
    town.run_well()
    people = "SELECT * FROM bakalari.users ORDER BY id"
    before, rows = town.held("s"), town.query(people)
    school.conflicts = {other.username: one.username}
    for _ in range(2):
        done = town.run()["s"]
        assert done.error is None
        assert done.reports[0].facts["people of whom two accounts say different things"] == 1
        ((key, said),) = town.rejects().items()
        assert key == f"bakalari:s:user student:{one.person}"
        assert "accounts #2 and #3" in said
        assert (town.held("s"), town.query(people)) == (before, rows)
    school.conflicts = {}
    town.run_well()
    assert town.rejects() == {}
    assert (town.held("s"), town.query(people)) == (before, rows)


def test_of_two_who_claim_to_be_one_person_none_becomes_a_user(town: Town) -> None:
    """Fault 56: nor is either enrolled."""
    school = School.invented("s", classes=2, students=6, teachers=2, seed=6)
    school.pages = "none"
    town.open(school)
    one, other, third = (school.account_of(pupil) for pupil in school.pupils[1:4])
    town.accounts["s"] = [one.username, other.username, third.username]
    school.conflicts = {one.username: other.username}
    assert town.run()["s"].error is None
    assert {user for user in town.users("s") if user[0] == "student"} == {("student", third.person)}
    assert {user for user, _, _ in town.enrolled("s")} == {third.person}


def test_the_dummy_server_breaks_nothing(town: Town) -> None:
    """Fault 56: everybody is one person there, and all but logins and that person is missing."""
    dummy = School.invented("dummy", classes=1, students=3, teachers=1)
    school = School.invented("s", classes=1, students=3, teachers=1)
    dummy.dummy = True
    town.open_whole(dummy, school)
    town.accounts["dummy"] = sorted(dummy.accounts)[:3]
    for _ in range(2):
        done = town.run()
        assert [one.error for one in done.values()] == [None, None]
        assert town.users("dummy") == set()
        assert [key for key in town.rejects() if "the_id" in key] == ["bakalari:dummy:user student:the_id"]
        assert town.held("s") == truth(school)
    town.accounts["dummy"] = town.accounts["dummy"][:1]
    assert town.run("dummy")["dummy"].error is None
    assert (town.users("dummy"), town.classes("dummy")) == ({("student", "the_id")}, {"XL"})


def test_an_account_that_became_another_in_the_middle_is_taken_as_it_is_at_the_end(
    town: Town, family: School
) -> None:
    """Fault 80: it had to log in again, and that changed its class."""
    town.accounts["s"] = town.accounts["s"][:1]
    pupil, other = family.pupils[0], family.classes[1].id
    town.run_well()

    def change(value: dict[str, Any]) -> None:
        if pupil.class_id != other:
            pupil.class_id = other
            family.access_tokens.clear()
            family.refresh_tokens.clear()

    town.alter(family, "/api/3/user", change)
    reports = town.run_well()
    assert reports["bakalari/roster"].facts["accounts that became another while they were read"] == 1
    assert town.class_of("s") == {pupil.code: other}
    assert {c for _, _, c in town.enrolled("s")} == {other}


# --- who moves ----------------------------------------------------------------------------------------------


def test_a_student_who_changes_class_keeps_every_row(town: Town, school: School) -> None:
    """Fault 62."""
    pupil = school.pupils[0]
    user = "SELECT id::text FROM bakalari.users_current WHERE external_id = :c"
    before, rows = town.query(user, c=pupil.code), town.query(MOVED)
    pupil.class_id = next(c.id for c in school.classes if c.id != pupil.class_id)
    town.run_well()
    assert (town.query(user, c=pupil.code), town.query(MOVED)) == (before, rows)
    assert town.class_of("s")[pupil.code] == pupil.class_id
    assert {c for code, _, c in town.enrolled("s") if code == pupil.code} == {pupil.class_id}
    assert town.marked() == 0


def test_a_student_who_leaves_and_comes_back_is_the_same_row_with_the_same_subjects(
    town: Town, school: School
) -> None:
    """Fault 73."""
    rows = town.query(MOVED)
    pupil, atoms = school.pupils[0], [atom for atom in school.atoms if school.pupils[0].code in atom.pupils]
    people, members = list(school.pupils), [list(atom.pupils) for atom in atoms]
    school.remove_pupil(pupil.code)
    town.run_well()
    assert town.held("s") == truth(school)
    assert town.marked() > 1
    school.pupils = people
    for atom, codes in zip(atoms, members, strict=True):
        atom.pupils = codes
    reports = town.run_well()
    assert reports["bakalari/users"].restored == 1
    assert town.marked() == 0
    assert {row[0] for row in town.query(MOVED)} == {row[0] for row in rows}


def test_two_schools_that_use_the_same_ids_for_other_people_stay_two(town: Town) -> None:
    """Fault 56: ids are of a school."""
    one, other = (School.invented("s", classes=2, students=6, teachers=2, seed=9) for _ in range(2))
    other.id, other.sid = "t", "OTHER"
    town.open_whole(one, other)
    for pupil in other.pupils:
        pupil.last_name = "Jiný"
    assert [done.error for done in town.run().values()] == [None, None]
    assert town.held("s") == truth(one) == town.held("t")
    other.remove_pupil(other.pupils[0].code)
    town.run("t")
    assert (town.held("s"), town.held("t")) == (truth(one), truth(other))


def test_an_account_of_a_pupil_says_of_nobody_else_that_they_left(town: Town, school: School) -> None:
    """Fault 65: the superuser may no longer log in, and half the school leaves meanwhile."""
    before = town.held("s")
    account = school.account_of(school.pupils[0])
    town.accounts["s"] = [account.username]
    for pupil in school.pupils[1:]:
        school.remove_pupil(pupil.code)
    town.run_well()
    assert town.held("s") == before | seen_by(school, account)
