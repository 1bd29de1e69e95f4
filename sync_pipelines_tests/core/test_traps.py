"""The sixteen traps of one-way sync (sync_core.md F10), by number. Each test fails without its protection."""

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.core import (
    Coverage,
    Cursor,
    ExternalKey,
    Mark,
    MonotonicId,
    Payload,
    Projection,
    SilentLogger,
    SourceError,
    SyncReport,
    TargetError,
    Unreadable,
    UpdatedAt,
    fingerprint,
)
from sync_pipelines.errors import CheckpointExpired, SourceUnavailable, StreamBusy
from sync_pipelines.postgres.engine import Database, Session
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines_tests.core.workshop import (
    STREAM,
    SYSTEM,
    BulkTitleMapper,
    ListSource,
    TitleMapper,
    Workshop,
    counts,
    in_memory,
    in_postgres,
    key,
    record,
)

Query = Callable[..., list[Any]]
T0 = datetime(2026, 1, 1, tzinfo=UTC)


class Death(BaseException):
    """The process ends here."""


class DiesWhenDurable(SilentLogger):
    def progress(self, report: SyncReport) -> None:
        raise Death


# --- an upstream with change markers -------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A record upstream: visible to readers from `visible_at` on, stamped `updated_at`."""

    id: int
    title: str
    updated_at: datetime = T0
    visible_at: datetime = T0


@dataclass
class Api:
    """An upstream that can be asked for what is newer; `now` is its clock."""

    rows: list[Row] = field(default_factory=list[Row])
    now: datetime = T0
    page_size: int = 2
    asked: list[str | None] = field(default_factory=list[str | None])

    def since(self, start: Any, marker: Callable[[Row], Any]) -> list[list[Row]]:
        visible = [r for r in self.rows if r.visible_at <= self.now and (start is None or marker(r) >= start)]
        visible.sort(key=lambda r: (marker(r), r.id))
        return [visible[i : i + self.page_size] for i in range(0, len(visible), self.page_size)]


@dataclass
class ByTime:
    """Reads an Api by `updated_at`, marking after every page."""

    api: Api
    overlap: timedelta = timedelta(minutes=5)

    def fetch(self, since: str | None) -> Generator[Any, None, Coverage]:
        self.api.asked.append(since)
        checkpoint = UpdatedAt(since, overlap=self.overlap, now=lambda: self.api.now)
        for page in self.api.since(checkpoint.start, lambda r: r.updated_at):
            for row in page:
                checkpoint.saw(row.updated_at)
                yield key(str(row.id)), Payload(row.title, row.updated_at.isoformat())
            if mark := checkpoint.mark():
                yield mark
        return Coverage.changes()

    def validate(self, key: ExternalKey, payload: Payload[str]) -> None: ...


@dataclass
class ById:
    """Reads an Api by ids that only ever grow."""

    api: Api
    overlap: int = 1000

    def fetch(self, since: str | None) -> Generator[Any, None, Coverage]:
        checkpoint = MonotonicId(since, overlap=self.overlap)
        for page in self.api.since(checkpoint.start, lambda r: r.id):
            for row in page:
                checkpoint.saw(row.id)
                yield record(str(row.id), row.title)
            if mark := checkpoint.mark():
                yield mark
        return Coverage.changes()

    def validate(self, key: ExternalKey, payload: Payload[str]) -> None: ...


@dataclass
class ByCursor:
    """Reads a log of changes behind a cursor, of which the oldest part may be gone."""

    log: list[tuple[str, str]]
    oldest: int = 0
    asked: list[str | None] = field(default_factory=list[str | None])

    def fetch(self, since: str | None) -> Generator[Any, None, Coverage]:
        self.asked.append(since)
        cursor = Cursor(since)
        start = 0 if cursor.start is None else int(cursor.start)
        if cursor.start is not None and start < self.oldest:
            raise CheckpointExpired("the cursor is too old")
        latest = dict(self.log) if cursor.start is None else dict(self.log[start:])
        for external_id, title in latest.items():
            yield record(external_id, title)
        yield cursor.mark(str(len(self.log)))
        return Coverage.changes()

    def validate(self, key: ExternalKey, payload: Payload[str]) -> None: ...


