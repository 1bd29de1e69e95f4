"""Invents a school: abbreviations of classes as they are found, ids as Bakalari makes them, who learns what in
which group. The same seed invents the same."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator

from sync_pipelines.sandbox import people
from sync_pipelines.sandbox.bakalari.records import Account, Atom, Pupil, Room, SchoolClass, Subject, Teacher

__all__ = ["accounts", "atoms", "classes", "code", "pupils", "rooms", "subjects", "teachers"]

# Years of a kind of school, and a class's abbreviation by year and letter.
_OCTAVE = ("prima", "sekunda", "tercie", "kvarta", "kvinta", "sexta", "septima", "oktáva")
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")
_ABBREVIATIONS = (
    (10, lambda year, letter: f"{year}.{letter}"),
    (8, lambda year, letter: _OCTAVE[year - 1] + ("" if letter == "A" else f" {letter}")),
    (8, lambda year, letter: f"G{year}.{letter}"),
    (4, lambda year, letter: f"K{year}" if letter == "A" else f"K{year}{letter}"),
    (4, lambda year, letter: f"{year}. {letter}G"),
    (4, lambda year, letter: f"{year}{letter}V"),
    (2, lambda year, letter: f"E{year}.{letter}"),
    (10, lambda year, letter: f"{_ROMAN[year - 1]}.{letter}"),
)
# Several have one abbreviation, and the abbreviations are padded to four.
_SUBJECTS = (
    ("ČJL", "Český jazyk a literatura"), ("M", "Matematika"), ("M", "Matematický seminář"),
    ("AJ", "Anglický jazyk"), ("NJ", "Německý jazyk"), ("FJ", "Francouzský jazyk"), ("D", "Dějepis"),
    ("OV", "Občanská výchova"),
    ("Z", "Zeměpis"), ("BI", "Biologie"), ("FY", "Fyzika"), ("CH", "Chemie"), ("IVT", "Informatika"),
    ("IVT", "Informatika a výpočetní technika"), ("HV", "Hudební výchova"), ("VV", "Výtvarná výchova"),
    ("TV", "Tělesná výchova – chlapci"), ("TV", "Tělesná výchova – dívky"), ("ZSV", "Základy společenských věd"),
    ("EKO", "Ekonomika"), ("DG", "Deskriptivní geometrie"), ("PRG", "Programování"), ("UČ", "Účetnictví"),
    ("KAJ", "Konverzace v anglickém jazyce"),
)  # fmt: skip
_SIGNS = string.digits + string.ascii_uppercase + "(}[|*:=_/%+&#?"
_LETTERS = string.ascii_uppercase + string.digits


def _distinct(rng: random.Random, count: int, first: str, others: str, length: int) -> list[str]:
    """Ids of one length, longer where there would be too few of them."""
    while len(first) * len(others) ** (length - 1) < 2 * count:
        length += 1
    found: dict[str, None] = {}
    while len(found) < count:
        found[rng.choice(first) + "".join(rng.choices(others, k=length - 1))] = None
    return [*found]


def code(rng: random.Random) -> str:
    return _distinct(rng, 1, "BK", _LETTERS, 5)[0]


def subjects(rng: random.Random) -> list[Subject]:
    numbers = sorted(rng.sample(range(1, 100), len(_SUBJECTS)))
    return [Subject(f"{n:>2}", f"{abbrev:<4}", name) for n, (abbrev, name) in zip(numbers, _SUBJECTS, strict=True)]


def classes(rng: random.Random, count: int) -> list[SchoolClass]:
    """Of two kinds of school under one roof, most of them without a name."""
    ids = _distinct(rng, count, "UVXZ", _LETTERS, 2)
    kinds = rng.sample(_ABBREVIATIONS, 2)
    found: list[SchoolClass] = []
    for number, class_id in enumerate(ids):
        years, abbreviation = kinds[number % 2]
        year, letter = number // 2 % years + 1, number // 2 // years
        abbrev = abbreviation(year, string.ascii_uppercase[letter % 26] + "+" * (letter // 26))
        found.append(SchoolClass(class_id, abbrev, rng.choice(("", "", f"třída {abbrev}")), year))
    return found


def rooms(rng: random.Random, count: int) -> list[Room]:
    return [Room(f"{n:>2}", f"{100 + n}", rng.choice(("učebna", "učebna & kabinet"))) for n in range(1, count + 1)]


def teachers(rng: random.Random, count: int) -> list[Teacher]:
    """Most ids are a padded number, every tenth is letters."""
    lettered = _distinct(rng, count, "ABCDE", string.ascii_uppercase, 4)
    number, found = 0, list[Teacher]()
    for place, (given, surname) in enumerate(people.czech_names(rng, count)):
        number += rng.randint(1, 3)
        address = f"{people.in_ascii(surname)}{place}@skola.example"
        found.append(
            Teacher(
                id=f"U{number:>4}" if place % 10 != 9 else f"U{lettered[place]}",
                abbrev=f"{surname[:3]:<5}",
                name=f"{surname} {given}",
                email=address if rng.random() < 0.8 else "",
                school_phone=_phone(rng) if rng.random() < 0.5 else None,
                mobile_phone=_phone(rng) if rng.random() < 0.2 else None,
            )
        )
    return found


def _phone(rng: random.Random) -> str:
    return f"+420 000 {rng.randint(0, 999):03} {rng.randint(0, 999):03}"


def pupils(rng: random.Random, count: int, classes: list[SchoolClass]) -> list[Pupil]:
    """Class by class; without classes they have none."""
    codes = _distinct(rng, count, "GHKT", _LETTERS, 5)
    found: list[Pupil] = []
    for place, (given, surname) in enumerate(people.czech_names(rng, count)):
        class_id = classes[place * len(classes) // count].id if classes else None
        middle = people.czech_names(rng, 1)[0][0] if rng.random() < 0.03 else ""
        found.append(Pupil(codes[place], given, surname, class_id, middle, f"{place + 1:05}"))
    return found


def atoms(
    rng: random.Random,
    classes: list[SchoolClass],
    subjects: list[Subject],
    teachers: list[Teacher],
    pupils: list[Pupil],
) -> list[Atom]:
    """Ten to fourteen subjects for each class, two of them in halves with a teacher each; for every third class a
    seminar together with the next. Without teachers nothing is taught."""
    if not teachers:
        return []
    members = {c.id: [pupil.code for pupil in pupils if pupil.class_id == c.id] for c in classes}
    found: list[Atom] = []
    seminars, taught = subjects[-2:], subjects[:-2]
    for place, class_ in enumerate(classes):
        chosen = rng.sample(taught, min(len(taught), rng.randint(10, 14)))
        for turn, subject in enumerate(chosen):
            for group, codes in _groups(members[class_.id], in_halves=turn < 2):
                name = f"{class_.abbrev} {subject.abbrev}{group}"
                found.append(_atom(rng, subject, rng.choice(teachers), class_.id, codes, group, name))
        if place % 3 == 0 and place + 1 < len(classes):
            both = [c for one in (class_, classes[place + 1]) for c in members[one.id] if rng.random() < 0.4]
            subject = rng.choice(seminars)
            name = f"{class_.abbrev}, {classes[place + 1].abbrev} {subject.abbrev}"
            found.append(_atom(rng, subject, rng.choice(teachers), None, both, "sem", name))
    for atom, key in zip(found, _atom_ids(rng, len(found)), strict=True):
        atom.id = key
    return found


def _groups(codes: list[str], *, in_halves: bool) -> Iterator[tuple[str, list[str]]]:
    if not in_halves:
        yield "celá", codes
        return
    yield "sk1", codes[0::2]
    yield "sk2", codes[1::2]


def _atom(
    rng: random.Random,
    subject: Subject,
    teacher: Teacher,
    class_id: str | None,
    codes: list[str],
    group: str,
    name: str,
) -> Atom:
    released = {pupil for pupil in codes if rng.random() < 0.02}
    return Atom("", subject.id, teacher.id, class_id, [*codes], released, group, name, rng.random() < 0.05)


def _atom_ids(rng: random.Random, count: int) -> list[str]:
    """Every second one begins with a blank."""
    ids = _distinct(rng, count, string.digits, _SIGNS, 9)
    return [f" {key}=" if place % 2 == 0 else f"{key}(_" for place, key in enumerate(ids)]


def accounts(rng: random.Random, pupils: list[Pupil], teachers: list[Teacher]) -> dict[str, Account]:
    """By username. Usernames are made of names, and unlike codes."""
    found: list[Account] = []
    for number, pupil in enumerate(pupils, 1):
        name = people.in_ascii(pupil.last_name)
        found.append(Account(f"{name}{number}", _password(rng), "student", pupil.code))
        given, _ = people.czech_names(rng, 1)[0]
        found.append(
            Account(f"r.{name}{number}", _password(rng), "parent", pupil.code, f"{pupil.last_name} {given}")
        )
    for number, teacher in enumerate(teachers, 1):
        username = f"{people.in_ascii(teacher.name.split()[0])}.u{number}"
        found.append(Account(username, _password(rng), "teacher", teacher.id))
    if teachers:
        found.append(Account("spravce", _password(rng), "superuser", teachers[0].id))
    return {account.username: account for account in found}


def _password(rng: random.Random) -> str:
    return "".join(rng.choices(string.ascii_letters + string.digits, k=10))
