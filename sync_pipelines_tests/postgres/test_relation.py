"""A table of another application: what the database says of it, against its spec."""

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.core import Change, ExternalKey, Projection, Written
from sync_pipelines.errors import SchemaError
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.postgres.target import PostgresTarget

Query = Callable[..., list[Any]]
COLUMNS = "uid uuid PRIMARY KEY, code text, title text"
NO_TIMES: Any = {"vanished_at": None, "synced_at": None, "written_at": None}


def of_another(session: Session, *, natural_key: tuple[str, ...] = ("code",)) -> PostgresTarget:
    owned = tuple({"code", "title"} - set(natural_key))
    return PostgresTarget(session, TableSpec("app.records", natural_key, owned, id="uid", **NO_TIMES))


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("CREATE SCHEMA app", r"no table app\.records"),
        ("CREATE TABLE app.records (uid uuid PRIMARY KEY, code text UNIQUE)", "no column title"),
        (f"CREATE TABLE app.records ({COLUMNS})", r"no unique index on its natural key \(code\)"),
        (f"CREATE TABLE app.records ({COLUMNS}, UNIQUE (code, title))", "no unique index"),
        (f"CREATE TABLE app.records ({COLUMNS}); CREATE INDEX ON app.records (code)", "no unique index"),
        ("CREATE TABLE app.records (uid bigint PRIMARY KEY, code text UNIQUE, title text)", "no uuid"),
    ],
)
def test_a_table_that_is_not_as_the_spec_says_is_refused_before_anything_is_read(
    session: Session, query: Query, table: str, says: str
) -> None:
    if not table.startswith("CREATE SCHEMA"):
        query("CREATE SCHEMA app")
    query(table)
    with pytest.raises(SchemaError, match=says):
        of_another(session)


@pytest.mark.parametrize(
    ("table", "natural_key"),
    [
        (f"CREATE TABLE app.records ({COLUMNS}, UNIQUE (code))", ("code",)),
        (f"CREATE TABLE app.records ({COLUMNS}, UNIQUE (title, code))", ("code", "title")),
        (f"CREATE TABLE app.records ({COLUMNS}); CREATE UNIQUE INDEX ON app.records (code)", ("code",)),
        ("CREATE TABLE app.records (uid text UNIQUE, code text PRIMARY KEY, title text)", ("code",)),
    ],
)
def test_any_unique_index_on_just_the_natural_key_will_do(
    session: Session, query: Query, table: str, natural_key: tuple[str, ...]
) -> None:
    query("CREATE SCHEMA app")
    query(table)
    target = of_another(session, natural_key=natural_key)
    fields = {"code": "1", "title": "Fizyka"}
    new = Change(ExternalKey("app:record", "1"), Projection("app.records", fields), "1:x", None)
    (written,) = target.upsert_many([new])
    assert isinstance(written, Written)


def test_an_index_on_a_part_of_the_rows_does_not_back_the_natural_key(session: Any, query: Any) -> None:
    query("CREATE SCHEMA app; CREATE TABLE app.r (id uuid PRIMARY KEY, code text, title text)")
    query("CREATE UNIQUE INDEX ON app.r (code) WHERE title IS NOT NULL")
    with pytest.raises(SchemaError):
        PostgresTarget(session, TableSpec("app.r", ("code",), ("title",), **NO_TIMES))
