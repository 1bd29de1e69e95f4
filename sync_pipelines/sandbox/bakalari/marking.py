"""Marks: a pupil's own, and a teacher's marking sheets, which are where whole classes can be seen
(contracts/bakalari.md, "Rosters from teacher accounts")."""

from __future__ import annotations

import zlib
from datetime import timedelta
from typing import Any

from sync_pipelines.sandbox.answer import Answer
from sync_pipelines.sandbox.bakalari.asking import Asked, refused
from sync_pipelines.sandbox.bakalari.calendar import midnight, school_year, today
from sync_pipelines.sandbox.bakalari.profile import is_teacher
from sync_pipelines.sandbox.bakalari.records import Account, Atom, Pupil
from sync_pipelines.sandbox.bakalari.school import School

__all__ = ["atoms", "own_marks", "sheet"]

_OPTIONS = (
    ("1", "výborný"), ("1-", "výborný minus"), ("2", "chvalitebný"), ("3", "dobrý"), ("4", "dostatečný"),
    ("5", "nedostatečný"), ("A", "absence"), ("N", "nehodnocen"),
)  # fmt: skip
_PRIVILEGE = "Some privilege is missing (IsTeacher,IsSuperuser)"


def atoms(asked: Asked, account: Account) -> Answer:
    """GET /api/3/marking/atoms: a teacher's own, a superuser's all."""
    if not is_teacher(account):
        return refused(403, _PRIVILEGE)
    school = asked.school
    return Answer({"Atoms": [] if school.summer else [_atom(school, atom) for atom in _seen(school, account)]})


def _seen(school: School, account: Account) -> list[Atom]:
    return school.atoms if account.kind == "superuser" else school.atoms_of_teacher(account.person)


def _atom(school: School, atom: Atom) -> dict[str, Any]:
    return {
        "Id": atom.id,
        "Name": atom.name,
        "Subject": _subject(school, atom.subject_id),
        "Disabled": atom.disabled,
        "DisabledText": "Pololetí je uzavřeno." if atom.disabled else "",
    }


def _subject(school: School, subject_id: str) -> dict[str, str]:
    subject = school.subject(subject_id)
    return {"Id": subject.id, "Abbrev": subject.abbrev, "Name": subject.name}


def sheet(asked: Asked, account: Account, atom_id: str) -> Answer:
    """GET /api/3/marking/marks/{atomId}: everyone in the atom, and their marks. 404 for an unknown one, 403 for
    another teacher's."""
    school = asked.school
    if not is_teacher(account):
        return refused(403, _PRIVILEGE)
    try:
        atom = school.atom(atom_id)
    except KeyError:
        return refused(404, "Nenalezeno.")
    if atom not in _seen(school, account):
        return refused(403, "Some privilege is missing (IsAtomTeacher)")
    by_code = {pupil.code: pupil for pupil in school.pupils}
    pupils = [by_code[code] for code in atom.pupils if code in by_code]
    teacher = school.teacher(atom.teacher_id)
    return Answer(
        {
            "MarkOptions": [{"Id": key, "Abbrev": key, "Name": name} for key, name in _OPTIONS],
            "Marks": [mark for pupil in pupils for mark in _marks(asked, atom, pupil.code)],
            "Students": [_student(atom, pupil) for pupil in pupils],
            "Teachers": [{"Id": teacher.id, "Abbrev": teacher.abbrev, "Name": teacher.name}],
        }
    )


def _student(atom: Atom, pupil: Pupil) -> dict[str, Any]:
    return {
        "Id": pupil.code,
        "DisplayName": pupil.name,
        "FirstName": pupil.first_name,
        "MiddleName": pupil.middle_name,
        "LastName": pupil.last_name,
        "ClassId": pupil.class_id,
        "RegistrationNumber": pupil.registration_number,
        "ReleasedOfSubject": pupil.code in atom.released,
        "AverageText1": _average(atom, pupil.code),
        "AverageText2": "",
    }


def _average(atom: Atom, code: str) -> str:
    return f"{1 + _chance(atom, code) % 400 / 100:.2f} ".replace(".", ",")


def _chance(atom: Atom, code: str) -> int:
    return zlib.crc32(f"{atom.id} {code}".encode())


def _marks(asked: Asked, atom: Atom, code: str) -> list[dict[str, Any]]:
    """One to three, the same whenever they are asked for in a school year."""
    chance = _chance(atom, code)
    first, _ = school_year(today(asked.now))
    marks: list[dict[str, Any]] = []
    for number in range(1 + chance % 3):
        day = midnight(first + timedelta(days=chance % 100 + number))
        marks.append(
            {
                "Id": f"{code}({atom.subject_id}}}[{number}|*:=_",
                "MarkDate": day,
                "EditDate": day,
                "TeacherId": atom.teacher_id,
                "HeaderId": f"{chance % 50}",
                "MarkValue": _OPTIONS[(chance + number) % len(_OPTIONS)][0],
                "Theme": "opakování",
                "StudentId": code,
                "ReadOnly": False,
                "ReadOnlyDescription": "",
                "PublishDate": None,
                "ConfirmedWhen": None,
                "ConfirmedBy": None,
                "MarkConfirmationState": "Unconfirmed",
            }
        )
    return marks


def own_marks(asked: Asked, account: Account) -> Answer:
    """GET /api/3/marks: a pupil's, by subject."""
    if is_teacher(account):
        return refused(403, "Some privilege is missing (ShowMarks)")
    school = asked.school
    found: list[dict[str, Any]] = []
    for atom in [] if school.summer else school.atoms_of_pupil(account.person):
        marks = [
            {
                "MarkDate": mark["MarkDate"],
                "EditDate": mark["EditDate"],
                "Caption": "",
                "Theme": mark["Theme"],
                "MarkText": mark["MarkValue"],
                "TeacherId": mark["TeacherId"],
                "Type": "X",
                "TypeNote": "",
                "Weight": None,
                "SubjectId": atom.subject_id,
                "IsNew": False,
                "IsPoints": False,
                "CalculatedMarkText": "",
                "ClassRankText": None,
                "Id": mark["Id"],
                "PointsText": "",
                "MaxPoints": 0,
            }
            for mark in _marks(asked, atom, account.person)
        ]
        average = _average(atom, account.person)
        subject = _subject(school, atom.subject_id)
        found.append({"Marks": marks, "Subject": subject, "AverageText": average, "TemporaryMark": ""})
    return Answer({"Subjects": found, "MarkOptions": []})
