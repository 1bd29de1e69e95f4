"""`serve` as people and supervisors use it: a process, two streams, signals."""

import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sync_pipelines_tests.cli.commands import COMMAND, Run, one_clear_line, result

Started = tuple[subprocess.Popen[str], str]


@pytest.fixture
def start(clean_environment: dict[str, str]) -> Iterator[Callable[..., Started]]:
    """Starts a service; gives its process, and the address that it says."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> Started:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=clean_environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.fullmatch(r"» (http://\S+); Ctrl-C stops it\n", line):
                return process, found[1]
        raise AssertionError("it ended")

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(
    start: Callable[..., Started], database_url: str, tmp_path: Path, told: signal.Signals
) -> None:
    process, address = start("serve", "--port", "0", SYNC_DATABASE_URL=database_url)
    with httpx.Client(base_url=address) as client:
        assert client.get("/readyz?check=database").json()["status"] == "ok"
        # The connection is kept, and does not keep it.
        process.send_signal(told)
        said, errors = process.communicate()
    assert (process.returncode, said, errors) == (0, "", "» stopped\n")
    assert (tmp_path / "home" / "inbox").is_dir()


def test_it_migrates_a_database_and_a_learner_who_has_a_token_is_let_in(
    start: Callable[..., Started], cli: Run, create_database: Callable[..., str], query: Callable[..., list[Any]]
) -> None:
    environment = {"SYNC_DATABASE_URL": create_database(empty=True)}
    _, address = start("serve", "--port", "0", **environment)
    learner = ["--name", "tablet", "--scope", "learner", "--subject", "user-1"]
    token = result(cli("tokens", "create", *learner, "--json", **environment))["token"]
    url = f"{address}/api/v1/learning/progress/"
    assert httpx.get(url, headers={"Authorization": f"Bearer {token}"}).json() == []
    cli("tokens", "revoke", "tablet", **environment)
    assert httpx.get(url, headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_it_logs_requests_when_asked_and_refusals_always_without_the_token(
    start: Callable[..., Started], database_url: str
) -> None:
    for options in ([], ["-v"]):
        process, address = start(*options, "serve", "--port", "0", SYNC_DATABASE_URL=database_url)
        token = "spl_" + "A" * 43
        headers = {"Authorization": f"Bearer {token}", "X-Request-ID": "this-one"}
        httpx.get(f"{address}/api/v1/learning/progress/?device_id={token}", headers=headers)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate()
        assert "request this-one refused at GET /api/v1/learning/progress/: unknown" in errors
        assert ("GET /api/v1/learning/progress/: 401 after" in errors) == bool(options)
        assert token not in errors


def test_a_port_that_is_taken_is_a_clear_error(cli: Run, database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        error = one_clear_line(cli("serve", "--port", port, SYNC_DATABASE_URL=database_url), 2)
    assert f"127.0.0.1 port {port}" in error
    nowhere = cli("serve", "--host", "no.such.host.invalid", "--port", "0", SYNC_DATABASE_URL=database_url)
    assert "no.such.host.invalid" in one_clear_line(nowhere, 2)


def test_a_database_that_does_not_answer_is_a_clear_error(cli: Run) -> None:
    error = one_clear_line(
        cli("serve", "--port", "0", SYNC_DATABASE_URL="postgresql://u:hunter22@127.0.0.1:1/d"), 1
    )
    assert "SYNC_DATABASE_URL" in error
    assert "hunter22" not in error


def test_an_inbox_that_cannot_be_made_is_a_clear_error(cli: Run, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    said = one_clear_line(cli("serve", "--port", "0", SYNC_DATABASE_URL=database_url), 2)
    assert "inbox" in said
    assert "SYNC_HOME" in said
