"""The public timetable of a newer server: targets as links, and the week as JSON in a script."""

from __future__ import annotations

import json
from datetime import timedelta
from html import escape
from typing import Any
from urllib.parse import quote

from sync_pipelines.sandbox.bakalari.calendar import DAYS
from sync_pipelines.sandbox.bakalari.lessons import HOURS, Lesson
from sync_pipelines.sandbox.bakalari.page import Page, Target

__all__ = ["html"]


def html(page: Page) -> str:
    lists = "".join(_canvas(page, kind, targets) for kind, targets in page.targets.items())
    return (
        f'<!DOCTYPE html>\n<html lang="cs"><head><meta charset="utf-8"><title>{escape(page.school_name)}</title>'
        f'</head><body>{lists}<div class="bk-timetable-main" id="timetable"></div><script>\n'
        f"const objectType = {_script(page.kind.title())};\nconst objectId = {_script(page.target_id)};\n"
        f"const timetableData = {_script(_data(page))};\n</script></body></html>"
    )


def _canvas(page: Page, kind: str, targets: list[Target]) -> str:
    links = "".join(
        f'<li><a href="{escape(page.base)}/timetable/public/Actual/{kind}/{quote(target.id, safe="")}">\n'
        f"  {escape(target.label)}\n</a></li>"
        for target in targets
    )
    return f'<div class="offcanvas" id="{kind}_canvas"><ul>{links}</ul></div>'


def _script(value: Any) -> str:
    """JSON that cannot end its script."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _data(page: Page) -> dict[str, Any]:
    return {
        "Hours": [{"Caption": h.caption, "BeginTime": h.begins, "EndTime": h.ends} for h in HOURS],
        "Days": [_day(page, day) for day in range(len(DAYS))],
    }


def _day(page: Page, day: int) -> dict[str, Any]:
    lessons = [lesson for lesson in page.lessons if lesson.day == day]
    return {
        "DayAbbrev": DAYS[day],
        "Date": page.date_of(day),
        "DayOff": bool(page.day_off),
        "DayOffName": page.day_off,
        "Hours": [
            {
                "Index": hour.id,
                "Begin": f"{hour.begins}:00",
                "Atoms": [_atom(page, lesson) for lesson in lessons if lesson.hour == hour],
            }
            for hour in HOURS
        ],
        "HourGuards": [],
    }


def _atom(page: Page, lesson: Lesson) -> dict[str, Any]:
    detail = page.detail(lesson)
    teacher = page.teachers.get(lesson.atom.teacher_id)
    day = page.monday + timedelta(days=lesson.day)
    groups = "<br/>".join(escape(group.abbrev) for group in lesson.groups)
    return {
        "Type": "atom",
        "HourIndex": lesson.hour.id,
        "Begin": f"{lesson.hour.begins}:00",
        "End": f"{lesson.hour.ends}:00",
        "Day": None if page.week == "permanent" else f"{day.day}.{day.month}.{day.year}",
        "SubjectText": page.subjects[lesson.atom.subject_id].name,
        "SubjectAbbrev": page.subjects[lesson.atom.subject_id].abbrev,
        "TeacherFullname": teacher and teacher.name,
        "Teacher": teacher and teacher.abbrev,
        "Room": lesson.room.abbrev if lesson.room else "",
        "RoomFullName": lesson.room.name if lesson.room else "",
        "GroupsNames": groups,
        "GroupsFullNames": groups,
        "Theme": "",
        "Notice": "",
        "ChangeInfo": "",
        "HasChanged": False,
        "CycleText": "",
        "TooltipDetails": json.dumps(detail, ensure_ascii=False),
    }
