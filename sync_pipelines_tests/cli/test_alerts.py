"""`alerts` as people and supervisors use it: processes, exit statuses, two streams."""

import os
import signal
import subprocess
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Any

import pytest

from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines_tests.alerts.listening import Listener, free_port
from sync_pipelines_tests.cli.commands import COMMAND, Run, one_clear_line, result

Wtl = Callable[..., dict[str, str]]


@pytest.fixture
def receiver() -> Generator[Listener, None, None]:
    with ExitStack() as stack:
        yield stack.enter_context(Listener())


def test_each_receiver_is_sent_a_test_and_named_without_its_secrets(cli: Run, receiver: Listener) -> None:
    nobody = f"json://127.0.0.1:{free_port()}/s3cret-path"
    done = cli("alerts", "test", SYNC_ALERT_URLS=f"{receiver.url}, {nobody} slack://s3cretA/x")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        "✓ 1 json://127.0.0.1  ok",
        "✗ 2 json://127.0.0.1  it cannot be reached",
        "✗ 3 slack://…  SYNC_ALERT_URLS: address 3 (slack://…) is none that apprise understands",
    ]
    assert receiver.titles == ["sync-pipelines: a test"]
    assert cli("alerts", "test", SYNC_ALERT_URLS=receiver.url).returncode == 0


def test_a_test_without_receivers_says_what_to_set(cli: Run) -> None:
    assert "SYNC_ALERT_URLS" in one_clear_line(cli("alerts", "test"), 2)


def test_a_run_that_failed_is_told_and_listed_and_so_is_its_end(cli: Run, wtl: Wtl, receiver: Listener) -> None:
    down = f"json://127.0.0.1:{free_port()}/"
    platform = Platform.invented(courses=2, lessons=3, users=2)
    environment = wtl(platform) | {"SYNC_ALERT_URLS": f"{receiver.url} {down}", "SYNC_RETRIES": "0"}

    def look_until(messages: int) -> None:
        """What ended this moment is looked at some seconds later."""
        while len(receiver.messages) < messages:
            assert cli("alerts", "watch", "--once", **environment).returncode == 0

    watched = cli("alerts", "watch", "--once", **environment)
    assert (watched.returncode, watched.stdout) == (0, "")
    assert "open incidents: none" in cli("alerts", "list", **environment).stdout
    platform.switch_on("server-error", path="/training/list")
    assert cli("run", "wtl", **environment).returncode == 1
    look_until(1)
    assert receiver.titles == ["✗ WebToLearn: sync fails"]

    listed = cli("alerts", "list", **environment)
    assert "open incidents: 1" in listed.stdout
    assert "messages not delivered yet: 1" in listed.stdout
    said = result(cli("alerts", "list", "--json", **environment))
    (incident,) = said["incidents"]
    assert (incident["kind"], incident["subject"], incident["runs"]) == ("failure", "wtl", 1)
    (late,) = said["undelivered"]
    assert (late["receiver"], late["attempts"]) == ("2 json://127.0.0.1", 1)
    assert late["last_error"] == "it cannot be reached"

    platform.faults.clear()
    assert cli("run", "wtl", **environment).returncode == 0
    look_until(2)
    assert receiver.titles[1].startswith("✓ WebToLearn is synced again")
    assert result(cli("alerts", "list", "--json", **environment))["incidents"] == []


def test_a_watcher_looks_until_it_is_ended_and_ends_in_order(
    wtl: Wtl, clean_environment: dict[str, str], query: Callable[..., list[Any]]
) -> None:
    environment = clean_environment | wtl(Platform())
    with subprocess.Popen(
        [*COMMAND, "alerts", "watch", "--every", "1"], env=environment, stderr=subprocess.PIPE, text=True
    ) as watcher:
        while not query("SELECT position FROM sync.alert_position"):
            assert watcher.poll() is None
        os.kill(watcher.pid, signal.SIGTERM)
        _, errors = watcher.communicate(timeout=120)
    assert (watcher.returncode, errors) == (0, "» watching, every 1 s; Ctrl-C stops it\n» stopped\n")


def test_a_watcher_starts_without_a_database_and_tells_of_it(
    clean_environment: dict[str, str], receiver: Listener
) -> None:
    nowhere = f"postgresql://nobody:s3cret-pw@127.0.0.1:{free_port()}/data"
    environment = clean_environment | {"SYNC_DATABASE_URL": nowhere, "SYNC_ALERT_URLS": receiver.url}
    with subprocess.Popen(
        [*COMMAND, "alerts", "watch", "--every", "1"], env=environment, stderr=subprocess.PIPE, text=True
    ) as watcher:
        while not receiver.messages:
            assert watcher.poll() is None
        os.kill(watcher.pid, signal.SIGINT)
        _, errors = watcher.communicate(timeout=120)
    assert watcher.returncode == 0
    assert receiver.titles == ["✗ The database does not answer"]
    assert "cannot connect to 127.0.0.1" in errors
    assert "s3cret" not in errors + str(receiver.messages)


def test_one_look_at_a_database_that_does_not_answer_fails(cli: Run) -> None:
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/data"
    done = cli("alerts", "watch", "--once", SYNC_DATABASE_URL=nowhere)
    assert "cannot connect" in one_clear_line(done, 1)
