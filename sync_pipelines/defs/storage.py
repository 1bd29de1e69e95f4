"""Where Dagster keeps runs, events and schedules: in the database of SYNC_DATABASE_URL, in a schema of its own.

dagster.yaml cannot say "this variable, or else": without a database set, files under SYNC_HOME serve, so that
definitions can be looked at and validated with no database and no environment.
"""

from typing import Any

import sqlalchemy as sa
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from sync_pipelines.postgres.engine import driver_url
from sync_pipelines.settings import Settings

__all__ = ["ProjectStorage", "postgres_url"]


def postgres_url(url: str, schema: str) -> sa.URL:
    """The address as Dagster needs it: psycopg 2, since with 3 its event log fails; its own schema first."""
    parsed = driver_url(url, "psycopg2")
    options = f"{parsed.query.get('options', '')} -csearch_path={schema}".strip()
    return parsed.update_query_dict({"options": options})


class ProjectStorage(DagsterSqliteStorage):
    """Named in dagster.yaml; becomes Dagster's own PostgreSQL or SQLite storage."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, inst_data: ConfigurableClassData, config_value: dict[str, Any]
    ) -> DagsterStorage:
        settings = Settings.load()
        if settings.database_url is None:
            return DagsterSqliteStorage(str((settings.home / "dagster").resolve()), inst_data)
        url = postgres_url(settings.database_url.get_secret_value(), settings.dagster_schema)
        _ensure_schema(url, settings.dagster_schema)
        return DagsterPostgresStorage(url.render_as_string(hide_password=False), inst_data=inst_data)


def _ensure_schema(url: sa.URL, schema: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        if connection.scalar(sa.text("SELECT to_regnamespace(:name)"), {"name": schema}) is None:
            connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