# --- the traps ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_01_a_checkpoint_is_never_saved_before_its_rows_are_durable(workshop: Workshop, batch_size: int) -> None:
    items = [x for i in "1234" for x in (record(i, "Fizyka"), Mark(i))]
    with pytest.raises(Death):
        workshop.sync(items, logger=DiesWhenDurable(), batch_size=batch_size)
    saved = workshop.store.get_checkpoint(STREAM)
    covered = set() if saved is None else {i for i in "1234" if i <= saved.removeprefix("1:")}
    assert covered <= workshop.titles().keys()
    assert workshop.titles().keys() - covered <= {str(int(max(covered, default="0")) + 1)}


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_01_a_mark_waits_for_records_that_wait_for_their_batch(workshop: Workshop, batch_size: int) -> None:
    """Record 1 comes twice, which settles a batch early: the mark after 3 must not go with it."""
    items = [record("1", "A"), record("2", "B"), record("1", "A"), record("3", "C"), Mark("3"), record("1", "A")]
    with pytest.raises(Death):
        workshop.sync(items, logger=DiesWhenDurable(), batch_size=batch_size)
    if workshop.store.get_checkpoint(STREAM) is not None:
        assert workshop.titles().keys() == {"1", "2", "3"}


def test_02_a_failed_record_is_kept_whole_though_the_checkpoint_goes_past_it(workshop: Workshop) -> None:
    workshop.sync([record("1", "Fizyka"), record("2", "forbidden"), Mark("2"), record("3", "Chemia"), Mark("3")])
    assert workshop.store.get_checkpoint(STREAM) == "1:3"
    assert list(workshop.rejects()) == ["2"]


def test_02_a_full_read_brings_in_what_an_incremental_one_left_behind(workshop: Workshop) -> None:
    class Lenient(TitleMapper):
        def validate(self, key: ExternalKey, payload: Payload[str]) -> None: ...

    api = Api([Row(1, "Fizyka"), Row(2, "forbidden"), Row(3, "Chemia", T0 + timedelta(hours=1))])
    api.now = T0 + timedelta(hours=2)
    workshop.sync([], source=ByTime(api))
    assert list(workshop.rejects()) == ["2"]
    workshop.sync([], source=ByTime(api), mapper=Lenient())
    assert list(workshop.rejects()) == ["2"]
    workshop.sync([], source=ByTime(api), mapper=Lenient(), full=True)
    assert workshop.rejects() == {}
    assert workshop.titles()["2"] == "forbidden"


@pytest.mark.parametrize("dies_after_pages", range(4))
def test_03_rows_of_one_instant_on_both_sides_of_a_page_are_all_read(
    workshop: Workshop, dies_after_pages: int
) -> None:
    api = Api([Row(i, f"Kurs {i}") for i in range(5)])

    @dataclass
    class Breaks(ByTime):
        def fetch(self, since: str | None) -> Generator[Any, None, Coverage]:
            pages = 0
            for item in super().fetch(since):
                yield item
                pages += isinstance(item, Mark)
                if pages == dies_after_pages:
                    raise SourceUnavailable("the connection broke")
            return Coverage.changes()

    with pytest.raises(SourceUnavailable):
        workshop.sync([], source=Breaks(api, overlap=timedelta(0)), batch_size=1)
    workshop.sync([], source=ByTime(api, overlap=timedelta(0)))
    assert len(workshop.titles()) == 5


def test_04_a_transaction_that_commits_late_upstream_is_read_by_the_overlap(workshop: Workshop) -> None:
    late = Row(1, "Fizyka", updated_at=T0, visible_at=T0 + timedelta(minutes=4))
    api = Api([late, Row(2, "Chemia", updated_at=T0 + timedelta(minutes=3))], now=T0 + timedelta(minutes=3))
    workshop.sync([], source=ByTime(api))
    api.now = T0 + timedelta(minutes=5)
    report = workshop.sync([], source=ByTime(api))
    assert counts(report) == {"created": 1, "skipped": 1}


def test_04_a_clock_in_the_future_does_not_hide_what_follows(workshop: Workshop) -> None:
    api = Api([Row(1, "Fizyka", updated_at=T0 + timedelta(days=9000))])
    workshop.sync([], source=ByTime(api))
    api.now = T0 + timedelta(hours=1)
    api.rows.append(Row(2, "Chemia", updated_at=api.now))
    assert workshop.sync([], source=ByTime(api)).created == 1


