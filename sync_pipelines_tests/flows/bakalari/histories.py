"""Readings of a school that may follow one another, as hypothesis makes them up, and what is known after some."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from sync_pipelines.flows.bakalari.merging import BULK, OWN, PUBLIC, ROSTERS, Merged, Sighting, Whole, merged
from sync_pipelines.flows.bakalari.snapshot import KINDS, Fact, Kind, Snapshot, enrollment_key

__all__ = ["LISTS", "STUDENTS", "SUBJECTS", "Read", "Thing", "befores", "facts", "readings", "there"]

Thing = tuple[Kind, str]

STUDENTS, TEACHERS = ("student:a", "student:b"), ("teacher:a",)
SUBJECTS, CLASSES = ("1", " 1", "M"), ("XL", "xl")
LISTS: dict[str, tuple[str | None, ...]] = {
    "class": (None, BULK, PUBLIC, ROSTERS),
    "subject": (None, BULK, ROSTERS),
    "student": (None, BULK, ROSTERS),
    "teacher": (None, BULK, PUBLIC, ROSTERS),
    "enrollment": (None, BULK, ROSTERS, OWN),
}

abbrevs = st.sampled_from([None, "M", "M~1", "M~ 1", "1", "1.A", "2.A"])
names = st.sampled_from([None, "Matematika", "Nováková  Eva", "nováková eva"])


def sighted(kind: Kind, key: str, lists: str, **fields: Any) -> st.SearchStrategy[Sighting]:
    """A source shows the thing."""
    each = {
        name: value if isinstance(value, st.SearchStrategy) else st.just(value) for name, value in fields.items()
    }
    return st.builds(
        Sighting,
        st.just(kind),
        st.just(key),
        st.fixed_dictionaries(each),
        st.integers(0, 3),
        st.sampled_from(LISTS[lists]),
    )


def of_user(key: str) -> st.SearchStrategy[Sighting]:
    user_type, _, code = key.partition(":")
    return sighted("user", key, user_type, type=user_type, code=code, name=names)


def of_enrollment(user: str, subject: str) -> st.SearchStrategy[Sighting]:
    return sighted("enrollment", enrollment_key(user, subject), "enrollment", user=user, subject=subject)


sightings = st.lists(
    st.one_of(
        *(sighted("class", key, "class", abbrev=abbrevs, name=names) for key in CLASSES),
        *(sighted("class", key, "class", abbrev=abbrevs, study_year=st.integers(1, 3)) for key in CLASSES),
        *(sighted("subject", key, "subject", abbrev=abbrevs, name=names) for key in SUBJECTS),
        *(of_user(key) for key in (*STUDENTS, *TEACHERS)),
        *(of_enrollment(user, subject) for user in STUDENTS for subject in SUBJECTS),
    ),
    max_size=14,
)
some_subjects = st.frozensets(st.sampled_from(SUBJECTS), max_size=2)
wholes = st.builds(
    Whole,
    bulk=st.frozensets(st.sampled_from(KINDS)),
    public_classes=st.booleans(),
    public_teachers=st.booleans(),
    rosters=st.booleans(),
    unread=some_subjects,
    empty=some_subjects,
    sheets_name_teachers=st.booleans(),
    own=st.frozensets(st.sampled_from(STUDENTS)),
)


@dataclass(frozen=True)
class Read:
    """A reading of the school."""

    sightings: Sequence[Sighting]
    whole: Whole
    held: frozenset[tuple[Kind, str | None]]
    settled: frozenset[tuple[Kind, str | None]]

    def onto(self, before: Snapshot, **other: Any) -> Merged:
        options = {"held": self.held, "settled": self.settled, **other}
        return merged(before, self.sightings, self.whole, **options)

    @property
    def seen(self) -> set[Thing]:
        return {(s.kind, s.key) for s in self.sightings}

    def holds(self, thing: Thing) -> bool:
        """Whether it is held, or some of its kind of which nobody can say which one it is."""
        return thing in self.held or (thing[0], None) in self.held


things = st.sampled_from(
    [
        *((kind, None) for kind in KINDS),
        *(("class", key) for key in CLASSES),
        *(("subject", key) for key in SUBJECTS),
        *(("user", key) for key in (*STUDENTS, *TEACHERS)),
        *(("enrollment", enrollment_key(u, s)) for u in STUDENTS for s in SUBJECTS),
    ]
)
readings = st.builds(Read, sightings, wholes, st.frozensets(things, max_size=3), st.frozensets(things, max_size=6))


def read_all(reads: Iterable[Read]) -> Snapshot:
    snapshot = Snapshot()
    for read in reads:
        snapshot = read.onto(snapshot).snapshot
    return snapshot


befores = st.lists(readings, max_size=4).map(read_all)


def facts(snapshot: Snapshot) -> dict[Thing, Fact]:
    return {(kind, key): fact for kind in KINDS for key, fact in snapshot.of(kind).items()}


def there(snapshot: Snapshot) -> set[Thing]:
    return {(kind, key) for kind in KINDS for key, _ in snapshot.there(kind)}
