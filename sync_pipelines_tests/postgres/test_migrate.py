import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from sync_pipelines.errors import DatabaseError, SchemaError
from sync_pipelines.postgres import migrate, tables
from sync_pipelines.postgres.engine import Database

SCHEMAS = {"sync": "sync", "wtl": "wtl", "bakalari": "bakalari", "learning": "learning", "dagster": "dagster"}


@pytest.fixture
def empty(create_database: Callable[..., str]) -> Database:
    return Database(create_database(empty=True), SCHEMAS)


def test_an_empty_database_is_brought_up_to_date_once(empty: Database) -> None:
    assert migrate.status(empty).current is None
    assert migrate.upgrade(empty).pending
    assert migrate.status(empty).up_to_date
    assert migrate.upgrade(empty).pending == ()


def test_the_migrations_make_just_the_tables_the_code_knows(database: Database) -> None:
    ours = {"sync", "wtl", "bakalari", "learning"}
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "include_name": lambda name, kind, _parents: kind != "schema" or name in ours,
                "include_object": lambda _o, name, _k, _r, _c: name != "alembic_version",
                "compare_server_default": True,
                "version_table_schema": "sync",
            },
        )
        assert compare_metadata(context, tables.metadata) == []


def test_comments_on_columns_are_those_of_the_code(database: Database) -> None:
    inspector = sa.inspect(database.engine)
    for table in tables.metadata.tables.values():
        comments = {c["name"]: c.get("comment") for c in inspector.get_columns(table.name, schema=table.schema)}
        assert comments == {c.name: c.comment for c in table.columns}


def test_upgrades_at_the_same_time_end_well(empty: Database) -> None:
    errors: list[BaseException] = []

    def upgrade() -> None:
        try:
            migrate.upgrade(Database(empty.url.render_as_string(hide_password=False), SCHEMAS))
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert migrate.status(empty).up_to_date


def test_other_names_for_the_schemas_are_used_throughout(empty: Database) -> None:
    renamed = Database(
        empty.url.render_as_string(hide_password=False),
        {"sync": "engine", "wtl": "lms", "bakalari": "sis", "learning": "progress", "dagster": "orchestration"},
    )
    migrate.upgrade(renamed)
    inspector = sa.inspect(renamed.engine)
    assert {"engine", "lms", "sis", "orchestration"} <= set(inspector.get_schema_names())
    assert not SCHEMAS.keys() & set(inspector.get_schema_names())
    assert "courses_current" in inspector.get_view_names(schema="lms")
    assert "enrollments_current" in inspector.get_view_names(schema="sis")


def test_a_database_of_a_later_version_is_left_alone(database: Database, query: Callable[..., list[Any]]) -> None:
    query("UPDATE sync.alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match="9999"):
        migrate.upgrade(database)


def test_a_role_without_the_right_is_told_which(empty: Database) -> None:
    role = f"t_{uuid.uuid4().hex[:12]}"
    with empty.engine.begin() as connection:
        connection.execute(sa.text(f"CREATE ROLE {role} LOGIN"))
    reader = Database(empty.url.set(username=role).render_as_string(hide_password=False), SCHEMAS)
    try:
        with pytest.raises(DatabaseError, match=r"permission denied.*CREATE on the database") as caught:
            migrate.upgrade(reader)
        assert not caught.value.transient
    finally:
        with empty.engine.begin() as connection:
            connection.execute(sa.text(f"DROP ROLE {role}"))