def test_04_an_id_given_out_early_and_committed_late_is_read_by_the_overlap(workshop: Workshop) -> None:
    api = Api([Row(1, "A"), Row(2, "B", visible_at=T0 + timedelta(minutes=1)), Row(3, "C")])
    workshop.sync([], source=ById(api))
    api.now = T0 + timedelta(minutes=2)
    assert workshop.sync([], source=ById(api)).created == 1


@pytest.mark.parametrize(
    "coverage",
    [
        Coverage(complete=False),
        Coverage.partial("truncated"),
        Coverage(complete=False, snapshot_of=(SYSTEM,)),
        None,
    ],
)
def test_05_nothing_vanishes_after_a_partial_read(workshop: Workshop, coverage: Coverage | None) -> None:
    workshop.snapshot([record("1", "Fizyka"), record("2", "Chemia")])
    workshop.sync([], source=ListSource([record("1", "Fizyka")], coverage))
    assert workshop.vanished() == set()


def test_06_nothing_vanishes_in_incremental_mode(workshop: Workshop) -> None:
    api = Api([Row(1, "Fizyka"), Row(2, "Chemia")])
    workshop.sync([], source=ByTime(api))
    del api.rows[0]
    report = workshop.sync([], source=ByTime(api))
    assert report.complete
    assert workshop.vanished() == set()


@pytest.mark.parametrize(
    ("one", "other"), [("6", " 6"), ("6", "6 "), ("a", "A"), ("1", "01"), ("ż", "z\u0307"), ("1", "1\u200b")]
)
def test_07_keys_are_kept_exactly_never_trimmed_or_folded(workshop: Workshop, one: str, other: str) -> None:
    items = [record(one, "Fizyka"), record(other, "Chemia")]
    assert counts(workshop.snapshot(items)) == {"created": 2}
    assert counts(workshop.snapshot(items)) == {"skipped": 2}
    assert workshop.titles() == {one: "Fizyka", other: "Chemia"}


@pytest.mark.parametrize("wrong", [1, 1.0, True, None, ""])
def test_07_a_key_that_is_no_text_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="non-empty strings"):
        ExternalKey(SYSTEM, wrong)


@given(st.lists(st.text(), min_size=1, max_size=3), st.lists(st.text(), min_size=1, max_size=3))
def test_08_keys_of_several_parts_are_never_ambiguous(one: list[str], other: list[str]) -> None:
    keys = ExternalKey.composite(SYSTEM, *one), ExternalKey.composite(SYSTEM, *other)
    assert (keys[0] == keys[1]) == (one == other)


def test_09_a_version_does_not_depend_on_the_order_of_fields_or_the_form_of_letters() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint("żak") == fingerprint("z\u0307ak")
    assert fingerprint(("żak", "x")) == fingerprint(("z\u0307ak", "x"))
    assert fingerprint(("a", "b")) != fingerprint(("a\x1fb",)) != fingerprint(("a\x1f", "b"))


@pytest.mark.parametrize("calls_before_death", range(12))
def test_10_a_crash_between_row_and_binding_makes_no_second_row(
    workshop: Workshop, calls_before_death: int
) -> None:
    left = calls_before_death

    def mortal(name: str) -> None:
        real = getattr(workshop.store, name)

        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Death
            return real(*arguments, **named)

        setattr(workshop.store, name, call)

    steps = ["get_bindings", "bind_many", "save_rejects", "resolve_rejects", "save_checkpoint"]
    items = [record("1", "A"), Mark("1"), record("2", "B"), Mark("2")]
    for name in steps:
        mortal(name)
    with suppress(Death):
        workshop.sync(items, batch_size=1)
    for name in steps:
        delattr(workshop.store, name)
    assert workshop.titles().keys() == workshop.bound().keys()
    workshop.sync(items)
    assert workshop.titles() == {"1": "A", "2": "B"}


