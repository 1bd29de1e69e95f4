"""The public timetable of an older server: targets in selects, a cell for each lesson with its detail as JSON in
an attribute. Texts in the JSON are escaped once more."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from sync_pipelines.sandbox.bakalari.calendar import DAYS
from sync_pipelines.sandbox.bakalari.lessons import Lesson
from sync_pipelines.sandbox.bakalari.page import Page, Target

__all__ = ["html"]

_WEEKS = ("Permanent", "Actual", "Next")
# A teacher's watch in the corridor: a cell's attribute, and another shape.
_GUARD = {"type": "guard", "day": "st", "place": "chodba & šatna", "teachers": ["Dozor"]}


def html(page: Page) -> str:
    selects = "".join(_select(page, kind, targets) for kind, targets in page.targets.items())
    weeks = "".join(
        f'<input type="radio" name="week" value="{week}"{" checked" if week.lower() == page.week else ""}>'
        for week in _WEEKS
    )
    rows = "".join(_row(page, day) for day in range(len(DAYS)))
    return (
        f'<!DOCTYPE html>\n<html lang="cs"><head><meta charset="utf-8"><title>{escape(page.school_name)}</title>'
        f'</head><body><div class="bk-filter">{selects}{weeks}</div>'
        f'<div class="bk-timetable-main">{rows}</div></body></html>'
    )


def _select(page: Page, kind: str, targets: list[Target]) -> str:
    shown = page.target_id if kind == page.kind else None
    options = "".join(
        f'<option value="{escape(target.id)}"{" selected" if target.id == shown else ""}>'
        f"\n                {_entities(target.label)}\n            </option>"
        for target in targets
    )
    return f'<select id="selected{kind.title()}" name="{kind}"><option value=""></option>{options}</select>'


def _entities(text: str) -> str:
    """Escaped as such servers do it: letters with marks too."""
    return escape(text).encode("ascii", "xmlcharrefreplace").decode()


def _row(page: Page, day: int) -> str:
    lessons = [lesson for lesson in page.lessons if lesson.day == day]
    head = f'<span class="bk-day-day">{DAYS[day]}</span><span class="bk-day-date">{page.date_of(day)}</span>'
    if page.day_off:
        cells = f'<div class="day-item-volno"><div class="dayoff-name">{escape(page.day_off)}</div></div>'
    else:
        cells = "".join(_cell(page, lesson) for lesson in lessons)
    if day == 2 and page.lessons:
        cells += f'<div class="bk-guard hover-guard" data-detail="{_attribute(_GUARD)}">dozor</div>'
        if page.week == "actual":
            cells += f'<div class="day-item-hover removed" data-detail="{_attribute(page.removed())}"></div>'
    return f'<div class="bk-timetable-row"><div class="bk-day-wrapper">{head}</div>{cells}</div>\n'


def _cell(page: Page, lesson: Lesson) -> str:
    teacher = page.teachers.get(lesson.atom.teacher_id)
    groups = ", ".join(_entities(group.abbrev) for group in lesson.groups)
    room = _entities(lesson.room.abbrev) if lesson.room else ""
    return (
        f'<div class="day-item"><div class="day-item-hover" data-detail="{_attribute(page.detail(lesson))}">'
        f'<div class="top clearfix"><div class="left">{groups}</div>'
        f'<div class="right"><div class="first">{room}</div></div></div>'
        f'<div class="middle">{_entities(page.subjects[lesson.atom.subject_id].abbrev)}</div>'
        f'<div class="bottom"><span>{_entities(teacher.abbrev if teacher else "")}</span></div></div></div>'
    )


def _attribute(detail: dict[str, Any]) -> str:
    texts = {key: escape(value) if isinstance(value, str) else value for key, value in detail.items()}
    return escape(json.dumps(texts, ensure_ascii=False))
