"""Absence is not deletion: what vanishes, what only seems to, and what comes back."""

from typing import Any

import pytest

from sync_pipelines.core import (
    Binding,
    Coverage,
    ExternalKey,
    Projection,
    Records,
    TargetError,
    Unreadable,
    fingerprint,
)
from sync_pipelines.errors import GuardTripped, SourceUnavailable
from sync_pipelines_tests.core.workshop import SYSTEM, Workshop, counts, in_memory, key, record

TWO = [record("1", "Fizyka"), record("2", "Chemia")]


def many(count: int, start: int = 0) -> list[Any]:
    return [record(str(i), f"Kurs {i}") for i in range(start, count)]


def test_what_a_complete_snapshot_lacks_is_marked_and_stays(workshop: Workshop) -> None:
    workshop.snapshot(TWO)
    before = workshop.store.get_binding(key("2"))
    assert counts(workshop.snapshot(TWO[:1])) == {"skipped": 1, "deleted": 1}
    assert workshop.titles() == {"1": "Fizyka", "2": "Chemia"}
    assert workshop.vanished() == {"2"}
    after = workshop.store.get_binding(key("2"))
    assert (after.internal_id, after.version) == (before.internal_id, before.version)
    assert after.remote_deleted_at is not None
    assert counts(workshop.snapshot(TWO[:1])) == {"skipped": 1}


@pytest.mark.parametrize("title", ["Chemia", "Chemia 2"])
@pytest.mark.parametrize("batch_size", [1, 100])
def test_what_returns_is_restored_to_its_own_row(workshop: Workshop, title: str, batch_size: int) -> None:
    workshop.snapshot(TWO)
    before = workshop.store.get_binding(key("2")).internal_id
    workshop.snapshot(TWO[:1])
    returned = [TWO[0], record("2", title)]
    report = workshop.snapshot(returned, batch_size=batch_size)
    assert counts(report) == {"skipped": 1, "updated": 1, "restored": 1}
    assert workshop.vanished() == set()
    assert workshop.titles() == {"1": "Fizyka", "2": title}
    assert workshop.store.get_binding(key("2")).internal_id == before
    assert counts(workshop.snapshot(returned, batch_size=batch_size)) == {"skipped": 2}


@pytest.mark.parametrize("coverage", [Coverage.changes(), Coverage.partial("a page is missing"), None])
def test_only_a_complete_snapshot_proves_absence(workshop: Workshop, coverage: Coverage | None) -> None:
    workshop.snapshot(TWO)
    report = workshop.sync(TWO[:1], coverage or Coverage(complete=False))
    assert counts(report) == {"skipped": 1}
    assert workshop.vanished() == set()


def test_a_read_that_failed_marks_nothing(workshop: Workshop) -> None:
    workshop.snapshot(TWO)
    with pytest.raises(SourceUnavailable):
        workshop.snapshot([TWO[0], SourceUnavailable("page 2 did not come")])
    assert workshop.vanished() == set()


@pytest.mark.parametrize("bad", ["malformed", "forbidden", "clashing", "x" * 501])
def test_a_record_that_is_refused_is_there_all_the_same(workshop: Workshop, bad: str) -> None:
    workshop.snapshot(TWO)
    assert counts(workshop.snapshot([TWO[0], record("2", bad)])) == {"skipped": 1, "failed": 1}
    assert workshop.vanished() == set()


def test_an_unreadable_row_that_names_its_id_is_there_all_the_same(workshop: Workshop) -> None:
    workshop.snapshot(TWO)
    workshop.snapshot([TWO[0], Unreadable(key("2"), {"id": 2}, "no title")])
    assert workshop.vanished() == set()


def test_a_row_without_an_id_could_be_any_so_nothing_is_marked_while_it_is_there(workshop: Workshop) -> None:
    workshop.snapshot(TWO)
    row = {"id": None, "title": "Chemia"}
    nobody = Unreadable(ExternalKey.unidentified(SYSTEM, row), row, "the id is missing")
    report = workshop.snapshot([TWO[0], nobody])
    assert counts(report) == {"skipped": 1, "failed": 1}
    assert report.complete
    assert "1 rows are missing upstream and were not marked" in report.errors[-1]
    assert workshop.vanished() == set()
    assert counts(workshop.snapshot(TWO[:1])) == {"skipped": 1, "deleted": 1}
    assert workshop.rejects() == {}


def test_what_is_bound_elsewhere_is_not_missed(workshop: Workshop) -> None:
    other = ExternalKey("wtl:lesson", "2")
    workshop.store.bind_many([Binding(other, "6f1b2c3d-0000-4000-8000-000000000001", "1:x")])
    workshop.snapshot(TWO)
    assert counts(workshop.snapshot(TWO)) == {"skipped": 2}
    assert workshop.store.get_binding(other).remote_deleted_at is None


def test_a_part_of_the_keys_can_be_covered_alone(workshop: Workshop) -> None:
    workshop.snapshot(TWO)
    in_part = Coverage.snapshot(SYSTEM, within=lambda k: k.key == "1")
    assert counts(workshop.sync([], in_part, may_be_empty=True)) == {"deleted": 1}
    assert workshop.vanished() == {"1"}


