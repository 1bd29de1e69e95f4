"""`trigger` as cron and timers use it: a process with an environment, an exit status and two streams."""

from __future__ import annotations

import configparser
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dagster._utils.schedules import is_valid_cron_schedule

import sync_pipelines
from sync_pipelines.cli.trigger import TRIGGERED
from sync_pipelines.flows.registry import UPSTREAMS
from sync_pipelines_tests.cli.answering import FAILED, RUN, RUNNING, WRONG, Answer, Service, run
from sync_pipelines_tests.cli.commands import COMMAND, Run, one_clear_line, result

GUIDE = Path(sync_pipelines.__file__).parent.parent / "docs" / "trigger.md"
TOKEN = "spl_" + "t" * 43


def test_what_it_can_ask_for_are_the_upstreams() -> None:
    assert {*TRIGGERED} == {*UPSTREAMS}


@pytest.fixture
def service() -> Iterator[Callable[..., Service]]:
    services: list[Service] = []

    def start(*answers: Answer | None) -> Service:
        services.append(Service(*answers).__enter__())
        return services[-1]

    yield start
    for one in services:
        one.__exit__()


def test_the_command_asks_with_the_token_and_prints_one_line_or_one_object(
    cli: Run, service: Callable[..., Service]
) -> None:
    there = service((200, run()))
    environment = {"APP_URL": there.url, "OPERATOR_TOKEN": TOKEN}
    done = cli("trigger", "bakalari", "--school", "a", "--school", "b", **environment)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    method, _, headers, body = there.asked[0]
    assert (method, headers["authorization"], body) == ("POST", f"Bearer {TOKEN}", {"schools": ["a", "b"]})
    said = result(cli("trigger", "wtl", "--course", "all", "--json", "--debug", **environment))
    assert there.asked[1][3] == {"courses": "all"}
    assert (said["success"], said["runId"], said["status"], said["attempts"]) == (True, RUN, "succeeded", 1)
    assert (said["result"], said["errors"], said["durationMs"]) == (run()["result"], [], 12_300)
    assert said["requestId"] == there.asked[1][2]["x-request-id"]
    assert said["message"].startswith("wtl: succeeded in 12.3 s: ")


def test_a_failure_is_told_on_standard_error_and_what_was_asked_if_somebody_wants_to_know(
    cli: Run, service: Callable[..., Service]
) -> None:
    there = service((503, WRONG, {"Retry-After": "0"}), (500, FAILED))
    done = cli("trigger", "progress", "--debug", APP_URL=there.url, OPERATOR_TOKEN=TOKEN)
    assert "guard_tripped" in one_clear_line(done, 1)
    assert done.stdout == ""
    assert done.stderr.count(f"» POST {there.url}/api/sync/progress, request ") == 2
    assert "» 503 after" in done.stderr
    assert "again after 0.0 s" in done.stderr
    assert TOKEN not in done.stderr


def test_a_token_may_lie_in_a_file_and_without_one_it_says_how_to_get_it(
    cli: Run, service: Callable[..., Service], tmp_path: Path
) -> None:
    there = service((200, run()))
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert cli("trigger", "wtl", APP_URL=there.url, OPERATOR_TOKEN_FILE=str(tmp_path / "token")).returncode == 0
    assert "tokens create" in one_clear_line(cli("trigger", "wtl", APP_URL=there.url), 2)
    assert len(there.asked) == 1


def test_a_token_that_is_refused_is_exit_status_2_and_not_shown(cli: Run, service: Callable[..., Service]) -> None:
    there = service((401, WRONG))
    done = cli("trigger", "wtl", APP_URL=there.url, OPERATOR_TOKEN=TOKEN)
    assert "OPERATOR_TOKEN is refused" in one_clear_line(done, 2)
    assert TOKEN not in done.stdout + done.stderr


@pytest.mark.parametrize("url", ["http://192.0.2.1:8080", "http://service:8080", "http://localhost.example.cz"])
def test_a_token_does_not_go_to_another_machine_in_the_clear(cli: Run, url: str) -> None:
    said = one_clear_line(cli("trigger", "wtl", APP_URL=url, OPERATOR_TOKEN=TOKEN), 2)
    assert "--insecure" in said


