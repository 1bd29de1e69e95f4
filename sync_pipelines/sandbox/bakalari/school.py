"""A school with Bakalari: who is there, who learns what from whom, and how its server behaves."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from sync_pipelines.sandbox.bakalari import invention
from sync_pipelines.sandbox.bakalari.faults import FAULTS
from sync_pipelines.sandbox.bakalari.records import (
    Account,
    Atom,
    Kind,
    Pupil,
    Room,
    SchoolClass,
    Subject,
    Teacher,
    Token,
)
from sync_pipelines.sandbox.switching import ANY_PATH, SwitchedOn, switched_on

__all__ = ["School"]

_T = TypeVar("_T")


@dataclass(repr=False)
class School:
    """Everything can be changed while it serves.

    `style` says whether the server is a new one (3.23) or an old one (3.8), `pages` how it shows its public
    timetable. With `rotates` off a refresh gives the same pair again; the next `lost_refreshes` answers to
    refreshes are lost after the tokens have changed. `down`: 503, or no answer. `conflicts`: accounts that answer
    with another's UserUID, by username. `dummy`: like the public dummy server (contracts/bakalari.md C19).
    Times are seconds.
    """

    id: str
    classes: list[SchoolClass] = field(default_factory=list[SchoolClass])
    teachers: list[Teacher] = field(default_factory=list[Teacher])
    subjects: list[Subject] = field(default_factory=list[Subject])
    rooms: list[Room] = field(default_factory=list[Room])
    pupils: list[Pupil] = field(default_factory=list[Pupil])
    atoms: list[Atom] = field(default_factory=list[Atom])
    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    name: str = "Základní škola a gymnázium"
    sid: str = "BK1A2"
    style: Literal["new", "old"] = "new"
    pages: Literal["rendered", "embedded", "none"] = "rendered"
    access_seconds: int = 3599
    refresh_seconds: int = 30 * 24 * 3600
    refresh_reuses: int = 3
    rotates: bool = True
    lost_refreshes: int = 0
    summer: bool = False
    holiday: bool = False
    down: Literal["unavailable", "dropped"] | None = None
    delay: float = 0.0
    needs_language: bool = False
    bulk: bool = True
    bulk_complete: bool = True
    bulk_token: str | None = None
    dummy: bool = False
    conflicts: dict[str, str] = field(default_factory=dict[str, str])
    faults: list[SwitchedOn] = field(default_factory=list[SwitchedOn])
    requests: Counter[str] = field(default_factory=Counter[str])
    access_tokens: dict[str, Token] = field(default_factory=dict[str, Token])
    refresh_tokens: dict[str, Token] = field(default_factory=dict[str, Token])

    @classmethod
    def invented(
        cls, school_id: str = "skola", *, classes: int = 8, students: int = 200, teachers: int = 24, seed: int = 1
    ) -> School:
        """A school by seed: the same one invents the same. Every pupil, a parent of each, and every teacher has an
        account; "spravce" is a second one of the first teacher: the superuser."""
        rng = random.Random(f"{school_id} {seed}")
        school = cls(school_id)
        school.sid = invention.code(rng)
        school.subjects = invention.subjects(rng)
        school.classes = invention.classes(rng, classes)
        school.rooms = invention.rooms(rng, classes)
        school.teachers = invention.teachers(rng, teachers)
        school.pupils = invention.pupils(rng, students, school.classes)
        school.atoms = invention.atoms(rng, school.classes, school.subjects, school.teachers, school.pupils)
        school.accounts = invention.accounts(rng, school.pupils, school.teachers)
        return school

    def __repr__(self) -> str:
        # Names and passwords, invented as they are, do not belong into the report of a failed test.
        return f"School({self.id!r}: {len(self.classes)} classes, {len(self.pupils)} pupils)"

    # Who and what, by id. KeyError where there is none.

    def class_(self, class_id: str) -> SchoolClass:
        return _first(class_id, (c for c in self.classes if c.id == class_id))

    def teacher(self, teacher_id: str) -> Teacher:
        return _first(teacher_id, (t for t in self.teachers if t.id == teacher_id))

    def subject(self, subject_id: str) -> Subject:
        return _first(subject_id, (s for s in self.subjects if s.id == subject_id))

    def pupil(self, code: str) -> Pupil:
        return _first(code, (p for p in self.pupils if p.code == code))

    def atom(self, atom_id: str) -> Atom:
        return _first(atom_id, (a for a in self.atoms if a.id == atom_id))

    # The truth, for whoever wants to know whether it was synchronised.

    def enrolled(self) -> set[tuple[str, str]]:
        """(pupil's code, subject's id) of all that is learnt; who is released does not learn it."""
        there = {pupil.code for pupil in self.pupils}
        return {
            (code, atom.subject_id)
            for atom in self.atoms
            for code in atom.pupils
            if code in there and code not in atom.released
        }

    def subjects_of(self, code: str) -> set[str]:
        """Ids of the subjects that a pupil learns."""
        return {atom.subject_id for atom in self.atoms_of_pupil(code)}

    def atoms_of_pupil(self, code: str) -> list[Atom]:
        return [atom for atom in self.atoms if code in atom.pupils and code not in atom.released]

    def atoms_of_teacher(self, teacher_id: str) -> list[Atom]:
        return [atom for atom in self.atoms if atom.teacher_id == teacher_id]

    # Accounts and faults.

    def add_account(
        self, kind: Kind, person: Pupil | Teacher, username: str, password: str, holder: str = ""
    ) -> Account:
        """A parent's is of the pupil. Replaces the account of that username."""
        code = person.code if isinstance(person, Pupil) else person.id
        account = self.accounts[username] = Account(username, password, kind, code, holder)
        return account

    def account_of(self, person: Pupil | Teacher, kind: Kind | None = None) -> Account:
        """A person's account: of a pupil the "student" one, of a teacher the "teacher" one, where no kind is said.

        KeyError where there is none.
        """
        code = person.code if isinstance(person, Pupil) else person.id
        kind = kind or ("student" if isinstance(person, Pupil) else "teacher")
        return _first(code, (a for a in self.accounts.values() if (a.kind, a.person) == (kind, code)))

    def remove_pupil(self, code: str) -> None:
        """A pupil leaves, with the accounts of the pupil and of the parents."""
        self.pupils = [pupil for pupil in self.pupils if pupil.code != code]
        for atom in self.atoms:
            atom.pupils = [other for other in atom.pupils if other != code]
            atom.released.discard(code)
        of = [name for name, a in self.accounts.items() if a.person == code and a.kind in ("student", "parent")]
        for username in of:
            del self.accounts[username]

    def switch_on(
        self, fault: str, *, path: str = ANY_PATH, times: int | None = None, after: int = 0, seconds: float = 1.0
    ) -> SwitchedOn:
        """Put a fault in force, beside those that are, for paths such as "/api/3/marking/*" below the school's
        address. Raises ValueError where there is no such fault."""
        on = switched_on(FAULTS, fault, path, times, after, seconds)
        self.faults.append(on)
        return on


def _first(key: str, found: Iterator[_T]) -> _T:
    for one in found:
        return one
    raise KeyError(key)
