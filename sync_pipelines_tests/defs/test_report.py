"""health/sync_report on a real instance, of runs that are made up."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from PIL import Image

from sync_pipelines.defs import history as reading
from sync_pipelines.defs.history import history
from sync_pipelines.defs.report import REPORT_ASSETS
from sync_pipelines.defs.resources import RESOURCES
from sync_pipelines.flows.reporting.history import FlowRun
from sync_pipelines.settings import Settings
from sync_pipelines_tests.defs.past import made_run

Query = Callable[..., list[Any]]
NOW = datetime.now(UTC).replace(microsecond=0)
WEEK = timedelta(days=7)
DEFS = dg.Definitions(assets=REPORT_ASSETS, resources=RESOURCES, executor=dg.in_process_executor)
FAILED, CANCELED, STARTED = (
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
    dg.DagsterRunStatus.STARTED,
)


@pytest.fixture
def instance(
    instance_home: object, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> dg.DagsterInstance:
    monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
    monkeypatch.setenv("SYNC_HOME", str(tmp_path / "home"))
    return dg.DagsterInstance.get()


def report(instance: dg.DagsterInstance) -> dict[str, Any]:
    """The metadata of a report that is made now."""
    result = DEFS.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
    assert result.success
    (made,) = result.asset_materializations_for_node("health__sync_report")
    return dict(made.metadata)


def rows(table: Any) -> list[dict[str, Any]]:
    return [dict(record.data) for record in table.records]


def runs(instance: dg.DagsterInstance) -> list[FlowRun]:
    found = history(instance, Settings.load(), NOW, WEEK).runs
    return sorted(found, key=lambda run: (run.began_at, run.flow))


def test_a_report_shows_the_runs_of_a_week_by_flow_and_school(instance: dg.DagsterInstance) -> None:
    for hours, seconds in ((3, 8.0), (2, 10.0), (1, 12.0)):
        made_run(instance, NOW - timedelta(hours=hours), seconds=seconds, tags={"sync/queue": "wtl"})
    made_run(instance, NOW - timedelta(hours=1), seconds=3, tags={"sync/queue": "wtl"}, status=FAILED)
    made_run(instance, NOW - timedelta(days=8), tags={"sync/queue": "wtl"})
    for school in ("skola-a", "skola-b"):
        tags = {"sync/queue": f"bakalari/{school}", "dagster/partition": school}
        made_run(instance, NOW - timedelta(hours=1), seconds=30, tags=tags)
    metadata = report(instance)
    wtl, bakalari = rows(metadata["flows"])
    assert {k: wtl[k] for k in ("flow", "runs", "failed runs", "success", "median", "95th percentile")} == {
        "flow": "wtl", "runs": 4, "failed runs": 1, "success": "75 %", "median": "10 s", "95th percentile": "12 s"
    }  # fmt: skip
    assert (bakalari["runs"], bakalari["success"]) == (2, "100 %")
    assert [(row["school"], row["runs"]) for row in rows(metadata["schools"])] == [("skola-a", 1), ("skola-b", 1)]
    assert (metadata["runs"].value, metadata["failed_runs"].value) == (6, 1)
    assert metadata["success_rate"].value == pytest.approx(5 / 6)
    assert "**6 syncs in the last 7 days, 1 failed.**" in metadata["report"].value


def test_the_page_and_its_pictures_are_files_at_home(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    made_run(instance, NOW - timedelta(hours=1), tags={"sync/queue": "wtl"})
    path = Path(report(instance)["page"].value)
    assert path == tmp_path / "home" / "reports" / "sync_report.html"
    assert "1 sync in the last 7 days" in path.read_text()
    for name in ("outcomes", "durations", "changes"):
        with Image.open(io.BytesIO((path.parent / f"{name}.png").read_bytes())) as image:
            image.load()
            assert image.format == "PNG"


def test_an_empty_history_and_an_empty_database_have_a_report(
    instance_home: object, create_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", create_database(empty=True))
    with dg.DagsterInstance.get() as instance:
        metadata = report(instance)
    assert metadata["report"].value.startswith("**No sync ran in the last 7 days.**")
    assert metadata["runs"].value == 0
    assert "success_rate" not in metadata


def test_the_flow_of_a_run_is_that_of_its_queue_or_else_of_its_assets(instance: dg.DagsterInstance) -> None:
    at = [NOW - timedelta(hours=hours) for hours in range(6, 0, -1)]
    made_run(instance, at[0], tags={"sync/queue": "wtl_courses", "dagster/partition": "7"})
    made_run(instance, at[1], assets=["wtl/users", "wtl/course_users"], status=CANCELED)
    made_run(instance, at[2], assets=["bakalari/users"], tags={"dagster/partition": "skola"}, status=STARTED)
    made_run(instance, at[3], tags={"sync/queue": "health"}, assets=["health/sync_report"])
    made_run(instance, at[4])
    assert [(run.flow, run.site, run.outcome, run.began_at, run.seconds) for run in runs(instance)] == [
        ("wtl_courses", None, "succeeded", at[0], 10.0),
        ("wtl", None, "canceled", at[1], 10.0),
        ("wtl_courses", None, "canceled", at[1], 10.0),
        ("bakalari", "skola", "under way", at[2], None),
    ]


def test_rows_are_those_that_materializations_tell_and_what_only_lands_is_not_counted_twice(
    instance: dg.DagsterInstance,
) -> None:
    counted = {"fetched": 9, "created": 4, "updated": 3, "deleted": 2, "failed": 1}
    made = [("bakalari/roster", "skola", counted), ("bakalari/users", "skola", counted)]
    made_run(instance, NOW - timedelta(hours=1), tags={"sync/queue": "bakalari/skola"}, made=made)
    made_run(instance, NOW - timedelta(hours=1), made=[("wtl/courses", None, {"created": 5})])
    wtl, bakalari = rows(report(instance)["flows"])
    told = ("rows read", "created", "updated", "deleted", "refused")
    assert [bakalari[name] for name in told] == [9, 4, 3, 2, 1]
    assert [wtl[name] for name in told] == [0, 5, 0, 0, 0]


def test_how_old_a_flow_is_comes_from_its_streams(instance: dg.DagsterInstance, query: Query) -> None:
    for stream, minutes in (("wtl/courses", 5), ("wtl/lesson_catalog", 50), ("wtl/users", 5)):
        query(
            "INSERT INTO sync.streams (stream, last_complete_at) VALUES (:stream, :at)",
            stream=stream,
            at=datetime.now(UTC) - timedelta(minutes=minutes),
        )
    (line,) = rows(report(instance)["flows"])
    assert (line["flow"], line["runs"], line["last complete sync"]) == ("wtl", 0, "50 min ago")


def test_more_than_is_read_is_told_as_not_counted(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_MOST_RUNS", 2), ("_MOST_EVENTS", 2), ("_PAGE", 2)):
        monkeypatch.setattr(reading, name, value)
    at = [NOW - timedelta(hours=hours) for hours in range(5, 0, -1)]
    for began in at:
        made_run(instance, began, tags={"sync/queue": "wtl"}, made=[("wtl/users", None, {"created": 1})])
    made_run(instance, at[0], made=[("wtl/courses", None, {"created": 1})])
    found = history(instance, Settings.load(), NOW, WEEK)
    assert (len(found.runs), found.runs_since) == (1, at[4])
    assert found.written_since == at[3] + timedelta(seconds=10)
    assert [w.at for w in found.written] == [at[4] + timedelta(seconds=10), at[3] + timedelta(seconds=10)]


def test_a_database_that_does_not_answer_fails_the_report_and_is_named(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", "postgresql://u:hunter22@127.0.0.1:1/d")
    job = DEFS.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    assert str(failure.user_failure_data.description).startswith("cannot connect to 127.0.0.1:1/d")
    assert "hunter22" not in str(failure)
