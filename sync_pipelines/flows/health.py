"""What can be known of the surroundings before a sync: database and upstreams. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import sqlalchemy as sa

from sync_pipelines.errors import NotSetUp, SettingsError, SyncError
from sync_pipelines.flows.database import open_database
from sync_pipelines.flows.registry import FLOWS, UPSTREAMS, placed
from sync_pipelines.flows.spec import Finding, Upstream, clock_finding
from sync_pipelines.log import redact
from sync_pipelines.postgres import migrate
from sync_pipelines.settings import Settings

__all__ = ["examine"]


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at one thing after the other; a later one does not depend on an earlier one's luck."""
    yield from _safely("database", _database, settings)
    yield from _safely("tables", _tables, settings)
    in_use = [upstream for upstream in UPSTREAMS.values() if _is_meant(upstream, settings)]
    for upstream in UPSTREAMS.values():
        for finding in _safely(upstream.group, upstream.probe, settings):
            # Of several upstreams a person may use one.
            yield replace(finding, state="unused") if in_use and upstream not in in_use else finding


def _is_meant(upstream: Upstream, settings: Settings) -> bool:
    try:
        upstream.require_settings(settings)
    except NotSetUp:
        return False
    except SettingsError:
        return True
    return True


def _safely(name: str, look: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    try:
        yield from look(settings)
    except SettingsError as error:
        yield Finding(name, "not set", redact(str(error)))
    except SyncError as error:
        yield Finding(name, "problem", redact(str(error)))


def _database(settings: Settings) -> Iterator[Finding]:
    database = open_database(settings)
    with database.session() as session, session.transaction() as connection:
        version = connection.scalar(sa.text("SHOW server_version"))
        now: datetime = connection.scalar(sa.text("SELECT clock_timestamp()")) or datetime.now(UTC)
    yield Finding("database", "ok", f"PostgreSQL {version} at {database}")
    yield clock_finding("database clock", now)
    schema = migrate.status(database)
    if schema.up_to_date:
        yield Finding("migrations", "ok", f"up to date at {schema.head}")
    else:
        yield Finding(
            "migrations", "warning", f"{len(schema.pending)} to do; the next run, or `db upgrade`, does them"
        )


def _tables(settings: Settings) -> Iterator[Finding]:
    if settings.tables_file is not None:
        elsewhere = [placed(flow, settings) for flow in FLOWS if flow.stream in settings.tables()]
        where = ", ".join(f"{flow.stream} into {flow.table.kind}" for flow in elsewhere)
        yield Finding("tables", "ok", where or f"{settings.tables_file} declares none")
