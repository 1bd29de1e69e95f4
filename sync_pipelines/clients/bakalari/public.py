"""The public timetable, web pages that need no login: the school's classes, teachers and rooms, and their lessons.

Source: contracts/bakalari.md C13. A page that lists nothing is an error, never a school without classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sync_pipelines.clients.bakalari.records import Item

__all__ = ["PublicLesson", "PublicLists"]


@dataclass(frozen=True, slots=True)
class PublicLists:
    """What the school publishes, in page order. A class has its abbreviation, a teacher and a room their name."""

    classes: tuple[Item, ...]
    teachers: tuple[Item, ...]
    rooms: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class PublicLesson:
    """A lesson of a public page. `day` counts from 1 for Monday, `hour` as captioned; None where not said."""

    day: int | None
    hour: str | None
    subject_name: str | None
    subject_abbrev: str | None
    teacher_name: str | None = field(repr=False)
    teacher_abbrev: str | None
    room: str | None
    group: str | None
