"""`plan`: reads everything, writes nothing, and says what a run would do."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.core import Mark, SyncReport
from sync_pipelines.errors import GuardTripped
from sync_pipelines.postgres.engine import Session
from sync_pipelines_tests.core.workshop import (
    BulkTitleMapper,
    Workshop,
    counts,
    in_memory,
    in_postgres,
    key,
    record,
)

BEFORE = [record("1", "Fizyka"), record("2", "Chemia"), record("3", "Biologia"), record("4", "Łacina")]
AFTER = [record("1", "Fizyka"), record("2", "Chemia 2"), record("5", "Historia"), record("6", "forbidden")]


def everything(workshop: Workshop) -> object:
    store = workshop.store
    return workshop.titles(), workshop.vanished(), workshop.bound(), workshop.rejects(), store.get_checkpoint("x")


def test_a_plan_counts_what_the_run_after_it_does(workshop: Workshop) -> None:
    workshop.snapshot(BEFORE)
    before = everything(workshop)
    plan = workshop.snapshot(AFTER, plan=True)
    assert everything(workshop) == before
    assert counts(plan) == {"created": 1, "updated": 1, "skipped": 1, "failed": 1, "deleted": 2}
    assert counts(workshop.snapshot(AFTER)) == counts(plan)


def test_a_plan_shows_field_by_field_what_would_change(workshop: Workshop) -> None:
    workshop.snapshot(BEFORE)
    differences = workshop.snapshot(AFTER, plan=True).differences
    assert {(d.key.key, d.change, *d.fields.get("title", ())) for d in differences} == {
        ("2", "updated", "Chemia", "Chemia 2"),
        ("5", "created", None, "Historia"),
        ("3", "vanished"),
        ("4", "vanished"),
    }
    workshop.snapshot(BEFORE[:3])
    (back,) = workshop.snapshot(BEFORE, plan=True).differences
    assert (back.key, back.change, dict(back.fields)) == (key("4"), "restored", {})


def test_a_plan_is_stopped_by_the_guard_as_the_run_would_be(workshop: Workshop) -> None:
    workshop.snapshot(BEFORE)
    with pytest.raises(GuardTripped):
        workshop.snapshot([], plan=True)
    assert workshop.snapshot([], plan=True, allow_mass_vanish=True).deleted == 4


def test_a_plan_shows_a_sample_and_counts_all(workshop: Workshop) -> None:
    plan = workshop.snapshot([record(str(i), "Fizyka") for i in range(100)], plan=True)
    assert plan.created == 100
    assert len(plan.differences) == 20


def test_a_plan_of_a_first_load_writes_nothing(workshop: Workshop) -> None:
    before, items = everything(workshop), [*BEFORE, record("5", "forbidden")]
    plan = workshop.snapshot(items, plan=True, mapper=BulkTitleMapper(), batch_size=2)
    assert everything(workshop) == before
    assert counts(plan) == {"created": 4, "failed": 1}
    assert counts(workshop.snapshot(items, mapper=BulkTitleMapper(), batch_size=2)) == counts(plan)


def test_a_plan_settles_no_reject_and_keeps_none(workshop: Workshop) -> None:
    workshop.snapshot([*BEFORE, record("5", "forbidden"), record("6", "forbidden")])
    for batch_size in (1, 100):
        workshop.snapshot(
            [*BEFORE, record("5", "Historia"), record("7", "malformed")], plan=True, batch_size=batch_size
        )
        assert workshop.rejects().keys() == {"5", "6"}


def test_a_plan_saves_no_checkpoint_and_needs_no_lock(workshop: Workshop) -> None:
    with workshop.store.exclusive("wtl/courses"):
        workshop.sync([record("1", "Fizyka"), Mark("1")], plan=True)
    assert workshop.store.get_checkpoint("wtl/courses") is None


titles = st.sampled_from(["Fizyka", "Chemia", "forbidden", "malformed", "x" * 501])
states = st.dictionaries(st.sampled_from("123456"), titles, min_size=1)


def agrees(workshop: Workshop, before: dict[str, str], after: dict[str, str], batch_size: int) -> None:
    workshop.snapshot([record(i, t) for i, t in before.items()], allow_mass_vanish=True)
    items = [record(i, t) for i, t in after.items()]
    held = everything(workshop)
    plan = workshop.snapshot(items, plan=True, batch_size=batch_size)
    assert everything(workshop) == held
    done = workshop.snapshot(items, batch_size=batch_size)
    assert counts(done) == counts(plan)
    assert sample(done) == sample(plan)


def sample(report: SyncReport) -> list[tuple[str, str, list[str]]]:
    """Which rows changed, and which of their fields; of a new row all did."""
    return sorted((d.key.key, d.change, sorted(d.fields) * (d.change != "created")) for d in report.differences)


@given(states, states, st.integers(1, 8))
def test_any_plan_agrees_with_its_run_in_memory(before: dict[str, str], after: dict[str, str], batch: int) -> None:
    agrees(in_memory(), before, after, batch)


@given(before=states, after=states, batch=st.integers(1, 8))
@settings(max_examples=40)
def test_any_plan_agrees_with_its_run_in_postgresql(
    session: Session,
    quick_query: Callable[..., list[Any]],
    before: dict[str, str],
    after: dict[str, str],
    batch: int,
) -> None:
    quick_query("TRUNCATE wtl.courses, sync.external_refs, sync.rejects, sync.streams CASCADE")
    agrees(in_postgres(session, quick_query), before, after, batch)


def test_a_plan_in_postgresql_writes_nothing_at_all(session: Session, query: Callable[..., list[Any]]) -> None:
    workshop = in_postgres(session, query)
    workshop.snapshot(BEFORE)
    with session.transaction() as connection:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        plan = workshop.snapshot(AFTER, plan=True)
    assert counts(plan) == {"created": 1, "updated": 1, "skipped": 1, "failed": 1, "deleted": 2}
