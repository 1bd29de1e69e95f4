"""Runs a flow with the settings at hand: the same for the orchestrator, the command line and tests."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit

from sync_pipelines.core import SilentLogger, SyncJob, SyncReport
from sync_pipelines.errors import SettingsError
from sync_pipelines.flows.spec import Flow
from sync_pipelines.postgres import migrate
from sync_pipelines.postgres.engine import Database
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines.postgres.target import PostgresTarget
from sync_pipelines.settings import Settings

__all__ = ["Progress", "Runner", "open_database"]


class Progress(Protocol):
    """Hears how far a flow is."""

    def reading(self, stream: str, rows: int, total: int | None) -> None:
        """`rows` are read, of `total` if the upstream says how many there are."""
        ...

    def writing(self, report: SyncReport) -> None:
        """A batch is durable."""
        ...


class _Quiet:
    def reading(self, stream: str, rows: int, total: int | None) -> None: ...
    def writing(self, report: SyncReport) -> None: ...


class _Relay(SilentLogger):
    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def progress(self, report: SyncReport) -> None:
        self._progress.writing(report)


def open_database(settings: Settings, purpose: str = "") -> Database:
    """The database of the settings; connects to nothing yet. Raises SettingsError where none is set."""
    if settings.database_url is None:
        raise SettingsError(
            "SYNC_DATABASE_URL is not set: set it to a PostgreSQL database, postgresql://user@host:5432/database"
        )
    name = f"sync-pipelines {purpose}".strip()
    return Database(settings.database_url.get_secret_value(), settings.schemas, application_name=name)


def _host(address: str) -> str:
    """Whose ids they are: the host, whatever the port; this machine under one name."""
    host = urlsplit(address).hostname or address
    return "localhost" if host == "localhost" or host.startswith("127.") or host == "::1" else host


class Runner:
    """Runs flows one at a time. Making one reads and connects to nothing."""

    def __init__(self, settings: Settings, progress: Progress | None = None) -> None:
        self.settings = settings
        self._progress = progress or _Quiet()

    def run(self, flow: Flow) -> SyncReport:
        """Sync one flow to its end. An out-of-date schema is brought up to date first.

        Raises the SyncError that ended the run; its `report` says how far it got, where it had begun.
        """
        database = open_database(self.settings, flow.stream)
        migrate.upgrade(database)
        with (
            flow.open_source(
                self.settings, lambda rows, total: self._progress.reading(flow.stream, rows, total)
            ) as source,
            database.session() as session,
        ):
            store = PostgresStateStore(session)
            store.claim(flow.stream, _host(flow.upstream.origin(self.settings)))
            return SyncJob(
                stream=flow.stream,
                source=source,
                mapper=flow.mapper,
                target=PostgresTarget(session, flow.table),
                store=store,
                logger=_Relay(self._progress),
            ).run()
