"""The engine's laws, each held by the in-memory store and by PostgreSQL alike."""

from typing import Any

import pytest

from sync_pipelines.core import (
    Coverage,
    ExternalKey,
    Mark,
    Payload,
    Projection,
    Records,
    SilentLogger,
    StateError,
    SyncReport,
    Unreadable,
    fingerprint,
)
from sync_pipelines.errors import DatabaseUnavailable, SourceUnavailable, SyncError
from sync_pipelines_tests.core.workshop import (
    STREAM,
    SYSTEM,
    BulkTitleMapper,
    ListSource,
    TitleMapper,
    Workshop,
    counts,
    in_memory,
    key,
    record,
)


def test_new_records_are_created_and_the_same_again_are_skipped(workshop: Workshop) -> None:
    items = [record("1", "Fizyka"), record("2", "Chemia")]
    assert counts(workshop.sync(items)) == {"created": 2}
    assert counts(workshop.sync(items)) == {"skipped": 2}
    assert workshop.titles() == {"1": "Fizyka", "2": "Chemia"}


def test_only_what_changed_is_written(workshop: Workshop) -> None:
    workshop.sync([record("1", "Fizyka"), record("2", "Chemia")])
    report = workshop.sync([record("1", "Fizyka"), record("2", "Chemia 2")])
    assert counts(report) == {"updated": 1, "skipped": 1}
    assert workshop.titles() == {"1": "Fizyka", "2": "Chemia 2"}


def test_what_is_missing_upstream_stays(workshop: Workshop) -> None:
    workshop.sync([record("1", "Fizyka"), record("2", "Chemia")])
    workshop.sync([record("1", "Fizyka")])
    assert workshop.titles() == {"1": "Fizyka", "2": "Chemia"}


@pytest.mark.parametrize("bad", ["malformed", "forbidden"])
def test_one_bad_record_never_stops_the_others_and_is_kept_until_a_good_one_comes(
    workshop: Workshop, bad: str
) -> None:
    report = workshop.sync([record("1", "Fizyka"), record("2", bad), record("3", "Chemia")])
    assert counts(report) == {"created": 2, "failed": 1}
    assert report.complete
    assert workshop.rejects() == {"2": f"the title is {bad}"}
    workshop.sync([record("2", "Biologia")])
    assert workshop.rejects() == {}
    assert workshop.titles()["2"] == "Biologia"


@pytest.mark.parametrize("bad", ["malformed", "forbidden", "clashing"])
@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_a_record_that_is_good_again_and_as_it_was_settles_its_reject(
    workshop: Workshop, bad: str, batch_size: int
) -> None:
    items = [record("1", "Fizyka"), record("2", "Chemia"), record("3", "Biologia")]
    workshop.sync(items)
    workshop.sync([items[0], record("2", bad), items[2]], batch_size=batch_size)
    assert list(workshop.rejects()) == ["2"]
    assert counts(workshop.sync([*items, items[1]], batch_size=batch_size)) == {"skipped": 4}
    assert workshop.rejects() == {}


def test_a_record_that_is_refused_and_then_good_in_one_read_is_written_and_settled(workshop: Workshop) -> None:
    items = [record("1", "malformed"), record("2", "Chemia"), record("1", "Fizyka")]
    for expected in ({"created": 2, "failed": 1}, {"skipped": 2, "failed": 1}):
        assert counts(workshop.sync(items, batch_size=1)) == expected
        assert workshop.rejects() == {}


def test_what_was_written_before_is_not_what_is_written_now(workshop: Workshop) -> None:
    """The old version comes after the new one, in one read: they are two records under one key."""
    workshop.sync([record("1", "Fizyka"), record("2", "Chemia")])
    items = [record("1", "Fizyka 2"), record("2", "Chemia"), record("1", "Fizyka")]
    assert counts(workshop.sync(items, batch_size=1)) == {"updated": 1, "skipped": 1, "failed": 1}
    assert workshop.titles()["1"] == "Fizyka 2"
    assert list(workshop.rejects()) == ["1"]


def test_a_bad_version_of_a_record_leaves_its_last_good_one(workshop: Workshop) -> None:
    workshop.sync([record("1", "Fizyka")])
    assert counts(workshop.sync([record("1", "forbidden")])) == {"failed": 1}
    assert workshop.titles() == {"1": "Fizyka"}