def test_a_service_that_is_not_there_is_a_clear_error(cli: Run, service: Callable[..., Service]) -> None:
    there = service((200, run()))
    there.__exit__()
    done = cli("trigger", "wtl", "--attempts", "1", APP_URL=there.url, OPERATOR_TOKEN=TOKEN)
    assert "127.0.0.1 cannot be reached" in one_clear_line(done, 1)


@pytest.mark.parametrize(
    "arguments",
    [[], ["all"], ["wtl", "--school", "a"], ["bakalari", "--course", "1"], ["wtl", "--wait", "301"]],
)
def test_what_it_cannot_ask_for_is_bad_usage(cli: Run, arguments: list[str]) -> None:
    done = cli("trigger", *arguments, OPERATOR_TOKEN=TOKEN)
    assert (done.returncode, "Error: " in done.stderr) == (2, True)


@pytest.mark.parametrize("told_to", [signal.SIGINT, signal.SIGTERM])
def test_whoever_ends_it_is_told_that_the_run_goes_on(
    clean_environment: dict[str, str], service: Callable[..., Service], told_to: signal.Signals
) -> None:
    there = service((202, RUNNING), (200, RUNNING))
    followed = threading.Event()
    there.then = lambda: followed.set() if len(there.asked) > 1 else None
    process = subprocess.Popen(
        [*COMMAND, "trigger", "wtl"],
        env={**clean_environment, "APP_URL": there.url, "OPERATOR_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    followed.wait()
    process.send_signal(told_to)
    said, errors = process.communicate()
    assert (process.returncode, said) == (130, "")
    assert errors.split("\n") == [f"» waiting no longer: run {RUN} goes on", "", "interrupted", ""]


def test_it_starts_without_what_syncs(clean_environment: dict[str, str]) -> None:
    code = "import sys, sync_pipelines.cli.trigger; print(sorted({n.partition('.')[0] for n in sys.modules}))"
    done = subprocess.run(
        [COMMAND[0], "-c", code], env=clean_environment, capture_output=True, text=True, check=True
    )
    assert not {"dagster", "pandas", "sqlalchemy", "fastapi", "matplotlib", "aiohttp"} & {*eval(done.stdout)}


def blocks(language: str) -> list[str]:
    """The guide's code of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_guides_lines_of_cron_are_those_of_cron_and_call_the_command() -> None:
    lines = [line for block in blocks("crontab") for line in block.splitlines() if line and line[0] != "#"]
    jobs = [line for line in lines if not re.match(r"[A-Z_]+=", line)]
    assert jobs
    for line in jobs:
        *fields, command = line.split(maxsplit=5)
        assert is_valid_cron_schedule(" ".join(fields))
        # In a crontab it ends the line.
        assert "%" not in command
        assert "sync-pipelines trigger " in command


def test_the_guides_units_are_units_and_their_calendars_have_days_and_hours() -> None:
    units = {}
    for block in blocks("ini"):
        name = re.match(r"# (\S+\.(?:service|timer))\n", block)
        assert name, block
        unit = configparser.ConfigParser(strict=True, interpolation=None)
        unit.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]
        unit.read_string(block)
        units[Path(name[1]).name] = unit
    service, timer = units["sync-trigger.service"], units["sync-trigger.timer"]
    assert service["Service"]["Type"] == "oneshot"
    assert " trigger " in service["Service"]["ExecStart"]
    assert service["Service"]["LoadCredential"].partition(":")[0] in service["Service"]["Environment"]
    assert re.fullmatch(r"Mon\.\.Fri \*-\*-\* 07\.\.17:00/15:00 Europe/Prague", timer["Timer"]["OnCalendar"])
    assert timer["Install"]["WantedBy"] == "timers.target"


def test_every_call_in_the_guide_is_one_that_the_command_takes(cli: Run, service: Callable[..., Service]) -> None:
    there = service((200, run()))
    environment = {"APP_URL": there.url, "OPERATOR_TOKEN": TOKEN}
    calls = {
        call.strip()
        for line in GUIDE.read_text("utf-8").splitlines()
        for call in re.findall(r"sync-pipelines(?:\.exe)? trigger((?: +(?:--)?[a-z0-9-]+)+)", line)
    }
    assert len(calls) > 3
    for call in calls:
        assert cli("trigger", *call.split(), **environment).returncode == 0, call
