"""Bodies of the API as records: ids exact, texts tidy, bad rows beside good ones, and nothing that is nobody's."""

import pickle
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.clients.bakalari import Atom, Info, Item, Refused, SheetStudent, Taught, User
from sync_pipelines.clients.bakalari.readers import (
    atoms_of,
    info_of,
    sheet_of,
    subjects_of,
    timetable_of,
    user_of,
)
from sync_pipelines.errors import SourceError, UnexpectedAnswer
from sync_pipelines_tests.clients.bakalari.answers import anything_like

# As in every body below: what must not get past the reader.
PRIVATE = st.sampled_from(["PRIVATE-1-", "2,86 PRIVATE", "+420 PRIVATE 777"])
GOOD_ID = st.text(st.sampled_from(" 0Ué/(}[|*:=_.%"), min_size=1, max_size=4).filter(lambda key: bool(key.strip()))
ID = GOOD_ID | st.sampled_from(["", "  ", "x" * 256, "\ud800", "\0"])
TEXT = st.text(max_size=6) | st.just(" M   ") | st.just("\r\n X. a \n")
ITEM = {"Id": ID, "Abbrev": TEXT, "Name": TEXT}
BODIES: dict[Callable[[Any], object], Any] = {
    info_of: {"ApiVersion": TEXT, "ApplicationVersion": TEXT},
    user_of: {
        "UserUID": ID,
        "UserId": ID,
        "FullName": TEXT,
        "FullUserName": TEXT,
        "UserType": st.sampled_from(["student", "parents", "teacher"]),
        "Class": ITEM,
        "StudyYear": st.integers(-1, 200),
        "SettingModules": {"Common": {"ActualSemester": {"From": TEXT, "To": "2026-09-01T00:00:00+02:00"}}},
        "SchoolOrganizationName": TEXT,
        "EnabledModules": [{"Module": PRIVATE}],
    },
    subjects_of: {
        "Subjects": [
            {
                "SubjectID": ID,
                "SubjectName": TEXT,
                "SubjectAbbrev": TEXT,
                "TeacherID": ID,
                "TeacherName": TEXT,
                "TeacherAbbrev": TEXT,
                "TeacherEmail": TEXT,
                "TeacherWeb": PRIVATE,
                "TeacherSchoolPhone": PRIVATE,
                "TeacherHomePhone": PRIVATE,
                "TeacherMobilePhone": PRIVATE,
            }
        ]
    },
    timetable_of: {
        "Hours": [{"Id": 2, "Caption": "0"}],
        "Days": [{"DayType": "WorkDay", "Atoms": [{"SubjectId": ID, "Theme": PRIVATE, "HourId": 2}]}],
        "Classes": [ITEM],
        "Groups": [ITEM],
        "Subjects": [ITEM],
        "Teachers": [ITEM],
        "Rooms": [ITEM],
    },
    atoms_of: {"Atoms": [{"Id": ID, "Name": TEXT, "Subject": ITEM, "Disabled": st.booleans(), "X": PRIVATE}]},
    sheet_of: {
        "MarkOptions": [{"Id": "1", "Name": PRIVATE}],
        "Marks": [{"Id": ID, "MarkValue": PRIVATE, "StudentId": ID, "Theme": PRIVATE}],
        "Students": [
            {
                "Id": ID,
                "DisplayName": TEXT,
                "FirstName": TEXT,
                "LastName": TEXT,
                "ClassId": ID,
                "RegistrationNumber": PRIVATE,
                "ReleasedOfSubject": st.booleans(),
                "AverageText1": PRIVATE,
                "AverageText2": PRIVATE,
            }
        ],
        "Teachers": [ITEM],
    },
}


@pytest.mark.parametrize("read", BODIES, ids=lambda read: read.__name__)
@given(data=st.data())
def test_any_body_is_read_or_is_a_source_error(read: Callable[[Any], object], data: st.DataObject) -> None:
    body = data.draw(anything_like(BODIES[read]).filter(lambda body: isinstance(body, dict)))
    try:
        read(body)
    except SourceError as error:
        assert type(error) is UnexpectedAnswer  # noqa: PT017


@pytest.mark.parametrize("read", BODIES, ids=lambda read: read.__name__)
@given(data=st.data())
def test_no_mark_average_or_number_gets_past_the_reader(
    read: Callable[[Any], object], data: st.DataObject
) -> None:
    body = data.draw(anything_like(BODIES[read]).filter(lambda body: isinstance(body, dict)))
    try:
        kept = read(body)
    except SourceError as error:
        kept = str(error)
    assert b"PRIVATE" not in pickle.dumps(kept)


@given(st.data())
def test_no_repr_shows_a_person(data: st.DataObject) -> None:
    named = st.just("PERSON Surname Given")
    shape = {
        "Marks": [{"Id": ID}],
        "Students": [{"Id": ID, "DisplayName": named, "LastName": named, "ClassId": ID}],
        "Teachers": [{"Id": ID, "Name": named}],
    }
    body = data.draw(st.fixed_dictionaries({name: anything_like(part) for name, part in shape.items()}))
    try:
        said = repr(sheet_of(body))
    except SourceError as error:
        said = str(error)
    assert "PERSON" not in said