def test_a_reject_of_a_record_that_is_gone_upstream_is_settled(workshop: Workshop) -> None:
    workshop.snapshot([*TWO, record("3", "forbidden")])
    workshop.sync(TWO, Coverage.partial("a page is missing"))
    assert list(workshop.rejects()) == ["3"]
    workshop.snapshot(TWO)
    assert workshop.rejects() == {}


def test_a_row_deleted_by_hand_and_gone_upstream_is_no_trouble(workshop: Workshop) -> None:
    workshop.snapshot(TWO)
    workshop.forget_row("2")
    assert counts(workshop.snapshot(TWO[:1])) == {"skipped": 1, "deleted": 1}
    assert counts(workshop.snapshot(TWO)) == {"skipped": 1, "created": 1}


def test_a_row_is_marked_with_its_binding_or_not_at_all(workshop: Workshop) -> None:
    """The process dies between the two."""
    workshop.snapshot(TWO)

    def die(_: object) -> None:
        raise KeyboardInterrupt

    workshop.store.mark_vanished = die
    with pytest.raises(KeyboardInterrupt):
        workshop.snapshot(TWO[:1])
    del workshop.store.mark_vanished
    assert workshop.vanished() == set()
    assert workshop.bound() == {"1": False, "2": False}


@pytest.mark.parametrize("external_id", [" 6", "6 ", "A", "z\u0307"])
@pytest.mark.parametrize("batch_size", [1, 100])
def test_a_key_that_was_read_is_known_exactly_when_another_is_missing(
    workshop: Workshop, external_id: str, batch_size: int
) -> None:
    workshop.snapshot([record(external_id, "Fizyka"), record("2", "Chemia")])
    workshop.snapshot([record(external_id, "Fizyka")], batch_size=batch_size)
    assert workshop.vanished() == {"2"}


@pytest.mark.parametrize("titles", [["malformed", "Fizyka"], ["Fizyka", "malformed"], ["malformed", "malformed"]])
@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_a_key_that_comes_twice_does_not_make_up_for_one_that_is_missing(
    workshop: Workshop, titles: list[str], batch_size: int
) -> None:
    workshop.snapshot(TWO)
    workshop.snapshot([record("1", title) for title in titles], batch_size=batch_size)
    assert workshop.vanished() == {"2"}


@pytest.mark.parametrize("bad", ["malformed", "forbidden", "clashing"])
@pytest.mark.parametrize("batch_size", [1, 100])
def test_a_vanished_record_that_comes_back_refused_does_not_make_up_for_one_that_is_missing(
    workshop: Workshop, bad: str, batch_size: int
) -> None:
    workshop.snapshot([*TWO, record("3", "Biologia")])
    workshop.snapshot(TWO)
    workshop.snapshot([TWO[0], record("3", bad)], batch_size=batch_size)
    assert workshop.vanished() == {"2", "3"}


def test_a_reject_outside_of_the_part_that_was_read_stays_open(workshop: Workshop) -> None:
    workshop.snapshot([record("1", "forbidden"), record("2", "forbidden")])
    in_part = Coverage.snapshot(SYSTEM, within=lambda k: k.key == "1")
    workshop.sync([], in_part)
    assert list(workshop.rejects()) == ["2"]


# --- the guard ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [7, 10_000])
@pytest.mark.parametrize(
    ("total", "missing", "trips"),
    [(300, 30, False), (300, 31, True), (100, 20, False), (100, 21, True), (21, 20, False), (1000, 100, False)],
)
def test_more_than_a_tenth_and_more_than_twenty_at_once_is_not_believed(
    workshop: Workshop, total: int, missing: int, trips: bool, batch_size: int
) -> None:
    workshop.snapshot(many(total), batch_size=batch_size)
    rest = many(total, start=missing)
    if not trips:
        assert counts(workshop.snapshot(rest, batch_size=batch_size)) == {
            "skipped": total - missing,
            "deleted": missing,
        }
        return
    with pytest.raises(GuardTripped, match=f"{missing} of {total} rows") as caught:
        workshop.snapshot(rest, batch_size=batch_size)
    report = caught.value.report
    assert (report.deleted, report.complete, report.skipped) == (0, False, total - missing)
    assert not caught.value.transient
    assert workshop.vanished() == set()


@pytest.mark.parametrize("plan", [True, False])
def test_new_rows_do_not_make_a_loss_look_small(workshop: Workshop, plan: bool) -> None:
    workshop.snapshot(many(240))
    rest = [*many(240, start=25), *(record(f"new {i}", "Kurs") for i in range(200))]
    with pytest.raises(GuardTripped, match="25 of 240 rows"):
        workshop.snapshot(rest, plan=plan)


