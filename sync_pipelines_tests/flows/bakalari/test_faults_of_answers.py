"""Answers that are none, servers that fail, and what a reading then proves. The numbers are those of
contracts/faults.md."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sync_pipelines.clients.http import Sender
from sync_pipelines.errors import SourceUnavailable
from sync_pipelines.sandbox.bakalari import FAULTS, School
from sync_pipelines_tests.flows.bakalari.known import seen_by, truth
from sync_pipelines_tests.flows.bakalari.town import Town

# An answer that comes late, or never, costs real time; one of 40 MB too.
SLOW = {"hang", "slow", "huge"}
PATHS = "/api/3/user", "/api/3/marking/atoms", "/api/3/marking/marks/*", "/api/3/timetable/*", "/Timetable/*"


def leave(school: School, count: int = 1) -> None:
    for pupil in school.pupils[:count]:
        school.remove_pupil(pupil.code)


def without_a_row(value: dict[str, Any]) -> None:
    """In each list the last row is null."""
    for name, rows in value.items():
        if isinstance(rows, list) and len(rows) > 1:
            value[name] = [*rows[:-1], None]


# --- one fault, everywhere ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - SLOW))
def test_whatever_a_school_answers_loses_nothing_and_the_next_reading_is_exact(
    town: Town, school: School, fault: str
) -> None:
    """Faults 28, 29, 30, 37, 38, 39, 40, 41, 42 and 46: with everything but the knock at the door."""
    before = town.held("s")
    leave(school)
    for path in PATHS:
        school.switch_on(fault, path=path)
        done = town.run()["s"]
        assert done.error is None or done.report.stream == "bakalari/roster"
        assert before & truth(school) <= town.held("s") <= before
        school.faults.clear()
    town.run_well()
    assert town.held("s") == truth(school)


@pytest.mark.parametrize("fault", ["server-error", "bad-gateway", "unavailable", "reset", "truncated", "cut-json"])
def test_what_fails_now_and_then_is_asked_again(town: Town, school: School, fault: str) -> None:
    """Faults 37, 38 and 39."""
    leave(school)
    school.switch_on(fault, path="/api/3/marking/*", times=3)
    reports = town.run_well()
    assert (reports["bakalari/roster"].complete, reports["bakalari/roster"].retries) == (True, 3)
    assert town.held("s") == truth(school)


@pytest.mark.parametrize("fault", ["hang", "slow"])
def test_an_answer_that_does_not_come_in_time_is_asked_for_again_and_then_given_up(
    town: Town, school: School, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Fault 38."""
    before, defaults = town.held("s"), cast("dict[str, Any]", Sender.__init__.__kwdefaults__)
    monkeypatch.setitem(defaults, "timeout", 0.3)
    leave(school)
    school.switch_on(fault, path="/api/3/marking/atoms", seconds=60)
    assert town.run()["s"].error is None
    assert "in time" in town.coverage("s")["account #1"][1]
    assert town.held("s") == before
    monkeypatch.setitem(defaults, "timeout", 2)
    school.faults.clear()
    school.switch_on(fault, path="/api/3/marking/atoms", times=1, seconds=60)
    town.run_well()
    assert town.held("s") == truth(school)


def test_a_body_without_end_is_not_read_to_it(town: Town, school: School) -> None:
    """Fault 46."""
    before = town.held("s")
    school.switch_on("huge", path="/api/3/user")
    assert town.run()["s"].error is None
    assert town.coverage("s")["account #1"][0] == "error"
    assert town.held("s") == before


def test_one_sheet_that_cannot_be_had_keeps_its_subject_alone_in_doubt(town: Town, school: School) -> None:
    """Faults 37 and 65: what the others say counts."""
    before = town.held("s")
    lost, kept = school.atoms[0], next(a for a in school.atoms if a.subject_id != school.atoms[0].subject_id)
    gone = {("enrollment", atom.pupils.pop(0), atom.subject_id) for atom in (lost, kept)} - truth(school)
    town.alter(school, f"/api/3/marking/marks/{lost.id}".replace("[", "[[]"), dict.clear)
    assert town.run()["s"].error is None
    assert before - town.held("s") == {fact for fact in gone if fact[2] == kept.subject_id}
    school.faults.clear()
    town.run_well()
    assert town.held("s") == truth(school)


