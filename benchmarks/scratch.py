"""The PostgreSQL that the loaders write to: a server, a database for each loader, and what a run wrote."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
import sqlalchemy as sa

from benchmarks.dataset import CONTENT
from sync_pipelines.postgres.embedded import embedded_postgres

__all__ = ["Scratch", "Usage", "scratch_database", "scratch_server", "server_facts"]

_SETTINGS = ("shared_buffers", "fsync", "synchronous_commit", "full_page_writes", "wal_level", "data_checksums")


@dataclass(frozen=True)
class Usage:
    """Counters of a database that only grow; the dead rows are those of the moment."""

    lsn: int
    written: dict[str, tuple[int, int, int]]
    dead: int


class Scratch:
    """One loader's database."""

    def __init__(self, url: str) -> None:
        self.url = url

    def _one(self, query: str, *parameters: Any) -> tuple[Any, ...]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(cast("LiteralString", query), parameters).fetchone() or ()

    def execute(self, statements: str) -> None:
        """Run them as they are."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(cast("LiteralString", statements))

    def settle(self, *, vacuum: bool) -> None:
        """What autovacuum does between two syncs; then a checkpoint, so that each run pays for its own pages.

        Not before the first: of a table that was vacuumed empty the planner believes that it stays so.
        """
        with psycopg.connect(self.url, autocommit=True) as connection:
            if vacuum:
                connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")

    def usage(self) -> Usage:
        """The counters, once every other connection is closed: a backend reports its last ones when it ends."""
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
        with psycopg.connect(self.url, autocommit=True) as connection:
            deadline = time.monotonic() + 10
            while (connection.execute(others).fetchone() or (0,))[0] and time.monotonic() < deadline:
                time.sleep(0.02)
            (lsn,) = connection.execute("SELECT (pg_current_wal_lsn() - '0/0')::bigint").fetchone() or (0,)
            rows = connection.execute(
                "SELECT schemaname || '.' || relname, n_tup_ins, n_tup_upd, n_tup_del, n_dead_tup "
                "FROM pg_stat_user_tables"
            ).fetchall()
        return Usage(lsn, {row[0]: (row[1], row[2], row[3]) for row in rows}, sum(row[4] for row in rows))

    def content(self, relation: str) -> tuple[int, int]:
        """Row count and digest of a relation with the five columns of a record."""
        count, digest = self._one(CONTENT.format(relation=relation))
        return count, digest


@contextmanager
def scratch_server() -> Generator[str, None, None]:
    """A PostgreSQL with default settings, or that of BENCH_DATABASE_URL, whose role may create databases."""
    if given := os.environ.get("BENCH_DATABASE_URL"):
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, embedded_postgres(Path(folder) / "pg") as url:
        yield url


@contextmanager
def scratch_database(server_url: str) -> Generator[Scratch, None, None]:
    """An empty database, dropped at the end."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    url = sa.make_url(server_url).set(drivername="postgresql")
    server = Scratch(url.render_as_string(hide_password=False))
    server.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    try:
        yield Scratch(url.set(database=name).render_as_string(hide_password=False))
    finally:
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def server_facts(server_url: str) -> dict[str, str]:
    """Its version and the settings that decide what a write costs."""
    url = sa.make_url(server_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s)",
            (["server_version", *_SETTINGS],),
        ).fetchall()
    return dict(rows)
