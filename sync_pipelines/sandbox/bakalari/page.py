"""What a public page shows, however it is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sync_pipelines.sandbox.bakalari.calendar import DAYS
from sync_pipelines.sandbox.bakalari.lessons import HOURS, Lesson
from sync_pipelines.sandbox.bakalari.records import Subject, Teacher

__all__ = ["Page", "Target"]


@dataclass(frozen=True)
class Target:
    """A class, a teacher or a room that has a page."""

    id: str
    label: str


@dataclass(frozen=True)
class Page:
    """`targets` by kind: class, teacher, room. `day_off` names a holiday, or is empty."""

    base: str
    school_name: str
    targets: dict[str, list[Target]]
    kind: str
    target_id: str
    week: str
    monday: date
    day_off: str
    lessons: list[Lesson]
    subjects: dict[str, Subject]
    teachers: dict[str, Teacher]

    def date_of(self, day: int) -> str:
        """As pages write it: without the year, and not at all in the permanent week."""
        shown = self.monday + timedelta(days=day)
        return "" if self.week == "permanent" else f"{shown.day}.{shown.month}."

    def detail(self, lesson: Lesson) -> dict[str, Any]:
        """What is behind a cell: texts, and no id of a subject."""
        teacher = self.teachers.get(lesson.atom.teacher_id)
        when = " ".join(part for part in (DAYS[lesson.day], self.date_of(lesson.day)) if part)
        hour = lesson.hour
        return {
            "type": "atom",
            "subjecttext": f"{self.subjects[lesson.atom.subject_id].name} | {when} | "
            f"{hour.caption} ({hour.begins} - {hour.ends})",
            "teacher": teacher and teacher.name,
            "room": lesson.room.name if lesson.room else "",
            "group": ", ".join(group.abbrev for group in lesson.groups),
            "theme": "",
            "notice": "",
            "changeinfo": "",
            "homeworks": None,
            "absencetext": None,
            "hasAbsent": False,
            "absentInfoText": "",
        }

    def removed(self) -> dict[str, Any]:
        """The detail of a lesson that was taken out: of a shape of its own."""
        hour = HOURS[-1]
        when = f"st {self.date_of(2)} | {hour.caption} ({hour.begins} - {hour.ends})"
        return {"type": "removed", "subjecttext": when, "absentinfo": "", "removedinfo": "Vyjmuto z rozvrhu"}
