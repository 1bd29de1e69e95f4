"""What a reading of a school comes to: everything that was seen, and which lists were read to their end. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from sync_pipelines.clients.bakalari import Refused
from sync_pipelines.flows.bakalari import observing
from sync_pipelines.flows.bakalari.merging import Sighting, Whole
from sync_pipelines.flows.bakalari.observing import Refusal
from sync_pipelines.flows.bakalari.reading import AccountReading, SchoolReading, SheetReading
from sync_pipelines.flows.bakalari.snapshot import Kind, Value, user_key

__all__ = ["Conclusion", "concluded"]

#: What a row that the client could not read would have been.
_KINDS: dict[str, Kind] = {
    "class": "class",
    "subject": "subject",
    "teacher": "user",
    "student": "user",
    "user": "user",
    "enrollment": "enrollment",
}
_SUMMER = (7, 8)


@dataclass
class Conclusion:
    """What was seen, what was refused, and which lists are whole. `warnings` are counted by kind."""

    sightings: list[Sighting] = field(default_factory=list[Sighting])
    refusals: list[Refusal] = field(default_factory=list[Refusal])
    whole: Whole = field(default_factory=Whole)
    warnings: Counter[str] = field(default_factory=Counter[str])

    @property
    def held(self) -> set[tuple[Kind, str | None]]:
        """What is there, though it could not be read."""
        return {(refusal.kind, refusal.key) for refusal in self.refusals}

    def take(self, things: Iterable[Sighting | Refusal]) -> None:
        """Note what one source showed."""
        for thing in things:
            if isinstance(thing, Refusal):
                self.refusals.append(thing if _can_be_stored(thing.key) else thing._replace(key=None))
            elif not _can_be_stored(thing.key):
                self.refusals.append(Refusal(thing.kind, None, "an id with a NUL or half a character in it"))
            else:
                good = {name: value for name, value in thing.fields.items() if _can_be_stored(value)}
                self.warnings["texts with a NUL or half a character"] += len(thing.fields) - len(good)
                self.sightings.append(replace(thing, fields=good))

    def refuse(self, rows: Iterable[Refused]) -> None:
        """Note rows that could not be read."""
        for row in rows:
            self.warnings["rows that could not be read"] += 1
            if row.what in _KINDS:
                self.take([Refusal(_KINDS[row.what], _key_of(row), row.reason)])

    def settle(self) -> None:
        """Forget refusals of what another row shows well, and warnings that did not occur."""
        seen = {(sighting.kind, sighting.key) for sighting in self.sightings}
        self.refusals = [refusal for refusal in self.refusals if (refusal.kind, refusal.key) not in seen]
        self.warnings = +self.warnings


def _key_of(row: Refused) -> str | None:
    """What the row would have been known by; of an export's people and enrollments the id alone does not tell."""
    if row.id is None or row.what in ("user", "enrollment"):
        return None
    return user_key(row.what, row.id) if _KINDS[row.what] == "user" else row.id


def _can_be_stored(value: Value | None) -> bool:
    return not isinstance(value, str) or not ("\0" in value or any("\ud800" <= c <= "\udfff" for c in value))


def concluded(reading: SchoolReading, today: date) -> Conclusion:
    """What was seen of a school, and how far; `today` is the school's."""
    result = Conclusion()
    twins = _twins(reading.accounts)
    own = set[str]()
    for account in reading.accounts:
        result.warnings["accounts that became another while they were read"] += account.changed
        _take_account(result, account, own, today, is_twin=account.key in twins)
    everything = _see_everything(reading)
    _take_sheets(result, reading.sheets, everything)
    if reading.public is not None:
        result.take(observing.of_public_lists(reading.public))
    for export in reading.bulk:
        result.take(observing.of_bulk(export))
        result.refuse(export.refused)
    for key, labels in twins.items():
        result.warnings["people of whom two accounts say different things"] += 1
        result.sightings = [s for s in result.sightings if (s.kind, s.key) != ("user", key)]
        said = f"accounts {' and '.join(labels)} have one UserUID, and disagree on its name or class"
        result.refusals.append(Refusal("user", key, said))
    result.whole = _whole(reading, everything, own)
    result.settle()
    return result


