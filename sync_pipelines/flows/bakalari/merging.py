"""How a reading of a school changes what is known of it: pure rules (contracts/bakalari.md C17, C18).

A thing is gone when a source that listed it was read to its end and lists it no more, and nobody else saw it.
What nobody was asked for, or whose source failed, stays as it was.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from sync_pipelines.flows.bakalari.snapshot import KINDS, Fact, Kind, Snapshot, Value

__all__ = ["BULK", "OWN", "PUBLIC", "ROSTERS", "Merged", "Sighting", "Whole", "merged"]

#: Sources that can prove that something is gone: the bulk export, the public timetable's lists, the marking sheets
#: of the whole school, and a student's own list of subjects.
BULK, PUBLIC, ROSTERS, OWN = "bulk", "public", "rosters", "own"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A source shows a thing, and some of its fields. `by` names the source where it lists everything of a kind.

    Of two that say a field the one of higher `rank` counts; of equal ones the later.
    """

    kind: Kind
    key: str
    fields: Mapping[str, Value] = field(default_factory=dict[str, Value], repr=False)
    rank: int = 0
    by: str | None = None


@dataclass(frozen=True)
class Whole:
    """Which lists a reading has read to their end.

    `bulk`: the kinds that the export gave; `public_classes`, `public_teachers`: the public timetable's;
    `rosters`: the list of all marking units of the school, `unread` being the subjects of which a sheet gave no
    students, `empty` those of which one gave nobody; `sheets_name_teachers`: every sheet named its teachers;
    `own`: the students whose own subjects.
    """

    bulk: frozenset[Kind] = frozenset()
    public_classes: bool = False
    public_teachers: bool = False
    rosters: bool = False
    unread: frozenset[str] = frozenset()
    empty: frozenset[str] = frozenset()
    sheets_name_teachers: bool = False
    own: frozenset[str] = frozenset()

    def silent(self, before: Snapshot) -> Whole:
        """The same, with what is empty where there was somebody taken for unread."""
        known = {fact.fields["subject"] for _, fact in before.there("enrollment") if ROSTERS in fact.by}
        return replace(self, unread=self.unread | {subject for subject in self.empty if subject in known})

    def covers(self, by: str, kind: Kind, fact: Fact) -> bool:
        """Whether the source `by`, which listed the thing, was read so far that it would list it again."""
        is_teacher = kind == "user" and fact.fields.get("type") == "teacher"
        if by == BULK:
            return kind in self.bulk
        if by == PUBLIC:
            return self.public_teachers if is_teacher else self.public_classes
        if by == OWN:
            return fact.fields["user"] in self.own
        if not self.rosters or kind == "subject":
            return self.rosters
        if kind == "enrollment":
            return fact.fields["subject"] not in self.unread
        # A student may stand on any sheet, a class too.
        return self.sheets_name_teachers if is_teacher else not self.unread


@dataclass
class Merged:
    """The new snapshot, and what is new in it. `conflicts` counts fields on which equal sources disagree."""

    snapshot: Snapshot
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    gone: int = 0
    restored: int = 0
    conflicts: Counter[str] = field(default_factory=Counter[str])


def merged(
    before: Snapshot,
    sightings: Iterable[Sighting],
    whole: Whole,
    *,
    held: Collection[tuple[Kind, str | None]] = (),
    settled: Collection[tuple[Kind, str]] = (),
) -> Merged:
    """What is known after a reading. What is `held` is there, though it could not be read: it is not gone.
    Where nobody can say which one it is (None), it may be any of its kind.

    What was gone before and is `settled` is forgotten: the tables say it.
    """
    seen: dict[Kind, dict[str, list[Sighting]]] = {kind: {} for kind in KINDS}
    for sighting in sightings:
        seen[sighting.kind].setdefault(sighting.key, []).append(sighting)
    whole = whole.silent(before)
    result = Merged(Snapshot())
    for kind in KINDS:
        facts = result.snapshot.facts[kind]
        for key in {**before.of(kind), **seen[kind]}:
            old = before.of(kind).get(key)
            if key in seen[kind]:
                facts[key] = _seen(result, kind, key, old, seen[kind][key], whole)
            elif old is not None and (old.seen != "gone" or (kind, key) not in settled):
                is_held = (kind, key) in held or (kind, None) in held
                kept = is_held or not any(whole.covers(by, kind, old) for by in old.by)
                facts[key] = old._replace(seen="before" if kept and old.seen != "gone" else "gone")
                result.gone += old.seen != "gone" and not kept
    _follow_the_users(result)
    result.snapshot.facts["subject"].update(_with_codes(result.snapshot.of("subject")))
    return result