@pytest.mark.parametrize("title", ["x" * 501, "clashing"])
@pytest.mark.parametrize("position", [0, 5, 11])
def test_a_record_the_target_cannot_hold_fails_alone(workshop: Workshop, title: str, position: int) -> None:
    items = [record(str(i), title if i == position else "Fizyka") for i in range(12)]
    assert counts(workshop.sync(items, batch_size=5)) == {"created": 11, "failed": 1}
    assert list(workshop.rejects()) == [str(position)]
    items[position] = record(str(position), "Chemia")
    assert counts(workshop.sync(items, batch_size=5)) == {"created": 1, "skipped": 11}
    assert workshop.rejects() == {}


def test_an_unreadable_row_is_counted_and_kept(workshop: Workshop) -> None:
    row = {"id": None, "name": "Fizyka"}
    unreadable = Unreadable(ExternalKey.unidentified(SYSTEM, row), row, "id is missing")
    for _ in range(2):
        assert counts(workshop.sync([unreadable])) == {"failed": 1}
    assert list(workshop.rejects().values()) == ["id is missing"]


def test_a_record_that_comes_twice_the_same_is_one_record(workshop: Workshop) -> None:
    assert counts(workshop.sync([record("1", "Fizyka")] * 3)) == {"created": 1, "skipped": 2}


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_two_records_under_one_key_are_a_failure_of_that_key(workshop: Workshop, batch_size: int) -> None:
    items = [record("1", "Fizyka"), record("1", "Chemia"), record("2", "Biologia")]
    assert counts(workshop.sync(items, batch_size=batch_size)) == {"created": 2, "failed": 1}
    assert workshop.titles() == {"1": "Fizyka", "2": "Biologia"}
    assert "twice" in workshop.rejects()["1"]


def test_a_record_without_a_version_is_written_every_time() -> None:
    workshop = in_memory()
    writes: list[str] = []

    class Simple:
        def validate(self, key: ExternalKey, projection: Projection) -> None: ...

        def upsert(self, key: ExternalKey, projection: Projection) -> str:
            writes.append(key.key)
            return "7"

    workshop.target = Simple()
    assert counts(workshop.sync([record("1", "Fizyka", None)])) == {"created": 1}
    assert counts(workshop.sync([record("1", "Fizyka", None)])) == {"updated": 1}
    assert writes == ["1", "1"]


def test_a_row_without_an_id_is_bound_to_nothing() -> None:
    workshop = in_memory()

    class Forgetful:
        def validate(self, key: ExternalKey, projection: Projection) -> None: ...

        def upsert(self, key: ExternalKey, projection: Projection) -> str:
            return "" if key.key == "1" else "7"

    workshop.target = Forgetful()
    assert counts(workshop.sync([record("1", "Fizyka"), record("2", "Chemia")])) == {"created": 1, "failed": 1}
    assert workshop.rejects() == {"1": "the target gave the row no id"}
    assert list(workshop.bound()) == ["2"]


def test_a_new_mapper_version_looks_at_everything_again(workshop: Workshop) -> None:
    class Louder(TitleMapper):
        def map(self, key: ExternalKey, payload: Payload[str]) -> Projection:
            return Projection("wtl.courses", {"wtl_course_id": key.key, "title": payload.data + "!"})

    workshop.sync([record("1", "Fizyka")])
    assert counts(workshop.sync([record("1", "Fizyka")], mapper=Louder("2"))) == {"updated": 1}
    assert workshop.titles() == {"1": "Fizyka!"}


def test_a_row_that_somebody_deleted_is_made_again(workshop: Workshop) -> None:
    workshop.sync([record("1", "Fizyka")])
    workshop.forget_row("1")
    assert counts(workshop.sync([record("1", "Fizyka")])) == {"created": 1}
    assert workshop.titles() == {"1": "Fizyka"}


def test_a_failed_read_raises_and_what_was_read_before_is_kept(workshop: Workshop) -> None:
    with pytest.raises(SourceUnavailable, match="page 2") as caught:
        workshop.sync([record("1", "Fizyka"), SourceUnavailable("page 2 did not come")])
    report = caught.value.report
    assert (report.created, report.complete, report.errors) == (1, False, ("page 2 did not come",))
    assert workshop.titles() == {"1": "Fizyka"}


def test_what_ended_a_run_is_the_last_thing_its_report_says_however_much_went_wrong(workshop: Workshop) -> None:
    bad = [record(str(i), "forbidden") for i in range(40)]
    with pytest.raises(SourceUnavailable) as caught:
        workshop.sync([*bad, SourceUnavailable("page 2 did not come")])
    assert caught.value.report.errors[-2:] == ("… and 20 more", "page 2 did not come")
    report = workshop.sync(bad, coverage=Coverage(complete=False, reason="rows moved"))
    assert report.errors[-1] == "incomplete: rows moved"


