"""`run --course` and `plan --course`: what is read a course at a time, as a person asks for it."""

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines_tests.cli.commands import Run, one_clear_line, result

Wtl = Callable[..., dict[str, str]]
Query = Callable[..., list[Any]]


def partitions(said: dict[str, Any]) -> list[tuple[str, str]]:
    return [(flow["stream"], flow["partition"]) for flow in said["flows"]]


def test_the_first_run_of_a_course_syncs_first_what_it_refers_to(cli: Run, wtl: Wtl, query: Query) -> None:
    platform = Platform.invented(courses=5, lessons=30, users=40)
    platform.relation = "path"
    first, second, *_ = [course["id"] for course in platform.courses]
    environment = wtl(platform)
    done = cli("run", "wtl", "--course", first, "--course", second, "--json", **environment)
    assert done.returncode == 0, done
    lists, courses = partitions(result(done))[:3], partitions(result(done))[3:]
    assert {stream for stream, _ in lists} == {"wtl/courses", "wtl/lesson_catalog", "wtl/users"}
    assert set(courses) == {(s, c) for s in ("wtl/lessons", "wtl/course_users") for c in (first, second)}
    assert query("SELECT DISTINCT wtl_course_id FROM wtl.course_users_current ORDER BY 1") == sorted(
        [first, second]
    )
    shown = query("SELECT wtl_course_id, wtl_lesson_id FROM wtl.remote_course_lessons_current")
    assert sorted(shown) == sorted((c, lesson) for c in (first, second) for lesson in platform.course_lessons[c])
    again = result(cli("run", "wtl", "--course", first, "--json", **environment))
    assert set(partitions(again)) == {("wtl/lessons", first), ("wtl/course_users", first)}
    assert all(flow["skipped"] == flow["fetched"] > 0 for flow in again["flows"])


def test_all_courses_are_one_word(cli: Run, wtl: Wtl, query: Query) -> None:
    platform = Platform.invented(courses=30, lessons=1, users=20)
    done = cli("run", "wtl", "--course", "all", **wtl(platform))
    assert done.returncode == 0, done
    assert "wtl/course_users × 30" in done.stdout
    assert query("SELECT count(*) FROM dagster.runs WHERE pipeline_name = 'wtl_courses_sync'") == [1]


def test_a_course_that_fails_is_named_and_the_others_are_done(cli: Run, wtl: Wtl, query: Query) -> None:
    platform = Platform.invented(courses=3, lessons=1, users=20)
    bad = platform.courses[1]["id"]
    platform.switch_on("null", path=f"/training/{bad}/user/list")
    done = cli("run", "wtl", "--course", "all", **wtl(platform))
    assert f"wtl/course_users/{bad}: " in one_clear_line(done, 1)
    assert len(query("SELECT DISTINCT wtl_course_id FROM wtl.course_users_current")) == 2


def test_an_emptied_course_is_status_3_until_one_run_is_approved(cli: Run, wtl: Wtl, query: Query) -> None:
    platform = Platform.invented(courses=2, lessons=1, users=20)
    course = platform.courses[0]["id"]
    environment = wtl(platform)
    run = ("run", "wtl", "--course", course)
    assert cli(*run, **environment).returncode == 0
    count = "SELECT count(*) FROM wtl.course_users_current"
    before, grants = query(count), platform.course_users[course]
    platform.course_users[course] = []
    assert "--allow-mass-vanish" in one_clear_line(cli(*run, **environment), 3)
    assert query(count) == before
    assert cli(*run, "--allow-mass-vanish", **environment).returncode == 0
    assert query(count) == [0]
    ids = query("SELECT id FROM wtl.course_users ORDER BY id")
    platform.course_users[course] = grants
    assert cli(*run, **environment).returncode == 0
    assert query(count) == before
    assert query("SELECT id FROM wtl.course_users ORDER BY id") == ids


def test_a_plan_of_a_course_says_what_the_run_then_does(cli: Run, wtl: Wtl, query: Query) -> None:
    platform = Platform.invented(courses=2, lessons=1, users=20)
    course = platform.courses[0]["id"]
    environment = wtl(platform)
    cli("run", "wtl", **environment)
    planned = result(cli("plan", "wtl", "--course", course, "--json", **environment))
    assert query("SELECT count(*) FROM wtl.course_users") == [0]
    done = result(cli("run", "wtl", "--course", course, "--json", **environment))
    counters = ("stream", "partition", "fetched", "created", "updated", "skipped", "deleted", "failed", "complete")
    for_planned = sorted([flow[name] for name in counters] for flow in planned["flows"])
    assert for_planned == sorted([flow[name] for name in counters] for flow in done["flows"])


@pytest.mark.parametrize(
    ("given", "said"), [("x", "no course's id"), ("1.5", "no course's id"), ("", "no course's id")]
)
def test_what_is_no_id_is_bad_usage(cli: Run, wtl: Wtl, given: str, said: str) -> None:
    done = cli("run", "wtl", "--course", given, **wtl(Platform()))
    assert (done.returncode, said in done.stderr) == (2, True)


def test_a_course_that_is_not_known_is_not_asked_for(cli: Run, wtl: Wtl) -> None:
    platform = Platform.invented(courses=2, lessons=1, users=2)
    environment = wtl(platform)
    cli("run", "wtl", **environment)
    assert "999 is not known here" in one_clear_line(cli("run", "wtl", "--course", "999", **environment), 1)
