"""`run`: what it does, how it fails, and what is left when it is killed."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines_tests.cli.commands import COMMAND, Run, one_clear_line, result


@pytest.mark.parametrize(("size", "cap"), [(0, None), (1001, None), (2503, 50)])
def test_run_makes_the_tables_equal_to_the_platform(
    cli: Run, wtl: Callable[..., dict[str, str]], query: Callable[..., list[Any]], size: int, cap: int | None
) -> None:
    platform = Platform.invented(courses=size, lessons=size, users=size)
    platform.page_cap = cap
    done = cli("run", "wtl", "--json", **wtl(platform))
    assert done.returncode == 0, done
    assert {flow["created"] for flow in result(done)["flows"]} == {size}
    assert query("SELECT wtl_lesson_id, title FROM wtl.lessons ORDER BY wtl_lesson_id::int") == [
        (row["id"], row["name"]) for row in platform.lessons
    ]


def test_run_on_an_empty_database_needs_no_other_command(
    cli: Run, wtl: Callable[..., dict[str, str]], create_database: Callable[..., str]
) -> None:
    environment = wtl(Platform.invented(courses=2)) | {"SYNC_DATABASE_URL": create_database(empty=True)}
    assert result(cli("run", "--json", **environment))["flows"][0]["created"] == 2


def test_with_a_database_given_nothing_embedded_starts(
    cli: Run, wtl: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    cli("run", "wtl", **wtl(Platform.invented(courses=1)))
    assert not (tmp_path / "home" / "postgres").exists()


def test_the_run_id_is_that_of_the_history(
    cli: Run, wtl: Callable[..., dict[str, str]], query: Callable[..., list[Any]]
) -> None:
    said = result(cli("run", "wtl", "--json", **wtl(Platform.invented(courses=1))))
    assert query("SELECT run_id FROM dagster.runs") == [said["run_id"]]


def test_without_json_people_get_a_table(cli: Run, wtl: Callable[..., dict[str, str]]) -> None:
    done = cli("run", "wtl", **wtl(Platform.invented(courses=4)))
    assert done.returncode == 0
    assert "wtl/courses" in done.stdout
    assert "complete" in done.stdout


def test_refused_records_are_reported_and_do_not_fail_the_run(
    cli: Run, wtl: Callable[..., dict[str, str]]
) -> None:
    done = cli("run", "wtl", "--json", **wtl(Platform(courses=[{"id": "1"}, {"id": "2", "name": "Fizyka"}])))
    assert done.returncode == 0
    said = result(done)["flows"][0]
    facts = said.pop("facts")
    assert facts["requests_left_minute"] == 10**9 - said["requests"]
    assert said | {"duration_ms": 0, "requests": 0} == {
        "stream": "wtl/courses", "partition": None, "fetched": 2, "created": 1, "updated": 0, "skipped": 0,
        "deleted": 0, "restored": 0, "failed": 1, "complete": True, "requests": 0, "retries": 0, "duration_ms": 0,
        "errors": ["1: source: title is missing"],
    }  # fmt: skip
    assert "1 records refused" in done.stderr


def test_missing_settings(cli: Run) -> None:
    assert "WTL_API_URL and WTL_API_TOKEN not set" in one_clear_line(cli("run", "wtl"), 2)


def test_a_malformed_setting(cli: Run) -> None:
    assert "WTL_API_URL" in one_clear_line(cli("run", WTL_API_URL="elms.pl"), 2)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_wrong_token(cli: Run, wtl: Callable[..., dict[str, str]], as_json: bool) -> None:
    environment = wtl(Platform.invented()) | {"WTL_API_TOKEN": "hunter22"}
    done = cli("run", "wtl", *(["--json"] if as_json else []), **environment)
    line = one_clear_line(done, 1)
    assert "refuses the token" in line
    assert "WTL_API_TOKEN" in line
    assert "hunter22" not in done.stdout + done.stderr
    if as_json:
        assert result(done)["success"] is False


def test_an_unreachable_platform(cli: Run, wtl: Callable[..., dict[str, str]]) -> None:
    environment = wtl(Platform()) | {"WTL_API_URL": "http://127.0.0.1:1/api/v1"}
    assert "cannot reach 127.0.0.1:1" in one_clear_line(cli("run", "wtl", "--json", **environment), 1)


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("postgresql://sync:hunter22@127.0.0.1:1/school", 1),
        ("postgresql://sync:hunter22@no-such-host.invalid/school", 1),
        ("mysql://sync:hunter22@127.0.0.1/school", 2),
        ("hunter22", 2),
    ],
)
def test_a_wrong_database_address(cli: Run, wtl: Callable[..., dict[str, str]], url: str, status: int) -> None:
    done = cli("run", "wtl", "--json", **(wtl(Platform()) | {"SYNC_DATABASE_URL": url}))
    assert "SYNC_DATABASE_URL" in one_clear_line(done, status)
    assert "hunter22" not in done.stdout + done.stderr


def test_a_run_killed_half_way_leaves_nothing_that_the_next_does_not_mend(
    cli: Run,
    clean_environment: dict[str, str],
    wtl: Callable[..., dict[str, str]],
    query: Callable[..., list[Any]],
) -> None:
    platform = Platform.invented(courses=5, lessons=30_000, users=5)
    environment = wtl(platform)
    half_way = 0
    for _ in range(3):
        process = subprocess.Popen(
            [*COMMAND, "run", "wtl", "--json"],
            env=clean_environment | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        before = query("SELECT count(*) FROM wtl.lessons")
        while process.poll() is None and query("SELECT count(*) FROM wtl.lessons") == before:
            time.sleep(0.005)
        process.kill()
        process.wait()
        (rows,) = query("SELECT count(*) FROM wtl.lessons")
        (bindings,) = query("SELECT count(*) FROM sync.external_refs WHERE type = 'lesson'")
        assert rows == bindings
        half_way += 0 < rows < 30_000
    assert half_way
    done = cli("run", "wtl", "--json", **environment)
    assert done.returncode == 0, done
    assert set(query("SELECT wtl_lesson_id, title FROM wtl.lessons_current")) == {
        (row["id"], row["name"]) for row in platform.lessons
    }
    assert result(cli("run", "wtl", "--json", **environment))["flows"][1]["skipped"] == 30_000


def test_an_interrupted_run_says_so_and_ends(
    clean_environment: dict[str, str], wtl: Callable[..., dict[str, str]], query: Callable[..., list[Any]]
) -> None:
    environment = clean_environment | wtl(Platform.invented(lessons=30_000))
    process = subprocess.Popen([*COMMAND, "run", "wtl"], env=environment, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and query("SELECT count(*) FROM wtl.lessons") == [0]:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(("left", "says"), [(0, "100 of 100"), (70, "30 of 100")])
def test_the_guard_is_status_3_until_one_run_is_approved(
    cli: Run, wtl: Callable[..., dict[str, str]], query: Callable[..., list[Any]], left: int, says: str
) -> None:
    platform = Platform.invented(courses=5, lessons=5, users=100)
    environment = wtl(platform)
    assert cli("run", **environment).returncode == 0
    del platform.users[left:]
    stopped = cli("run", "--json", **environment)
    line = one_clear_line(stopped, 3)
    assert says in line
    assert "--allow-mass-vanish" in line
    assert says in result(stopped)["flows"][2]["errors"][-1]
    assert [flow["complete"] for flow in result(stopped)["flows"]] == [True, True, False]
    assert says in one_clear_line(cli("plan", **environment), 3)
    assert query("SELECT count(*) FROM wtl.users WHERE remote_deleted_at IS NOT NULL") == [0]
    approved = cli("run", "--json", "--allow-mass-vanish", **environment)
    assert (approved.returncode, result(approved)["flows"][2]["deleted"]) == (0, 100 - left)
    assert query("SELECT count(*) FROM wtl.users_current") == [left]
    after = cli("run", "--json", **environment)
    assert (after.returncode, result(after)["flows"][2]["deleted"]) == (0, 0)


def test_a_full_run_of_snapshots_changes_nothing(cli: Run, wtl: Callable[..., dict[str, str]]) -> None:
    environment = wtl(Platform.invented(courses=3, lessons=3, users=3))
    cli("run", **environment)
    assert [flow["skipped"] for flow in result(cli("run", "--full", "--json", **environment))["flows"]] == [
        3,
        3,
        3,
    ]


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_table_that_cannot_be_declared_so_is_status_2(
    cli: Run, wtl: Callable[..., dict[str, str]], tmp_path: Path, command: str
) -> None:
    (tmp_path / "tables.toml").write_text('["wtl/curses"]\ntable = "a.b"\nnatural_key = ["x"]\nowned = []\n')
    done = cli(command, **wtl(Platform()), SYNC_TABLES_FILE=str(tmp_path / "tables.toml"))
    line = one_clear_line(done, 2)
    assert "tables.toml" in line
    assert "wtl/curses" in line
