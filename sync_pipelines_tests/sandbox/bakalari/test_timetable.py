"""A week (contracts/bakalari.md C11)."""

from collections import Counter
from typing import Any

import httpx
import pytest

from sync_pipelines.sandbox.bakalari import Account, School
from sync_pipelines_tests.sandbox.bakalari.asking import get

PERMANENT, ACTUAL = "/api/3/timetable/permanent", "/api/3/timetable/actual"
LISTS = ("Days", "Classes", "Groups", "Subjects", "Teachers", "Rooms", "Cycles")


def atoms(week: Any) -> list[Any]:
    return [atom for day in week["Days"] for atom in day["Atoms"]]


def test_a_pupils_week_is_of_what_the_pupil_learns(
    http: httpx.Client, school: School, pupil: Account, parent: Account
) -> None:
    for account in (pupil, parent):
        week = get(http, account, PERMANENT).json()
        assert {atom["SubjectId"] for atom in atoms(week)} == school.subjects_of(pupil.person)
        assert school.pupil(pupil.person).class_id in [class_["Id"] for class_ in week["Classes"]]


def test_a_teachers_week_is_of_what_the_teacher_teaches(
    http: httpx.Client, school: School, teacher: Account
) -> None:
    week = get(http, teacher, PERMANENT).json()
    assert {atom["TeacherId"] for atom in atoms(week)} == {teacher.person}
    taught = school.atoms_of_teacher(teacher.person)
    assert {atom["SubjectId"] for atom in atoms(week)} == {atom.subject_id for atom in taught}


def test_what_a_week_refers_to_it_lists_and_groups_repeatedly(http: httpx.Client, pupil: Account) -> None:
    week = get(http, pupil, PERMANENT).json()
    known = {name: {item["Id"] for item in week[name]} for name in ("Hours", *LISTS[1:])}
    for atom in atoms(week):
        assert atom["HourId"] in known["Hours"]
        assert atom["SubjectId"] in known["Subjects"]
        assert atom["TeacherId"] in known["Teachers"]
        assert atom["RoomId"] in known["Rooms"]
        assert set(atom["GroupIds"]) <= known["Groups"]
        assert set(atom["CycleIds"]) <= known["Cycles"]
    assert {group["ClassId"] for group in week["Groups"]} <= known["Classes"]
    assert max(Counter(group["Id"] for group in week["Groups"]).values()) > 1
    assert [day["DayOfWeek"] for day in week["Days"]] == [1, 2, 3, 4, 5]


def test_a_day_has_ten_hours_of_three_quarters_and_ids_that_are_not_the_peoples(
    http: httpx.Client, pupil: Account
) -> None:
    hours = get(http, pupil, PERMANENT).json()["Hours"]
    assert hours[0] == {"Id": 2, "Caption": "0", "BeginTime": "7:05", "EndTime": "7:50"}
    assert hours[-1] == {"Id": 11, "Caption": "9", "BeginTime": "15:20", "EndTime": "16:05"}
    assert len(hours) == 10


def test_a_removed_lesson_says_of_nobody_whose_it_was(http: httpx.Client, pupil: Account) -> None:
    removed = [atom for atom in atoms(get(http, pupil, ACTUAL).json()) if atom["Change"]]
    assert [atom["Change"]["ChangeType"] for atom in removed] == ["Removed"]
    assert [removed[0][name] for name in ("SubjectId", "TeacherId", "RoomId")] == [None] * 3
    assert not [atom for atom in atoms(get(http, pupil, PERMANENT).json()) if atom["Change"]]


@pytest.mark.parametrize(
    ("asked", "monday"),
    [
        ("", "2026-10-12T00:00:00+02:00"),
        ("?date=2026-12-09", "2026-12-07T00:00:00+01:00"),
        ("?date=2025-01-01", "2026-08-31T00:00:00+02:00"),
        ("?date=2031-01-01", "2027-06-28T00:00:00+02:00"),
    ],
)
def test_a_day_outside_the_school_year_has_the_nearest_week(
    http: httpx.Client, pupil: Account, asked: str, monday: str
) -> None:
    assert get(http, pupil, ACTUAL + asked).json()["Days"][0]["Date"] == monday


def test_a_date_that_is_none_is_refused_with_the_state_of_the_model(http: httpx.Client, pupil: Account) -> None:
    answer = get(http, pupil, f"{ACTUAL}?date=31.2.2026")
    assert answer.status_code == 400
    assert answer.json().keys() == {"Message", "ModelState"}


def test_in_summer_a_week_is_of_hours_only(http: httpx.Client, school: School, pupil: Account) -> None:
    school.summer = True
    for path in (PERMANENT, ACTUAL):
        week = get(http, pupil, path).json()
        assert week.pop("Hours")
        assert week == {name: [] for name in LISTS}


def test_a_week_of_holidays_has_lessons_on_each_of_them(
    http: httpx.Client, school: School, pupil: Account
) -> None:
    school.holiday = True
    week = get(http, pupil, PERMANENT).json()
    assert {day["DayType"] for day in week["Days"]} == {"Holiday"}
    assert atoms(week)