def _follow_the_users(result: Merged) -> None:
    """Whoever is gone learns nothing here any more."""
    users, enrollments = result.snapshot.of("user"), result.snapshot.facts["enrollment"]
    for key, fact in enrollments.items():
        user = users.get(str(fact.fields["user"]))
        if fact.seen == "before" and user is not None and user.seen == "gone":
            enrollments[key] = fact._replace(seen="gone")
            result.gone += 1


def _seen(
    result: Merged,
    kind: Kind,
    key: str,
    old: Fact | None,
    sightings: Sequence[Sighting],
    whole: Whole,
) -> Fact:
    fields = _combined(result.conflicts, kind, old.fields if old else {}, sightings)
    by = {sighting.by for sighting in sightings if sighting.by}
    if old is not None:
        by.update(source for source in old.by if not whole.covers(source, kind, old))
        result.restored += old.seen == "gone"
    result.created += old is None
    result.updated += old is not None and (old.fields != fields or old.seen == "gone")
    result.unchanged += old is not None and old.fields == fields and old.seen != "gone"
    return Fact(fields, frozenset(by))


def _combined(
    conflicts: Counter[str], kind: Kind, old: Mapping[str, Value], sightings: Sequence[Sighting]
) -> dict[str, Value]:
    """Each field as the best source says it; as it was where none does."""
    fields = dict(old)
    for name in dict.fromkeys(name for sighting in sightings for name in sighting.fields):
        said = [(s.rank, value) for s in sightings if (value := s.fields.get(name)) is not None]
        if not said:
            continue
        best = max(rank for rank, _ in said)
        values = [value for rank, value in said if rank == best]
        if len({_alike(value) for value in values}) > 1:
            conflicts[f"{kind} {name}"] += 1
        # A class has students who repeat a year.
        fields[name] = Counter(values).most_common(1)[0][0] if name == "study_year" else values[-1]
    # Upper and lower case drift between lists (C12), which is no new name.
    renamed = kind == "class" and _alike(old.get("abbrev")) not in (None, _alike(fields.get("abbrev")))
    if renamed and not any("study_year" in sighting.fields for sighting in sightings):
        fields["study_year"] = None  # September: last year's says nothing any more
    return fields


def _alike(value: Value) -> Value:
    return " ".join(unicodedata.normalize("NFC", value).split()).casefold() if isinstance(value, str) else value


def _with_codes(subjects: Mapping[str, Fact]) -> dict[str, Fact]:
    """A code for each subject: its abbreviation, or with its id where another has that. What has one keeps it."""
    wanted = {key: str(fact.fields.get("abbrev") or key.strip() or key) for key, fact in subjects.items()}
    had = {key: str(fact.fields["code"]) for key, fact in subjects.items() if fact.fields.get("code")}
    codes = {key: code for key, code in had.items() if code in _codes(wanted[key], key, len(code))}
    taken = set(codes.values())
    for key in sorted(subjects.keys() - codes.keys()):
        codes[key] = next(code for code in _codes(wanted[key], key) if code not in taken)
        taken.add(codes[key])
    return {key: fact._replace(fields={**fact.fields, "code": codes[key]}) for key, fact in subjects.items()}


def _codes(abbrev: str, key: str, longest: float = inf) -> Iterator[str]:
    """Those that a subject may have, the best first: abbreviation~id may be how another is called."""
    while len(abbrev) <= longest:
        yield abbrev
        abbrev += f"~{key}"