@pytest.mark.parametrize("batch_size", [1, 100])
def test_11_a_row_that_was_deleted_here_is_not_skipped_for_ever(workshop: Workshop, batch_size: int) -> None:
    items = [record("1", "Fizyka"), record("2", "Chemia")]
    workshop.snapshot(items)
    workshop.forget_row("1")
    assert counts(workshop.snapshot(items, batch_size=batch_size)) == {"created": 1, "skipped": 1}
    assert workshop.titles() == {"1": "Fizyka", "2": "Chemia"}


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_12_a_key_that_comes_twice_is_one_row(workshop: Workshop, batch_size: int) -> None:
    items = [record("1", "A"), record("2", "B"), record("1", "A"), record("2", "C"), record("1", "A")]
    for expected in ({"created": 2, "skipped": 2, "failed": 1}, {"skipped": 4, "failed": 1}):
        assert counts(workshop.snapshot(items, batch_size=batch_size)) == expected
    assert workshop.titles() == {"1": "A", "2": "B"}
    assert list(workshop.rejects()) == ["2"]


def test_13_two_runs_of_a_stream_exclude_each_other(session: Session, database: Database, query: Query) -> None:
    first = in_postgres(session, query)
    with database.session() as another:
        second = in_postgres(another, query)
        second.store = PostgresStateStore(another, lock_timeout=timedelta(milliseconds=20))
        with first.store.exclusive(STREAM), pytest.raises(StreamBusy, match="still being synced by"):
            second.sync([record("1", "A")])
        assert first.titles() == {}
        assert second.sync([record("1", "A")]).created == 1


def test_14_an_expired_cursor_means_reading_everything_again(workshop: Workshop) -> None:
    source = ByCursor([("1", "A"), ("2", "B")])
    workshop.sync([], source=source)
    source.log += [("1", "A2"), ("3", "C")]
    source.oldest = 3
    report = workshop.sync([], source=source)
    assert source.asked == [None, "cursor:2", None]
    assert counts(report) == {"created": 1, "updated": 1, "skipped": 1}
    assert workshop.sync([], source=source).fetched == 0


@pytest.mark.parametrize("batch_size", [1, 100])
@pytest.mark.parametrize("mapper", [TitleMapper(), BulkTitleMapper()])
def test_14_what_a_read_gave_before_its_cursor_expired_does_not_stand_in_the_way_of_the_next(
    workshop: Workshop, batch_size: int, mapper: TitleMapper
) -> None:
    row = {"id": None}
    nobody = Unreadable(ExternalKey.unidentified(SYSTEM, row), row, "the id is missing")

    class Expiring(ListSource):
        def fetch(self, since: str | None) -> Generator[Any, None, Coverage]:
            if since is not None:
                yield from [nobody, record("1", "A"), record("3", "C")]
                raise CheckpointExpired("the cursor is too old")
            yield from self.items
            return Coverage.snapshot(SYSTEM)

    workshop.sync([record("1", "forbidden"), Mark("1")], mapper=mapper)
    source = Expiring([record("1", "A2"), record("2", "B")])
    report = workshop.sync([], source=source, mapper=mapper, batch_size=batch_size)
    assert counts(report) == {"created": 3, "updated": 1, "failed": 1, "deleted": 1}
    assert workshop.titles() == {"1": "A2", "2": "B", "3": "C"}
    assert workshop.vanished() == {"3"}
    assert workshop.rejects() == {}


@pytest.mark.parametrize("batch_size", [1, 100])
@pytest.mark.parametrize("bad", ["malformed", "forbidden", "clashing"])
def test_14_what_was_refused_before_its_cursor_expired_is_not_taken_for_written(
    workshop: Workshop, batch_size: int, bad: str
) -> None:
    class Expiring(ListSource):
        def fetch(self, since: str | None) -> Generator[Any, None, Coverage]:
            yield record("1", bad)
            if since is not None:
                raise CheckpointExpired("the cursor is too old")
            yield record("2", "B")
            return Coverage.snapshot(SYSTEM)

    workshop.sync([record("2", "B"), Mark("2")])
    report = workshop.sync([], source=Expiring([]), batch_size=batch_size)
    assert counts(report) == {"skipped": 1, "failed": 2}
    assert list(workshop.rejects()) == ["1"]


def test_14_a_cursor_that_is_refused_from_the_beginning_is_an_error(workshop: Workshop) -> None:
    class Hopeless(ListSource):
        def fetch(self, since: str | None) -> Generator[Any, None, Coverage]:
            raise CheckpointExpired("no cursor is good")
            yield

    with pytest.raises(CheckpointExpired):
        workshop.sync([], source=Hopeless([]))


