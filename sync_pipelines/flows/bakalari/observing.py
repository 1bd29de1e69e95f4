"""What a school's sources show, as sightings: each record of the client says which things there are.

Pure: who is asked, and in what order, is in `reading`. Ranks say whose word counts (C17.7).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sync_pipelines.clients.bakalari import Atom, BulkSnapshot, Item, PublicLists, Sheet, Taught, Timetable, User
from sync_pipelines.flows.bakalari.merging import BULK, OWN, PUBLIC, ROSTERS, Sighting
from sync_pipelines.flows.bakalari.snapshot import Kind, Value, enrollment_key, user_key

__all__ = [
    "ROLES",
    "Refusal",
    "of_account",
    "of_atom",
    "of_bulk",
    "of_public_lists",
    "of_sheet",
    "of_subjects",
    "of_timetable",
]

#: The types of people who become users, and the role each has when it first does (D5).
ROLES = {"student": "STUDENT", "teacher": "TEACHER", "parents": "PARENT"}

# Whose word counts, from the least: what merely names a thing, the lists of such things, who it is, the export.
_NAMED, _LISTED, _SELF, _EXPORTED = range(4)


class Refusal(NamedTuple):
    """A row that is none: what it would have been, the key it is kept under if it has one, and why not."""

    kind: Kind
    key: str | None
    reason: str


def of_account(user: User) -> Iterator[Sighting | Refusal]:
    """The account's holder, and the class that it names."""
    user_type = user.type.casefold()
    if user.school_class is not None:
        study_year = user.study_year if user_type == "student" else None
        yield _class(user.school_class, _NAMED, study_year=study_year)
    key = user_key(user_type, user.code)
    if user_type not in ROLES:
        yield Refusal("user", key, f"a user type that is not known ({len(user_type)} characters)")
        return
    of_class = user.school_class.id if user.school_class is not None and user_type == "student" else None
    yield _user(user_type, user.code, _SELF, uid=user.uid, name=user.name, class_id=of_class)


def of_subjects(subjects: Iterable[Taught], student: str | None, *, whole: bool) -> Iterator[Sighting]:
    """What an account learns, and who teaches it; `student` is its user's key where it is a student's.

    `whole`: the list has come to its end, and lessons are going on: what is not in it is not learnt any more.
    """
    for taught in subjects:
        yield _item("subject", taught.subject, _LISTED)
        if taught.teacher is not None:
            yield _user("teacher", taught.teacher.id, _NAMED, name=taught.teacher.name, email=taught.teacher_email)
        if student is not None:
            yield _enrollment(student, taught.subject.id, OWN if whole else None)


def of_timetable(timetable: Timetable, student: str | None) -> Iterator[Sighting]:
    """The classes, subjects and teachers of a week; `student` where its lessons alone say what they learn."""
    for item in timetable.classes:
        yield _class(item, _LISTED)
    for item in timetable.subjects:
        yield _item("subject", item, _NAMED)
    for item in timetable.teachers:
        yield _user("teacher", item.id, _NAMED, name=item.name)
    named = {item.id for item in timetable.subjects}
    if student is not None:
        yield from (_enrollment(student, subject, None) for subject in sorted(timetable.taught & named))


def of_atom(atom: Atom, *, whole: bool) -> Sighting:
    """A marking unit's subject. `whole`: the list that it is in is that of all the school's units."""
    return _item("subject", atom.subject, _LISTED, ROSTERS if whole else None)


def of_sheet(atom: Atom, sheet: Sheet, *, whole: bool) -> Iterator[Sighting]:
    """A marking unit's students, teachers and classes; `whole` as that of the unit."""
    by = ROSTERS if whole else None
    for student in sheet.students or ():
        if student.class_id is not None:
            yield Sighting("class", student.class_id, by=by)
        yield _user("student", student.id, _LISTED, by, name=student.name, class_id=student.class_id)
        if not student.released:
            yield _enrollment(user_key("student", student.id), atom.subject.id, by)
    for teacher in sheet.teachers or ():
        yield _user("teacher", teacher.id, _NAMED, by, name=teacher.name)


def of_public_lists(lists: PublicLists) -> Iterator[Sighting]:
    """The classes and teachers that the school publishes."""
    for item in lists.classes:
        yield _class(item, _SELF, by=PUBLIC)
    for item in lists.teachers:
        yield _user("teacher", item.id, _LISTED, PUBLIC, name=item.name)


def of_bulk(records: BulkSnapshot) -> Iterator[Sighting | Refusal]:
    """What an export holds."""
    by = BULK if records.complete else None
    for school_class in records.classes or ():
        item = Item(school_class.id, school_class.abbrev, school_class.name)
        yield _class(item, _EXPORTED, by=by, study_year=school_class.study_year)
    for item in records.subjects or ():
        yield _item("subject", item, _EXPORTED, by)
    for user in records.users or ():
        user_type = (user.type or "").casefold()
        if user_type in ROLES:
            of_class = user.class_id if user_type == "student" else None
            said = {"name": user.full_name, "class_id": of_class, "email": user.email}
            yield _user(user_type, user.id, _EXPORTED, by, **said)
        else:
            yield Refusal("user", user_key(user_type, user.id), "a user type that is not known")
    for enrollment in records.enrollments or ():
        yield _enrollment(user_key("student", enrollment.user_id), enrollment.subject_id, by)


def _class(item: Item, rank: int, *, by: str | None = None, study_year: int | None = None) -> Sighting:
    fields: dict[str, Value] = {"abbrev": item.abbrev, "name": item.name}
    if study_year is not None:
        fields["study_year"] = study_year
    return Sighting("class", item.id, fields, rank, by)


def _item(kind: Kind, item: Item, rank: int, by: str | None = None) -> Sighting:
    return Sighting(kind, item.id, {"abbrev": item.abbrev, "name": item.name}, rank, by)


def _user(user_type: str, code: str, rank: int, by: str | None = None, **fields: Value) -> Sighting:
    return Sighting("user", user_key(user_type, code), {"type": user_type, "code": code, **fields}, rank, by)


def _enrollment(user: str, subject: str, by: str | None) -> Sighting:
    return Sighting("enrollment", enrollment_key(user, subject), {"user": user, "subject": subject}, by=by)
