from collections.abc import Callable
from pathlib import Path
from typing import Any

from sync_pipelines.cli.results import printable
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines_tests.cli.commands import Run, one_clear_line, result

Wtl = Callable[..., dict[str, str]]
VARYING = {"duration_ms", "differences", "facts"}


def counted(said: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in flow.items() if name not in VARYING} for flow in said["flows"]]


def test_a_plan_says_what_the_run_then_does_and_shows_the_differences(
    cli: Run, wtl: Wtl, query: Callable[..., list[Any]]
) -> None:
    platform = Platform(
        courses=[{"id": "6", "name": "Fizyka"}, {"id": "7", "name": "Chemia"}, {"id": "8", "name": "Muzyka"}]
    )
    environment = wtl(platform)
    cli("run", **environment)
    history = query("SELECT count(*) FROM dagster.runs")
    platform.courses[0]["name"] = "Fizyka kwantowa"
    platform.courses[2] = {"id": "9", "name": "Plastyka"}
    planned = cli("plan", "wtl", "--json", **environment)
    assert planned.returncode == 0, planned
    said = result(planned)
    assert (said["success"], said["run_id"]) == (True, None)
    assert sorted(said["flows"][0]["differences"], key=lambda d: d["key"]) == [
        {
            "system": "wtl:course",
            "key": "6",
            "change": "updated",
            "fields": {"title": ["Fizyka", "Fizyka kwantowa"]},
        },
        {"system": "wtl:course", "key": "8", "change": "vanished", "fields": {}},
        {
            "system": "wtl:course",
            "key": "9",
            "change": "created",
            "fields": {"title": [None, "Plastyka"], "wtl_course_id": [None, "9"]},
        },
    ]
    shown = cli("plan", **environment)
    assert shown.returncode == 0
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert ["6", "updated", "title:", "Fizyka", "→", "Fizyka", "kwantowa"] in lines
    assert ["8", "vanished"] in lines
    assert ["9", "created", "title:", "Plastyka"] in lines
    assert query("SELECT count(*) FROM dagster.runs") == history
    assert counted(result(cli("run", "--json", **environment))) == counted(said)


def test_a_plan_of_many_changes_shows_the_first_and_how_many_there_are(cli: Run, wtl: Wtl) -> None:
    done = cli("plan", **wtl(Platform.invented(courses=100, lessons=1, users=0)))
    assert "wtl/courses: the first 20 of 100 changes" in done.stdout
    assert "wtl/users:" not in done.stdout


def test_a_plan_before_the_first_migration_says_what_to_do_and_makes_nothing(
    cli: Run, wtl: Wtl, create_database: Callable[..., str], tmp_path: Path
) -> None:
    environment = wtl(Platform()) | {"SYNC_DATABASE_URL": create_database(empty=True)}
    for _ in range(2):
        assert "sync-pipelines db upgrade" in one_clear_line(cli("plan", **environment), 1)
    assert not (tmp_path / "home").exists()


def test_a_plan_that_cannot_read_is_status_1(cli: Run, wtl: Wtl) -> None:
    done = cli("plan", "--json", **(wtl(Platform.invented()) | {"WTL_API_TOKEN": "hunter22"}))
    assert "WTL_API_TOKEN" in one_clear_line(done, 1)
    assert result(done)["success"] is False


def test_a_plan_without_settings_is_status_2(cli: Run) -> None:
    assert "WTL_API_URL and WTL_API_TOKEN not set" in one_clear_line(cli("plan"), 2)


def test_what_an_upstream_sends_cannot_steer_the_terminal() -> None:
    assert printable("Zażółć → „x”") == "Zażółć → „x”"
    assert printable("a\x1b[2J\x9bb\r\u202e") == "a\\u001b[2J\\u009bb\\r\\u202e"
