"""What Bakalari's API tells, as frozen records. Source of every fact: contracts/bakalari.md, section C.

Ids are kept exactly, blanks and all (C12). Marks, averages, phone and registration numbers have no field here.
Names and addresses of people are in no repr.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Generic, TypeVar

__all__ = ["Atom", "Info", "Item", "Refused", "Rows", "Sheet", "SheetStudent", "Taught", "Timetable", "User"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that could not be read: what it should have been, its id where it has a usable one, and why not."""

    what: str
    id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Rows(Generic[R]):
    """A list as the server ordered it: what could be read, and what could not."""

    items: tuple[R, ...]
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Info:
    """GET api/3, without login (C2)."""

    api_version: str | None
    app_version: str | None


@dataclass(frozen=True, slots=True)
class Item:
    """A class, subject or teacher where another record, or a list, names it."""

    id: str
    abbrev: str | None
    name: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class User:
    """The account that asks (C9). `uid` is UserUID, "school/code"; `type` as sent, "" where nothing was.

    `name` is the account holder's, without a class: None where a parent's server tells the child's alone.
    `semester` is its first and last day; None in summer.
    """

    uid: str
    code: str
    name: str | None = field(repr=False)
    type: str
    school_class: Item | None
    study_year: int | None
    semester: tuple[date, date] | None
    school_name: str | None


@dataclass(frozen=True, slots=True)
class Taught:
    """A subject of the account and who teaches it; with another teacher it is another row (C10)."""

    subject: Item
    teacher: Item | None
    teacher_email: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Timetable:
    """A week (C11). `taught` are the ids of subjects that some lesson names; without lessons it says nothing."""

    classes: tuple[Item, ...]
    subjects: tuple[Item, ...]
    teachers: tuple[Item, ...]
    taught: frozenset[str]
    has_lessons: bool
    work_days: int
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Atom:
    """A subject as taught to one class or group, to a teacher or superuser: GET api/3/marking/atoms."""

    id: str
    name: str | None
    subject: Item
    disabled: bool


@dataclass(frozen=True, slots=True)
class SheetStudent:
    """Who is taught an atom. `released` are those whom the school let off the subject."""

    id: str
    name: str | None = field(repr=False)
    class_id: str | None
    released: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """An atom's roster: GET api/3/marking/marks/{atom}. A list that was not sent is None: it says nothing."""

    students: tuple[SheetStudent, ...] | None
    teachers: tuple[Item, ...] | None
    refused: tuple[Refused, ...] = ()
