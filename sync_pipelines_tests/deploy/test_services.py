"""docker-compose.yml brought up without an engine: see processes.py for what differs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from sync_pipelines.postgres.engine import driver_url
from sync_pipelines_tests.deploy.compose import services
from sync_pipelines_tests.deploy.processes import Processes, until

LAUNCH = """mutation($job: ExecutionParams!) {
    launchRun(executionParams: $job) { __typename ... on LaunchRunSuccess { run { runId } } }
}"""
STATUS = "query($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
WTL_SYNC = {
    "selector": {
        "repositoryLocationName": "sync_pipelines",
        "repositoryName": "__repository__",
        "jobName": "wtl_sync",
    }
}


def graphql(ui: str, query: str, **variables: Any) -> dict[str, Any]:
    return httpx.post(f"{ui}/graphql", json={"query": query, "variables": variables}, timeout=60).json()["data"]


def launched(ui: str) -> str | None:
    """The run's id; None while the code server cannot be reached."""
    answer = graphql(ui, LAUNCH, job=WTL_SYNC)["launchRun"]
    return answer["run"]["runId"] if answer["__typename"] == "LaunchRunSuccess" else None


def launch(ui: str) -> str:
    """Launch a sync of WebToLearn as the UI does; gives the run's id."""
    runs: list[str] = []
    until("a run can be launched", lambda: runs.extend(filter(None, [launched(ui)])) or runs)
    return runs[0]


def status(ui: str, run: str) -> str:
    return graphql(ui, STATUS, run=run)["runOrError"]["status"]


def sync(ui: str) -> str:
    """Launch a sync, wait for its end, and say which it was."""
    run = launch(ui)
    until("the run ends", lambda: status(ui, run) in ("SUCCESS", "FAILURE", "CANCELED"))
    return status(ui, run)


@pytest.mark.timeout(900)
def test_the_services_sync_heal_when_killed_let_runs_end_and_leave_nothing_behind(
    tmp_path: Path, create_database: Callable[..., str]
) -> None:
    url = create_database(empty=True)
    secrets = {
        "database_url": url,
        "secret_key": Fernet.generate_key().decode(),
        "wtl_api_token": "sandbox-token",
        "bakalari_password": "",
        "wtl_webhook_secret": "",
        "bakalari_webhook_secret": "",
        "alert_urls": "",
    }
    processes = Processes(tmp_path, url, {"WTL_API_URL": "http://127.0.0.1:8800/api/v1"}, secrets)
    by_name = {service.name: service for service in services()}

    def rows(statement: str, **parameters: str) -> Any:
        engine = sa.create_engine(driver_url(url, "psycopg"), poolclass=sa.NullPool)
        with engine.connect() as connection:
            return connection.scalar(sa.text(statement), parameters)

    with processes.all_of([*by_name.values()]):
        assert sync(processes.ui) == "SUCCESS"
        assert rows("SELECT count(*) FROM wtl.courses") == 24

        assert httpx.get(f"{processes.service}/api/v1/learning/progress/").status_code == 401
        ready = httpx.get(f"{processes.service}/readyz", timeout=60)
        assert ready.json()["checks"]["dagster"] == {"status": "ok"}
        assert ready.json()["checks"]["flows"]["wtl"]["status"] == "fresh"
        for name in ("code", "daemon", "service"):
            processes.kill(by_name[name])
            processes.start(by_name[name])
        assert sync(processes.ui) == "SUCCESS"

        slow = {"fault": "slow", "seconds": 3, "times": 2}
        httpx.post(f"{processes.sandbox}/control/faults", json=slow).raise_for_status()
        run = launch(processes.ui)
        until("the run goes on", lambda: status(processes.ui, run) not in ("QUEUED", "STARTING"))
        for name in ("service", "alerts", "daemon", "webserver", "code", "sandbox"):
            assert processes.stop(by_name[name]) == [], name
        assert rows("SELECT status FROM dagster.runs WHERE run_id = :run", run=run) == "SUCCESS"
        # The folders of its telemetry, which is off: where they cannot be made, Dagster does without.
        assert processes.written() <= {"logs", ".logs_queue"}
