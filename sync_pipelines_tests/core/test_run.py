"""Reading to the end: where a run starts, and what it may say of what it read."""

from typing import Any

import pytest

from sync_pipelines.core import ExternalKey, Mark, Payload
from sync_pipelines.errors import SourceUnavailable
from sync_pipelines_tests.core.workshop import ListSource, Workshop, counts, in_memory, record


def test_a_failed_read_raises_and_what_was_read_before_is_kept(workshop: Workshop) -> None:
    with pytest.raises(SourceUnavailable, match="page 2") as caught:
        workshop.sync([record("1", "Fizyka"), SourceUnavailable("page 2 did not come")])
    report = caught.value.report
    assert (report.created, report.complete, report.errors) == (1, False, ("page 2 did not come",))
    assert workshop.titles() == {"1": "Fizyka"}


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


def test_trouble_of_the_whole_run_ends_it_though_it_is_met_at_one_record(workshop: Workshop) -> None:
    class LooksUp(ListSource):
        def validate(self, key: ExternalKey, payload: Payload[str]) -> None:
            raise SourceUnavailable("the look-up did not answer")

    with pytest.raises(SourceUnavailable):
        workshop.sync([], source=LooksUp([record("1", "Fizyka")]))
    assert (workshop.rejects(), workshop.titles()) == ({}, {})
