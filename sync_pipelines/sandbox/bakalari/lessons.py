"""Where in the week the atoms are taught: the same for whoever looks, a pupil, a teacher or a public page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sync_pipelines.sandbox.bakalari.records import Atom, Room, SchoolClass
from sync_pipelines.sandbox.bakalari.school import School

__all__ = ["HOURS", "Group", "Hour", "Lesson", "Week"]


@dataclass(frozen=True)
class Hour:
    """`id` is the server's number of it, `caption` the people's."""

    id: int
    caption: str
    begins: str
    ends: str


HOURS = tuple(
    Hour(number + 2, str(number), *(f"{minute // 60}:{minute % 60:02}" for minute in (start, start + 45)))
    for number, start in enumerate(range(7 * 60 + 5, 7 * 60 + 5 + 10 * 55, 55))
)


@dataclass(frozen=True)
class Group:
    """The pupils of one class in an atom."""

    id: str
    abbrev: str
    class_: SchoolClass


@dataclass(frozen=True)
class Lesson:
    """An atom's on a day, from 0; its room, where the school has any."""

    atom: Atom
    day: int
    hour: Hour
    room: Room | None
    groups: tuple[Group, ...]


class Week:
    """A school's week as it is now. Atoms of one subject in one class are taught at the same time."""

    def __init__(self, school: School) -> None:
        self._school = school
        self._classes = {class_.id: class_ for class_ in school.classes}
        self._class_of = {pupil.code: pupil.class_id for pupil in school.pupils}
        self._places: dict[str | None, list[str]] = {}
        for atom in school.atoms:
            subjects = self._places.setdefault(atom.class_id, [])
            if atom.subject_id not in subjects:
                subjects.append(atom.subject_id)

    def of(self, atoms: Iterable[Atom]) -> list[Lesson]:
        """Two lessons of each atom, by day and hour."""
        lessons = [lesson for atom in atoms for lesson in self._lessons(atom)]
        return sorted(lessons, key=lambda lesson: (lesson.day, lesson.hour.id))

    def of_class(self, class_id: str) -> list[Lesson]:
        return self.of(a for a in self._school.atoms if any(g.class_.id == class_id for g in self._groups(a)))

    def _lessons(self, atom: Atom) -> list[Lesson]:
        place = 2 * self._places[atom.class_id].index(atom.subject_id)
        groups, rooms = self._groups(atom), self._school.rooms
        room = rooms[[*self._places].index(atom.class_id) % len(rooms)] if rooms else None
        first = 0 if atom.class_id is None else 1
        return [
            Lesson(atom, slot % 5, HOURS[first + slot // 5 % (len(HOURS) - 1)], room, groups)
            for slot in (place, place + 1)
        ]

    def _groups(self, atom: Atom) -> tuple[Group, ...]:
        ids = [atom.class_id] if atom.class_id else [self._class_of.get(code) for code in atom.pupils]
        classes = [self._classes[key] for key in dict.fromkeys(ids) if key in self._classes]
        return tuple(Group(f"{c.id}{atom.group}", f"{c.abbrev} {atom.group}", c) for c in classes)
