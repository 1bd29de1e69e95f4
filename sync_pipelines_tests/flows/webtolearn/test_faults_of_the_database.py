"""A database that refuses, restarts, or is written to by two at once. The numbers are those of
contracts/faults.md."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sync_pipelines.errors import DatabaseError, DatabaseUnavailable, TransactionConflict
from sync_pipelines.flows.database import open_database
from sync_pipelines.flows.registry import FLOWS
from sync_pipelines.flows.webtolearn import COURSE_USERS, COURSES, LESSON_CATALOG, USERS
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines_tests.flows.webtolearn.model import granted
from sync_pipelines_tests.flows.webtolearn.school import School

KILLED = """
import os, signal
from sync_pipelines.flows.runner import Quiet, Runner
from sync_pipelines.flows.webtolearn import LESSON_CATALOG
from sync_pipelines.settings import Settings

class Killed(Quiet):
    def writing(self, report):
        if report.created:
            os.kill(os.getpid(), signal.SIGKILL)

Runner(Settings.load(), Killed()).run(LESSON_CATALOG)
"""


def trigger(school: School, table: str, when: str, does: str) -> None:
    """Let the server do something at each row of a table."""
    school.query("CREATE SEQUENCE IF NOT EXISTS public.tries")
    school.query(
        f"CREATE OR REPLACE FUNCTION public.fault() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {does} RETURN NEW; END $$"
    )
    school.query(f"CREATE TRIGGER fault {when} ON {table} FOR EACH ROW EXECUTE FUNCTION public.fault()")


def mended(school: School, table: str) -> None:
    school.query(f"DROP TRIGGER fault ON {table}")


def raising(code: str, condition: str = "true") -> str:
    return f"IF {condition} THEN RAISE EXCEPTION 'fault' USING ERRCODE = '{code}'; END IF;"


# --- transactions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["serialization_failure", "deadlock_detected"])
def test_a_transaction_that_the_server_takes_back_is_done_again_whole(own_school: School, code: str) -> None:
    """Fault 67."""
    own_school.sync()
    own_school.life_goes_on()
    trigger(own_school, "wtl.courses", "BEFORE UPDATE", raising(code, "nextval('public.tries') <= 2"))
    report = own_school.run(COURSES)
    assert (report.created, report.updated, report.deleted, report.failed) == (1, 1, 1, 0)
    assert own_school.held()["courses"] == own_school.listed()["courses"]
    mended(own_school, "wtl.courses")
    own_school.mends()


def test_a_server_that_always_takes_it_back_ends_the_run_with_nothing_half_done(own_school: School) -> None:
    """Fault 67."""
    own_school.sync()
    own_school.life_goes_on()
    before = own_school.everything()
    trigger(own_school, "wtl.course_users", "BEFORE INSERT", raising("serialization_failure"))
    trigger(own_school, "wtl.courses", "BEFORE UPDATE", raising("serialization_failure"))
    for flow in (COURSES, COURSE_USERS):
        error = own_school.ended_by(flow)
        assert (type(error), error.transient) == (TransactionConflict, True)
    assert own_school.everything() == before
    mended(own_school, "wtl.courses")
    mended(own_school, "wtl.course_users")
    own_school.mends()


@pytest.mark.parametrize("table", ["wtl.courses", "sync.external_refs"])
def test_a_connection_lost_between_row_and_binding_leaves_neither(own_school: School, table: str) -> None:
    """Faults 67 and 69."""
    trigger(own_school, table, "AFTER INSERT", "PERFORM pg_terminate_backend(pg_backend_pid());")
    error = own_school.ended_by(COURSES)
    assert (type(error), error.transient) == (DatabaseUnavailable, True)
    assert own_school.query("SELECT count(*) FROM wtl.courses") == [0]
    assert own_school.query("SELECT count(*) FROM sync.external_refs") == [0]
    mended(own_school, table)
    own_school.mends()
    assert own_school.query("SELECT count(*) FROM wtl.courses") == [8]


def test_a_database_lost_among_the_courses_keeps_those_that_were_done(own_school: School) -> None:
    """Fault 67."""
    own_school.lists()
    first, second, third, *_ = own_school.known()
    (course,) = own_school.query("SELECT id::text FROM wtl.courses WHERE wtl_course_id = :id", id=third)
    trigger(
        own_school, "wtl.course_users", "AFTER INSERT", raising("admin_shutdown", f"NEW.course_id = '{course}'")
    )
    done, error = own_school.courses_until(first, second, third)
    assert type(error) is DatabaseUnavailable
    assert list(done) == [first, second]
    assert own_school.grants() == granted(own_school.platform, [first, second])
    mended(own_school, "wtl.course_users")
    assert own_school.known()[0] == third
    own_school.mends()


def test_a_row_that_a_constraint_refuses_fails_alone_and_the_transaction_goes_on(own_school: School) -> None:
    """Fault 68."""
    own_school.query("CREATE UNIQUE INDEX ON wtl.users (lower(email))")
    taken = own_school.platform.users[7]
    own_school.query(
        "INSERT INTO wtl.users (wtl_user_id, email) VALUES ('local-1', :email)", email=taken["email"].upper()
    )
    report = own_school.run(USERS)
    assert (report.created, report.failed, report.complete) == (39, 1, True)
    ((key, (stage, error, payload)),) = own_school.rejects().items()
    assert (key, stage, payload["email"]) == (f"wtl:user {taken['id']}", "target", taken["email"])
    assert "users_lower_idx" in error
    assert "@" not in error
    own_school.platform.users[7] = {**taken, "email": "inny@szkola.example"}
    assert own_school.run(USERS).created == 1
    own_school.query("DELETE FROM wtl.users WHERE wtl_user_id = 'local-1'")
    own_school.mends()


# --- processes --------------------------------------------------------------------------------------------


def test_a_process_killed_while_it_writes_leaves_what_the_next_run_converges_from(own_school: School) -> None:
    """Fault 69."""
    own_school.open(Platform.invented(courses=1, lessons=10_500, users=1))
    settings = own_school.settings
    assert settings.database_url
    environment = {
        "SYNC_DATABASE_URL": settings.database_url.get_secret_value(),
        "WTL_API_URL": own_school.url,
        "WTL_API_TOKEN": own_school.token,
    }
    killed = subprocess.run([sys.executable, "-c", KILLED], env=environment, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    count = own_school.query("SELECT count(*) FROM wtl.lessons")
    assert count == own_school.query("SELECT count(*) FROM sync.external_refs") != [0]
    # Begun, and never said to have ended.
    run = "SELECT last_started_at IS NOT NULL, last_complete_at, last_report FROM sync.streams"
    assert own_school.query(run) == [(True, None, None)]
    report = own_school.run(LESSON_CATALOG)
    assert (report.created + report.skipped, report.failed, report.complete) == (10_500, 0, True)
    assert own_school.held()["lessons"] == own_school.listed()["lessons"]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.stream)
def test_runs_of_one_list_at_a_time_make_each_row_once(school: School, flow: Any) -> None:
    """Fault 70."""
    with ThreadPoolExecutor(3) as pool:
        reports = [running.result() for running in [pool.submit(school.run, flow) for _ in range(3)]]
    assert all(report.complete for report in reports)
    assert sorted(report.created for report in reports) == [0, 0, reports[0].fetched]
    school.mends()


def test_runs_of_one_course_at_a_time_make_each_row_once(school: School) -> None:
    """Fault 70."""
    school.lists()
    with ThreadPoolExecutor(3) as pool:
        runs = [running.result() for running in [pool.submit(school.courses) for _ in range(3)]]
    assert all(done.report.complete for run in runs for done in run.values())
    wanted = granted(school.platform, school.ids("courses"))
    assert sum(done.report.created for run in runs for done in run.values()) == len(wanted)
    assert school.grants() == wanted
    school.mends()


def test_a_run_of_a_course_waits_for_none_of_another(school: School) -> None:
    """Fault 70."""
    school.lists()
    first, second, *_ = school.known()
    with open_database(school.settings, "another run").session() as session:
        assert session.try_lock(f"sync-pipelines sync wtl/course_users/{first}")
        assert school.courses(second)[second].report.complete
    assert school.grants() == granted(school.platform, [second])


# --- rows that are gone, and rows that come back ----------------------------------------------------------


@pytest.mark.parametrize("changed", [False, True])
def test_a_row_that_somebody_deleted_here_is_made_again(school: School, changed: bool) -> None:
    """Fault 71."""
    school.sync()
    school.query("DELETE FROM wtl.courses WHERE wtl_course_id = :id", id=school.ids("courses")[2])
    school.query("DELETE FROM wtl.users WHERE wtl_user_id = :id", id=school.ids("users")[2])
    if changed:
        school.platform.courses[2]["name"] = "Nowa nazwa"
        school.platform.put("users", school.ids("users")[2], school.platform.users[2] | {"email": "n@a.example"})
    assert [report.created for report in school.lists()] == [1, 0, 1]
    # With the course went its users' access here, and with the user theirs to other courses.
    school.mends()


def test_a_grant_whose_row_somebody_deleted_here_is_made_again(school: School) -> None:
    """Fault 71."""
    school.sync()
    school.query("DELETE FROM wtl.course_users WHERE expires_at IS NULL")
    assert sum(done.report.created for done in school.courses().values()) > 0
    school.mends()


def test_a_list_that_lacks_too_much_marks_nothing_until_it_is_approved(school: School) -> None:
    """Fault 72."""
    school.open(Platform.invented(courses=3, lessons=100, users=3))
    school.lists()
    del school.platform.lessons[79:]
    before = school.everything()
    said = str(school.ended_by(LESSON_CATALOG))
    assert "21 of 100" in said
    assert school.everything() == before
    school.platform.lessons.append({"id": "9000", "name": "Nowa"})
    assert "21 of 100" in str(school.ended_by(LESSON_CATALOG))
    assert school.marked() == set()
    assert school.run(LESSON_CATALOG, allow_mass_vanish=True).deleted == 21
    school.mends()


def test_twenty_rows_may_go_at_once_whatever_share_that_is(school: School) -> None:
    """Fault 72."""
    school.open(Platform.invented(courses=21, lessons=3, users=3))
    school.lists()
    del school.platform.courses[1:]
    assert school.run(COURSES).deleted == 20
    school.mends()


def test_a_row_that_comes_back_is_the_same_row_with_all_that_hangs_on_it(school: School) -> None:
    """Fault 73."""
    school.platform.relation = "path"
    school.sync()
    school.query("UPDATE wtl.courses SET status = 'inactive', description = 'nasz'")
    school.query("INSERT INTO wtl.course_lessons (course_id, lesson_id, position) "
                 "SELECT c.id, l.id, 3 FROM wtl.courses c CROSS JOIN wtl.lessons l")  # fmt: skip
    kept = "SELECT id, wtl_course_id, title, status, description FROM wtl.courses_current ORDER BY 2"
    mapping = "SELECT *, xmin::text FROM wtl.course_lessons ORDER BY 1, 2"
    courses, lessons, grants = school.query(kept), school.query(mapping), school.grants()
    key = school.ids("courses")[3]
    users, shown = school.platform.course_users[key], school.platform.course_lessons[key]
    gone = school.platform.remove("courses", key)
    assert gone
    school.lists()
    assert school.marked() == {f"courses {key}"}
    assert all(pair[0] != key for pair in school.grants())
    school.platform.put("courses", key, gone)
    school.platform.course_users[key], school.platform.course_lessons[key] = users, shown
    assert school.run(COURSES).restored == 1
    assert (school.query(kept), school.query(mapping), school.grants()) == (courses, lessons, grants)
    school.mends()
    assert (school.query(kept), school.query(mapping)) == (courses, lessons)


# --- reports ----------------------------------------------------------------------------------------------


def test_a_report_that_cannot_be_kept_undoes_no_row(own_school: School) -> None:
    """Fault 78."""
    own_school.sync()
    own_school.life_goes_on()
    trigger(own_school, "sync.streams", "BEFORE UPDATE",
            raising("disk_full", "NEW.last_report IS DISTINCT FROM OLD.last_report"))  # fmt: skip
    for flow in FLOWS:
        error = own_school.ended_by(flow)
        assert isinstance(error, DatabaseError)
        assert (error.report.created, error.report.updated, error.report.deleted) == (1, 1, 1)
    assert own_school.held() == own_school.listed()
    done, stopped = own_school.courses_until()
    assert (done, isinstance(stopped, DatabaseError)) == ({}, True)
    mended(own_school, "sync.streams")
    own_school.mends()
