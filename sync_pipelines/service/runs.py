"""Runs that callers ask for: one of a flow at a time, each followed to its end."""

from __future__ import annotations

from typing import Self

from sync_pipelines.postgres.engine import Database
from sync_pipelines.service.orchestrator import Orchestrator
from sync_pipelines.settings import Settings

__all__ = ["Runs"]


class Runs:
    """What the service knows of runs."""

    def __init__(self, orchestrator: Orchestrator, database: Database, settings: Settings) -> None:
        self.orchestrator = orchestrator
        self._database, self._settings = database, settings

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None: ...