def test_14_a_token_of_another_kind_counts_as_none() -> None:
    assert UpdatedAt("cursor:abc").start is None
    assert MonotonicId("updated_at:2026-01-01T00:00:00+00:00").start is None
    assert Cursor("id:7").start is None
    assert Cursor("cursor:a:b").start == "a:b"


def test_15_a_deletion_that_fails_keeps_the_binding() -> None:
    workshop = in_memory()
    workshop.snapshot([record("1", "A"), record("2", "B")])
    refuse = workshop.target.vanish_many
    workshop.target.vanish_many = lambda bindings: [TargetError("closed") for _ in bindings]
    report = workshop.snapshot([record("1", "A")])
    workshop.target.vanish_many = refuse
    assert (report.complete, report.deleted) == (False, 0)
    assert workshop.bound() == {"1": False, "2": False}


def test_16_a_new_mapper_looks_at_every_record_again(workshop: Workshop) -> None:
    class Louder(TitleMapper):
        def map(self, key: ExternalKey, payload: Payload[str]) -> Projection:
            return Projection("wtl.courses", {"wtl_course_id": key.key, "title": payload.data + "!"})

    workshop.snapshot([record("1", "Fizyka")])
    assert counts(workshop.snapshot([record("1", "Fizyka")], mapper=Louder("2"))) == {"updated": 1}
    assert workshop.titles() == {"1": "Fizyka!"}


def test_16_a_new_mapper_reads_an_incremental_stream_from_its_beginning(workshop: Workshop) -> None:
    api = Api([Row(1, "Fizyka"), Row(2, "Chemia", T0 + timedelta(days=1))], now=T0 + timedelta(days=2))
    workshop.sync([], source=ByTime(api))
    workshop.sync([], source=ByTime(api), mapper=TitleMapper("2"))
    assert api.asked == [None, None]
    workshop.sync([], source=ByTime(api), mapper=TitleMapper("2"))
    assert api.asked[2] is not None


# --- any history of an incremental upstream ------------------------------------------------------------------

changes = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["A", "B", "C"]), st.integers(0, 4), st.integers(0, 3)),
    max_size=6,
)


@given(st.lists(st.tuples(changes, st.none() | st.integers(0, 6)), min_size=1, max_size=5), st.integers(1, 4))
def test_any_history_read_by_its_changes_ends_with_everything(
    history: list[tuple[list[tuple[int, str, int, int]], int | None]], batch_size: int
) -> None:
    """Late commits within the overlap, equal times, reads that break: the last read has it all."""
    workshop, api, minute = in_memory(), Api(), timedelta(minutes=1)
    for edits, breaks_at in history:
        api.now += 10 * minute
        for row_id, title, ago, late in edits:
            stamped = api.now - ago * minute
            current = next((r for r in api.rows if r.id == row_id), None)
            if current is None or current.updated_at <= stamped:
                # A change that commits late hides the row's old state no earlier than it shows the new one.
                visible = max(api.now, stamped + late * minute)
                others = [r for r in api.rows if r.id != row_id]
                api.rows = [*others, Row(row_id, f"{title} {stamped}", stamped, visible)]
        read_until(workshop, api, breaks_at, batch_size)
    api.now += 10 * minute
    read_until(workshop, api, None, batch_size)
    assert workshop.titles() == {str(r.id): r.title for r in api.rows}


def read_until(workshop: Workshop, api: Api, breaks_at: int | None, batch_size: int) -> None:
    class Breaking(ByTime):
        def fetch(self, since: str | None) -> Generator[Any, None, Coverage]:
            for n, item in enumerate(super().fetch(since)):
                if n == breaks_at:
                    raise SourceUnavailable("the connection broke")
                yield item
            return Coverage.changes()

    try:
        workshop.sync([], source=Breaking(api, overlap=timedelta(minutes=10)), batch_size=batch_size)
    except SourceUnavailable:
        assert breaks_at is not None


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(SourceError, match="time zone"):
        UpdatedAt(None).saw(datetime(2026, 1, 1))  # noqa: DTZ001