@given(GOOD_ID)
def test_an_id_is_kept_to_the_last_blank(key: str) -> None:
    named = {"Id": key, "Abbrev": "M   ", "Name": " X.\r\n a "}
    assert atoms_of({"Atoms": [{"Id": key, "Subject": named}]}).items == (
        Atom(key, None, Item(key, "M", "X. a"), disabled=False),
    )
    assert timetable_of(
        {"Days": [{"Atoms": [{"SubjectId": key}]}], "Classes": [named], "Subjects": [], "Teachers": []}
    ).taught == {key}
    assert user_of({"UserUID": f"{key}/{key}U"}).uid == f"{key}/{key}U"


@pytest.mark.parametrize("key", [6, 6.0, True, [], {}, "x" * 256, "a\0", "\udc00"])
def test_an_id_that_is_none_refuses_its_row_alone(key: object) -> None:
    good = {"Id": " 6", "Subject": {"Id": " 1"}}
    read = atoms_of({"Atoms": [{"Id": key, "Subject": {"Id": " 1"}}, good, {"Id": " 7", "Subject": {"Id": key}}]})
    assert [atom.id for atom in read.items] == [" 6"]
    assert [(refused.what, refused.id) for refused in read.refused] == [("atom", None), ("atom", " 7")]
    assert all("\0" not in refused.reason and "x" * 256 not in refused.reason for refused in read.refused)


@pytest.mark.parametrize("key", ["", "   ", None])
def test_rows_without_an_id_are_rows_of_summer_and_no_rows(key: str | None) -> None:
    empty = {"Id": key, "Abbrev": " ()", "Name": ""}
    week = timetable_of(
        {"Days": [{"Atoms": [{"SubjectId": key}]}], "Classes": [empty], "Subjects": [{}], "Teachers": [empty]}
    )
    assert (week.classes, week.subjects, week.teachers, week.refused) == ((), (), (), ())
    assert not week.has_lessons
    assert subjects_of({"Subjects": [{"SubjectID": key, "SubjectName": ""}]}) == subjects_of({"Subjects": []})
    assert user_of({"UserUID": "ABC/U1", "Class": empty}).school_class is None


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ({"FullName": "Nováková Jana, 1.A"}, "Nováková Jana"),
        ({"FullName": "Nováková Jana, 1. a "}, "Nováková Jana"),
        ({"FullName": "Nováková Jana, 2.B"}, "Nováková Jana, 2.B"),
        ({"FullName": "Nováková Jana"}, "Nováková Jana"),
        ({"FullName": " Novák,  Jan , 1.A"}, "Novák, Jan"),
        ({"FullName": ", 1.A"}, ", 1.A"),
        ({"FullName": ""}, None),
        ({}, None),
        ({"FullName": "Nováková Jana, 1.A", "FullUserName": "Novák Petr"}, "Novák Petr"),
        ({"FullName": "Nováková Jana, 1.A", "UserType": "parents"}, None),
        ({"FullName": "Nováková Jana, 1.A", "FullUserName": "Novák Petr", "UserType": "parents"}, "Novák Petr"),
    ],
)
def test_a_name_is_the_account_holders_and_has_no_class(sent: dict[str, str], name: str | None) -> None:
    user = user_of({"UserUID": "ABC/U1", "UserType": "student", "Class": {"Id": "XL", "Abbrev": " 1.A "}} | sent)
    assert user.name == name


def test_a_user_is_read_whole() -> None:
    semester = {"SemesterId": "1", "From": "2026-09-01T00:00:00+02:00", "To": "2027-01-28T23:59:59.9999999+01:00"}
    body = {
        "UserUID": "BK1A2/ U 12",
        "UserId": "other",
        "CampaignCategoryCode": "eyJ",
        "Class": {"Id": "XL", "Abbrev": " X. a", "Name": ""},
        "FullName": "Nováková Jana, X.A",
        "UserType": "student",
        "StudyYear": 3,
        "SchoolOrganizationName": "Škola ",
        "SettingModules": {"Common": {"$type": "x", "ActualSemester": semester}},
    }
    assert user_of(body) == User(
        uid="BK1A2/ U 12",
        code=" U 12",
        name="Nováková Jana",
        type="student",
        school_class=Item("XL", "X. a", None),
        study_year=3,
        semester=(date(2026, 9, 1), date(2027, 1, 28)),
        school_name="Škola",
    )


@pytest.mark.parametrize("sent", [{}, {"UserUID": ""}, {"UserUID": " "}, {"UserUID": "ABC/"}, {"UserUID": 5}])
def test_a_user_without_a_code_is_no_user(sent: dict[str, object]) -> None:
    with pytest.raises(UnexpectedAnswer, match="UserUID"):
        user_of(sent)


