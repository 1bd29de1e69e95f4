"""What has landed of a school is enough for each later stream, with nobody asked."""

from __future__ import annotations

import pytest

from sync_pipelines.errors import StateError
from sync_pipelines.flows.bakalari.outcome import STREAMS
from sync_pipelines.sandbox.bakalari import School
from sync_pipelines_tests.flows.bakalari.known import truth
from sync_pipelines_tests.flows.bakalari.town import Town

PARTS = ["bakalari/schools", *STREAMS.values()]


def test_a_later_stream_runs_alone_from_what_landed_while_the_school_is_down(town: Town, school: School) -> None:
    pupil = school.pupils[0]
    town.query("UPDATE bakalari.users SET full_name = 'somebody' WHERE external_id = :c", c=pupil.code)
    town.query("UPDATE sync.external_refs SET version = NULL WHERE type = 'user'")
    school.down = "dropped"
    asked = school.requests.total()
    reports = town.run_well(streams={"bakalari/users"})
    assert list(reports) == ["bakalari/users"]
    assert school.requests.total() == asked
    assert town.query("SELECT full_name FROM bakalari.users WHERE external_id = :c", c=pupil.code) == [pupil.name]
    assert town.held("s") == truth(school)


def test_the_streams_one_by_one_make_what_one_run_makes(town: Town) -> None:
    school = School.invented("s", classes=2, students=8, teachers=3, seed=3)
    town.open_whole(school)
    town.run_well(streams={"bakalari/roster"})
    assert town.held("s") == set()
    school.down = "unavailable"
    for stream in PARTS:
        town.run_well(streams={stream})
    assert town.held("s") == truth(school)
    before = town.everything()
    school.down = None
    town.run_well()
    assert town.everything() == before


def test_who_has_vanished_is_marked_by_the_stream_that_runs_later(town: Town, school: School) -> None:
    before = town.held("s")
    school.remove_pupil(school.pupils[0].code)
    town.run_well(streams={"bakalari/roster"})
    town.run_well(streams={"bakalari/roster"})
    assert town.held("s") == before
    school.down = "unavailable"
    town.run_well(streams=PARTS)
    assert town.held("s") == truth(school)


def test_who_has_vanished_is_marked_though_an_older_run_ended_after_the_reading(
    town: Town, school: School
) -> None:
    school.remove_pupil(school.pupils[0].code)
    town.run_well(streams={"bakalari/roster"})
    town.query("UPDATE sync.streams SET last_complete_at = now()")
    town.run_well()
    assert town.held("s") == truth(school)


def test_a_stream_before_whose_need_nothing_has_run_sets_its_rows_aside_until_it_has(town: Town) -> None:
    """Fault 61: nothing is guessed."""
    school = School.invented("s", classes=1, students=4, teachers=2, seed=3)
    town.open_whole(school)
    town.run_well(streams={"bakalari/roster", "bakalari/schools"})
    done = town.run(streams={"bakalari/enrollments"})["s"]
    assert (done.error, done.report.failed) == (None, len(school.enrolled()))
    assert town.enrolled("s") == set()
    town.run_well(streams=PARTS)
    assert town.held("s") == truth(school)
    assert town.rejects() == {}


@pytest.mark.parametrize("stream", PARTS)
def test_where_nothing_has_landed_a_later_stream_says_what_to_run(town: Town, stream: str) -> None:
    school = School.invented("s", classes=1, students=2, teachers=1)
    town.open_whole(school)
    town.run_well(streams={"bakalari/roster"})
    town.query("TRUNCATE bakalari.rosters")
    done = town.run(streams={stream})["s"]
    assert isinstance(done.error, StateError)
    assert "run bakalari/roster first" in str(done.error)
    assert school.requests["/api/login"] == 1


def test_a_snapshot_that_is_lost_marks_nobody(town: Town, school: School) -> None:
    before = town.held("s")
    town.query("TRUNCATE bakalari.rosters")
    school.remove_pupil(school.pupils[0].code)
    town.run_well()
    assert (town.held("s"), town.marked()) == (before, 0)
