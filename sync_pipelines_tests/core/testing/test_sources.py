"""Proof of the laws of sources: each broken one is caught, by just the laws it breaks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_pipelines.core import (
    Coverage,
    ExternalKey,
    MappingError,
    Page,
    Payload,
    Records,
    SourceError,
    Unreadable,
    UpdatedAt,
    fingerprint,
)
from sync_pipelines.core.testing import SourceUnderTest, broken, source_laws
from sync_pipelines.errors import SourceUnavailable

NOON = datetime(2025, 11, 21, 12, tzinfo=UTC)


@dataclass
class Rooms:
    """A source that keeps the laws, over an upstream of names and times; each breakage overrides one step."""

    rows: dict[str, tuple[str, datetime]] = field(
        default_factory=lambda: {c: (f"Room {c}", NOON + timedelta(hours=n)) for n, c in enumerate("cab")}
    )
    fetches: int = 0
    since: str | None = None

    def validate(self, key: ExternalKey, payload: Payload[str]) -> None:
        if not payload.data:
            raise SourceError("the name is missing")

    def fetch(self, since: str | None) -> Any:
        self.fetches += 1
        self.since = since
        times = UpdatedAt(since, overlap=timedelta(0))
        for code, (name, when) in sorted(self.rows.items(), key=lambda item: item[1][1]):
            if self.wanted(times.start, when):
                times.saw(when)
                yield self.item(code, name, when)
                yield times.mark()
        yield self.refused()
        return self.coverage(since)

    def wanted(self, start: datetime | None, when: datetime) -> bool:
        return start is None or when >= start

    def item(self, code: str, name: str, when: datetime) -> Any:
        return ExternalKey("law:room", code), Payload(name, when.isoformat())

    def refused(self) -> Unreadable:
        return Unreadable(ExternalKey.unidentified("law:room", "?"), "?", "it has no code")

    def coverage(self, since: str | None) -> Any:
        return Coverage.changes()

    def change(self) -> list[ExternalKey]:
        self.rows["a"] = ("Room A", NOON + timedelta(hours=9))
        self.rows["d"] = ("Room D", NOON + timedelta(hours=9))
        return [ExternalKey("law:room", "a"), ExternalKey("law:room", "d")]


class Down(Rooms):
    def coverage(self, since: str | None) -> Any:
        raise SourceUnavailable("page 2 did not come")


class Columns(Rooms):
    """Keeps the laws too: many records at once, and a snapshot of them."""

    def fetch(self, since: str | None) -> Any:
        times = [when.isoformat() for _, when in self.rows.values()]
        yield Records("law:room", list(self.rows), times, [name for name, _ in self.rows.values()])
        return Coverage.snapshot("law:room")


class Paged(Rooms):
    """Keeps the laws too: a snapshot in pages of two, one of them with a row that is no record."""

    def fetch(self, since: str | None) -> Any:
        self.fetches += 1
        codes = list(self.rows)
        yield from (self.page(codes[start : start + 2]) for start in range(0, len(codes), 2))
        return Coverage.snapshot("law:room")

    def page(self, codes: list[str]) -> Any:
        return Page(self.digest(codes), self.reader(codes, self.parts(codes)))

    def parts(self, codes: list[str]) -> list[Any]:
        rows = [self.rows[code] for code in codes]
        refused = [self.refused()] if "a" in codes else []
        return [Records("law:room", codes, [str(w) for _, w in rows], [name for name, _ in rows]), *refused]

    def digest(self, codes: list[str]) -> Any:
        return fingerprint([(code, *map(str, self.rows[code])) for code in codes])

    def reader(self, codes: list[str], parts: list[Any]) -> Callable[[], Any]:
        return lambda: parts


class NumberedDigests(Paged):
    def digest(self, codes: list[str]) -> Any:
        return int(super().digest(codes), 16)


class PagesOfPairs(Paged):
    """As if a page were a fetch of its own."""

    def parts(self, codes: list[str]) -> list[Any]:
        return [self.item(code, *self.rows[code]) for code in codes]


class PagesAndMore(Paged):
    def fetch(self, since: str | None) -> Any:
        yield self.refused()
        return (yield from super().fetch(since))


class ReadingOnce(Paged):
    def reader(self, codes: list[str], parts: list[Any]) -> Callable[[], Any]:
        rest = iter(parts)
        return lambda: rest


class NewDigestsEachTime(Paged):
    """The hash of an answer that says when it was made."""

    def digest(self, codes: list[str]) -> Any:
        return f"{super().digest(codes)} {self.fetches}"


class DigestsOfKeys(Paged):
    def digest(self, codes: list[str]) -> Any:
        return fingerprint(codes)


class OneDigestForAll(Paged):
    """The ETag of the whole list."""

    def digest(self, codes: list[str]) -> Any:
        return fingerprint(sorted((code, str(row)) for code, row in self.rows.items()))


class YieldingRows(Rooms):
    def item(self, code: str, name: str, when: datetime) -> Any:
        return {"code": code}


class EmptyVersions(Rooms):
    def item(self, code: str, name: str, when: datetime) -> Any:
        return ExternalKey("law:room", code), Payload(name, "" if code == "b" else when.isoformat())


class ByPosition(Rooms):
    """One of its keys says when the record was read."""

    def item(self, code: str, name: str, when: datetime) -> Any:
        again = code == "b" and self.fetches > 1 and self.since is None
        return ExternalKey("law:room", f"{code} again" if again else code), Payload(name, when.isoformat())


class OtherRejectsEachTime(Rooms):
    def refused(self) -> Unreadable:
        return Unreadable(ExternalKey("law:room", f"row {self.fetches}"), "?", "it has no code")


class VolatileVersions(Rooms):
    def item(self, code: str, name: str, when: datetime) -> Any:
        return ExternalKey("law:room", code), Payload(name, f"{when} {self.fetches if code == 'c' else ''}")


class OneVersionForAll(Rooms):
    """The version of the whole file: one change, and every record is written again."""

    def item(self, code: str, name: str, when: datetime) -> Any:
        return ExternalKey("law:room", code), Payload(name, str(max(when for _, when in self.rows.values())))


class HalfAKey(Rooms):
    def item(self, code: str, name: str, when: datetime) -> Any:
        return ExternalKey("law:room", "a" if code == "c" else code), Payload(name, when.isoformat())

    def change(self) -> list[ExternalKey]:
        self.rows["d"] = ("Room D", NOON + timedelta(hours=9))
        return [ExternalKey("law:room", "d")]


class ProvingNothing(Rooms):
    def coverage(self, since: str | None) -> Any:
        return None


class PartialForNoReason(Rooms):
    def coverage(self, since: str | None) -> Any:
        return Coverage(complete=False)


class SnapshotOfSomethingElse(Rooms):
    def coverage(self, since: str | None) -> Any:
        return Coverage.snapshot("law:rooms")


class SwallowingTheFailure(Down):
    def coverage(self, since: str | None) -> Any:
        return Coverage.snapshot("law:room")


class FailingAsADefect(Down):
    def coverage(self, since: str | None) -> Any:
        raise KeyError("data")


class EndingTheRun(Rooms):
    def validate(self, key: ExternalKey, payload: Payload[str]) -> None:
        raise SourceUnavailable("one record is malformed")


class RefusingAsAMapper(Rooms):
    def validate(self, key: ExternalKey, payload: Payload[str]) -> None:
        raise MappingError("one record is malformed")


class MarkingTooEarly(Rooms):
    """Its marks are of the newest record, and it yields them in the order of the codes."""

    def fetch(self, since: str | None) -> Any:
        times = UpdatedAt(since, overlap=timedelta(0))
        for code, (name, when) in sorted(self.rows.items()):
            if self.wanted(times.start, when):
                times.saw(when)
                yield self.item(code, name, when)
                yield times.mark()
        return self.coverage(since)


class Jumping(Rooms):
    """`start` lies after what it has to go on from."""

    def wanted(self, start: datetime | None, when: datetime) -> bool:
        return start is None or when >= start + timedelta(hours=2)


class SnapshotOfChanges(Rooms):
    def coverage(self, since: str | None) -> Any:
        return Coverage.snapshot("law:room")


class TakingAnyCheckpoint(Rooms):
    def fetch(self, since: str | None) -> Any:
        if since and not since.startswith("updated_at:"):
            return Coverage.changes()
        return (yield from super().fetch(since))


class FixedVersions(Rooms):
    def item(self, code: str, name: str, when: datetime) -> Any:
        return ExternalKey("law:room", code), Payload(name, "1")


class Stuck(Rooms):
    """Gives what is of the last mark's time, and nothing after it."""

    def wanted(self, start: datetime | None, when: datetime) -> bool:
        return start is None or start <= when <= NOON + timedelta(hours=2)


