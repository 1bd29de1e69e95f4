"""A school that seems to have lost many of its people at once: nothing is marked before somebody says so.

The numbers are those of contracts/faults.md.
"""

from __future__ import annotations

from copy import deepcopy

import pytest

from sync_pipelines.errors import GuardTripped
from sync_pipelines.sandbox.bakalari import School
from sync_pipelines_tests.flows.bakalari.known import truth
from sync_pipelines_tests.flows.bakalari.town import Town

ROWS = (
    "SELECT id::text FROM bakalari.users_current UNION ALL SELECT id::text FROM bakalari.enrollments_current "
    "ORDER BY 1"
)


@pytest.fixture
def big(town: Town) -> School:
    """A school of 100 pupils, of which all is known."""
    school = School.invented("s", classes=4, students=100, teachers=4, seed=8)
    school.atoms = [atom for atom in school.atoms if atom.group == "celá"][::4]
    town.open_whole(school)
    town.run_well()
    assert len(town.class_of("s")) == len({code for code, _ in school.enrolled()}) > 90
    return school


def lose(school: School, count: int) -> None:
    """Some of each class, so that no sheet is empty."""
    for pupil in school.pupils[:: len(school.pupils) // count][:count]:
        school.remove_pupil(pupil.code)


def test_many_people_gone_at_once_are_not_marked_until_that_is_approved(town: Town, big: School) -> None:
    """Fault 72: nor what hangs on them, however often it is read."""
    before = town.held("s")
    lose(big, 30)
    for _ in range(2):
        done = town.run()["s"]
        assert isinstance(done.error, GuardTripped)
        assert (done.guarded, done.report.stream, done.report.complete) == (True, "bakalari/users", False)
        assert "--allow-mass-vanish" in str(done.error)
        assert [report.stream for report in done.good] == [
            "bakalari/roster",
            "bakalari/schools",
            "bakalari/classes",
            "bakalari/subjects",
        ]
        assert (town.held("s"), town.marked()) == (before, 0)
    town.run_well(allow_mass_vanish=True)
    assert town.held("s") == truth(big)
    rest = town.everything()
    town.run_well()
    assert town.everything() == rest


def test_what_came_in_a_reading_that_tripped_the_guard_is_there_once_it_is_approved(
    town: Town, big: School
) -> None:
    """Fault 72: from what has landed, with nobody asked."""
    lose(big, 30)
    big.pupils[0].last_name = "Přejmenovaná"
    town.run()
    big.down = "dropped"
    later = {"bakalari/users", "bakalari/enrollments"}
    town.run_well(streams=later, allow_mass_vanish=True)
    assert town.held("s") == truth(big)


def test_twenty_people_may_go_at_once_whatever_share_that_is(town: Town) -> None:
    """Fault 72."""
    school = School.invented("s", classes=1, students=21, teachers=2, seed=8)
    school.atoms = [atom for atom in school.atoms if atom.group == "celá"][:1]
    town.open_whole(school)
    town.run_well()
    lose(school, 20)
    town.run_well()
    assert town.held("s") == truth(school)
    assert len(town.class_of("s")) == 1


@pytest.mark.parametrize("approved", [False, True])
def test_people_who_come_back_are_the_same_rows(town: Town, big: School, approved: bool) -> None:
    """Faults 72 and 73: whether they had been marked or not."""
    rows, people, atoms = town.query(ROWS), list(big.pupils), deepcopy(big.atoms)
    lose(big, 30)
    assert isinstance(town.run()["s"].error, GuardTripped)
    if approved:
        town.run_well(allow_mass_vanish=True)
        assert len(town.query(ROWS)) < len(rows)
        town.run_well()
    big.pupils, big.atoms = people, atoms
    reports = town.run_well()
    assert reports["bakalari/users"].restored == (30 if approved else 0)
    assert (town.query(ROWS), town.marked()) == (rows, 0)
    assert town.held("s") == truth(big)


def test_a_guard_of_one_school_holds_up_no_other(town: Town) -> None:
    """Faults 65 and 72."""
    one, other = (School.invented(key, classes=2, students=60, teachers=2, seed=8) for key in "st")
    for school in (one, other):
        school.atoms = [atom for atom in school.atoms if atom.group == "celá"][::5]
    town.open_whole(one, other)
    town.run()
    lose(one, 30)
    lose(other, 5)
    done = town.run()
    assert isinstance(done["s"].error, GuardTripped)
    assert done["t"].error is None
    assert town.held("t") == truth(other)


def test_sheets_that_are_all_empty_at_once_are_in_doubt_and_mark_nobody(town: Town, big: School) -> None:
    """Faults 12 and 72: even where it was approved."""
    before = town.held("s")
    for atom in big.atoms:
        atom.pupils = []
    town.run_well(allow_mass_vanish=True)
    assert (town.held("s"), town.marked()) == (before, 0)


def test_a_sheet_that_shows_nobody_any_more_is_doubted_until_a_person_approves_it(town: Town, big: School) -> None:
    """Faults 12 and 72: the rest of the school is synced all the same, and the run says what to do."""
    one = big.atoms[0]
    others = {a.subject_id for a in big.atoms[1:]}
    big.atoms = [a for a in big.atoms if a is one or a.subject_id != one.subject_id]
    town.run_well(allow_mass_vanish=True)
    before, learners = town.held("s"), list(one.pupils)
    one.pupils = []
    roster = town.run_well()["bakalari/roster"]
    assert not roster.complete
    assert "approve it for one run with --allow-mass-vanish" in roster.errors[-1]
    assert (town.held("s"), town.marked()) == (before, 0)
    assert town.run_well(allow_mass_vanish=True)["bakalari/roster"].complete
    assert others
    gone = {("enrollment", code, one.subject_id) for code in learners} & before
    assert gone
    assert town.held("s") == before - gone
    assert town.run_well()["bakalari/roster"].complete