@pytest.mark.parametrize("plan", [True, False])
def test_restored_rows_do_not_make_a_loss_look_small(workshop: Workshop, plan: bool) -> None:
    gone = [record(f"old {i}", "Kurs") for i in range(200)]
    workshop.snapshot([*many(240), *gone])
    workshop.snapshot(many(240), allow_mass_vanish=True)
    with pytest.raises(GuardTripped, match="25 of 240 rows"):
        workshop.snapshot([*many(240, start=25), *gone], plan=plan)


def test_an_upstream_that_gave_only_what_cannot_be_read_is_not_an_empty_one(workshop: Workshop) -> None:
    workshop.snapshot(TWO)
    assert counts(workshop.snapshot([record("1", "malformed")])) == {"failed": 1, "deleted": 1}


def test_one_run_can_be_approved_and_only_that_one(workshop: Workshop) -> None:
    workshop.snapshot(many(100))
    report = workshop.snapshot(many(100, start=40), allow_mass_vanish=True)
    assert counts(report) == {"skipped": 60, "deleted": 40}
    with pytest.raises(GuardTripped):
        workshop.snapshot(many(100, start=90))
    assert counts(workshop.snapshot(many(100, start=40))) == {"skipped": 60}


def test_what_a_guarded_run_did_read_is_written(workshop: Workshop) -> None:
    workshop.snapshot(many(100))
    with pytest.raises(GuardTripped) as caught:
        workshop.snapshot([record("new", "Biologia"), record("99", "Kurs 99 bis")])
    assert counts(caught.value.report) == {"created": 1, "updated": 1}
    assert workshop.titles()["99"] == "Kurs 99 bis"


def test_an_empty_list_where_something_was_is_not_believed(workshop: Workshop) -> None:
    workshop.snapshot(TWO)
    with pytest.raises(GuardTripped, match=r"2 of 2 rows.*no record at all"):
        workshop.snapshot([])
    assert workshop.vanished() == set()
    assert counts(workshop.snapshot([], may_be_empty=True)) == {"deleted": 2}
    assert counts(workshop.snapshot([])) == {}


def test_the_limit_is_the_streams_own(workshop: Workshop) -> None:
    workshop.snapshot(many(100))
    assert workshop.snapshot(many(100, start=50), max_vanish_ratio=0.5).deleted == 50


# --- a target that acts on it ------------------------------------------------------------------------------


class Archive:
    """A simple target that can delete, or be unable to."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.broken = False

    def validate(self, key: ExternalKey, projection: Projection) -> None: ...

    def upsert(self, key: ExternalKey, projection: Projection) -> str:
        self.rows[key.key] = projection.fields["title"]
        return key.key

    def delete(self, key: ExternalKey, binding: Binding) -> None:
        if self.broken:
            raise TargetError("the archive is closed")
        self.rows.pop(binding.internal_id, None)


def test_a_simple_target_may_delete_and_the_binding_stays() -> None:
    workshop, target = in_memory(), Archive()
    workshop.snapshot(TWO, target=target)
    assert counts(workshop.snapshot(TWO[:1], target=target)) == {"skipped": 1, "deleted": 1}
    assert target.rows == {"1": "Fizyka"}
    assert workshop.bound() == {"1": False, "2": True}


def test_a_simple_target_without_delete_keeps_its_rows() -> None:
    class Keeping:
        def __init__(self) -> None:
            self.rows: dict[str, str] = {}

        def validate(self, key: ExternalKey, projection: Projection) -> None: ...

        def upsert(self, key: ExternalKey, projection: Projection) -> str:
            self.rows[key.key] = projection.fields["title"]
            return key.key

    workshop, target = in_memory(), Keeping()
    workshop.snapshot(TWO, target=target)
    assert counts(workshop.snapshot(TWO[:1], target=target)) == {"skipped": 1, "deleted": 1}
    assert target.rows == {"1": "Fizyka", "2": "Chemia"}


def test_a_vanished_row_that_cannot_be_marked_stays_bound_and_is_tried_again() -> None:
    workshop, target = in_memory(), Archive()
    workshop.snapshot(TWO, target=target)
    target.broken = True
    report = workshop.snapshot(TWO[:1], target=target)
    assert (report.deleted, report.complete) == (0, False)
    assert "the archive is closed" in report.errors[-1]
    assert workshop.bound() == {"1": False, "2": False}
    target.broken = False
    assert counts(workshop.snapshot(TWO[:1], target=target)) == {"skipped": 1, "deleted": 1}


def test_new_rows_of_one_system_do_not_make_a_loss_in_another_look_small() -> None:
    def columns(system: str, *ids: str) -> Records[str]:
        return Records(system, ids, [fingerprint(i) for i in ids], [f"Kurs {i}" for i in ids])

    workshop, ids, other = in_memory(), [str(i) for i in range(240)], "wtl:old course"
    both = Coverage.snapshot(other, SYSTEM)
    workshop.sync([columns(SYSTEM, *ids)], both)
    with pytest.raises(GuardTripped, match="25 of 240"):
        workshop.sync([columns(other, *(f"n{i}" for i in range(1000))), columns(SYSTEM, *ids[25:])], both)