BROKEN_SOURCES: list[tuple[type[Rooms], type[Rooms], set[str]]] = [
    (EmptyVersions, Down, {"a fetch yields what is well formed"}),
    (ByPosition, Down, {"two fetches give the same keys"}),
    (OtherRejectsEachTime, Down, {"two fetches give the same keys"}),
    (VolatileVersions, Down, {"two fetches give the same versions", "a change upstream is another version"}),
    (OneVersionForAll, Down, {"a change upstream is another version"}),
    (HalfAKey, Down, {"different records have different keys"}),
    (ProvingNothing, Down, {"a fetch says what it covered"}),
    (PartialForNoReason, Down, {"a fetch says what it covered"}),
    (SnapshotOfSomethingElse, Down, {"a snapshot is of the systems that were read"}),
    (Rooms, SwallowingTheFailure, {"a read that fails raises"}),
    (Rooms, FailingAsADefect, {"a read that fails raises"}),
    (Rooms, ProvingNothing, {"a read that fails raises"}),
    (EndingTheRun, Down, {"a record passes validation or is refused"}),
    (RefusingAsAMapper, Down, {"a record passes validation or is refused"}),
    (MarkingTooEarly, Down, {"nothing is lost by going on from a mark"}),
    (Jumping, Down, {"nothing is lost by going on from a mark"}),
    (SnapshotOfChanges, Down, {"going on from a mark is no snapshot"}),
    (TakingAnyCheckpoint, Down, {"a checkpoint that is not understood counts as none"}),
    (FixedVersions, Down, {"a change upstream is another version"}),
    (Stuck, Down, {"a change upstream is read from the last mark on"}),
    (NumberedDigests, Down, {"a page gives records and has a digest"}),
    (PagesAndMore, Down, {"all of a fetch comes in pages or nothing does"}),
    (ReadingOnce, Down, {"a page that is read twice gives the same"}),
    (NewDigestsEachTime, Down, {"the same page has the same digest"}),
    (DigestsOfKeys, Down, {"another page has another digest"}),
    (OneDigestForAll, Down, {"another page has another digest"}),
]


