"""An inbox of the test's own, and lessons that the platform knows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.flows.progress.inbox import Inbox
from sync_pipelines.settings import Settings

LESSONS = range(1, 9)


@pytest.fixture
def progress_settings(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
    monkeypatch.setenv("SYNC_HOME", str(tmp_path / "home"))
    return Settings.load()


@pytest.fixture
def inbox(progress_settings: Settings) -> Inbox:
    inbox = Inbox.of(progress_settings)
    inbox.make()
    return inbox


@pytest.fixture
def lessons(query: Callable[..., Any]) -> None:
    query(
        "INSERT INTO wtl.lessons (wtl_lesson_id, title) "
        "SELECT n::text, 'a lesson' FROM generate_series(CAST(:a AS int), :b) n",
        a=LESSONS.start,
        b=LESSONS.stop - 1,
    )


def state(device: str, said: Mapping[str, Any], **more: Any) -> bytes:
    """A device's state file."""
    return json.dumps({"schema_version": 1, "device_id": device, "lessons": said, **more}).encode()


def drop(inbox: Inbox, name: str, body: bytes) -> Path:
    """Put a file into the inbox, as a whole."""
    path = inbox.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


def lies_in(inbox: Inbox) -> dict[str, bytes]:
    """All that lies in the inbox, by where."""
    files = (path for path in inbox.folder.rglob("*") if path.is_file())
    return {str(path.relative_to(inbox.folder)): path.read_bytes() for path in files}
