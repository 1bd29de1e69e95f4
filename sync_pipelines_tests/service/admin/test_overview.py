"""The overview: what it makes of the database, where Dagster does not answer."""

import json
from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.service.admin.sparkline import BARS, HEIGHT, STEP, bars
from sync_pipelines.service.app import make_app
from sync_pipelines.service.orchestrator import Run, Status
from sync_pipelines.settings import Settings
from sync_pipelines_tests.service.admin.visiting import Visitor, heading

Query = Callable[..., list[Any]]
NOW = datetime(2026, 1, 12, 10, tzinfo=UTC)


@pytest.fixture
def operator(
    service: FastAPI, serve: Callable[..., str], token: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> Generator[Visitor]:
    """An operator of a service that WebToLearn is set up for."""
    monkeypatch.setenv("WTL_API_URL", "http://127.0.0.1:9/api/v1")
    monkeypatch.setenv("WTL_API_TOKEN", "sandbox-token")
    app = make_app(Settings.load())
    with Visitor(serve(app, lifespan=True)) as me:
        me.log_in(token("operator"))
        yield me
    app.state.database.engine.dispose()


def synced(query: Query, stream: str, ago: str = "1 minute", **report: int) -> None:
    query(
        "INSERT INTO sync.streams (stream, last_complete_at, last_report) "
        "VALUES (:s, now() - CAST(:ago AS interval), :r)",
        s=stream,
        ago=ago,
        r=json.dumps({"fetched": 10, "complete": True, **report}),
    )


def state(page: Any, flow: str) -> str:
    return page.css_first(f"#state-{flow}").text()


def attention(page: Any) -> str:
    return page.css_first("#attention").text()


def card(page: Any, flow: str) -> tuple[str, list[str]]:
    """A flow's state, and its counts."""
    shown = page.css_first(f"#state-{flow}")
    return shown.css_first(".state").text(), [node.text() for node in shown.css("dd.number")]


def test_a_flow_shows_what_the_last_runs_of_all_its_streams_did(operator: Visitor, query: Query) -> None:
    synced(query, "wtl/courses", created=1, updated=20, failed=3)
    synced(query, "wtl/lesson_catalog", created=1000, deleted=4)
    synced(query, "wtl/users", updated=5)
    for course in (1, 2):
        synced(query, f"wtl/lessons/{course}", updated=1)
        synced(query, f"wtl/remote_course_lessons/{course}", created=2)
        synced(query, f"wtl/course_users/{course}", deleted=7)
    page = operator.read("/admin/")
    assert card(page, "wtl") == ("Up to date", ["1,001", "25", "4", "3"])
    assert card(page, "wtl_courses") == ("Up to date", ["4", "2", "14", "0"])


def test_a_flow_is_as_old_as_its_stalest_stream(operator: Visitor, query: Query) -> None:
    assert card(operator.read("/admin/"), "wtl")[0] == "Never synced"
    synced(query, "wtl/courses")
    synced(query, "wtl/lesson_catalog", "9 days")
    synced(query, "wtl/users")
    page = operator.read("/admin/")
    assert card(page, "wtl")[0] == "Out of date"
    assert "9 days ago" in state(page, "wtl")
    assert card(page, "wtl_courses")[0] == "Never synced"


def test_an_open_incident_is_told_with_what_to_do_and_makes_its_flow_failing(
    operator: Visitor, query: Query
) -> None:
    synced(query, "wtl/courses")
    for subject, ended in (("wtl", None), ("wtl_courses", "now()")):
        details = {"held_by": ["runs"], "said": "x", "run_id": None, "runs": 1, "seen": [], "counts": {}}
        query(
            "INSERT INTO sync.incidents (kind, subject, started_at, ended_at, told_to, details) "
            "VALUES ('guard', :s, now(), CAST(:e AS timestamptz), '{}', :d)",
            s=subject,
            e=ended and datetime.now(UTC),
            d=json.dumps({**details, "streams": [], "left": False}),
        )
    page = operator.read("/admin/")
    told = attention(page)
    assert "WebToLearn: stopped, because too many records vanished at once" in told
    assert "by course" not in told
    assert card(page, "wtl")[0] == "Failing"
    assert card(page, "wtl_courses")[0] == "Never synced"


def test_open_rejects_and_what_vanished_this_week_are_told(operator: Visitor, query: Query) -> None:
    reject = (
        "INSERT INTO sync.rejects (system, type, external_id, stage, error, payload) "
        "VALUES ('wtl', 'user', :k, 'x', 'x', '1')"
    )
    for key in ("1", "2"):
        query(reject, k=key)
    gone = (
        "INSERT INTO sync.external_refs (system, type, external_id, internal_id, remote_deleted_at) "
        "VALUES ('wtl', :t, :k, gen_random_uuid(), now() - CAST(:ago AS interval))"
    )
    for kind, key, ago in (("lesson", "1", "1 day"), ("lesson", "2", "6 days"), ("lesson", "3", "8 days")):
        query(gone, t=kind, k=key, ago=ago)
    told = attention(operator.read("/admin/"))
    assert "Users: 2 records are refused" in told
    assert "2 lessons vanished from WebToLearn this week" in told
    assert "courses vanished" not in told


def test_the_courses_that_are_there_can_be_chosen(operator: Visitor, query: Query) -> None:
    for key, title, gone in (("7", "Zlomky", False), ("8", "Žluť <b>", False), ("9", "Fyzika", True)):
        (row,) = query(
            "INSERT INTO wtl.courses (wtl_course_id, title) VALUES (:k, :t) RETURNING id", k=key, t=title
        )
        query(
            "INSERT INTO sync.external_refs (system, type, external_id, internal_id, remote_deleted_at) "
            "VALUES ('wtl', 'course', :k, :i, CASE WHEN :g THEN now() END)",
            k=key,
            i=row,
            g=gone,
        )
    options = operator.read("/admin/").css("#key-wtl_courses option")
    assert [node.attributes["value"] for node in options] == ["", "7", "8"]
    assert options[2].text() == "Žluť <b> (8)"


def test_without_dagster_the_overview_says_so_and_what_needs_it_asks_to_come_back(operator: Visitor) -> None:
    page = operator.read("/admin/")
    assert "Dagster does not answer" in page.text()
    assert operator.get("/admin/syncs/00000000-0000-0000-0000-000000000000").status_code == 503
    answer = operator.submit(page, "/admin/syncs", flow="wtl")
    assert (answer.status_code, heading(answer)) == (503, "Not just now")


def test_what_there_is_no_flow_or_course_of_is_not_started(operator: Visitor) -> None:
    page = operator.read("/admin/")
    for flow, key, status in (("nothing", "", 422), ("bakalari", "", 400), ("wtl_courses", "12", 422)):
        assert operator.submit(page, "/admin/syncs", flow=flow, key=key).status_code == status


def run(status: Status, seconds: float | None) -> Run:
    began = None if seconds is None else NOW
    ended = None if seconds is None else NOW + timedelta(seconds=seconds)
    return Run("r", "wtl_sync", status, NOW, began, ended, {}, {}, frozenset())


ENDED = st.builds(run, st.sampled_from(["succeeded", "failed", "canceled"]), st.floats(0, 1e6) | st.none())
RUNS = st.lists(ENDED | st.builds(run, st.sampled_from(["queued", "running"]), st.none()), max_size=BARS + 9)


@given(RUNS)
def test_each_run_is_a_bar_within_the_picture_and_the_newest_stands_on_the_right(runs: Sequence[Run]) -> None:
    shown = bars(runs)
    assert [bar.run for bar in reversed(shown)] == list(runs[:BARS])
    assert [bar.x for bar in reversed(shown)] == [(BARS - 1 - place) * STEP for place in range(len(shown))]
    assert all(0 < bar.height <= HEIGHT for bar in shown)


@given(RUNS)
def test_a_run_that_took_longer_has_no_lower_bar(runs: Sequence[Run]) -> None:
    ended = sorted((bar for bar in bars(runs) if bar.run.ended), key=lambda bar: bar.run.seconds or 0)
    heights = [bar.height for bar in ended]
    assert heights == sorted(heights)


async def _silent(_scope: Any, receive: Any, _send: Any) -> None:
    """A server that takes every request, and answers none."""
    while (await receive())["type"] != "http.disconnect":
        pass


def test_a_dagster_that_hangs_keeps_nobody_from_the_page(
    serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("DAGSTER_GRAPHQL_URL", serve(_silent))
    operator: Visitor = request.getfixturevalue("operator")
    assert "Dagster does not answer" in attention(operator.read("/admin/"))
