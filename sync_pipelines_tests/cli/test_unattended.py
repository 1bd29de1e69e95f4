"""Dagster as it runs by itself: a schedule's tick, a worker that is killed, and what people are then told."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import pytest

from sync_pipelines.cli.dagster_ui import DagsterUi, free_port
from sync_pipelines.cli.workplace import project_file, workplace
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.settings import Settings

T = TypeVar("T")
_LIST = "/training/list"
# A busy machine starts Dagster in a minute; a tick comes after another.
_PATIENCE_SECONDS = 300


class _Receiver:
    """Takes alerts as a webhook does, and keeps what was told."""

    def __init__(self) -> None:
        told = self.told = list[dict[str, Any]]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_address[1]}/"

    def about(self, flow: str) -> list[str]:
        return [message["title"] for message in self.told if flow in message["title"]]


@pytest.fixture
def receiver() -> Iterator[_Receiver]:
    receiver = _Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


def _sooner_or_later(look: Callable[[], T | None], what: str) -> T:
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.5)
    raise AssertionError(f"it did not happen: {what}")


def _runs(instance: dg.DagsterInstance, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
    return list(instance.get_runs(dg.RunsFilter(job_name="wtl_sync", statuses=list(statuses))))


def _worker(instance: dg.DagsterInstance, run: dg.DagsterRun) -> int | None:
    """The process that a run is in, as the history says, once its first step has begun."""
    said = [entry.message for entry in instance.all_logs(run.run_id)]
    if not any("wtl__courses" in message for message in said):
        return None
    pids = [match[1] for message in said if (match := re.search(r"\(pid: (\d+)\)", message))]
    return int(pids[0]) if pids else None


@pytest.mark.timeout(1200)
def test_a_killed_run_is_told_once_and_its_recovery_once(
    serve: Callable[[Any], str],
    database_url: str,
    receiver: _Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = Platform.invented(courses=2, lessons=6, users=4)
    platform.switch_on("hang", path=_LIST, seconds=600)
    for name, value in {
        "SYNC_DATABASE_URL": database_url,
        "SYNC_HOME": str(tmp_path / "home"),
        "SYNC_EVERY_MINUTES": "1",
        "SYNC_ALERT_URLS": receiver.url,
        # The next tick's run begins while requests still hang, and waits for one in vain: no news here.
        "SYNC_SLOW_SECONDS": "3600",
        "WTL_API_URL": serve(platform),
        "WTL_API_TOKEN": platform.token,
    }.items():
        monkeypatch.setenv(name, value)
    with workplace(Settings.load()) as settings:
        ui = DagsterUi(free_port(range(3400, 3500)), project_file("workspace.yaml"), settings.home / "dev.log")
        with ui, dg.DagsterInstance.get() as instance:
            ui.wait_until_it_answers()
            (run,) = _sooner_or_later(lambda: _runs(instance, dg.DagsterRunStatus.STARTED), "a scheduled run")
            assert run.tags["dagster/schedule_name"] == "wtl_sync_schedule"
            os.kill(_sooner_or_later(lambda: _worker(instance, run), "its process"), signal.SIGKILL)
            _sooner_or_later(lambda: _runs(instance, dg.DagsterRunStatus.FAILURE), "it counts as failed")
            (failed,) = _sooner_or_later(lambda: receiver.about("WebToLearn"), "an alert")
            assert failed.startswith("✗")
            platform.faults.clear()
            _sooner_or_later(lambda: _runs(instance, dg.DagsterRunStatus.SUCCESS), "a later run succeeds")
            _sooner_or_later(lambda: len(receiver.about("WebToLearn")) > 1, "its recovery is told")
            before = len(_runs(instance, dg.DagsterRunStatus.SUCCESS))
            _sooner_or_later(
                lambda: len(_runs(instance, dg.DagsterRunStatus.SUCCESS)) > before,
                "a further tick, to see no more",
            )
    told = [title[0] for title in receiver.about("WebToLearn")]
    assert told == ["✗", "✓"]
    assert run.run_id in str(receiver.told[0])
