"""A logger that hears nothing, and whether another wants to hear of something."""

from __future__ import annotations

from sync_pipelines.core.ports import SyncLogger
from sync_pipelines.core.records import ExternalKey, Stage
from sync_pipelines.core.report import SyncReport
from sync_pipelines.errors import SyncError

__all__ = ["SilentLogger", "hears"]


class SilentLogger:
    """A SyncLogger that says nothing; a base for one that says only some things."""

    def created(self, key: ExternalKey) -> None: ...
    def updated(self, key: ExternalKey) -> None: ...
    def skipped(self, key: ExternalKey) -> None: ...
    def deleted(self, key: ExternalKey) -> None: ...
    def error(self, key: ExternalKey, stage: Stage, error: SyncError) -> None: ...
    def progress(self, report: SyncReport) -> None: ...


def hears(logger: SyncLogger, event: str) -> bool:
    """Whether the logger does anything when told of `event` ("skipped"): telling it of every record takes time."""
    return getattr(type(logger), event) is not getattr(SilentLogger, event)
