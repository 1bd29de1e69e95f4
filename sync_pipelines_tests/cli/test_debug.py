"""`debug wtl lessons`, without a database."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.sandbox.webtolearn.platform import RELATIONS
from sync_pipelines_tests.cli.commands import Run, one_clear_line, result

LESSONS = ("debug", "wtl", "lessons", "--course")
KEYS = [
    "platform", "course_id", "course", "endpoints", "range", "sort_by_id", "sort_by_order", "content_range",
    "relation", "requests", "recommendations",
]  # fmt: skip
ENDPOINT_KEYS = [
    "name", "path", "query", "status", "shape", "rows", "total", "fields", "refused", "verdict", "why",
]  # fmt: skip


@pytest.fixture
def platform() -> Platform:
    return Platform.invented()


@pytest.fixture
def environment(serve: Callable[[Any], str], platform: Platform) -> dict[str, str]:
    return {"WTL_API_URL": serve(platform), "WTL_API_TOKEN": platform.token}


@pytest.mark.parametrize("relation", RELATIONS)
def test_the_answer_fits_a_page_and_holds_all_that_json_does(
    cli: Run, environment: dict[str, str], platform: Platform, relation: str
) -> None:
    platform.relation = relation
    shown, told = cli(*LESSONS, "1", **environment), result(cli(*LESSONS, "1", "--json", **environment))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert max(len(line.rstrip()) for line in shown.stdout.splitlines()) <= 120
    text = " ".join(shown.stdout.split())
    for advice in told["recommendations"]:
        assert advice["text"] in text
    for name in ("course", "range", "sort_by_id", "sort_by_order", "content_range", "relation"):
        assert told[name]["why"] in text
    for endpoint in told["endpoints"]:
        asked = "&".join(f"{name}={value}" for name, value in endpoint["query"].items())
        assert f"{endpoint['path']}?{asked}" in text
        assert f"{endpoint['name']} " in text
        assert endpoint["why"].partition(" (")[0] in text


def test_json_is_one_object_with_these_keys(cli: Run, environment: dict[str, str]) -> None:
    told = result(cli(*LESSONS, "1", "--json", **environment))
    assert list(told) == KEYS
    assert all(list(endpoint) == ENDPOINT_KEYS for endpoint in told["endpoints"])
    assert list(told["endpoints"][0]["fields"]) == ["id", "title", "order", "other"]
    assert list(told["range"]) == ["state", "why", "rows"]
    assert list(told["relation"]) == ["state", "why", "way", "known"]
    assert list(told["requests"]) == ["used", "left_minute", "left_hour"]
    assert all(list(advice) == ["state", "text"] for advice in told["recommendations"])
    assert [told[name]["state"] for name in ("course", "range", "sort_by_id", "content_range", "relation")] == [
        "known", "inclusive", "honoured", "sent", "not_available",
    ]  # fmt: skip


def test_nothing_is_written_and_nobody_is_named(
    cli: Run, environment: dict[str, str], platform: Platform, tmp_path: Path
) -> None:
    platform.relation = "path"
    for options in ((), ("--json",)):
        done = cli("-v", *LESSONS, "1", *options, **environment)
        values = [row["name"] for row in [*platform.courses, *platform.lessons]]
        values += [row["email"] for row in platform.users] + [platform.token]
        assert not [value for value in values if value in done.stdout + done.stderr]
    assert list(tmp_path.iterdir()) == []


def test_names_that_not_all_rows_have_are_shown_with_their_number(
    cli: Run, environment: dict[str, str], platform: Platform
) -> None:
    platform.switch_on("missing-title", path="/lesson/list")
    platform.switch_on("extra-fields", path="/lesson/list")
    shown = cli(*LESSONS, "1", **environment).stdout
    assert "id, name 432×" in shown
    assert "other fields   created_at 480×, tags 480×, meta 480×" in shown
    assert "! 48 of 480 rows are no lessons (title is missing: 48)" in shown


def test_a_course_that_is_not_there_is_said_plainly(cli: Run, environment: dict[str, str]) -> None:
    done = cli(*LESSONS, "9999", **environment)
    assert done.returncode == 0
    assert "✗ The platform does not know course 9999 (404)" in done.stdout


def test_where_it_could_not_look_the_status_is_1(cli: Run, environment: dict[str, str]) -> None:
    for options in ((), ("--json",)):
        refused = cli(*LESSONS, "1", *options, **(environment | {"WTL_API_TOKEN": "hunter22"}))
        assert "refuses the token" in one_clear_line(refused, 1)
        assert "hunter22" not in refused.stderr
        assert refused.stdout == ""
    unreachable = cli(*LESSONS, "1", **(environment | {"WTL_API_URL": "http://127.0.0.1:9"}))
    assert "cannot reach 127.0.0.1:9" in one_clear_line(unreachable, 1)


def test_bad_usage_and_missing_settings_are_status_2(cli: Run) -> None:
    assert "WTL_API_URL and WTL_API_TOKEN not set" in one_clear_line(cli(*LESSONS, "1"), 2)
    for arguments in ([*LESSONS, "1/../2"], [*LESSONS, "-1"], LESSONS[:-1], ["debug", "wtl", "courses"]):
        done = cli(*arguments)
        assert done.returncode == 2
        assert "Error: " in done.stderr
