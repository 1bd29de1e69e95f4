"""Fields that are called as the target calls things itself."""

from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.core import (
    Binding,
    Change,
    ExternalKey,
    Outcome,
    Projection,
    Projections,
    TargetError,
    Written,
)
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.postgres.target import PostgresTarget

Query = Callable[..., list[Any]]
NO_TIMES: Any = {"vanished_at": None, "synced_at": None, "written_at": None}
TAKEN = ("id", "n", "row", "i", "t", "a")


@pytest.fixture
def taken_names(session: Session, query: Query) -> PostgresTarget:
    """A table whose own id is called row_id, and whose fields are called like what the target has."""
    columns = ", ".join(f"{name} text" for name in TAKEN[1:])
    query(f"CREATE SCHEMA app; CREATE TABLE app.r (row_id uuid PRIMARY KEY, id text UNIQUE, {columns})")
    return PostgresTarget(session, TableSpec("app.r", ("id",), TAKEN[1:], adopt=True, id="row_id", **NO_TIMES))


def taken(external_id: str, text: str, made: Written | TargetError | None = None) -> Change:
    key = ExternalKey("x:r", external_id)
    binding = Binding(key, made.internal_id, "1:old") if isinstance(made, Written) else None
    return Change(key, Projection("app.r", {**dict.fromkeys(TAKEN, text), "id": external_id}), "1:x", binding)


def outcomes(results: Any) -> list[str]:
    return [result.outcome.value for result in results]


def previewed(results: Any) -> list[str | None]:
    return [result and result.change for result in results]


def test_a_field_may_be_called_as_the_targets_own_columns_are(taken_names: PostgresTarget, query: Query) -> None:
    look = f"SELECT {', '.join(TAKEN)} FROM app.r ORDER BY id"
    (there,) = query("INSERT INTO app.r (row_id, id) VALUES (gen_random_uuid(), '2') RETURNING row_id::text")
    new = [taken("1", "A"), taken("2", "B")]
    assert previewed(taken_names.preview(new)) == ["created", "updated"]
    made = taken_names.upsert_many(new)
    assert outcomes(made) == ["created", "updated"]
    assert made[1] == Written(there, Outcome.UPDATED), "the row that was there is adopted"
    assert query(look) == [("1", *"AAAAA"), ("2", *"BBBBB")]
    again = [taken("1", "A", made[0]), taken("2", "C", made[1])]
    assert previewed(taken_names.preview(again)) == [None, "updated"]
    assert outcomes(taken_names.upsert_many(again)) == ["unchanged", "updated"]
    assert query(look) == [("1", *"AAAAA"), ("2", *"CCCCC")]


def test_a_row_whose_field_is_called_id_is_found_by_its_own(taken_names: PostgresTarget, query: Query) -> None:
    (made,) = taken_names.upsert_many([taken("1", "A")])
    assert isinstance(made, Written)
    assert (
        taken_names.alive({made.internal_id}) == {made.internal_id} == set(query("SELECT row_id::text FROM app.r"))
    )
    (renamed,) = taken_names.upsert_many([taken("2", "A", made)])
    assert (renamed, query("SELECT id FROM app.r")) == (Written(made.internal_id, Outcome.UPDATED), ["2"])


def test_very_many_new_rows_may_have_such_fields_too(taken_names: PostgresTarget, query: Query) -> None:
    columns = {name: ["1", "2"] for name in TAKEN}
    ids = taken_names.load_rows(Projections("app.r", columns))
    assert query("SELECT row_id::text, n FROM app.r ORDER BY id") == list(zip(ids, "12", strict=True))
