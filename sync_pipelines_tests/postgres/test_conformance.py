"""The PostgreSQL target and store keep the laws that every implementation keeps."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sync_pipelines.core import Projection, StateStore, SyncReport
from sync_pipelines.core.testing import (
    Law,
    PairUnderTest,
    StoreUnderTest,
    TargetUnderTest,
    bulk_target_laws,
    pair_laws,
    store_laws,
)
from sync_pipelines.postgres.engine import Database, Session
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines.postgres.target import PostgresTarget

Query = Callable[..., list[Any]]

# A table as another application may have one: other names, many types, an id that is text.
TABLE = """
CREATE SCHEMA app;
CREATE TABLE app.records (
    uid text PRIMARY KEY, number text NOT NULL UNIQUE, title varchar(50) NOT NULL CHECK (title <> 'forbidden'),
    amount numeric, seats int, seen_on timestamptz, tags text[], more jsonb, note text DEFAULT 'people''s own',
    gone_since timestamptz
)
"""
SPEC = TableSpec(
    "app.records",
    natural_key=("code",),
    owned=("title", "amount", "seats", "seen_on", "tags", "more"),
    columns={"code": "number"},
    id="uid",
    vanished_at="gone_since",
    synced_at=None,
    written_at=None,
)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def projection(n: int, title: str) -> Projection:
    fields = {"code": str(n), "title": title, "amount": Decimal(n) / 8, "seats": n, "seen_on": NOON}
    return Projection("app.records", {**fields, "tags": ['a"b', "{c}", ""], "more": {"n": [n, None]}})


def changed(n: int) -> Projection:
    fields = projection(n, "two\nlines\tand \\N").fields
    return Projection("app.records", {**fields, "seats": None, "tags": [], "seen_on": NOON + timedelta(days=1)})


@pytest.fixture
def store(session: Session, database: Database, query: Query) -> StoreUnderTest:
    @contextmanager
    def another() -> Generator[StateStore, None, None]:
        with database.session() as other:
            yield PostgresStateStore(other, lock_timeout=timedelta(milliseconds=50))

    count = "SELECT occurrences FROM sync.rejects WHERE system || ':' || type = :system AND external_id = :key"
    report = "SELECT last_report FROM sync.streams WHERE stream = :stream"
    return StoreUnderTest(
        PostgresStateStore(session),
        another,
        occurrences=lambda key: query(count, system=key.system, key=key.key)[0],
        last_report=lambda stream: SyncReport.from_dict(query(report, stream=stream)[0]),
    )


@pytest.fixture
def target(session: Session, query: Query) -> TargetUnderTest:
    query(TABLE)
    names = ("uid", "code", *SPEC.owned, "note", "vanished")
    look = f"SELECT uid, number, {', '.join(SPEC.owned)}, note, gone_since IS NOT NULL FROM app.records"
    return TargetUnderTest(
        PostgresTarget(session, SPEC),
        good=lambda n: projection(n, f"Łąka {n}"),
        changed=changed,
        rows=lambda: {row[0]: dict(zip(names, row, strict=True)) for row in query(look)},
        remove=lambda internal_id: query("DELETE FROM app.records WHERE uid = :id", id=internal_id),
        invalid=projection(1, "x" * 51),
        refused=projection(999, "forbidden"),
    )


@pytest.mark.parametrize("law", store_laws(), ids=str)
def test_the_store_keeps_the_law(law: Law[StoreUnderTest], store: StoreUnderTest) -> None:
    law.check(lambda: store)


@pytest.mark.parametrize("law", bulk_target_laws(), ids=str)
def test_the_target_keeps_the_law(law: Law[TargetUnderTest], target: TargetUnderTest) -> None:
    law.check(lambda: target)


@pytest.mark.parametrize("law", pair_laws(), ids=str)
def test_target_and_store_keep_the_law(
    law: Law[PairUnderTest], store: StoreUnderTest, target: TargetUnderTest
) -> None:
    law.check(lambda: PairUnderTest(store.store, target))
