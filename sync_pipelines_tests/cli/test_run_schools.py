"""`run bakalari` and `plan bakalari`: the schools of the settings, as a person asks for them."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.sandbox.bakalari import School
from sync_pipelines_tests.cli.commands import Run, one_clear_line, result

SetUp = Callable[..., dict[str, str]]
Query = Callable[..., list[Any]]
STREAMS = [f"bakalari/{name}" for name in ("roster", "schools", "classes", "subjects", "users", "enrollments")]
COUNTERS = ("stream", "partition", "fetched", "created", "updated", "skipped", "deleted", "failed", "complete")


def school(name: str, **size: int) -> School:
    return School.invented(name, **{"classes": 2, "students": 12, "teachers": 4, **size})


def test_schools_are_synced_as_one_run_and_a_second_one_changes_nothing(
    cli: Run, set_up_schools: SetUp, query: Query
) -> None:
    first, second = school("prvni"), school("druha")
    environment = set_up_schools(first, second)
    done = cli("run", "bakalari", "--json", **environment)
    assert done.returncode == 0, done
    said = result(done)
    assert Counter((f["stream"], f["partition"]) for f in said["flows"]) == Counter(
        (stream, key) for stream in STREAMS for key in ("prvni", "druha")
    )
    assert query("SELECT count(*) FROM dagster.runs") == [1]
    for one in (first, second):
        enrolled = query(
            "SELECT u.external_id, s.external_id FROM bakalari.enrollments_current e "
            "JOIN bakalari.users u ON u.id = e.user_id JOIN bakalari.subjects s ON s.id = e.subject_id "
            "WHERE e.school_id = :school",
            school=one.id,
        )
        assert set(enrolled) == one.enrolled()
        (roster,) = [f for f in said["flows"] if (f["stream"], f["partition"]) == ("bakalari/roster", one.id)]
        # The address, the login, who it is, its week, its units, the public page.
        assert roster["requests"] == len(one.atoms) + 6
    again = result(cli("run", "bakalari", "--json", **environment))
    assert all(flow["skipped"] == flow["fetched"] for flow in again["flows"])


def test_a_school_that_is_down_is_named_in_a_line_of_its_own_and_the_others_are_done(
    cli: Run, set_up_schools: SetUp, query: Query
) -> None:
    schools = [school(f"skola-{n}") for n in range(5)]
    schools[1].down, schools[3].down = "unavailable", "dropped"
    done = cli("run", "bakalari", "--json", **set_up_schools(*schools))
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    for name, line in zip(("skola-1", "skola-3"), sorted(errors), strict=True):
        assert line.startswith(f"error: bakalari/roster/{name}: http://127.0.0.1:")
        assert " is down: " in line
    complete = Counter(flow["stream"] for flow in result(done)["flows"] if flow["complete"])
    assert complete == dict.fromkeys(STREAMS, 3)
    assert query("SELECT count(DISTINCT school_id) FROM bakalari.enrollments") == [3]


def test_an_account_that_must_log_in_leaves_the_run_incomplete_and_the_data_in_place(
    cli: Run, set_up_schools: SetUp, query: Query
) -> None:
    one = school("skola")
    environment = set_up_schools(one, accounts="students", at_most=3)
    assert cli("run", "bakalari", **environment).returncode == 0
    before = query("SELECT xmin::text, t::text FROM bakalari.users t ORDER BY 2")
    query("DELETE FROM sync.upstream_tokens")
    done = cli("run", "bakalari", **(environment | {"SANDBOX_PASSWORD": "wrong-password"}))
    assert "nothing of http://127.0.0.1:" not in done.stderr, "the public timetable is there still"
    assert "incomplete: 3 of 4 sources" in one_clear_line(done, 1)
    assert query("SELECT xmin::text, t::text FROM bakalari.users t ORDER BY 2") == before


def test_only_the_schools_that_are_named_are_asked(cli: Run, set_up_schools: SetUp) -> None:
    first, second = school("prvni"), school("druha")
    environment = set_up_schools(first, second)
    done = cli("run", "bakalari", "--school", "druha", "--json", **environment)
    assert {flow["partition"] for flow in result(done)["flows"]} == {"druha"}
    assert not first.requests
    refused = cli("run", "bakalari", "--school", "treti", **environment)
    assert refused.returncode == 2
    assert "prvni, druha" in refused.stderr


def test_a_plan_of_a_school_says_what_the_run_then_does_and_writes_no_row(
    cli: Run, set_up_schools: SetUp, query: Query
) -> None:
    environment = set_up_schools(school("skola"))
    assert cli("db", "upgrade", **environment).returncode == 0
    planned = result(cli("plan", "bakalari", "--json", **environment))
    assert query("SELECT count(*) FROM bakalari.rosters UNION SELECT count(*) FROM bakalari.classes") == [0]
    done = result(cli("run", "bakalari", "--json", **environment))
    assert [[flow[name] for name in COUNTERS] for flow in planned["flows"]] == [
        [flow[name] for name in COUNTERS] for flow in done["flows"]
    ]


def test_all_is_what_is_set_up(cli: Run, set_up_schools: SetUp) -> None:
    done = cli("run", "--json", **set_up_schools(school("skola")))
    assert done.returncode == 0, done
    assert [flow["stream"] for flow in result(done)["flows"]] == STREAMS


def test_where_nothing_is_set_up_each_upstream_says_what_it_takes(cli: Run) -> None:
    said = one_clear_line(cli("run"), 2)
    assert "wtl: WTL_API_URL and WTL_API_TOKEN not set" in said
    assert "bakalari: BAKALARI_URL and BAKALARI_USERNAME and BAKALARI_PASSWORD not set" in said


@pytest.mark.parametrize("command", ["run", "plan"])
def test_courses_and_schools_are_not_asked_for_at_once(cli: Run, command: str) -> None:
    refused = cli(command, "--course", "1", "--school", "a")
    assert refused.returncode == 2
    assert "--course or --school" in refused.stderr


def test_three_variables_are_a_school(cli: Run, set_up_schools: SetUp, query: Query) -> None:
    one = school("skola")
    environment = set_up_schools(one)
    text = Path(environment.pop("BAKALARI_SCHOOLS_FILE")).read_text("utf-8")
    url = text.split('url = "')[1].split('"')[0]
    three = {"BAKALARI_URL": url, "BAKALARI_USERNAME": "spravce", "BAKALARI_PASSWORD": "sandbox-password"}
    assert cli("run", "bakalari", **(environment | three)).returncode == 0
    assert query("SELECT id, base_url FROM bakalari.schools") == [("127-0-0-1", url)]
    assert len(query("SELECT 1 FROM bakalari.enrollments_current")) == len(one.enrolled())


def test_refused_people_are_listed_and_read_again(cli: Run, set_up_schools: SetUp, query: Query) -> None:
    one = school("skola")
    one.pupils[0].class_id = None
    environment = set_up_schools(one)
    assert cli("run", "bakalari", **environment).returncode == 0, "a refused record is no failure"
    listed = cli("rejects", "list", "--stream", "bakalari/users", "--json", **environment)
    (reject,) = result(listed)["rejects"]
    assert "class" in reject["error"]
    one.pupils[0].class_id = one.classes[0].id
    assert cli("rejects", "retry", **environment).returncode == 0
    assert query("SELECT count(*) FROM sync.rejects WHERE resolved_at IS NULL") == [0]
    assert len(query("SELECT 1 FROM bakalari.enrollments_current")) == len(one.enrolled())


def test_doctor_asks_each_school_and_logs_nobody_in(cli: Run, set_up_schools: SetUp) -> None:
    up, down = school("nahore"), school("dole")
    down.down = "unavailable"
    done = cli("doctor", **set_up_schools(up, down))
    assert done.returncode == 1
    said = {line.split()[1]: line for line in done.stdout.splitlines() if line[:1] in "✓!✗·"}
    assert said["nahore"].startswith("✓")
    assert "API 3" in said["nahore"]
    assert said["dole"].startswith("✗")
    assert not any(account.password_logins for account in up.accounts.values())
    assert "sandbox-password" not in done.stdout
