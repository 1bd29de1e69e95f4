"""The public timetable: HTML pages for whoever comes (contracts/bakalari.md C13), of an older server ("rendered")
or a newer one ("embedded")."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

from sync_pipelines.sandbox.answer import Answer
from sync_pipelines.sandbox.bakalari import embedded, rendered
from sync_pipelines.sandbox.bakalari.asking import Asked
from sync_pipelines.sandbox.bakalari.calendar import monday_of, school_year, today
from sync_pipelines.sandbox.bakalari.lessons import Lesson, Week
from sync_pipelines.sandbox.bakalari.page import Page, Target
from sync_pipelines.sandbox.bakalari.school import School

__all__ = ["error_page", "public_timetable", "public_timetables"]

_NO_ACCESS = "K požadované stránce nemáte přístup."
_HTML: dict[str, Callable[[Page], str]] = {"rendered": rendered.html, "embedded": embedded.html}


def public_timetables(asked: Asked) -> Answer:
    """/Timetable/Public: what there is, and the first class's week."""
    first = asked.school.classes[0].id if asked.school.classes else ""
    return _page(asked, "actual", "class", first)


def public_timetable(asked: Asked, week: str, kind: str, key: str) -> Answer:
    """/Timetable/Public/{week}/{kind}/{id}, in letters of any size."""
    if all(target.id != key for target in _targets(asked.school)[kind.lower()]):
        return _nothing(asked)
    return _page(asked, week.lower(), kind.lower(), key)


def _page(asked: Asked, week: str, kind: str, key: str) -> Answer:
    school = asked.school
    if school.pages == "none":
        return _nothing(asked)
    lessons = [] if school.summer or school.holiday else _lessons(school, kind, key)
    day = today(asked.now)
    monday = monday_of(day, school_year(day)) + timedelta(weeks=week == "next")
    page = Page(
        base=asked.base,
        school_name=school.name,
        targets=_targets(school),
        kind=kind,
        target_id=key,
        week=week,
        monday=monday,
        day_off="Podzimní prázdniny" if school.holiday else "",
        lessons=lessons,
        subjects={subject.id: subject for subject in school.subjects},
        teachers={teacher.id: teacher for teacher in school.teachers},
    )
    return Answer(text=_HTML[school.pages](page), media_type="text/html")


def _lessons(school: School, kind: str, key: str) -> list[Lesson]:
    week = Week(school)
    if kind == "class":
        return week.of_class(key)
    if kind == "teacher":
        return week.of(school.atoms_of_teacher(key))
    return [lesson for lesson in week.of(school.atoms) if lesson.room and lesson.room.id == key]


def _targets(school: School) -> dict[str, list[Target]]:
    def listed(records: list[Any], label: str) -> list[Target]:
        return [Target(record.id, getattr(record, label)) for record in records]

    return {
        "class": listed(school.classes, "abbrev"),
        "teacher": listed(school.teachers, "name"),
        "room": listed(school.rooms, "abbrev"),
    }


def _nothing(asked: Asked) -> Answer:
    where = f"{asked.base}/next/errinfo.aspx?e={quote_plus(_NO_ACCESS)}"
    return Answer(status=302, text="", media_type="text/html", headers={"Location": where})


def error_page(asked: Asked) -> Answer:
    """/next/errinfo.aspx, where a page that is not published leads."""
    text = f"<html><body><form action='errinfo.aspx'><span class='chyba'>{_NO_ACCESS}</span></form></body></html>"
    return Answer(text=text, media_type="text/html")
