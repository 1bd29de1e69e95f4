"""What a reading of a school comes to: who is believed, and which lists count as read to their end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.clients.bakalari import (
    Atom,
    BulkClass,
    BulkSnapshot,
    Item,
    PublicLists,
    Refused,
    Rows,
    Sheet,
    SheetStudent,
    Taught,
    Timetable,
    User,
)
from sync_pipelines.clients.http import Spent
from sync_pipelines.flows.bakalari.concluding import Conclusion, concluded
from sync_pipelines.flows.bakalari.merging import ROSTERS, Sighting, merged
from sync_pipelines.flows.bakalari.observing import Refusal
from sync_pipelines.flows.bakalari.reading import AccountReading, SchoolReading, SheetReading
from sync_pipelines.flows.bakalari.snapshot import KINDS, Kind, Snapshot, enrollment_key
from sync_pipelines.settings import School, SchoolAccount

TODAY = date(2026, 11, 25)
SEMESTER = (date(2026, 9, 1), date(2027, 1, 31))
CLASS = Item("XL", "1.A", None)
MATHS, CZECH = Item(" 6", "M", "Matematika"), Item("6", "ČJL", "Český jazyk")
EVA = SheetStudent("GTU4V", "Nováková Eva", "XL", released=False)
LESSONS = Timetable((), (MATHS,), (), frozenset({" 6"}), has_lessons=True, work_days=5)
BAD = Refused("subject", None, "SubjectName is not text")


def person(user_type: str, code: str, name: str | None = "Nováková Eva", **more: Any) -> User:
    of_class = CLASS if user_type == "student" else None
    return replace(User(f"sid/{code}", code, name, user_type, of_class, 1, SEMESTER, "Škola"), **more)


def account(user: User | None, label: str = "#1", *, superuser: bool = False, **gave: Any) -> AccountReading:
    nobody: Any = None  # what it gave is all that is looked at
    return AccountReading(SchoolAccount(label, "novak7788", superuser=superuser), nobody, user=user, **gave)


def pupil(*subjects: Item, code: str = "GTU4V", **more: Any) -> AccountReading:
    rows = Rows(tuple(Taught(subject, None, None) for subject in subjects))
    return account(person("student", code), **{"subjects": rows, "timetable": LESSONS, **more})


def teacher(code: str, *atoms: Atom, superuser: bool = False, refused: tuple[Refused, ...] = ()) -> AccountReading:
    return account(person("teacher", code), superuser=superuser, atoms=Rows(atoms, refused))


def atom(subject: Item) -> Atom:
    return Atom(f"atom {subject.id}", None, subject, disabled=False)


def sheet(subject: Item, lister: AccountReading, came: Sheet | None) -> SheetReading:
    return SheetReading(atom(subject), [lister], came)


def reading(
    *accounts: AccountReading,
    sheets: Sequence[SheetReading] = (),
    teachers: Sequence[str] | None = None,
    bulk: Sequence[BulkSnapshot] = (),
) -> SchoolReading:
    named = [Item(code, None, "Svoboda Jan") for code in teachers or ()]
    public = PublicLists((CLASS,), tuple(named), ()) if teachers is not None else None
    return SchoolReading(School("a", "https://a.cz"), accounts, sheets, public, bulk, (), Spent(0, 0))


def conclude(*accounts: AccountReading, **more: Any) -> Conclusion:
    return concluded(reading(*accounts, **more), TODAY)


def seen(result: Conclusion, kind: Kind) -> set[str]:
    return {sighting.key for sighting in result.sightings if sighting.kind == kind}


# --- people whom several accounts claim to be (fault 56) --------------------------------------------------------

CLAIMS = [person("student", "GTU4V"), person("student", "GTU4V", "Jiná Eva")]
CLAIMS_OF_CLASSES = [person("student", "GTU4V"), person("student", "GTU4V", school_class=Item("XM", "1.B", None))]


@pytest.mark.parametrize("claims", [CLAIMS, CLAIMS_OF_CLASSES])
def test_whom_two_accounts_tell_differently_nobody_believes_and_both_are_named_by_label(
    claims: list[User],
) -> None:
    rows = Rows((Taught(MATHS, None, None),))
    twins = [account(u, f"#{n}", subjects=rows, timetable=LESSONS) for n, u in enumerate(claims, 1)]
    lister = teacher("U1", atom(CZECH), superuser=True)
    told = Sheet((EVA,), ())
    result = conclude(*twins, lister, sheets=[sheet(CZECH, lister, told)])
    (refusal,) = result.refusals
    assert (refusal.kind, refusal.key) == ("user", "student:GTU4V")
    assert "accounts #1 and #2" in refusal.reason
    assert "Eva" not in refusal.reason
    assert result.held == {("user", "student:GTU4V")}
    assert seen(result, "user") == {"teacher:U1"}
    assert seen(result, "enrollment") == {enrollment_key("student:GTU4V", "6")}, "what a sheet says is no claim"
    assert result.whole.own == frozenset()


def test_two_accounts_that_say_the_same_of_a_person_are_no_conflict() -> None:
    result = conclude(pupil(MATHS), pupil(MATHS, CZECH))
    assert (result.refusals, seen(result, "user")) == ([], {"student:GTU4V"})


def test_a_parent_is_no_twin_of_the_child_whose_code_they_have() -> None:
    result = conclude(pupil(MATHS), account(person("parents", "GTU4V", None)))
    assert seen(result, "user") == {"student:GTU4V", "parents:GTU4V"}


# --- who sees every marking sheet -------------------------------------------------------------------------------


@pytest.mark.parametrize("vouched_for", [True, False])
def test_a_superuser_sees_the_whole_school_if_a_person_vouches_for_it(vouched_for: bool) -> None:
    lister = teacher("U1", atom(MATHS), superuser=vouched_for)
    result = conclude(lister, sheets=[sheet(MATHS, lister, Sheet((EVA,), ()))])
    assert result.whole.rosters is vouched_for
    listed = {s.key for s in result.sightings if s.by == ROSTERS}
    assert listed == (
        {" 6", "XL", "student:GTU4V", enrollment_key("student:GTU4V", " 6")} if vouched_for else set()
    )


@given(st.sets(st.sampled_from("abcd"), min_size=1), st.sets(st.sampled_from("abcde")))
def test_teachers_see_the_whole_school_if_they_are_all_whom_it_publishes(
    published: set[str], asked: set[str]
) -> None:
    accounts = [teacher(code, atom(MATHS)) for code in sorted(asked)]
    sheets = [sheet(MATHS, lister, Sheet((EVA,), ())) for lister in accounts]
    result = conclude(*accounts, sheets=sheets, teachers=sorted(published))
    assert result.whole.rosters is (published <= asked)


def test_without_published_teachers_no_number_of_teachers_is_all() -> None:
    accounts = [teacher("a", atom(MATHS)), teacher("b", atom(CZECH))]
    sheets = [sheet(MATHS, lister, Sheet((EVA,), ())) for lister in accounts]
    assert not conclude(*accounts, sheets=sheets).whole.rosters


def test_sheets_that_all_show_nobody_are_not_the_whole_school() -> None:
    lister = teacher("U1", atom(MATHS), atom(CZECH), superuser=True)
    sheets = [sheet(subject, lister, Sheet((), ())) for subject in (MATHS, CZECH)]
    assert not conclude(lister, sheets=sheets).whole.rosters


@pytest.mark.parametrize(
    "gave",
    [{"atoms": None}, {"atoms": Rows(())}, {"atoms": Rows((atom(MATHS),), (Refused("atom", None, "no Name"),))}],
)
def test_a_list_of_units_that_is_missing_empty_or_broken_is_not_the_whole_school(gave: dict[str, Any]) -> None:
    assert not conclude(account(person("teacher", "a"), superuser=True, **gave)).whole.rosters
    published = ["a", "b"]
    assert not conclude(
        account(person("teacher", "a"), **gave), teacher("b", atom(MATHS)), teachers=published
    ).whole.rosters


@pytest.mark.parametrize(
    ("came", "unread", "empty", "names_teachers"),
    [
        (Sheet((EVA,), ()), set[str](), set[str](), True),
        (Sheet((EVA,), None), set[str](), set[str](), False),
        (Sheet((), ()), set[str](), {" 6"}, True),
        (Sheet(None, ()), {" 6"}, set[str](), True),
        (None, {" 6"}, set[str](), False),
        (Sheet((EVA,), (), (Refused("student", None, "Id is not text"),)), {" 6"}, set[str](), True),
    ],
)
def test_of_each_sheet_it_is_known_how_far_it_was_read(
    came: Sheet | None, unread: set[str], empty: set[str], names_teachers: bool
) -> None:
    lister = teacher("U1", atom(MATHS), atom(CZECH), superuser=True)
    good = sheet(CZECH, lister, Sheet((EVA,), ()))
    whole = conclude(lister, sheets=[sheet(MATHS, lister, came), good]).whole
    assert (whole.unread, whole.empty, whole.sheets_name_teachers) == (unread, empty, names_teachers)


# --- lists of students' own subjects ----------------------------------------------------------------------------


def test_a_students_own_subjects_are_whole_while_lessons_go_on() -> None:
    assert conclude(pupil(MATHS)).whole.own == {"student:GTU4V"}


@pytest.mark.parametrize(
    "holidays",
    [
        {"timetable": None},
        {"timetable": replace(LESSONS, has_lessons=False)},
        {"timetable": replace(LESSONS, work_days=0)},
        {"subjects": None},
        {"subjects": Rows(())},
        {"subjects": Rows((Taught(MATHS, None, None),), (BAD,))},
        {"user": person("student", "GTU4V", semester=(date(2026, 9, 1), TODAY - timedelta(days=1)))},
        {"user": person("student", "GTU4V", semester=(TODAY + timedelta(days=1), date(2027, 1, 31)))},
    ],
)
def test_in_holidays_or_where_a_row_is_refused_they_prove_nothing(holidays: dict[str, Any]) -> None:
    in_holidays = pupil(MATHS)
    for name, value in holidays.items():
        setattr(in_holidays, name, value)
    result = conclude(in_holidays)
    assert result.whole.own == frozenset()
    assert not any(sighting.by for sighting in result.sightings)


@pytest.mark.parametrize("user_type", ["parents", "teacher", "spravce"])
def test_only_a_students_own_list_says_who_learns_what(user_type: str) -> None:
    other = pupil(MATHS)
    other.user = person(user_type, "GTU4V")
    result = conclude(other)
    assert (result.whole.own, seen(result, "enrollment")) == (frozenset(), set())
    assert " 6" in seen(result, "subject")


def test_the_week_says_what_a_student_learns_where_the_list_does_not() -> None:
    result = conclude(pupil(subjects=None))
    assert (seen(result, "enrollment"), result.whole.own) == ({enrollment_key("student:GTU4V", " 6")}, frozenset())


def test_the_week_adds_nothing_to_what_a_students_list_says() -> None:
    assert seen(conclude(pupil(CZECH)), "enrollment") == {enrollment_key("student:GTU4V", "6")}


# --- exports ----------------------------------------------------------------------------------------------------

EXPORT = BulkSnapshot(True, (BulkClass("XL", "1.A", None, 1),), (MATHS,), None, ())


@pytest.mark.parametrize(
    ("export", "whole"),
    [
        (EXPORT, {"class", "subject"}),
        (replace(EXPORT, complete=False), set[str]()),
        (replace(EXPORT, refused=(BAD,)), set[str]()),
    ],
)
def test_an_export_is_whole_of_what_it_has_rows_of_if_it_says_so(export: BulkSnapshot, whole: set[str]) -> None:
    assert conclude(bulk=[export]).whole.bulk == whole


# --- rows that cannot be read, and texts that cannot be stored --------------------------------------------------


def test_a_refused_row_is_kept_by_its_key_and_forgotten_where_another_shows_it_well() -> None:
    refused = (Refused("subject", " 6", "bad"), Refused("subject", "9", "bad"), Refused("teacher", "U1", "bad"))
    result = conclude(pupil(MATHS, subjects=Rows((Taught(MATHS, None, None),), refused)))
    assert [(r.kind, r.key) for r in result.refusals] == [("subject", "9"), ("user", "teacher:U1")]
    assert result.warnings == {"rows that could not be read": 3}


@pytest.mark.parametrize("what", ["student", "teacher"])
@pytest.mark.parametrize("row_id", ["GTU4V", None])
def test_a_row_that_cannot_be_read_takes_nobody_away(what: str, row_id: str | None) -> None:
    lister = teacher("U1", atom(MATHS), superuser=True)
    taught_by = (Item("GTU4V", None, "Svoboda Jan"),)
    full = conclude(lister, sheets=[sheet(MATHS, lister, Sheet((EVA,), taught_by))])
    before = merged(Snapshot(), full.sightings, full.whole).snapshot
    lists = {"student": (), "teacher": taught_by} if what == "student" else {"student": (EVA,), "teacher": ()}
    broken = Sheet(lists["student"], lists["teacher"], (Refused(what, row_id, "DisplayName is not text"),))  # pyright: ignore[reportArgumentType]
    less = conclude(lister, sheets=[sheet(MATHS, lister, broken)])
    assert merged(before, less.sightings, less.whole, held=less.held).gone == 0


texts = st.text(st.sampled_from("a1 \0\ud800\udfffé"), min_size=1, max_size=4)
values = st.none() | st.integers() | texts


@given(
    st.lists(
        st.builds(Sighting, st.sampled_from(KINDS), texts, st.dictionaries(st.sampled_from("ab"), values)),
        max_size=5,
    )
)
def test_no_nul_and_no_half_of_a_character_is_ever_stored(sightings: list[Sighting]) -> None:
    result = Conclusion()
    result.take(replace(s, fields={**s.fields, "user": "u", "subject": "s"}) for s in sightings)
    stored = merged(Snapshot(), result.sightings, result.whole).snapshot.to_json() + json.dumps(
        result.refusals, ensure_ascii=False
    )
    assert stored.encode("utf-8")
    assert "\\u0000" not in stored
    assert len(result.sightings) + len(result.refusals) == len(sightings)


def test_a_bad_text_costs_its_field_alone_and_a_bad_id_its_row() -> None:
    result = Conclusion()
    result.take([Sighting("class", "XL", {"abbrev": "1.A", "name": "a\0"}), Sighting("class", "X\ud800", {})])
    assert result.sightings == [Sighting("class", "XL", {"abbrev": "1.A"})]
    assert result.refusals == [Refusal("class", None, "an id with a NUL or half a character in it")]
    assert result.warnings == {"texts with a NUL or half a character": 1}


def test_an_account_that_could_not_be_asked_says_nothing() -> None:
    result = conclude(account(None))
    assert (result.sightings, result.refusals, result.whole.own) == ([], [], frozenset())


def test_an_account_that_became_another_meanwhile_is_counted() -> None:
    became = pupil(MATHS)
    became.changed = True
    assert conclude(became).warnings == {"accounts that became another while they were read": 1}
