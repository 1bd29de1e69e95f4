"""The parts put together: one stream, from the file to the table."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from examples.rooms.room import RoomMapper
from examples.rooms.source import RoomsFile, Row
from examples.rooms.table import ROOMS
from sync_pipelines.core import ExternalKey, SilentLogger, Stage, SyncError, SyncJob
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines.postgres.target import PostgresTarget

__all__ = ["rooms_job"]

_log = logging.getLogger(__name__)


class Refusals(SilentLogger):
    """Says which rooms were refused; a name or another value never gets into a log."""

    def error(self, key: ExternalKey, stage: Stage, error: SyncError) -> None:
        _log.warning("room %s was refused (%s): %s", key.key, stage, error)


def rooms_job(path: Path, session: Session, **options: Any) -> SyncJob[Row]:
    """The job for one run; `options` are SyncJob's own (plan, allow_mass_vanish, batch_size …)."""
    return SyncJob(
        stream="hradec/rooms",
        source=RoomsFile(path),
        mapper=RoomMapper(),
        target=PostgresTarget(session, ROOMS),
        store=PostgresStateStore(session),
        logger=Refusals(),
        **options,
    )
