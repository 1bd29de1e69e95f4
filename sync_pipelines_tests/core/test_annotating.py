"""What a mapper notes beside a record's binding: kept when it is written, by memory and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from sync_pipelines.core import ExternalKey, MemoryStateStore, Payload
from sync_pipelines_tests.core.workshop import SYSTEM, TitleMapper, Workshop, counts, record

Notes = Callable[[], dict[str, Any]]


@dataclass
class NotingMapper(TitleMapper):
    """Notes the title, and where the record comes from."""

    origin: str = "here"

    def metadata(self, key: ExternalKey, payload: Payload[str]) -> Mapping[str, Any] | None:
        return {"key": key.key, "title": payload.data, "from": {"origin": self.origin, "more": [1, None, True]}}


def note(external_id: str, title: str, origin: str = "here") -> dict[str, Any]:
    return {"key": external_id, "title": title, "from": {"origin": origin, "more": [1, None, True]}}


@pytest.fixture
def notes(workshop: Workshop, request: pytest.FixtureRequest) -> Notes:
    """What stands beside each binding."""
    store = workshop.store
    if isinstance(store, MemoryStateStore):
        return lambda: {key.key: binding.metadata for key, binding in store.bindings.items()}
    query: Callable[..., list[Any]] = request.getfixturevalue("query")
    return lambda: dict(query("SELECT external_id, metadata FROM sync.external_refs"))


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_what_is_noted_of_a_record_is_kept_when_it_is_made_and_when_it_changes(
    workshop: Workshop, notes: Notes, batch_size: int
) -> None:
    options: dict[str, Any] = {"mapper": NotingMapper(), "batch_size": batch_size}
    workshop.sync([record("1", "A"), record(" 1", "B"), record("2", "C")], **options)
    assert notes() == {"1": note("1", "A"), " 1": note(" 1", "B"), "2": note("2", "C")}
    workshop.sync([record("1", "A2"), record("3", "D")], **options)
    assert notes() == {"1": note("1", "A2"), " 1": note(" 1", "B"), "2": note("2", "C"), "3": note("3", "D")}


def test_a_record_that_did_not_change_keeps_its_note_until_the_mapper_has_a_new_version(
    workshop: Workshop, notes: Notes
) -> None:
    workshop.sync([record("1", "A")], mapper=NotingMapper())
    assert counts(workshop.sync([record("1", "A")], mapper=NotingMapper(origin="there"))) == {"skipped": 1}
    assert notes() == {"1": note("1", "A")}
    workshop.sync([record("1", "A")], mapper=NotingMapper("2", origin="there"))
    assert notes() == {"1": note("1", "A", "there")}


def test_of_a_record_that_is_refused_nothing_is_noted(workshop: Workshop, notes: Notes) -> None:
    report = workshop.sync(
        [record("1", "A"), record("2", "forbidden"), record("3", "clashing")], mapper=NotingMapper()
    )
    assert counts(report) == {"created": 1, "failed": 2}
    assert notes() == {"1": note("1", "A")}


def test_a_plan_notes_nothing(workshop: Workshop, notes: Notes) -> None:
    workshop.sync([record("1", "A")], mapper=NotingMapper(), plan=True)
    assert notes() == {}


def test_a_vanished_record_keeps_its_note_and_one_that_returns_has_a_new_one(
    workshop: Workshop, notes: Notes
) -> None:
    mapper = NotingMapper()
    workshop.snapshot([record("1", "A"), record("2", "B")], mapper=mapper)
    workshop.snapshot([record("2", "B")], mapper=mapper, allow_mass_vanish=True)
    assert notes() == {"1": note("1", "A"), "2": note("2", "B")}
    workshop.snapshot([record("1", "A2"), record("2", "B")], mapper=mapper)
    assert notes() == {"1": note("1", "A2"), "2": note("2", "B")}


def test_a_mapper_that_notes_nothing_leaves_none(workshop: Workshop, notes: Notes) -> None:
    workshop.sync([record("1", "A")])
    assert notes() == {"1": None}
    assert workshop.store.get_binding(ExternalKey(SYSTEM, "1")) is not None
