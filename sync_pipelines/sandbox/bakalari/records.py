"""Who and what a school with Bakalari has, as it knows them: ids are kept exactly, with their blanks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Account", "Atom", "Kind", "Pupil", "Room", "SchoolClass", "Subject", "Teacher", "Token"]

Kind = Literal["student", "parent", "teacher", "superuser"]
_LOCKED_FROM = 5


@dataclass
class SchoolClass:
    """`study_year` is its pupils': 1 in 1.A, in prima and in G1.A alike."""

    id: str
    abbrev: str
    name: str = ""
    study_year: int = 1


@dataclass
class Teacher:
    """`name` is “Surname Given”; `abbrev` may be padded with blanks."""

    id: str
    abbrev: str
    name: str
    email: str = ""
    school_phone: str | None = None
    home_phone: str | None = None
    mobile_phone: str | None = None


@dataclass
class Subject:
    """Several subjects may have one abbreviation."""

    id: str
    abbrev: str
    name: str


@dataclass
class Room:
    id: str
    abbrev: str
    name: str = ""


@dataclass
class Pupil:
    code: str
    first_name: str
    last_name: str
    class_id: str | None
    middle_name: str = ""
    registration_number: str = ""

    @property
    def name(self) -> str:
        """Surname first."""
        return " ".join(part for part in (self.last_name, self.first_name, self.middle_name) if part)


@dataclass
class Atom:
    """A subject taught by a teacher to a class, to a part of it, or to pupils of several (`class_id` None).

    `pupils` are codes, `released` those of them who need not learn it; `group` is what the part is called.
    """

    id: str
    subject_id: str
    teacher_id: str
    class_id: str | None
    pupils: list[str] = field(default_factory=list[str])
    released: set[str] = field(default_factory=set[str])
    group: str = "celá"
    name: str = ""
    disabled: bool = False


@dataclass
class Account:
    """`person` is a pupil's code or a teacher's id; a parent's account is of the pupil, with a code of its own.

    `holder` is who reads there, where that is not the person: a parent's name.
    """

    username: str
    password: str = field(repr=False)
    kind: Kind
    person: str
    holder: str = ""
    password_logins: int = 0
    refreshes: int = 0
    failed_logins: int = 0

    @property
    def code(self) -> str:
        return f"R{self.person}" if self.kind == "parent" else self.person

    @property
    def is_locked(self) -> bool:
        return self.failed_logins >= _LOCKED_FROM


@dataclass
class Token:
    """An access or refresh token: whose, until when (seconds since 1970), the other of its pair, and its uses."""

    username: str
    expires: float
    other: str = field(repr=False)
    uses: int = 0
