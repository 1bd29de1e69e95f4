"""The engine's laws, each held by the in-memory store and by PostgreSQL alike."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest

from sync_pipelines.core import (
    Coverage,
    ExternalKey,
    Mark,
    Payload,
    Projection,
    StateError,
)
from sync_pipelines.errors import DatabaseUnavailable, GuardTripped, SourceUnavailable, StreamBusy
from sync_pipelines_tests.core.workshop import (
    STREAM,
    ListSource,
    TitleMapper,
    Workshop,
    counts,
    in_memory,
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


def test_a_new_mapper_version_looks_at_everything_again(workshop: Workshop) -> None:
    class Louder(TitleMapper):
        def map(self, key: ExternalKey, payload: Payload[str]) -> Projection:
            return Projection("wtl.courses", {"wtl_course_id": key.key, "title": payload.data + "!"})

    workshop.sync([record("1", "Fizyka")])
    assert counts(workshop.sync([record("1", "Fizyka")], mapper=Louder("2"))) == {"updated": 1}
    assert workshop.titles() == {"1": "Fizyka!"}


def test_what_ended_a_run_is_the_last_thing_its_report_says_however_much_went_wrong(workshop: Workshop) -> None:
    bad = [record(str(i), "forbidden") for i in range(40)]
    with pytest.raises(SourceUnavailable) as caught:
        workshop.sync([*bad, SourceUnavailable("page 2 did not come")])
    assert caught.value.report.errors[-2:] == ("… and 20 more", "page 2 did not come")
    report = workshop.sync(bad, coverage=Coverage(complete=False, reason="rows moved"))
    assert report.errors[-1] == "incomplete: rows moved"


def test_a_second_run_of_a_stream_is_kept_out() -> None:
    workshop = in_memory()
    with workshop.store.exclusive(STREAM), pytest.raises(StateError, match="another run"):
        workshop.sync([record("1", "Fizyka")])
    assert workshop.titles() == {}


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


# --- partitions --------------------------------------------------------------------------------------------------


def test_two_partitions_of_a_stream_are_remembered_apart(workshop: Workshop) -> None:
    workshop.sync([record("1", "Fizyka"), Mark("page 1")], partition="2025")
    source = ListSource([record("2", "Chemia"), Mark("page 2")], coverage=Coverage(complete=False))
    workshop.sync([], source=source, partition="2026")
    workshop.sync([], source=source, partition="2026")
    assert source.asked == [None, "page 2"]
    names = (STREAM, f"{STREAM}/2025", f"{STREAM}/2026")
    assert [workshop.store.get_checkpoint(name) for name in names] == [None, "1:page 1", "1:page 2"]
    assert workshop.completed() == {f"{STREAM}/2025"}


def test_a_run_keeps_out_those_of_its_own_partition_alone() -> None:
    workshop = in_memory()
    with workshop.store.exclusive(f"{STREAM}/2026"):
        assert counts(workshop.sync([record("1", "Fizyka")], partition="2025")) == {"created": 1}
        with pytest.raises(StreamBusy, match=f"{STREAM}/2026 is being synced"):
            workshop.sync([record("2", "Chemia")], partition="2026")
    assert workshop.titles() == {"1": "Fizyka"}


def test_a_run_keeps_out_those_of_the_streams_it_shares_records_with_and_a_plan_keeps_out_nobody() -> None:
    workshop = in_memory()
    shared = {"partition": "2026", "shares_with": ["wtl/catalog"]}
    with workshop.store.exclusive("wtl/catalog"):
        with pytest.raises(StreamBusy, match="wtl/catalog is being synced"):
            workshop.sync([record("1", "Fizyka")], **shared)
        assert counts(workshop.sync([record("1", "Fizyka")], plan=True, **shared)) == {"created": 1}
    assert workshop.titles() == {}
    assert counts(workshop.sync([record("1", "Fizyka")], **shared)) == {"created": 1}
    with workshop.store.exclusive("wtl/catalog"), workshop.store.exclusive(f"{STREAM}/2026"):
        pass


def test_a_report_has_stream_and_partition_apart_and_a_guard_names_both(workshop: Workshop) -> None:
    report = workshop.snapshot([record("1", "Fizyka")], partition="2026")
    assert (report.stream, report.partition) == (STREAM, "2026")
    with pytest.raises(GuardTripped, match=f"{STREAM}/2026: 1 of 1 rows") as caught:
        workshop.snapshot([], partition="2026")
    assert (caught.value.report.stream, caught.value.report.partition) == (STREAM, "2026")


# --- what a source learns on the way ---------------------------------------------------------------------------


def test_a_report_says_what_the_source_learnt_of_its_upstream(workshop: Workshop) -> None:
    @dataclass
    class Learning(ListSource):
        left: int = 3

        def fetch(self, since: str | None) -> Generator[Any, None, Coverage | None]:
            self.left -= 1
            return (yield from super().fetch(since))

        @property
        def facts(self) -> dict[str, str | int | bool]:
            return {"requests left": self.left}

    assert workshop.sync([record("1", "Fizyka")]).facts == {}
    assert workshop.sync([], source=Learning([record("1", "Fizyka")])).facts == {"requests left": 2}
    with pytest.raises(SourceUnavailable) as caught:
        workshop.sync([], source=Learning([SourceUnavailable("page 1 did not come")]))
    assert caught.value.report.facts == {"requests left": 2}