def test_a_user_id_stands_for_a_missing_uid() -> None:
    assert user_of({"UserUID": "", "UserId": "U1"}).code == "U1"


@pytest.mark.parametrize("year", [None, "3. rok", "", True, 3.0, -1, 0, "0", 2026, []])
def test_a_year_that_cannot_be_is_not_known(year: object) -> None:
    assert user_of({"UserUID": "U1", "StudyYear": year}).study_year is None


@pytest.mark.parametrize(
    "settings",
    [
        *(None, {}, [], {"Common": None}, {"Common": {"ActualSemester": None}}, {"Common": []}),
        {"Common": {"ActualSemester": {"From": "0001-01-01T00:00:00", "To": "2027-01-28"}}},
        {"Common": {"ActualSemester": {"From": "2026-09-01", "To": "soon"}}},
    ],
)
def test_a_semester_may_be_missing(settings: object) -> None:
    assert user_of({"UserUID": "U1", "SettingModules": settings}).semester is None


def test_a_subject_is_a_row_a_teacher() -> None:
    row = {"SubjectID": " 6", "SubjectAbbrev": "M   ", "SubjectName": "Matematika", "TeacherEmail": " a@b.cz "}
    body = {
        "Subjects": [
            row | {"TeacherID": "U  1", "TeacherName": "A B"},
            row | {"TeacherID": "U  2", "TeacherEmail": ""},
            row | {"TeacherID": ""},
            row | {"TeacherID": 5},
        ]
    }
    subject = Item(" 6", "M", "Matematika")
    read = subjects_of(body)
    assert read.items == (
        Taught(subject, Item("U  1", None, "A B"), "a@b.cz"),
        Taught(subject, Item("U  2", None, None), None),
        Taught(subject, None, None),
    )
    assert read.refused == (Refused("subject", " 6", "TeacherID is not text (a number)"),)


def test_a_week_tells_what_is_taught_and_how_many_days_are_for_work() -> None:
    lessons = [{"SubjectId": " 6"}, {"SubjectId": None, "Change": {"ChangeType": "Removed"}}, {"SubjectId": 7}]
    days: list[dict[str, Any]] = [
        {"DayType": "WorkDay", "Atoms": lessons},
        {"DayType": "WorkDay", "Atoms": None},
        {"DayType": "Holiday", "Atoms": [{"SubjectId": " 8"}]},
        {"DayType": "WorkDay", "Atoms": "x"},
    ]
    week = timetable_of({"Days": days, "Classes": [], "Subjects": [], "Teachers": []})
    assert (week.taught, week.has_lessons, week.work_days) == ({" 6", " 8"}, True, 2)
    assert [refused.what for refused in week.refused] == ["day", "lesson"]


def test_an_empty_week_says_that_it_has_no_lessons() -> None:
    week = timetable_of({"Hours": [], "Days": [], "Classes": [], "Subjects": [], "Teachers": []})
    assert (week.has_lessons, week.work_days, week.taught) == (False, 0, frozenset())


def test_a_roster_lists_who_is_taught_and_who_was_let_off() -> None:
    students = [
        {
            "Id": "GTU4V",
            "DisplayName": "Nováková  Jana",
            "LastName": "x",
            "ClassId": "XL",
            "ReleasedOfSubject": True,
        },
        {"Id": "A", "LastName": "Novák", "FirstName": "Jan", "MiddleName": "Petr", "ClassId": None},
        {"Id": "B", "ReleasedOfSubject": "no"},
        None,
    ]
    read = sheet_of({"Marks": [], "Students": students})
    assert read.students == (
        SheetStudent("GTU4V", "Nováková Jana", "XL", released=True),
        SheetStudent("A", "Novák Jan Petr", None, released=False),
    )
    assert read.teachers is None
    assert [(refused.what, refused.id) for refused in read.refused] == [("student", "B"), ("student", None)]


def test_a_list_that_was_not_sent_is_not_an_empty_one() -> None:
    assert sheet_of({"Marks": []}).students is None
    assert sheet_of({"Marks": [], "Students": None}).students is None
    assert sheet_of({"Marks": [], "Students": []}).students == ()


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (subjects_of, {}),
        (subjects_of, {"Subjects": None}),
        (subjects_of, {"Subjects": {}}),
        (subjects_of, {"Subjects": [None] * 30}),
        (atoms_of, {"atoms": []}),
        (sheet_of, {"Students": []}),
        (sheet_of, {"Marks": [], "Students": {}}),
        (timetable_of, {"Days": [], "Classes": [], "Subjects": []}),
        (timetable_of, {"Message": "x"}),
    ],
)
def test_another_shape_than_the_documented_one_is_an_unexpected_answer(
    read: Callable[[Any], object], body: object
) -> None:
    with pytest.raises(UnexpectedAnswer):
        read(body)


def test_versions_may_be_missing() -> None:
    assert info_of({"ApiVersion": "3.23.0"}) == Info("3.23.0", None)
