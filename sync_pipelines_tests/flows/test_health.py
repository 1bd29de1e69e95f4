from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_pipelines.flows.health import examine
from sync_pipelines.flows.spec import clock_finding
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.settings import Settings


def test_all_is_well_where_everything_is_set(
    serve: Callable[[Any], str], sync_settings: Callable[..., Settings]
) -> None:
    findings = list(examine(sync_settings(serve(Platform.invented()))))
    others = {"bakalari", "progress"}
    assert {f.state for f in findings if f.name not in others} == {"ok"}
    assert [f.state for f in findings if f.name in others] == ["unused", "unused"], (
        "neither a school nor an inbox is set up, and none need be"
    )
    assert {f.name for f in findings} >= {"database", "migrations", "webtolearn", "webtolearn budget"}


def test_each_trouble_is_found_for_itself_and_no_secret_is_told(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[[Any], str]
) -> None:
    monkeypatch.setenv("SYNC_DATABASE_URL", "postgresql://u:hunter22@127.0.0.1:1/d")
    monkeypatch.setenv("WTL_API_URL", serve(Platform.invented()))
    monkeypatch.setenv("WTL_API_TOKEN", "hunter23")
    findings = list(examine(Settings.load()))
    assert [(f.name, f.state) for f in findings] == [
        ("database", "problem"),
        ("webtolearn", "problem"),
        ("bakalari", "unused"),
        ("progress", "unused"),
    ]
    assert "hunter2" not in str(findings)


def test_what_is_not_set_is_said_to_be_so() -> None:
    assert {finding.state for finding in examine(Settings.load())} == {"not set"}


@pytest.mark.parametrize(("minutes", "state"), [(0, "ok"), (2, "warning"), (-2, "warning")])
def test_a_clock_that_is_off_is_noticed(minutes: int, state: str) -> None:
    assert clock_finding("clock", datetime.now(UTC) + timedelta(minutes=minutes)).state == state
