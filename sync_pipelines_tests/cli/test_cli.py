"""The commands as people run them: processes with an environment, an exit status and two streams."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from sync_pipelines.sandbox.webtolearn import Platform

Run = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = [sys.executable, "-m", "sync_pipelines"]


@pytest.fixture
def clean_environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SYNC_HOME": str(tmp_path / "home")}


@pytest.fixture
def cli(clean_environment: dict[str, str]) -> Run:
    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = clean_environment | environment
        return subprocess.run([*COMMAND, *arguments], env=env, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def wtl(serve: Callable[[Any], str], database_url: str) -> Callable[..., dict[str, str]]:
    """The environment that points at a platform and at the test's database."""

    def environment(platform: Platform) -> dict[str, str]:
        platform.limit_minute = platform.limit_hour = 10**9
        return {
            "WTL_API_URL": serve(platform),
            "WTL_API_TOKEN": platform.token,
            "SYNC_DATABASE_URL": database_url,
        }

    return environment


def result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout.count("\n") == 1, done
    return json.loads(done.stdout)


def one_clear_line(done: subprocess.CompletedProcess[str], status: int) -> str:
    assert done.returncode == status, done
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize(
    "arguments", [["--help"], ["demo", "--help"], ["run", "-h"], ["db", "-h"], ["db", "upgrade", "-h"]]
)
def test_help_helps(cli: Run, arguments: list[str]) -> None:
    done = cli(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: " in done.stdout


@pytest.mark.parametrize("arguments", [["run", "moodle"], ["fly"], ["run", "--loudly"], ["demo", "--json"]])
def test_bad_usage_is_status_2(cli: Run, arguments: list[str]) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert "Error: " in done.stderr


def test_the_demo_once_syncs_everything_and_again_changes_nothing(cli: Run) -> None:
    first, second = cli("demo", "--once", "--json"), cli("demo", "--once", "--json")
    for done, changed in ((first, True), (second, False)):
        assert done.returncode == 0, done
        said = result(done)
        assert said["success"] is True
        assert [flow["stream"] for flow in said["flows"]] == ["wtl/courses", "wtl/lesson_catalog", "wtl/users"]
        for flow in said["flows"]:
            assert flow["complete"] is True
            assert flow["created" if changed else "skipped"] == flow["fetched"] > 0
            assert flow["updated"] == flow["failed"] == 0


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
    assert result(done)["flows"][0] | {"duration_ms": 0, "requests": 0} == {
        "stream": "wtl/courses", "partition": None, "fetched": 2, "created": 1, "updated": 0, "skipped": 0,
        "deleted": 0, "restored": 0, "failed": 1, "complete": True, "requests": 0, "retries": 0, "duration_ms": 0,
        "errors": ["1: source: title is missing"],
    }  # fmt: skip
    assert "1 records refused" in done.stderr


# --- what goes wrong is one clear line ----------------------------------------------------------------------


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


# --- killed, and run again ----------------------------------------------------------------------------------


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


# --- db, doctor, sandbox ------------------------------------------------------------------------------------


def test_db_status_and_upgrade(cli: Run, create_database: Callable[..., str]) -> None:
    url = create_database(empty=True)
    before = cli("db", "status", "--json", SYNC_DATABASE_URL=url)
    assert (before.returncode, result(before)["current"]) == (1, None)
    upgrade = cli("db", "upgrade", SYNC_DATABASE_URL=url)
    assert upgrade.returncode == 0
    assert "upgraded from empty" in upgrade.stdout
    after = cli("db", "status", SYNC_DATABASE_URL=url)
    assert after.returncode == 0
    assert "up to date" in after.stdout


def test_doctor_finds_what_stands_in_the_way(cli: Run, wtl: Callable[..., dict[str, str]]) -> None:
    environment = wtl(Platform.invented())
    well = cli("doctor", **environment)
    assert well.returncode == 0, well
    assert environment["WTL_API_TOKEN"] not in well.stdout
    ill = cli("doctor", "--json", **(environment | {"WTL_API_TOKEN": "hunter22"}))
    assert ill.returncode == 1
    assert result(ill)["healthy"] is False
    assert "hunter22" not in ill.stdout + ill.stderr


def test_the_sandbox_prints_the_settings_that_reach_it(clean_environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [*COMMAND, "sandbox", "--port", "0", "--courses", "3"],
        env=clean_environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    said = dict(process.stdout.readline().strip().split("=", 1) for _ in range(2))
    answer = httpx.get(f"{said['WTL_API_URL']}/training/list", headers={"X-Auth-Token": said["WTL_API_TOKEN"]})
    assert len(answer.json()) == 3
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode in (0, 130)


# --- the demo with its UI -----------------------------------------------------------------------------------


def graphql(url: str, query: str) -> dict[str, Any]:
    return httpx.post(f"{url}/graphql", json={"query": query}, timeout=60).json()["data"]


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def test_the_demo_shows_a_succeeded_run_and_a_running_schedule_and_leaves_nothing_behind(
    clean_environment: dict[str, str], tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [*COMMAND, "demo", "--courses", "3"], env=clean_environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    url = next(line.split()[-1] for line in process.stdout if "Dagster UI" in line)
    runs = graphql(url, "{runsOrError{... on Runs{results{status jobName}}}}")
    # The newest come first, and a tick of the schedule may have come meanwhile.
    assert runs["runsOrError"]["results"][-1] == {"status": "SUCCESS", "jobName": "wtl_sync"}
    schedules = graphql(
        url,
        '{schedulesOrError(repositorySelector:{repositoryName:"__repository__",'
        'repositoryLocationName:"sync_pipelines"}){... on Schedules{results{name scheduleState{status}}}}}',
    )
    assert schedules["schedulesOrError"]["results"] == [
        {"name": "wtl_every_15_minutes", "scheduleState": {"status": "RUNNING"}}
    ]
    second = subprocess.run([*COMMAND, "demo"], env=clean_environment, capture_output=True, text=True, check=False)
    assert "a demo is running" in one_clear_line(second, 2)
    started = descendants(process)
    assert started
    postmaster = int((tmp_path / "home" / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 0
    left = [p for p in started if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert left == []
    assert not psutil.pid_exists(postmaster) or psutil.Process(postmaster).status() == psutil.STATUS_ZOMBIE