@pytest.mark.parametrize("path", ["/api/3/marking/atoms", "/api/3/marking/marks/*", "/api/3/timetable/*"])
def test_rows_that_are_none_are_counted_and_prove_nothing(town: Town, school: School, path: str) -> None:
    """Fault 43."""
    before = town.held("s")
    leave(school)
    town.alter(school, path, without_a_row)
    done = town.run()["s"]
    assert done.error is None
    assert done.reports[0].facts["rows that could not be read"]
    assert before & truth(school) <= town.held("s") <= before
    school.faults.clear()
    town.run_well()
    assert town.held("s") == truth(school)
    assert town.rejects() == {}


def test_who_left_while_a_row_had_no_id_is_marked_once_all_rows_can_be_read(town: Town, school: School) -> None:
    """Fault 43: until then that row may be theirs."""
    before, lone = town.held("s"), school.teachers[-1]
    for atom in school.atoms:
        atom.teacher_id = school.teachers[0].id if atom.teacher_id == lone.id else atom.teacher_id
    school.teachers.remove(lone)
    town.alter(school, "/api/3/timetable/*", lambda value: value["Teachers"].append(None))
    for _ in range(2):
        town.run()
        assert town.held("s") == before
    school.faults.clear()
    town.run_well()
    assert town.held("s") == truth(school) == before - {("user", "teacher", lone.id)}


@pytest.mark.parametrize("fault", ["rate-limit", "rate-limit-retry-after"])
def test_a_school_that_limits_requests_is_waited_for(town: Town, school: School, fault: str) -> None:
    """Faults 29 and 30."""
    school.switch_on(fault, path="/api/3/marking/*", times=2, seconds=7)
    assert town.run_well()["bakalari/roster"].complete
    assert town.held("s") == truth(school)


# --- one account, one school of many ------------------------------------------------------------------------


def test_one_account_of_many_that_fails_makes_a_partial_reading_that_names_it_and_marks_nothing(
    town: Town, school: School
) -> None:
    """Fault 65: by its label, and the rest is synced."""
    accounts = [school.account_of(pupil) for pupil in school.pupils[:6]]
    town.accounts["s"] = [account.username for account in accounts]
    town.run_well()
    before = town.held("s")
    failing = accounts[3]
    town.passwords = {failing.username: "wrong"}
    town.query("TRUNCATE sync.upstream_tokens")
    for account in accounts[2:4]:
        dropped = next(a for a in school.atoms if account.person in a.pupils)
        dropped.pupils.remove(account.person)
    done = town.run()["s"]
    assert (done.error, done.bad, done.reports[0].complete) == (None, None, False)
    assert [report.complete for report in done.reports[1:]] == [True] * 5
    assert done.reports[0].errors[0].startswith("account #4: needs_login: ")
    assert done.reports[0].errors[-1].startswith("incomplete: 1 of 7 sources")
    lost = before - town.held("s")
    assert {fact[1] for fact in lost} == {accounts[2].person}
    assert len(lost) == 1
    town.passwords = {}
    town.run_well()
    assert {fact[1] for fact in before - town.held("s")} == {accounts[2].person, failing.person}


@pytest.mark.parametrize("down", ["unavailable", "dropped"])
def test_a_school_that_is_down_says_so_in_one_line_and_the_others_are_synced(town: Town, down: Any) -> None:
    """Faults 37 and 38: no account of it is tried, and no password sent."""
    schools = [School.invented(key, classes=1, students=4, teachers=2, seed=1) for key in "stuv"]
    town.open_whole(*schools)
    town.run()
    before = town.everything()
    schools[1].down = down
    leave(schools[1], 2)
    leave(schools[2])
    asked = schools[1].requests.copy()
    done = town.run()
    assert [key for key, one in done.items() if one.error] == ["t"]
    failed = done["t"]
    assert isinstance(failed.error, SourceUnavailable)
    assert len(failed.reports) == len(failed.report.errors) == 1
    assert "\n" not in failed.report.errors[0]
    assert set(schools[1].requests - asked) == {"/api/3"}
    for school in (schools[0], schools[2], schools[3]):
        assert town.held(school.id) == truth(school)
    assert [row for row in before["bakalari.users"] if ",t," in row[2]] == [
        row for row in town.everything()["bakalari.users"] if ",t," in row[2]
    ]
    schools[1].down = None
    assert town.run()["t"].error is None
    assert town.held("t") == truth(schools[1])


