"""What an account is told of itself and of the server (contracts/bakalari.md C2, C9, C10)."""

from __future__ import annotations

import base64
import json
from datetime import date
from typing import Any

from sync_pipelines.sandbox.answer import Answer
from sync_pipelines.sandbox.bakalari.asking import Asked, refused
from sync_pipelines.sandbox.bakalari.calendar import midnight, school_year, today
from sync_pipelines.sandbox.bakalari.login import VERSIONS
from sync_pipelines.sandbox.bakalari.records import Account, Pupil
from sync_pipelines.sandbox.bakalari.school import School

__all__ = ["is_teacher", "subjects", "user", "version", "versions"]

_TYPES = {
    "student": ("student", "žák"),
    "parent": ("parents", "rodič"),
    "teacher": ("teacher", "učitel"),
    "superuser": ("teacher", "učitel"),
}
_MODULES = {
    "Komens": ["ShowReceivedMessages", "SendMessages"],
    "Marks": ["ShowMarks"],
    "Timetable": ["ShowTimetable"],
    "Subjects": ["ShowSubjects"],
    "Homeworks": ["ShowHomeworks"],
}
_MODULES_OF_TEACHERS = {"Timetable": ["ShowTimetable"], "Marking": ["ShowMarks", "AddMarks"]}


def is_teacher(account: Account) -> bool:
    return account.kind in ("teacher", "superuser")


def versions(asked: Asked) -> Answer:
    """GET /api: a list."""
    return Answer([version(asked).value])


def version(asked: Asked) -> Answer:
    """GET /api/3: an object."""
    api, app = VERSIONS[asked.school.style]
    return Answer({"ApiVersion": api, "ApplicationVersion": app, "BaseUrl": "api/3"})


def user(asked: Asked, account: Account) -> Answer:
    """GET /api/3/user. A parent is shown under the child's name."""
    school = asked.school
    answering_as = school.accounts.get(school.conflicts.get(account.username, ""), account)
    kind, text = _TYPES[account.kind]
    pupil = None if is_teacher(account) else school.pupil(account.person)
    day = today(asked.now)
    campaign = json.dumps({"sid": school.sid, "ut": kind[0].upper(), "sy": school_year(day)[0].year})
    modules = _MODULES_OF_TEACHERS if pupil is None else _MODULES
    value: dict[str, Any] = {
        "UserUID": f"{school.sid}/{answering_as.code}",
        "CampaignCategoryCode": base64.b64encode(campaign.encode()).decode(),
        "Class": pupil and _class(school, pupil),
        "FullName": _with_class(school, pupil) if pupil else school.teacher(account.person).name,
        "SchoolOrganizationName": school.name,
        "SchoolType": None,
        "UserType": kind,
        "UserTypeText": text,
        "StudyYear": _study_year(school, pupil),
        "EnabledModules": [] if school.summer else [{"Module": m, "Rights": r} for m, r in modules.items()],
        "SettingModules": {"Common": {"$type": "CommonModuleSettings", **_semester(school, day)}},
    }
    if school.style == "new":
        value["FullUserName"] = account.holder or (pupil.name if pupil else value["FullName"])
        if account.kind == "parent":
            value["Students"] = [{k: value[k] for k in ("FullName", "Class", "SchoolType", "StudyYear")}]
    return Answer(value)


def _class(school: School, pupil: Pupil) -> dict[str, str] | None:
    if pupil.class_id is None:
        return None
    class_ = school.class_(pupil.class_id)
    return {"Id": class_.id, "Abbrev": class_.abbrev, "Name": class_.name}


def _with_class(school: School, pupil: Pupil) -> str:
    return pupil.name if pupil.class_id is None else f"{pupil.name}, {school.class_(pupil.class_id).abbrev}"


def _study_year(school: School, pupil: Pupil | None) -> int:
    return school.class_(pupil.class_id).study_year if pupil and pupil.class_id else 0


def _semester(school: School, day: date) -> dict[str, Any]:
    if school.summer:
        return {}
    first, last = school_year(day)
    half = date(last.year, 1, 31)
    number, start, end = ("1", first, half) if day <= half else ("2", date(last.year, 2, 1), last)
    return {"ActualSemester": {"SemesterId": number, "From": midnight(start), "To": midnight(end)}}


def subjects(asked: Asked, account: Account) -> Answer:
    """GET /api/3/subjects: a row for each subject and teacher of the pupil, who may be a parent's."""
    if is_teacher(account):
        return refused(403, "Some privilege is missing (ShowSubjects)")
    school = asked.school
    atoms = [] if school.summer else school.atoms_of_pupil(account.person)
    pairs = dict.fromkeys((atom.subject_id, atom.teacher_id) for atom in atoms)
    return Answer({"Subjects": [_subject_row(school, *pair) for pair in pairs]})


def _subject_row(school: School, subject_id: str, teacher_id: str) -> dict[str, str | None]:
    subject, teacher = school.subject(subject_id), school.teacher(teacher_id)
    return {
        "SubjectID": subject.id,
        "SubjectName": subject.name,
        "SubjectAbbrev": subject.abbrev,
        "TeacherID": teacher.id,
        "TeacherName": teacher.name,
        "TeacherAbbrev": teacher.abbrev,
        "TeacherEmail": teacher.email,
        "TeacherWeb": "",
        "TeacherSchoolPhone": teacher.school_phone,
        "TeacherHomePhone": teacher.home_phone,
        "TeacherMobilePhone": teacher.mobile_phone,
    }
