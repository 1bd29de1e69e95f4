from collections.abc import Callable
from typing import Any

from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines_tests.cli.commands import Run, one_clear_line, result

Wtl = Callable[..., dict[str, str]]


def ill() -> Platform:
    """A user with an address too long for the column, a course and a lesson without a title."""
    return Platform(
        courses=[{"id": "1", "name": "Fizyka"}, {"id": "2", "colour": "red"}],
        lessons=[{"id": "2"}],
        users=[{"id": "5", "email": "anna.nowak@szkola.example" * 20}],
    )


def test_rejects_are_listed_shown_and_settled(cli: Run, wtl: Wtl, query: Callable[..., list[Any]]) -> None:
    platform = ill()
    environment = wtl(platform)
    assert cli("run", **environment).returncode == 0

    listed = cli("rejects", "list", **environment)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "3 of 3 open rejects" in listed.stdout
    assert "title is missing" in listed.stdout
    assert "nowak" not in listed.stdout
    said = result(cli("rejects", "list", "--json", "--stream", "wtl/users", **environment))
    assert said["total"] == 1
    (user,) = said["rejects"]
    assert (user["stream"], user["system"], user["key"], user["stage"]) == ("wtl/users", "wtl:user", "5", "target")
    assert (user["occurrences"], user["resolved_at"]) == (1, None)
    assert "nowak" not in str(said)
    short = cli("rejects", "list", "--limit", "1", **environment)
    assert "1 of 3 open rejects; --limit shows more" in short.stdout

    whole = cli("rejects", "show", str(user["id"]), "--stream", "wtl/users", **environment)
    assert "anna.nowak@szkola.example" in whole.stdout
    assert [
        r["payload"]
        for r in result(cli("rejects", "show", "2", "--json", "--stream", "wtl/courses", **environment))["rejects"]
    ] == [{"id": "2", "colour": "red"}]

    platform.courses[1]["name"] = "Chemia"
    platform.users[0]["email"] = "anna@szkola.example"
    retried = cli("rejects", "retry", "--json", **environment)
    assert retried.returncode == 0, retried
    again = result(retried)
    assert (again["success"], again["settled"], again["still_refused"]) == (True, 2, 1)
    assert query("SELECT count(*) FROM dagster.runs WHERE run_id = :id", id=again["run_id"]) == [1]
    assert "1 of 1 open rejects" in cli("rejects", "list", **environment).stdout
    assert "3 of 3 rejects" in cli("rejects", "list", "--all", **environment).stdout


def test_a_retry_reads_only_the_flows_that_have_open_rejects(cli: Run, wtl: Wtl) -> None:
    platform = ill()
    environment = wtl(platform)
    cli("run", **environment)
    one = result(cli("rejects", "retry", "--stream", "wtl/users", "--json", **environment))
    assert [flow["stream"] for flow in one["flows"]] == ["wtl/users"]
    assert (one["settled"], one["still_refused"]) == (0, 1)
    platform.courses[1] = {"id": "2", "name": "Chemia"}
    both = cli("rejects", "retry", **environment)
    assert "1 settled, 2 still refused" in both.stdout
    rest = result(cli("rejects", "retry", "--json", **environment))
    assert [flow["stream"] for flow in rest["flows"]] == ["wtl/lesson_catalog", "wtl/users"]


def test_a_retry_fails_as_a_run_does(cli: Run, wtl: Wtl) -> None:
    platform = ill()
    platform.users += [{"id": str(i), "email": f"u{i}@szkola.example"} for i in range(10, 110)]
    environment = wtl(platform)
    cli("run", **environment)
    refused = cli("rejects", "retry", **(environment | {"WTL_API_TOKEN": "hunter22"}))
    assert "WTL_API_TOKEN" in one_clear_line(refused, 1)
    del platform.users[1:]
    assert "100 of 100" in one_clear_line(cli("rejects", "retry", "--stream", "wtl/users", **environment), 3)


def test_nothing_to_list_and_nothing_to_retry(cli: Run, wtl: Wtl) -> None:
    environment = wtl(Platform())
    assert cli("rejects", "list", **environment).stdout == "no open rejects\n"
    assert result(cli("rejects", "list", "--json", **environment)) == {"total": 0, "rejects": []}
    assert cli("rejects", "retry", **environment).stdout == "no open rejects\n"
    said = result(cli("rejects", "retry", "--json", **environment))
    assert (said["success"], said["run_id"], said["flows"], said["settled"]) == (True, None, [], 0)


def test_a_reject_that_is_not_there(cli: Run, wtl: Wtl) -> None:
    assert "rejects list" in one_clear_line(cli("rejects", "show", "9" * 30, **wtl(Platform())), 1)


def test_rejects_of_a_database_that_is_not_up_to_date(cli: Run, create_database: Callable[..., str]) -> None:
    done = cli("rejects", "list", SYNC_DATABASE_URL=create_database(empty=True))
    assert "sync-pipelines db upgrade" in one_clear_line(done, 1)
