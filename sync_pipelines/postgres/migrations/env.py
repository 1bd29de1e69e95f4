"""Run by Alembic for every command; `postgres.migrate` hands it the connection and the schemas' names."""

from alembic import context

from sync_pipelines.postgres.tables import metadata

_connection = context.config.attributes["connection"]
_schemas = context.config.attributes["schemas"]

context.configure(
    connection=_connection,
    target_metadata=metadata,
    version_table_schema=_schemas["sync"],
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
