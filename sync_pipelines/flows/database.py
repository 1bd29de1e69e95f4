"""The database of the settings, for flows and for whoever looks at what they left there."""

from __future__ import annotations

from sync_pipelines.errors import SchemaError, SettingsError
from sync_pipelines.postgres import migrate
from sync_pipelines.postgres.engine import Database, Session
from sync_pipelines.settings import Settings

__all__ = ["open_database", "read_only", "require_schema"]


def open_database(settings: Settings, purpose: str = "", *, pool_size: int | None = None) -> Database:
    """The database of the settings; connects to nothing yet. Raises SettingsError where none is set.

    With a `pool_size`, so many connections are kept and shared: for who asks it all the time.
    """
    if settings.database_url is None:
        raise SettingsError(
            "SYNC_DATABASE_URL is not set: set it to a PostgreSQL database, postgresql://user@host:5432/database"
        )
    name = f"sync-pipelines {purpose}".strip()
    url = settings.database_url.get_secret_value()
    return Database(url, settings.schemas, application_name=name, pool_size=pool_size)


def require_schema(database: Database) -> None:
    """Raise SchemaError where the database is not at this version's revision. Changes nothing."""
    if not migrate.status(database).up_to_date:
        raise SchemaError(f"{database} is not at this version's revision: run `sync-pipelines db upgrade`")


def read_only(session: Session) -> None:
    """Have the server refuse every write of the session."""
    with session.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
