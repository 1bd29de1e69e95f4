"""Asking for a sync, by the API, on the page, and by the command for cron; each through a real Dagster."""

import logging
import os
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from sync_pipelines.postgres.api_tokens import Scope
from sync_pipelines.postgres.lock import stream_lock
from sync_pipelines_tests.cli.commands import COMMAND, result
from sync_pipelines_tests.service.browser.conftest import chromium  # noqa: F401
from sync_pipelines_tests.service.with_dagster.conftest import Place

NOUNS = ("schools", "classes", "subjects", "users", "enrollments")
OUTCOMES = ("Created", "Updated", "Skipped", "Failed", "Deleted", "Restored")
LAUNCH = """
mutation($job: String!, $tags: [ExecutionTag!]!) {
  launchRun(executionParams: {
    selector: {repositoryName: "__repository__", repositoryLocationName: "sync_pipelines", jobName: $job}
    executionMetadata: {tags: $tags}
  }) {__typename ... on LaunchRunSuccess {run {runId}}}
}
"""
_PATIENCE_SECONDS = 240


def end_of(client: httpx.Client, location: str) -> dict[str, Any]:
    """Look at a run until it has ended."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while (said := client.get(location).json())["success"] is None:
        assert time.monotonic() < until, said
        time.sleep(0.3)
    return said


def events_of(run_id: str, caplog: pytest.LogCaptureFixture) -> list[tuple[str, Any]]:
    """What was told of a run: others may end meanwhile."""
    events = [(record.message, getattr(record, "event", {})) for record in caplog.records]
    return [(message, event) for message, event in events if event.get("runId") == run_id]


def schools_in(said: dict[str, Any]) -> int:
    """How many a sync has read, whatever was there before: tests come in any order."""
    return sum(said["result"][f"schools{outcome}"] for outcome in ("Created", "Updated", "Skipped"))


def test_a_sync_of_the_schools_answers_with_true_counts_and_is_in_dagsters_history(
    place: Place, operator: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    place.query("TRUNCATE bakalari.schools, bakalari.rosters, sync.streams, sync.external_refs CASCADE")
    name = f"nightly-{uuid.uuid4()}"
    with caplog.at_level(logging.INFO, "sync_pipelines.events"):
        first = operator.post("/api/sync/bakalari?wait=300", headers={"X-Request-ID": name})
    assert first.status_code == 200
    said = first.json()
    rows = {noun: place.query(f"SELECT count(*) FROM bakalari.{noun}")[0] for noun in NOUNS}
    assert rows["enrollments"] == sum(len(school.enrolled()) for school in place.schools) > 0
    assert said["result"] == {
        f"{noun}{outcome}": rows[noun] if outcome == "Created" else 0 for noun in NOUNS for outcome in OUTCOMES
    }
    assert (said["success"], said["errors"]) == (True, [])
    assert said["requestId"] == first.headers["X-Request-ID"] == name
    run = place.graphql(
        "query($id: ID!) {runOrError(runId: $id) {... on Run {status jobName startTime endTime}}}",
        id=said["runId"],
    )["runOrError"]
    assert (run["status"], run["jobName"]) == ("SUCCESS", "bakalari_sync")
    assert said["durationMs"] == round((run["endTime"] - run["startTime"]) * 1000)
    told = events_of(said["runId"], caplog)
    assert [message for message, _ in told] == ["sync_start", "sync_ok"]
    for _, event in told:
        assert (event["runId"], event["requestId"]) == (said["runId"], name)
    assert told[1][1]["result"] == said["result"]
    assert told[1][1]["durationMs"] == said["durationMs"]

    again = operator.post("/api/sync/bakalari?wait=300").json()
    assert {name: count for name, count in again["result"].items() if count} == {
        f"{noun}Skipped": rows[noun] for noun in NOUNS
    }


def test_of_twenty_callers_at_once_one_has_a_run_and_the_others_are_told_which(
    place: Place, operator: httpx.Client
) -> None:
    def runs() -> set[str]:
        query = '{runsOrError(filter: {pipelineName: "bakalari_sync"}) {... on Runs {results {runId}}}}'
        return {run["runId"] for run in place.graphql(query)["runsOrError"]["results"]}

    before = runs()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: operator.post("/api/sync/bakalari?wait=300"), range(20)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 19}
    (made,) = runs() - before
    assert {answer.json()["runId"] for answer in answers} == {made}
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"under_way"}


def test_a_school_that_is_down_fails_the_sync_by_code_and_not_the_other_school(
    place: Place, operator: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    place.schools[0].down = "unavailable"
    try:
        with caplog.at_level(logging.INFO, "sync_pipelines.events"):
            failed = operator.post("/api/sync/bakalari?wait=300")
    finally:
        place.schools[0].down = None
    assert failed.status_code == 500
    said = failed.json()
    assert (said["success"], said["code"]) == (False, "sync_failed")
    assert said["errors"] == [{"code": "source_unavailable", "stream": "bakalari/roster", "count": 1}]
    assert schools_in(said) == 1
    told = events_of(said["runId"], caplog)
    assert [message for message, _ in told] == ["sync_start", "sync_fail"]
    assert told[1][1]["errors"] == said["errors"]


def test_who_does_not_wait_is_told_where_to_look_and_a_viewer_may(
    asking: Callable[[Scope], httpx.Client], operator: httpx.Client
) -> None:
    begun = operator.post("/api/sync/wtl?wait=0")
    assert begun.status_code == 202
    viewer = asking("viewer")
    said = end_of(viewer, begun.headers["Location"])
    assert (said["runId"], said["flow"], said["success"]) == (begun.json()["runId"], "wtl", True)
    assert said["steps"] == dict.fromkeys(("wtl/courses", "wtl/lesson_catalog", "wtl/users"), "done")
    assert viewer.post("/api/sync/wtl").status_code == 403
    assert operator.get(f"/api/sync/runs/{uuid.uuid4()}").status_code == 404


def test_only_what_is_named_is_synced_and_what_is_not_known_is_refused(
    place: Place, operator: httpx.Client
) -> None:
    assert operator.post("/api/sync/wtl?wait=300").status_code == 200
    course = place.platform.courses[0]["id"]
    some = operator.post("/api/sync/wtl?wait=300", json={"courses": [course]}).json()
    assert (some["flow"], some["success"]) == ("wtl_courses", True)
    synced = place.query("SELECT stream FROM sync.streams WHERE stream LIKE 'wtl/course_users/%'")
    assert synced == [f"wtl/course_users/{course}"]
    everything = operator.post("/api/sync/wtl?wait=300", json={"courses": "all"}).json()
    assert everything["success"]
    assert len(place.query("SELECT stream FROM sync.streams WHERE stream LIKE 'wtl/course_users/%'")) == 3
    for upstream, body in (
        ("bakalari", {"schools": ["prvni", "treti"]}),
        ("wtl", {"courses": ["987654"]}),
        ("wtl", {"schools": ["prvni"]}),
        ("bakalari", {"courses": ["1"]}),
        ("bakalari", {"school": ["prvni"]}),
        ("bakalari", {"schools": []}),
        ("progress", {"courses": "all"}),
    ):
        refused = operator.post(f"/api/sync/{upstream}", json=body)
        assert refused.status_code == 422, body
        assert refused.json()["errors"]


def test_a_run_of_a_schedule_is_in_the_way_of_its_own_school_alone(place: Place, operator: httpx.Client) -> None:
    tags = [{"key": "dagster/partition", "value": "prvni"}, {"key": "sync/queue", "value": "bakalari/prvni"}]
    # It waits for the school's lock, and so is under way all the time.
    with place.database.session() as session, stream_lock(session, "bakalari/classes/prvni", timedelta(seconds=9)):
        run = place.graphql(LAUNCH, job="bakalari_sync", tags=tags)["launchRun"]["run"]["runId"]
        for body in ({}, {"schools": ["prvni"]}, {"schools": ["druha", "prvni"]}):
            refused = operator.post("/api/sync/bakalari", json=body)
            assert (refused.status_code, refused.json()["runId"]) == (409, run)
        other = operator.post("/api/sync/bakalari?wait=300", json={"schools": ["druha"]})
        assert other.status_code == 200
        assert schools_in(other.json()) == 1
    assert end_of(operator, f"/api/sync/runs/{run}")["success"]


@pytest.fixture
def context(chromium: Browser) -> Generator[BrowserContext]:  # noqa: F811
    context = chromium.new_context(locale="en-GB")
    context.set_default_timeout(1000 * _PATIENCE_SECONDS)
    yield context
    context.close()


def test_a_person_logs_in_asks_for_a_sync_and_sees_it_through_to_its_result(
    place: Place, token: Callable[[Scope], str], context: BrowserContext
) -> None:
    place.query("TRUNCATE bakalari.schools, bakalari.rosters, sync.streams, sync.external_refs CASCADE")
    place.query("INSERT INTO wtl.courses (wtl_course_id, title) VALUES ('local-1', 'Zlomky')")
    place.query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('local-1', 'Zlomky')")
    place.query(
        "INSERT INTO wtl.course_lessons (course_id, lesson_id, position, required) "
        "SELECT c.id, l.id, 0, true FROM wtl.courses c, wtl.lessons l"
    )
    mapped = place.query("SELECT * FROM wtl.course_lessons")
    page = context.new_page()
    page.goto(f"{place.address}/admin/")
    page.get_by_label("Token").fill(token("operator"))
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Sync schools").click()
    run = page.locator("#run")
    # It is told of by itself: nobody reloads.
    expect(run.get_by_text("Done", exact=True)).to_be_visible(timeout=1000 * _PATIENCE_SECONDS)
    for view, kind in (("users", "People"), ("enrollments", "Enrollments")):
        (count,) = place.query(f"SELECT count(*) FROM bakalari.{view}")
        new = run.get_by_role("row", name=kind).get_by_role("cell").first
        expect(new).to_have_text(str(count))
    page.goto(f"{place.address}/admin/")
    page.get_by_role("button", name="Sync courses").click()
    expect(page.locator("#run").get_by_text("Done", exact=True)).to_be_visible(timeout=1000 * _PATIENCE_SECONDS)
    assert mapped == place.query("SELECT * FROM wtl.course_lessons")


def test_the_command_for_cron_asks_for_a_sync_and_says_how_it_ended_in_a_line(
    place: Place, token: Callable[[Scope], str]
) -> None:
    environment = {"PATH": os.environ["PATH"], "APP_URL": place.address, "OPERATOR_TOKEN": token("operator")}

    def trigger(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, "trigger", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    done = trigger("bakalari", "--school", "druha")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1), done
    said = result(trigger("bakalari", "--json"))
    assert (said["success"], said["status"]) == (True, "succeeded")
    assert schools_in(said) == 2
    history = place.graphql("query($id: ID!) {runOrError(runId: $id) {... on Run {status}}}", id=said["runId"])
    assert history["runOrError"]["status"] == "SUCCESS"
    environment["OPERATOR_TOKEN"] = token("viewer")
    refused = trigger("bakalari")
    assert refused.returncode == 2, refused
    assert environment["OPERATOR_TOKEN"] not in refused.stdout + refused.stderr
