"""The tables, as SQLAlchemy Core knows them, a module a schema.

Schema names here are the project's own; the engine translates them to those of the settings. A test holds
these files against what the migrations make.
"""

from sync_pipelines.postgres.tables import bakalari, learning, sync, wtl
from sync_pipelines.postgres.tables.columns import metadata

__all__ = ["bakalari", "learning", "metadata", "sync", "wtl"]