def source_under_test(make: type[Rooms], down: type[Rooms] = Down) -> Callable[[], SourceUnderTest]:
    def subject() -> SourceUnderTest:
        source = make()
        return SourceUnderTest(source, change=source.change, failing=[down()])

    return subject


@pytest.mark.parametrize(("make", "down", "laws"), BROKEN_SOURCES, ids=lambda p: getattr(p, "__name__", ""))
def test_a_source_that_breaks_a_law_is_caught_by_it(make: type[Rooms], down: type[Rooms], laws: set[str]) -> None:
    assert broken(source_laws(), source_under_test(make, down)).keys() == laws


def test_a_source_of_something_else_than_records_breaks_every_law_of_reading() -> None:
    found = broken(source_laws(), source_under_test(YieldingRows))
    assert found.keys() == {law.name for law in source_laws()} - {"a read that fails raises"}
    assert "yielded a dict, and not a pair" in found["a fetch yields what is well formed"]


def test_pages_of_something_else_than_columns_are_no_pages() -> None:
    said = broken(source_laws(), source_under_test(PagesOfPairs))["a page gives records and has a digest"]
    assert "gave a tuple, and not Records" in said


@pytest.mark.parametrize("make", [Rooms, Columns, Paged])
def test_the_sources_that_the_broken_ones_are_made_from_keep_every_law(make: type[Rooms]) -> None:
    assert broken(source_laws(), source_under_test(make)) == {}


def test_every_law_is_seen_to_catch_something() -> None:
    assert {law.name for law in source_laws()} == set[str]().union(*(laws for *_, laws in BROKEN_SOURCES))