def _take_account(
    result: Conclusion, account: AccountReading, own: set[str], today: date, *, is_twin: bool
) -> None:
    """`own` gains the student whose subjects have come to their end. Who a twin is nobody knows."""
    user, subjects, timetable = account.user, account.subjects, account.timetable
    if user is None:
        return
    student = account.key if account.type == "student" and not is_twin else None
    result.take(observing.of_account(user))
    listed = subjects is not None and bool(subjects.items)
    if subjects is not None:
        whole = listed and not subjects.refused and _lessons_go_on(account, today)
        if whole and student is not None:
            own.add(student)
        result.take(observing.of_subjects(subjects.items, student, whole=whole))
        result.refuse(subjects.refused)
    if timetable is not None:
        result.take(observing.of_timetable(timetable, None if listed else student))
        result.refuse(timetable.refused)
    if account.atoms is not None:
        result.refuse(account.atoms.refused)


def _lessons_go_on(account: AccountReading, today: date) -> bool:
    """Not in holidays: what a server leaves out then is still learnt in September."""
    user, timetable = account.user, account.timetable
    if user is None or timetable is None or not (timetable.has_lessons and timetable.work_days):
        return False
    if user.semester is None:
        return today.month not in _SUMMER  # a server that tells none, or the holidays in which others tell none
    return user.semester[0] <= today <= user.semester[1]


def _twins(accounts: Sequence[AccountReading]) -> dict[str, list[str]]:
    """People whom several accounts claim to be, with another name or class: the accounts' labels (fault 56)."""
    by_key: dict[str, list[AccountReading]] = {}
    for account in accounts:
        if account.key is not None:
            by_key.setdefault(account.key, []).append(account)
    return {
        key: [account.account.label for account in same]
        for key, same in by_key.items()
        if len({_claims(account) for account in same}) > 1
    }


def _claims(account: AccountReading) -> tuple[str | None, str | None]:
    assert account.user is not None
    return account.user.name, account.user.school_class and account.user.school_class.id


def _take_sheets(result: Conclusion, sheets: Sequence[SheetReading], everything: Collection[int]) -> None:
    for sheet in sheets:
        whole = any(id(account) in everything for account in sheet.accounts)
        result.take([observing.of_atom(sheet.atom, whole=whole)])
        if sheet.sheet is not None:
            result.take(observing.of_sheet(sheet.atom, sheet.sheet, whole=whole))
            result.refuse(sheet.sheet.refused)


def _see_everything(reading: SchoolReading) -> set[int]:
    """The accounts that between them see every marking unit of the school.

    A superuser's for whom a person vouches, or those of all the teachers whom the school publishes.
    """
    listing = [a for a in reading.accounts if a.atoms is not None and a.atoms.items and not a.atoms.refused]
    superusers = {id(account) for account in listing if account.account.superuser}
    if superusers:
        return superusers
    published = {item.id for item in reading.public.teachers} if reading.public else set[str]()
    teachers = {a.user.code: id(a) for a in listing if a.type == "teacher" and a.user is not None}
    return set(teachers.values()) if published and published <= teachers.keys() else set[int]()


def _whole(reading: SchoolReading, everything: Collection[int], own: set[str]) -> Whole:
    mine = [sheet for sheet in reading.sheets if any(id(account) in everything for account in sheet.accounts)]
    exported: set[Kind] = set()
    for export in reading.bulk:
        if export.complete and not export.refused:
            exported.update(_exported(export.classes, export.subjects, export.users, export.enrollments))
    return Whole(
        bulk=frozenset(exported),
        public_classes=bool(reading.public and reading.public.classes),
        public_teachers=bool(reading.public and reading.public.teachers),
        # Where no sheet shows anybody that is the summer, or a fault.
        rosters=any(sheet.sheet is not None and sheet.sheet.students for sheet in mine),
        unread=frozenset(s.atom.subject.id for s in mine if not _gave_students(s)),
        empty=frozenset(s.atom.subject.id for s in mine if s.sheet is not None and s.sheet.students == ()),
        sheets_name_teachers=all(s.sheet is not None and s.sheet.teachers is not None for s in mine),
        own=frozenset(own),
    )


def _exported(*lists: Sequence[object] | None) -> Iterator[Kind]:
    kinds: tuple[Kind, ...] = ("class", "subject", "user", "enrollment")
    return (kind for kind, rows in zip(kinds, lists, strict=True) if rows)


def _gave_students(reading: SheetReading) -> bool:
    return reading.sheet is not None and reading.sheet.students is not None and not reading.sheet.refused
