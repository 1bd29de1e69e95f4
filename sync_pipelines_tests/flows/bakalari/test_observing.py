"""Which things each record of a school shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from sync_pipelines.clients.bakalari import (
    Atom,
    BulkClass,
    BulkEnrollment,
    BulkSnapshot,
    BulkUser,
    Item,
    PublicLists,
    Sheet,
    SheetStudent,
    Taught,
    Timetable,
    User,
)
from sync_pipelines.flows.bakalari import observing
from sync_pipelines.flows.bakalari.merging import BULK, OWN, PUBLIC, ROSTERS, Sighting, Whole, merged
from sync_pipelines.flows.bakalari.observing import ROLES, Refusal
from sync_pipelines.flows.bakalari.snapshot import Snapshot, enrollment_key

CLASS, MATHS, CZECH = Item("XL", "1.A", None), Item(" 6", "M", "Matematika"), Item("6", "ČJL", None)
JAN = Item("U  12", None, "Svoboda Jan")
ATOM = Atom("a1", None, MATHS, disabled=False)


def user(user_type: str, school_class: Item | None = CLASS) -> User:
    return User("sid/GTU4V", "GTU4V", "Nováková Eva", user_type, school_class, 1, None, None)


def shown(things: Iterable[Sighting | Refusal]) -> list[tuple[str, str | None, str | None]]:
    """Kind, key, and the list that it stands in."""
    return [(t.kind, t.key, "refused" if isinstance(t, Refusal) else t.by) for t in things]


def said(things: Iterable[Sighting | Refusal], key: str) -> dict[str, Any]:
    """What is known of a thing after these alone."""
    sightings = [thing for thing in things if isinstance(thing, Sighting)]
    of_each_kind = merged(Snapshot(), sightings, Whole()).snapshot.facts.values()
    (fact,) = [facts[key] for facts in of_each_kind if key in facts]
    return dict(fact.fields)


def learns(student: str, subject: str) -> str:
    return enrollment_key(f"student:{student}", subject)


# --- accounts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user_type", ["student", "teacher", "parents", "STUDENT", "Teacher"])
def test_an_account_shows_who_holds_it_and_the_class_that_it_names(user_type: str) -> None:
    lower = user_type.casefold()
    things = list(observing.of_account(user(user_type)))
    assert shown(things) == [("class", "XL", None), ("user", f"{lower}:GTU4V", None)]
    holder = said(things, f"{lower}:GTU4V")
    assert (holder["uid"], holder["type"], holder["code"]) == ("sid/GTU4V", lower, "GTU4V")


@pytest.mark.parametrize("user_type", ["teacher", "parents"])
def test_only_a_student_is_in_the_class_and_tells_its_year(user_type: str) -> None:
    student, other = list(observing.of_account(user("student"))), list(observing.of_account(user(user_type)))
    assert (said(student, "student:GTU4V")["class_id"], said(student, "XL")["study_year"]) == ("XL", 1)
    assert said(other, f"{user_type}:GTU4V").get("class_id") is None
    assert "study_year" not in said(other, "XL")


@pytest.mark.parametrize("user_type", ["spravce", "", "studentka", "hunter22"])
def test_a_user_type_that_is_not_known_is_refused_and_not_quoted_and_its_class_is_seen(user_type: str) -> None:
    *before, refusal = observing.of_account(user(user_type))
    assert shown(before) == [("class", "XL", None)]
    assert isinstance(refusal, Refusal)
    assert not user_type or user_type not in refusal.reason


def test_an_account_without_a_class_shows_its_holder_alone() -> None:
    assert shown(observing.of_account(user("teacher", None))) == [("user", "teacher:GTU4V", None)]


def test_each_type_of_people_has_a_role() -> None:
    assert ROLES == {"student": "STUDENT", "teacher": "TEACHER", "parents": "PARENT"}


# --- what an account learns and teaches -------------------------------------------------------------------------


@pytest.mark.parametrize(("student", "whole"), [("student:GTU4V", True), ("student:GTU4V", False), (None, False)])
def test_a_list_of_subjects_shows_them_their_teachers_and_what_a_student_learns(
    student: str | None, whole: bool
) -> None:
    rows = [Taught(MATHS, JAN, "svoboda@skola.cz"), Taught(CZECH, None, None)]
    things = list(observing.of_subjects(rows, student, whole=whole))
    learnt = [("enrollment", learns("GTU4V", subject), OWN if whole else None) for subject in (" 6", "6")]
    rest = [("subject", " 6", None), ("user", "teacher:U  12", None), ("subject", "6", None)]
    assert sorted(shown(things), key=repr) == sorted([*rest, *(learnt if student else [])], key=repr)
    assert said(things, "teacher:U  12")["email"] == "svoboda@skola.cz"


def test_a_week_shows_its_classes_subjects_and_teachers_and_the_lessons_of_a_student() -> None:
    week = Timetable(
        (CLASS,), (MATHS, CZECH), (JAN,), frozenset({" 6", "not named"}), has_lessons=True, work_days=5
    )
    of_all = [
        ("class", "XL", None),
        ("subject", " 6", None),
        ("subject", "6", None),
        ("user", "teacher:U  12", None),
    ]
    assert shown(observing.of_timetable(week, None)) == of_all
    learnt = ("enrollment", learns("GTU4V", " 6"), None)
    assert shown(observing.of_timetable(week, "student:GTU4V")) == [*of_all, learnt]


# --- marking sheets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("whole", "by"), [(True, ROSTERS), (False, None)])
def test_a_sheet_shows_students_with_their_classes_and_subject_and_teachers(whole: bool, by: str | None) -> None:
    eva = SheetStudent("GTU4V", "Nováková Eva", "XL", released=False)
    sheet = Sheet((eva,), (JAN,))
    assert shown([observing.of_atom(ATOM, whole=whole)]) == [("subject", " 6", by)]
    assert shown(observing.of_sheet(ATOM, sheet, whole=whole)) == [
        ("class", "XL", by),
        ("user", "student:GTU4V", by),
        ("enrollment", learns("GTU4V", " 6"), by),
        ("user", "teacher:U  12", by),
    ]


def test_a_student_released_from_a_subject_is_a_student_and_not_enrolled() -> None:
    released = SheetStudent("GTU4V", None, None, released=True)
    assert shown(observing.of_sheet(ATOM, Sheet((released,), None), whole=True)) == [
        ("user", "student:GTU4V", ROSTERS)
    ]


def test_a_sheet_without_lists_shows_nothing() -> None:
    assert list(observing.of_sheet(ATOM, Sheet(None, None), whole=True)) == []


# --- public lists and exports -----------------------------------------------------------------------------------


def test_the_public_timetable_lists_classes_and_teachers_and_no_rooms() -> None:
    lists = PublicLists((CLASS,), (JAN,), (Item("R1", None, "Učebna"),))
    assert shown(observing.of_public_lists(lists)) == [("class", "XL", PUBLIC), ("user", "teacher:U  12", PUBLIC)]


@pytest.mark.parametrize(("complete", "by"), [(True, BULK), (False, None)])
def test_an_export_shows_all_that_it_holds_and_lists_it_if_it_is_complete(complete: bool, by: str | None) -> None:
    export = BulkSnapshot(
        complete,
        (BulkClass("XL", "1.A", None, 3),),
        (MATHS,),
        (BulkUser("GTU4V", "Student", "Nováková Eva", "XL", None), BulkUser("Q", "kůň", None, None, None)),
        (BulkEnrollment("GTU4V", " 6", "XL"),),
    )
    things = list(observing.of_bulk(export))
    assert shown(things) == [
        ("class", "XL", by),
        ("subject", " 6", by),
        ("user", "student:GTU4V", by),
        ("user", "kůň:Q", "refused"),
        ("enrollment", learns("GTU4V", " 6"), by),
    ]
    assert (said(things, "XL")["study_year"], said(things, "student:GTU4V")["class_id"]) == (3, "XL")


def test_an_export_without_lists_shows_nothing() -> None:
    assert list(observing.of_bulk(BulkSnapshot(True, None, None, None, None))) == []


# --- whose word counts (C17.7) ----------------------------------------------------------------------------------

EXPORT = BulkSnapshot(True, None, None, (BulkUser("GTU4V", "student", "by the export", "XE", None),), None)
ON_A_SHEET = Sheet((SheetStudent("GTU4V", "by a sheet", "XS", released=False),), None)


def test_an_export_knows_better_than_the_account_and_the_account_better_than_a_sheet() -> None:
    of_account = list(observing.of_account(user("student")))
    of_sheet = list(observing.of_sheet(ATOM, ON_A_SHEET, whole=True))
    for order in ([of_sheet, of_account], [of_account, of_sheet]):
        holder = said([thing for things in order for thing in things], "student:GTU4V")
        assert (holder["name"], holder["class_id"]) == ("Nováková Eva", "XL")
    of_export = list(observing.of_bulk(EXPORT))
    holder = said([*of_export, *of_account, *of_sheet], "student:GTU4V")
    assert (holder["name"], holder["class_id"]) == ("by the export", "XE")


def test_what_the_public_timetable_calls_a_class_counts_before_what_an_account_does() -> None:
    lists = PublicLists((Item("XL", "2.A", None),), (), ())
    things = [*observing.of_public_lists(lists), *observing.of_account(user("student"))]
    assert said(things, "XL")["abbrev"] == "2.A"


def test_no_sighting_tells_a_name_in_its_repr() -> None:
    things = [*observing.of_account(user("student")), *observing.of_public_lists(PublicLists((), (JAN,), ()))]
    assert not any(name in repr(things) for name in ("Eva", "Jan"))
