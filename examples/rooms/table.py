"""Where the rooms go. In the product such a table is made by a migration (postgres/migrations)."""

from __future__ import annotations

import sqlalchemy as sa

from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.spec import TableSpec

__all__ = ["ROOMS", "create_table"]

TABLE = """
CREATE SCHEMA IF NOT EXISTS rooms;

CREATE TABLE IF NOT EXISTS rooms.rooms (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    code text NOT NULL UNIQUE,
    name varchar(100) NOT NULL,
    floor int NOT NULL,
    seats int NOT NULL,
    nickname text,                  -- people's own: no sync ever writes it
    remote_deleted_at timestamptz,  -- since when the room is missing upstream
    last_sync_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE OR REPLACE VIEW rooms.rooms_current AS SELECT * FROM rooms.rooms WHERE remote_deleted_at IS NULL;
"""

ROOMS = TableSpec("rooms.rooms", natural_key=("code",), owned=("name", "floor", "seats"))


def create_table(session: Session) -> None:
    """Make schema, table and view where they are not there yet."""
    with session.transaction() as connection:
        connection.execute(sa.text(TABLE))