def test_a_school_that_answers_in_czech_alone_is_asked_in_czech(town: Town) -> None:
    """Fault 37: without Accept-Language such a server says 500 to everything."""
    school = School.invented("s", classes=1, students=4, teachers=2)
    school.needs_language = True
    town.open_whole(school)
    town.run_well()
    assert town.held("s") == truth(school)


def test_an_address_that_is_now_another_schools_is_refused_before_anybody_logs_in(
    town: Town, school: School
) -> None:
    """Fault 65: of its own school alone."""
    town.query("UPDATE sync.streams SET origin = 'elsewhere.example' WHERE stream = 'bakalari/roster/s'")
    before, asked = town.everything(), school.requests.total()
    done = town.run()["s"]
    assert type(done.error).__name__ == "OriginChanged"
    assert (town.everything(), school.requests.total()) == (before, asked)


# --- any faults ---------------------------------------------------------------------------------------------

_faults = st.lists(
    st.tuples(
        st.sampled_from(sorted(FAULTS.keys() - SLOW) + ["rows"] * 4),
        st.sampled_from([*PATHS, "/api/3/subjects", "/export", "*", "/api/*"]),
        st.sampled_from([None, 1, 2, 5]),
        st.sampled_from([0, 1, 3]),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=20, phases=[Phase.generate])
@given(faults=_faults, left=st.integers(0, 2), moved=st.integers(0, 3), data=st.data())
def test_no_faults_of_a_reading_mark_what_is_there_and_the_next_one_is_exact(
    town: Town, faults: list[tuple[str, str, int | None, int]], left: int, moved: int, data: st.DataObject
) -> None:
    school = School.invented("s", classes=2, students=16, teachers=3, seed=data.draw(st.integers(0, 99)))
    # No sheet becomes empty: that would be a matter of doubt.
    school.atoms = [atom for atom in school.atoms if atom.class_id][::4]
    town.open_whole(school)
    town.accounts["s"] += [school.account_of(pupil).username for pupil in school.pupils[-2:]]
    town.run_well()
    before = town.held("s")
    leave(school, left)
    for atom in school.atoms[:moved]:
        atom.pupils = atom.pupils[1:]
    if moved == 3 and len(school.teachers) > 1:
        used = {a.teacher_id for a in school.atoms} | {school.accounts["spravce"].person}
        school.teachers = [teacher for teacher in school.teachers if teacher.id in used]
    for fault, path, times, after in faults:
        if fault == "rows":
            on = town.alter(school, path, lambda value: isinstance(value, dict) and without_a_row(value))
            on.times, on.after = times, after
        else:
            school.switch_on(fault, path=path, times=times, after=after)
    done = town.run(allow_mass_vanish=True)["s"]
    there = [school.accounts[name] for name in town.accounts["s"]]
    now = truth(school).union(*(seen_by(school, account) for account in there))
    assert before & now <= town.held("s") <= before | now, done
    school.faults.clear()
    town.run_well(allow_mass_vanish=True)
    assert town.held("s") == now
    assert town.rejects() == {}


def test_a_school_that_stops_answering_is_not_asked_hundreds_of_times_more(town: Town) -> None:
    """Faults 37 and 65: what it gave before is synced, and nothing of the rest is taken for gone."""
    school = School.invented("s", classes=8, students=80, teachers=6)
    town.open_whole(school)
    town.run()
    before = town.held("s")
    school.requests.clear()
    school.switch_on("server-error", path="/api/3/marking/marks/*", after=5)
    done = town.run()["s"]
    # So many in a row go unanswered, the few under way beside them, and each is asked for four times.
    assert sum(school.requests.values()) < 5 + 4 * (10 + 2 * 4) + 10 < len(school.atoms)
    assert done.error is None
    assert "account #1: partial: the school's server failed" in done.reports[0].errors[0]
    assert (town.held("s"), town.marked()) == (before, 0)
