"""The plain model: what one may know of a school that some of its accounts were asked about, time and again.

Written down from what each account sees (contracts/bakalari.md C14, C17, C18), with sets and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sync_pipelines.sandbox.bakalari import Account, Atom, School

__all__ = ["Fact", "Known", "lists_of", "published", "seen_by", "truth"]

#: ("class", id), ("subject", id), ("user", type, code) or ("enrollment", student, subject).
Fact = tuple[str, ...]


def _atoms(school: School, account: Account) -> list[str]:
    if account.kind == "superuser":
        return [atom.id for atom in school.atoms]
    return [atom.id for atom in school.atoms_of_teacher(account.person)]


def _sheet(school: School, atom_id: str) -> set[Fact]:
    """What a marking sheet shows."""
    atom = school.atom(atom_id)
    facts: set[Fact] = {("subject", atom.subject_id), ("user", "teacher", atom.teacher_id)}
    there = {pupil.code: pupil.class_id for pupil in school.pupils}
    for code in atom.pupils:
        if code in there:
            facts |= {("user", "student", code), ("class", str(there[code]))}
            if code not in atom.released:
                facts.add(("enrollment", code, atom.subject_id))
    return facts


def _week(school: School, atoms: Iterable[Atom]) -> set[Fact]:
    """The classes that a timetable shows: of a unit that is nobody's in particular, its pupils'."""
    class_of = {pupil.code: pupil.class_id for pupil in school.pupils}
    ids = {key for a in atoms for key in ([a.class_id] if a.class_id else map(class_of.get, a.pupils))}
    return {("class", class_.id) for class_ in school.classes if class_.id in ids}


def _own(school: School, code: str) -> set[Fact]:
    return {("enrollment", code, subject) for subject in school.subjects_of(code)}


def seen_by(school: School, account: Account) -> set[Fact]:
    """All that an account shows."""
    if account.kind in ("student", "parent"):
        pupil = school.pupil(account.person)
        atoms = school.atoms_of_pupil(pupil.code)
        facts: set[Fact] = {("class", str(pupil.class_id))}
        for atom in atoms:
            facts |= {("subject", atom.subject_id), ("user", "teacher", atom.teacher_id)}
        if account.kind == "parent":
            return facts | {("user", "parents", account.code)}
        return facts | {("user", "student", pupil.code)} | _own(school, pupil.code)
    facts = {("user", "teacher", account.person), *_week(school, school.atoms_of_teacher(account.person))}
    return facts.union(*(_sheet(school, atom) for atom in _atoms(school, account)))


def published(school: School) -> set[Fact]:
    """What the public timetable lists."""
    classes: set[Fact] = {("class", class_.id) for class_ in school.classes}
    return classes | {("user", "teacher", teacher.id) for teacher in school.teachers}


def truth(school: School) -> set[Fact]:
    """All that there is, as its superuser and its pages show it."""
    return published(school) | seen_by(school, school.accounts["spravce"])


def lists_of(school: School, accounts: Iterable[Account], vouched: Iterable[str]) -> dict[str, set[Fact]]:
    """What lists everything of some kind, by a name of its own, where it was read to its end."""
    lists: dict[str, set[Fact]] = {}
    accounts = list(accounts)
    if school.pages != "none":
        lists["classes"] = {fact for fact in published(school) if fact[0] == "class"}
        lists["teachers"] = {fact for fact in published(school) if fact[0] == "user"}
        lists = {name: facts for name, facts in lists.items() if facts}
    for account in accounts:
        if account.kind == "student" and school.subjects_of(account.person):
            lists[f"subjects of {account.person}"] = _own(school, account.person)
    every = [a for a in accounts if a.username in vouched and _atoms(school, a)]
    teachers = [a for a in accounts if a.kind in ("teacher", "superuser") and _atoms(school, a)]
    if not every and school.pages != "none" and {t.id for t in school.teachers} <= {a.person for a in teachers}:
        every = teachers
    rosters = set[Fact]().union(*(_sheet(school, atom) for a in every for atom in _atoms(school, a)))
    # Sheets that all show nobody are a summer's.
    if any(fact[:2] == ("user", "student") for fact in rosters):
        lists["rosters"] = rosters
    return lists


@dataclass
class Known:
    """`there` is what is known, `gone` what was; `listed` what each list held when it was last read."""

    there: set[Fact] = field(default_factory=set[Fact])
    gone: set[Fact] = field(default_factory=set[Fact])
    listed: dict[str, set[Fact]] = field(default_factory=dict[str, set[Fact]])

    def read(self, seen: set[Fact], lists: dict[str, set[Fact]]) -> None:
        """A reading that saw these things, and these lists to their end; a list that became empty was approved."""
        vanished: set[Fact] = set()
        for name, facts in lists.items():
            vanished |= self.listed.get(name, set()) - facts
            self.listed[name] = facts
        self.there |= seen
        self.gone -= seen
        self.gone |= (vanished & self.there) - seen
        self.there -= self.gone
        left = {fact[2] for fact in self.gone if fact[:2] == ("user", "student")}
        after = {f for f in self.there if f[0] == "enrollment" and f[1] in left and f not in seen}
        self.gone |= after
        self.there -= after