def test_a_source_that_proves_nothing_is_not_complete(workshop: Workshop) -> None:
    source = ListSource([record("1", "Fizyka")], coverage=None)
    report = workshop.sync([], source=source)
    assert not report.complete
    assert "incomplete" in report.errors[-1]


def test_a_plain_iterable_is_a_source_that_proves_nothing() -> None:
    class Plain(ListSource):
        def fetch(self, since: str | None) -> list[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
            return list(self.items)

    report = in_memory().sync([], source=Plain([record("1", "Fizyka")]))
    assert counts(report) == {"created": 1}
    assert not report.complete


def test_the_next_run_starts_at_the_last_mark(workshop: Workshop) -> None:
    source = ListSource([record("1", "Fizyka"), Mark("page 2"), record("2", "Chemia")])
    workshop.sync([], source=source)
    workshop.sync([], source=source)
    assert source.asked == [None, "page 2"]


def test_a_checkpoint_is_never_saved_before_its_rows(workshop: Workshop) -> None:
    class Dying(SilentLogger):
        def progress(self, report: SyncReport) -> None:
            if report.created == 2:
                raise KeyboardInterrupt

    items = [
        record("1", "Fizyka"),
        Mark("after 1"),
        record("2", "Chemia"),
        Mark("after 2"),
        record("3", "Biologia"),
    ]
    with pytest.raises(KeyboardInterrupt):
        workshop.sync(items, logger=Dying(), batch_size=1)
    assert workshop.store.get_checkpoint(STREAM) == "1:after 1"
    assert workshop.titles() == {"1": "Fizyka", "2": "Chemia"}


def test_rows_bindings_and_checkpoint_stand_or_fall_together(workshop: Workshop) -> None:
    """The process dies at the last step of the transaction: nothing of the batch is there."""
    save = workshop.store.save_checkpoint

    def die(stream: str, token: str) -> None:
        save(stream, token)
        raise KeyboardInterrupt

    workshop.store.save_checkpoint = die
    with pytest.raises(KeyboardInterrupt):
        workshop.sync([record("1", "Fizyka"), Mark("after 1")])
    del workshop.store.save_checkpoint
    assert workshop.titles() == {}
    assert workshop.store.get_binding(key("1")) is None
    assert workshop.store.get_checkpoint(STREAM) is None
    assert counts(workshop.sync([record("1", "Fizyka"), Mark("after 1")])) == {"created": 1}


def test_an_inconsistent_binding_fails_its_key_and_is_left_alone() -> None:
    workshop = in_memory()
    workshop.store.bind(key("1"), "", "1:x")
    assert counts(workshop.sync([record("1", "Fizyka"), record("2", "Chemia")])) == {"created": 1, "failed": 1}
    assert workshop.store.get_binding(key("1")).internal_id == ""


def test_a_second_run_of_a_stream_is_kept_out() -> None:
    workshop = in_memory()
    with workshop.store.exclusive(STREAM), pytest.raises(StateError, match="another run"):
        workshop.sync([record("1", "Fizyka")])
    assert workshop.titles() == {}


def test_trouble_of_the_whole_run_is_not_held_against_a_record(workshop: Workshop) -> None:
    class LooksUp(TitleMapper):
        def map(self, key: ExternalKey, payload: Payload[str]) -> Projection:
            raise SourceUnavailable("the look-up did not answer")

    with pytest.raises(SourceUnavailable):
        workshop.sync([record("1", "Fizyka")], mapper=LooksUp())
    assert workshop.rejects() == {}


def test_trouble_of_the_whole_run_ends_it_though_it_is_met_at_one_record(workshop: Workshop) -> None:
    class LooksUp(ListSource):
        def validate(self, key: ExternalKey, payload: Payload[str]) -> None:
            raise SourceUnavailable("the look-up did not answer")

    with pytest.raises(SourceUnavailable):
        workshop.sync([], source=LooksUp([record("1", "Fizyka")]))
    assert (workshop.rejects(), workshop.titles()) == ({}, {})


def test_an_unchanged_record_of_a_long_stream_costs_no_look_up(workshop: Workshop) -> None:
    items = [record(str(i), f"Kurs {i}") for i in range(10)]
    workshop.sync(items)
    workshop.store.get_bindings = lambda _: pytest.fail("a binding was looked up")
    assert counts(workshop.sync(items, batch_size=3)) == {"skipped": 10}


def test_what_ended_a_run_is_kept_with_its_stream() -> None:
    workshop = in_memory()
    with pytest.raises(SourceUnavailable):
        workshop.sync([record("1", "Fizyka"), SourceUnavailable("page 2 did not come")])
    kept = workshop.store.reports[STREAM]
    assert (kept.created, kept.complete, kept.errors) == (1, False, ("page 2 did not come",))


def test_a_database_that_is_gone_is_not_asked_to_keep_the_report() -> None:
    workshop = in_memory()
    workshop.store.run_ended = lambda *_: pytest.fail("there is no database")

    def gone(_: object) -> None:
        raise DatabaseUnavailable("the connection is lost")

    workshop.target.upsert_many = gone
    with pytest.raises(DatabaseUnavailable) as caught:
        workshop.sync([record("1", "Fizyka")])
    assert caught.value.report.errors == ("the connection is lost",)


def test_a_defect_of_the_mapper_is_not_taken_for_a_bad_record(workshop: Workshop) -> None:
    class Broken(TitleMapper):
        def map(self, key: ExternalKey, payload: Payload[str]) -> Projection:
            raise KeyError("title")

    with pytest.raises(KeyError):
        workshop.sync([record("1", "Fizyka")], mapper=Broken())


def test_the_logger_hears_of_every_record() -> None:
    heard: list[str] = []

    class Listening(SilentLogger):
        def created(self, key: ExternalKey) -> None:
            heard.append(f"created {key.key}")

        def skipped(self, key: ExternalKey) -> None:
            heard.append(f"skipped {key.key}")

        def error(self, key: ExternalKey, stage: str, error: SyncError) -> None:
            heard.append(f"{stage} {key.key}")

    in_memory().sync([record("1", "A"), record("1", "A"), record("2", "forbidden")], logger=Listening())
    assert sorted(heard) == ["created 1", "mapping 2", "skipped 1"]


# --- first loads ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
@pytest.mark.parametrize("bad", [None, "forbidden", "clashing", "x" * 501])
def test_a_first_load_in_columns_comes_to_the_same_as_one_by_one(
    workshop: Workshop, batch_size: int, bad: str | None
) -> None:
    titles = [bad if bad and i % 6 == 5 else f"Kurs {i}" for i in range(20)]
    columns = [
        Records(SYSTEM, [str(i)], [fingerprint(titles[i])], [titles[i]]) if i % 2 else record(str(i), titles[i])
        for i in range(20)
    ]
    refused = titles.count(bad or "")
    for expected in ({"created": 20 - refused}, {"skipped": 20 - refused}):
        if refused:
            expected["failed"] = refused
        report = workshop.snapshot(columns, mapper=BulkTitleMapper(), batch_size=batch_size)
        assert counts(report) == expected
    assert len(workshop.titles()) == 20 - refused
    assert len(workshop.rejects()) == refused


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_a_stream_of_several_systems_is_loaded_system_by_system(workshop: Workshop, batch_size: int) -> None:
    items = [
        Records(f"{name}:course", [f"{name} {i}"], [fingerprint(f"Kurs {i}")], [f"Kurs {i}"])
        for i in range(6)
        for name in ("one", "two")
    ]
    coverage = Coverage.snapshot("one:course", "two:course")
    for expected in ({"created": 12}, {"skipped": 12}):
        report = workshop.sync(items, coverage, mapper=BulkTitleMapper(), batch_size=batch_size)
        assert counts(report) == expected
    rest = [item for item in items if item.keys != ["two 5"]]
    report = workshop.sync(rest, coverage, mapper=BulkTitleMapper(), batch_size=batch_size)
    assert counts(report) == {"skipped": 11, "deleted": 1}


def test_a_first_load_that_is_interrupted_leaves_the_store_to_nobody_else(workshop: Workshop) -> None:
    """The batch under way is written or not, but the run does not end before that is over."""
    items = [Records(SYSTEM, [str(i)], ["1"], [f"Kurs {i}"]) for i in range(10)]
    with pytest.raises(KeyboardInterrupt):
        workshop.sync([*items, KeyboardInterrupt()], mapper=BulkTitleMapper(), batch_size=2)
    assert workshop.titles().keys() == workshop.bound().keys()
    counted = counts(workshop.snapshot(items, mapper=BulkTitleMapper(), batch_size=2))
    assert sum(counted.values()) == 10
    assert len(workshop.titles()) == 10
