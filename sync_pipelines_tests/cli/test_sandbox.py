import re
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator
from typing import IO

import httpx
import pytest

from sync_pipelines.cli.sandbox import command
from sync_pipelines.sandbox.webtolearn.platform import FILTERS, RELATIONS
from sync_pipelines.sandbox.webtolearn.ranges import MEANINGS
from sync_pipelines_tests.cli.commands import COMMAND, Run

Started = tuple[httpx.Client, str]


@pytest.fixture
def start(clean_environment: dict[str, str]) -> Iterator[Callable[..., Started]]:
    """Starts a sandbox; gives a client of its API by the settings it printed, and what it said besides."""
    processes: list[subprocess.Popen[str]] = []
    clients: list[httpx.Client] = []

    def start(*arguments: str) -> Started:
        process = subprocess.Popen(
            [*COMMAND, "sandbox", "--port", "0", *arguments],
            env=clean_environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        said = dict(line.strip().split("=", 1) for line in lines(process.stdout, 4))
        client = httpx.Client(base_url=said["WTL_API_URL"], headers={"X-Auth-Token": said["WTL_API_TOKEN"]})
        clients.append(client)
        return client, "".join(lines(process.stderr, 3))

    def lines(stream: IO[str] | None, count: int) -> list[str]:
        assert stream is not None
        return [stream.readline() for _ in range(count)]

    yield start
    for client in clients:
        client.close()
    for process in processes:
        process.send_signal(signal.SIGINT)
        process.communicate()
        assert process.returncode in (0, 130)


def test_the_sandbox_prints_the_settings_that_reach_it(start: Callable[..., Started]) -> None:
    api, _ = start("--courses", "3")
    assert len(api.get("/training/list").json()) == 3


def test_the_sandbox_says_how_a_fault_is_switched_on(start: Callable[..., Started]) -> None:
    api, said = start()
    found = re.search(r"curl (\S+) -d '(.*?)'", said)
    assert found is not None
    assert "server-error" in httpx.get(found[1]).json()
    assert httpx.post(found[1], content=found[2]).status_code == 201
    assert [api.get("/training/list").status_code for _ in range(4)] == [500, 500, 500, 200]


def test_the_platform_behaves_as_its_options_say(start: Callable[..., Started]) -> None:
    options = ["--page-cap=7", "--filters=ignored", "--relation=path", "--churn=0.5"]
    api, _ = start("--range=page-size", *options, "--limit-minute=11", "--limit-hour=12")
    settings = httpx.get(str(api.base_url).replace("/api/v1/", "/control")).json()["settings"]
    assert settings == {
        "range": "page-size",
        "page_cap": 7,
        "filters": "ignored",
        "sort_ignored": False,
        "relation": "path",
        "churn": 0.5,
        "limit_minute": 11,
        "limit_hour": 12,
        "token": "sandbox-token",
    }


@pytest.mark.parametrize(
    ("option", "words"), [("--range", MEANINGS), ("--filters", FILTERS), ("--relation", RELATIONS)]
)
def test_an_option_knows_the_sandboxs_words(cli: Run, option: str, words: Iterable[str]) -> None:
    (found,) = [p for p in command.params if option in p.opts]
    assert [*found.type.choices] == [*words]  # type: ignore[attr-defined]
    refused = cli("sandbox", option, "other")
    assert refused.returncode == 2
    assert all(word in refused.stderr for word in words)
