"""GET /api/3/timetable/permanent and /timetable/actual: an account's own week (contracts/bakalari.md C11)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from sync_pipelines.sandbox.answer import Answer
from sync_pipelines.sandbox.bakalari.asking import Asked
from sync_pipelines.sandbox.bakalari.calendar import midnight, monday_of, school_year, today
from sync_pipelines.sandbox.bakalari.lessons import HOURS, Lesson, Week
from sync_pipelines.sandbox.bakalari.profile import is_teacher
from sync_pipelines.sandbox.bakalari.records import Account
from sync_pipelines.sandbox.bakalari.school import School

__all__ = ["actual", "permanent"]

_CYCLES = [{"Id": "1", "Abbrev": "L", "Name": "Lichý"}, {"Id": "2", "Abbrev": "S", "Name": "Sudý"}]
_LISTS = ("Days", "Classes", "Groups", "Subjects", "Teachers", "Rooms", "Cycles")


def permanent(asked: Asked, account: Account) -> Answer:
    return Answer(_timetable(asked.school, account, _monday(asked, today(asked.now)), is_actual=False))


def actual(asked: Asked, account: Account) -> Answer:
    """The week of `date`; outside the school year the nearest one, and no error."""
    text = asked.query.get("date")
    try:
        day = date.fromisoformat(text) if text else today(asked.now)
    except ValueError:
        wrong = {"date": [f"The value '{text}' is not valid for Nullable`1."]}
        return Answer({"Message": "The request is invalid.", "ModelState": wrong}, 400)
    return Answer(_timetable(asked.school, account, _monday(asked, day), is_actual=True))


def _monday(asked: Asked, day: date) -> date:
    return monday_of(day, school_year(today(asked.now)))


def _timetable(school: School, account: Account, monday: date, *, is_actual: bool) -> dict[str, Any]:
    hours = [{"Id": h.id, "Caption": h.caption, "BeginTime": h.begins, "EndTime": h.ends} for h in HOURS]
    if school.summer:
        return {"Hours": hours} | {name: [] for name in _LISTS}
    if is_teacher(account):
        lessons = Week(school).of(school.atoms_of_teacher(account.person))
    else:
        mine = school.pupil(account.person).class_id
        lessons = [
            # Who shares a group with another class sees their own class's part of it (C14).
            replace(lesson, groups=tuple(group for group in lesson.groups if group.class_.id == mine))
            for lesson in Week(school).of(school.atoms_of_pupil(account.person))
        ]
    groups = [group for lesson in lessons for group in lesson.groups]
    rooms = {lesson.room.id: lesson.room for lesson in lessons if lesson.room}.values()
    return {
        "Hours": hours,
        "Days": [_day(school, lessons, monday, number, is_actual) for number in range(5)],
        "Classes": _items({group.class_.id: group.class_ for group in groups}.values()),
        # A group comes again with each of its lessons, as recorded.
        "Groups": [{"ClassId": g.class_.id, "Id": g.id, "Abbrev": g.abbrev, "Name": g.abbrev} for g in groups],
        "Subjects": _items(school.subject(key) for key in {lesson.atom.subject_id: 0 for lesson in lessons}),
        "Teachers": _items(school.teacher(key) for key in {lesson.atom.teacher_id: 0 for lesson in lessons}),
        "Rooms": _items(rooms),
        "Cycles": _CYCLES,
    }


def _items(records: Iterable[Any]) -> list[dict[str, str]]:
    return [{"Id": record.id, "Abbrev": record.abbrev, "Name": record.name} for record in records]


def _day(school: School, lessons: list[Lesson], monday: date, number: int, is_actual: bool) -> dict[str, Any]:
    day = monday + timedelta(days=number)
    atoms = [_atom(lesson) for lesson in lessons if lesson.day == number]
    if is_actual and number == 2:
        atoms.append(_removed(day))
    return {
        "Atoms": atoms,
        "DayOfWeek": number + 1,
        "Date": midnight(day),
        "DayDescription": "Podzimní prázdniny" if school.holiday else "",
        "DayType": "Holiday" if school.holiday else "WorkDay",
    }


def _atom(lesson: Lesson) -> dict[str, Any]:
    return {
        "HourId": lesson.hour.id,
        "GroupIds": [group.id for group in lesson.groups],
        "SubjectId": lesson.atom.subject_id,
        "TeacherId": lesson.atom.teacher_id,
        "RoomId": lesson.room and lesson.room.id,
        "CycleIds": [cycle["Id"] for cycle in _CYCLES],
        "Change": None,
        "HomeworkIds": [],
        "Theme": None,
    }


def _removed(day: date) -> dict[str, Any]:
    """A lesson taken out of the week: nothing says of whom it was."""
    hour = HOURS[-1]
    change = {
        "ChangeSubject": None,
        "Day": midnight(day),
        "Hours": f"{hour.caption}. hod",
        "ChangeType": "Removed",
        "Description": "Vyjmuto z rozvrhu",
        "Time": f"{hour.begins} - {hour.ends}",
        "TypeAbbrev": None,
        "TypeName": None,
    }
    nothing = dict.fromkeys(("SubjectId", "TeacherId", "RoomId", "Theme"))
    return {"HourId": hour.id, "GroupIds": [], "CycleIds": [], "HomeworkIds": [], "Change": change} | nothing
