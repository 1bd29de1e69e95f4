"""The schema's revisions: which one a database is at, and bringing it to this version's."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from sync_pipelines.errors import DatabaseError, DatabaseUnavailable, SchemaError
from sync_pipelines.postgres.engine import Database, Session

__all__ = ["SchemaStatus", "status", "upgrade"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SchemaStatus:
    """`current` is the database's revision, None for an empty one; `pending` the revisions still to be run."""

    current: str | None
    head: str
    pending: tuple[str, ...]

    @property
    def up_to_date(self) -> bool:
        """Nothing to do."""
        return not self.pending


def status(database: Database) -> SchemaStatus:
    """What the database is at. Raises SchemaError where it is at a revision that this version does not know."""
    with database.session() as session, session.transaction():
        return _status(session)


def upgrade(database: Database) -> SchemaStatus:
    """Bring the database to this version's revision, in one transaction; gives the status before.

    A second upgrade at the same time waits for the first. Nothing is done where nothing is pending.
    """
    with database.session() as session:
        try:
            with session.transaction() as connection:
                before = _status(session)
                if before.pending:
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(7320250901)"))
                    _create_schemas(session)
                    _log.info("migrating the database from %s to %s", before.current or "empty", before.head)
                    command.upgrade(_config(session), "head")
        except (DatabaseUnavailable, SchemaError):
            raise
        except DatabaseError as error:
            raise DatabaseError(
                f"cannot migrate {database}: {error}; the role needs CREATE on the database, or the schemas "
                "made for it"
            ) from None
    return before


def _config(session: Session) -> Config:
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", "sync_pipelines.postgres:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=session.connection, schemas=dict(session.schemas))
    return config


def _status(session: Session) -> SchemaStatus:
    script = ScriptDirectory.from_config(_config(session))
    options = {"version_table_schema": session.schemas["sync"]}
    current = MigrationContext.configure(session.connection, opts=options).get_current_revision()
    known = [revision.revision for revision in script.walk_revisions()]
    head = known[0]
    if current is not None and current not in known:
        raise SchemaError(
            f"the database is at revision {current}, which this version does not know: install the version of "
            "sync-pipelines that made it, or a later one"
        )
    pending = known[: known.index(current)] if current is not None else known
    return SchemaStatus(current, head, tuple(reversed(pending)))


def _create_schemas(session: Session) -> None:
    """Only those that are missing: where an administrator made them, the role needs no right to."""
    for name in dict.fromkeys(session.schemas.values()):
        if session.connection.scalar(sa.text("SELECT to_regnamespace(:name)"), {"name": name}) is None:
            session.connection.execute(sa.schema.CreateSchema(name))
