"""A page that came as before is not decoded: when that may be believed, and when not."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from sync_pipelines.core import (
    Coverage,
    ExternalKey,
    Page,
    Payload,
    Records,
    SilentLogger,
    Unreadable,
    fingerprint,
)
from sync_pipelines.errors import GuardTripped
from sync_pipelines_tests.core.workshop import STREAM, SYSTEM, TitleMapper, Workshop, counts, key, record

Rows = Sequence[tuple[str, str]]


@dataclass
class Paged:
    """A snapshot in pages of two; `decoded` says which pages were read."""

    rows: Rows
    unreadable: Sequence[Unreadable] = ()
    decoded: list[str] = field(default_factory=list[str])
    fetches: int = 0

    def fetch(self, since: str | None) -> Generator[Page[str], None, Coverage]:
        self.fetches += 1
        for start in range(0, len(self.rows), 2):
            yield self.page(self.rows[start : start + 2])
        return Coverage.snapshot(SYSTEM)

    def page(self, rows: Rows) -> Page[str]:
        def read() -> list[Any]:
            self.decoded.extend(k for k, _ in rows)
            titles = [title for _, title in rows]
            columns = Records(SYSTEM, [k for k, _ in rows], [fingerprint(t) for t in titles], titles)
            return [columns, *self.unreadable]

        return Page(fingerprint(list(rows)), read)

    def validate(self, key: ExternalKey, payload: Payload[str]) -> None: ...


FOUR = [("1", "A"), ("2", "B"), ("3", "C"), ("4", "D")]


def synced(workshop: Workshop, rows: Rows, **options: Any) -> tuple[dict[str, int], Paged]:
    source = Paged(rows)
    return counts(workshop.sync([], source=source, **options)), source


def test_an_unchanged_snapshot_is_not_decoded(workshop: Workshop) -> None:
    assert synced(workshop, FOUR)[0] == {"created": 4}
    for _ in range(2):
        counted, source = synced(workshop, FOUR)
        assert (counted, source.decoded, source.fetches) == ({"skipped": 4}, [], 1)


def test_only_the_page_that_changed_is_decoded_and_the_next_time_all(workshop: Workshop) -> None:
    synced(workshop, FOUR)
    changed = [*FOUR[:3], ("4", "D2")]
    counted, source = synced(workshop, changed)
    assert (counted, source.decoded) == ({"updated": 1, "skipped": 3}, ["3", "4"])
    assert synced(workshop, changed)[1].decoded == ["1", "2", "3", "4"]
    assert synced(workshop, changed)[1].decoded == []


def test_what_vanished_is_found_by_reading_the_keys_of_every_page(workshop: Workshop) -> None:
    synced(workshop, FOUR)
    counted, source = synced(workshop, [*FOUR[:2], FOUR[3]])
    assert counted == {"skipped": 3, "deleted": 1}
    assert source.fetches == 2
    assert workshop.vanished() == {"3"}
    assert synced(workshop, FOUR)[0] == {"skipped": 3, "updated": 1, "restored": 1}


def test_a_page_that_is_gone_takes_just_its_records(workshop: Workshop) -> None:
    synced(workshop, FOUR)
    assert synced(workshop, FOUR[:2])[0] == {"skipped": 2, "deleted": 2}
    with pytest.raises(GuardTripped):
        synced(workshop, [])


@pytest.mark.parametrize(
    "meddle",
    [
        lambda w: w.forget_row("1"),
        lambda w: w.store.bind(key("1"), w.store.get_binding(key("1")).internal_id, None),
        lambda w: w.store.bind(ExternalKey("wtl:lesson", "9"), "6f1b2c3d-0000-4000-8000-000000000001", "1:x"),
        lambda w: w.snapshot([record(k, t) for k, t in FOUR[:3]]),
    ],
    ids=["a row is gone", "a version is forgotten", "a binding is added", "something vanished"],
)
def test_nothing_is_believed_where_something_changed_here(
    workshop: Workshop, meddle: Callable[[Workshop], object]
) -> None:
    synced(workshop, FOUR)
    meddle(workshop)
    _, source = synced(workshop, FOUR)
    assert source.decoded == ["1", "2", "3", "4"]
    assert workshop.titles() == dict(FOUR)
    assert workshop.vanished() == set()


@pytest.mark.parametrize("options", [{"mapper": TitleMapper("2")}, {"full": True}, {"plan": True}])
def test_nothing_is_believed_by_a_new_mapper_a_full_read_or_a_plan(
    workshop: Workshop, options: dict[str, Any]
) -> None:
    synced(workshop, FOUR)
    assert synced(workshop, FOUR, **options)[1].decoded == ["1", "2", "3", "4"]


def test_a_partition_remembers_its_own_pages(workshop: Workshop) -> None:
    synced(workshop, FOUR, partition="2026")
    assert not workshop.store.remembered_pages(STREAM)
    assert len(workshop.store.remembered_pages(f"{STREAM}/2026")) == 2
    assert synced(workshop, FOUR, partition="2026")[1].decoded == []


def test_a_logger_that_wants_to_hear_of_every_record_does(workshop: Workshop) -> None:
    heard: list[str] = []

    class Listening(SilentLogger):
        def skipped(self, key: ExternalKey) -> None:
            heard.append(key.key)

    synced(workshop, FOUR)
    synced(workshop, FOUR, logger=Listening())
    assert sorted(heard) == ["1", "2", "3", "4"]


@pytest.mark.parametrize("bad", ["forbidden", "clashing", "x" * 501])
def test_a_read_with_a_refused_record_is_read_again(workshop: Workshop, bad: str) -> None:
    rows = [*FOUR[:3], ("4", bad)]
    for expected in ({"created": 3, "failed": 1}, {"skipped": 3, "failed": 1}, {"skipped": 3, "failed": 1}):
        counted, source = synced(workshop, rows)
        assert (counted, len(source.decoded)) == (expected, 4)
    synced(workshop, FOUR)
    assert workshop.rejects() == {}


def test_a_read_with_an_unreadable_row_is_read_again(workshop: Workshop) -> None:
    row = Unreadable(key("7"), {"id": 7}, "no title")
    for _ in range(2):
        source = Paged(FOUR[:2], unreadable=[row])
        assert workshop.sync([], source=source).failed == 1
        assert source.decoded == ["1", "2"]


def test_a_read_in_which_a_key_came_twice_is_read_again(workshop: Workshop) -> None:
    twice = [*FOUR, ("1", "A")]
    for expected in ({"created": 4, "skipped": 1}, {"skipped": 5}):
        counted, source = synced(workshop, twice)
        assert (counted, len(source.decoded)) == (expected, 5)


def test_a_digest_that_two_pages_have_is_believed_of_neither(workshop: Workshop) -> None:
    class Careless(Paged):
        def page(self, rows: Rows) -> Page[str]:
            return Page("the number of the page was left out", super().page(rows).read)

    for expected in ({"created": 4}, {"skipped": 4}, {"skipped": 4}):
        source = Careless(FOUR)
        assert counts(workshop.sync([], source=source)) == expected
        assert source.decoded == ["1", "2", "3", "4"]


def test_a_read_that_was_not_all_in_pages_is_read_again(workshop: Workshop) -> None:
    class Mixed(Paged):
        def fetch(self, since: str | None) -> Generator[Any, None, Coverage]:
            yield record("5", "E")
            return (yield from super().fetch(since))

    for _ in range(2):
        source = Mixed(FOUR)
        workshop.sync([], source=source)
        assert len(source.decoded) == 4
