from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sync_pipelines.core import Binding, ExternalKey, Reject, Stage, SyncReport
from sync_pipelines.errors import StreamBusy
from sync_pipelines.postgres.engine import Database, Session
from sync_pipelines.postgres.state import PostgresStateStore

Query = Callable[..., list[Any]]
ID = "6f1b2c3d-0000-4000-8000-000000000001"
KEY = ExternalKey("bakalari:gymnazium:class", " 6")


@pytest.fixture
def store(session: Session) -> PostgresStateStore:
    return PostgresStateStore(session)


def test_a_binding_comes_back_as_it_was(store: PostgresStateStore, query: Query) -> None:
    store.bind(KEY, ID, "1:abc")
    assert store.get_binding(KEY) == Binding(KEY, ID, "1:abc")
    assert query("SELECT system, type, external_id FROM sync.external_refs") == [
        ("bakalari:gymnazium", "class", " 6")
    ]


def test_keys_that_differ_in_a_blank_or_in_their_system_are_different_keys(store: PostgresStateStore) -> None:
    keys = [
        KEY,
        ExternalKey(KEY.system, "6"),
        ExternalKey("bakalari:other:class", " 6"),
        ExternalKey("rooms", " 6"),
    ]
    store.bind_many([Binding(k, ID.replace("1", str(i)), str(i)) for i, k in enumerate(keys)])
    found = store.get_bindings([*keys, ExternalKey("rooms", "7")])
    assert {k: b.version for k, b in found.items()} == {k: str(i) for i, k in enumerate(keys)}


def test_binding_again_replaces(store: PostgresStateStore) -> None:
    store.bind(KEY, ID, "1:a")
    store.bind(KEY, ID, None)
    assert list(store.iter_bindings(KEY.system)) == [Binding(KEY, ID, None)]
    assert list(store.iter_bindings("rooms")) == []


def test_a_checkpoint_is_the_streams_own_and_survives_a_run(store: PostgresStateStore) -> None:
    store.save_checkpoint("a", "2026-11-21T00:00:00Z")
    store.run_started("a")
    store.run_ended("a", SyncReport("a", complete=True))
    assert store.get_checkpoint("a") == "2026-11-21T00:00:00Z"
    assert store.get_checkpoint("b") is None


def test_only_a_complete_run_moves_the_time_of_completeness(store: PostgresStateStore, query: Query) -> None:
    store.run_started("a")
    store.run_ended("a", SyncReport("a", complete=False, fetched=3, failed=3))
    columns = "last_started_at IS NOT NULL, last_complete_at IS NOT NULL, last_report->>'failed'"
    state = f"SELECT {columns} FROM sync.streams"
    assert query(state) == [(True, False, "3")]
    store.run_ended("a", SyncReport("a", complete=True))
    assert query(state) == [(True, True, "0")]


@pytest.mark.parametrize(
    "payload",
    [{"id": "1", "name": "Łąka"}, None, [1, 2], "text", {"nul": "a\x00b"}, {"half": "\ud800"}, {"n": 10**30}],
)
def test_a_reject_is_kept_whole(store: PostgresStateStore, query: Query, payload: object) -> None:
    store.save_rejects([Reject(KEY, Stage.MAPPING, "the title is blank", payload)])
    ((kept, stage, error),) = query("SELECT payload::text, stage, error FROM sync.rejects")
    assert (stage, error) == ("mapping", "the title is blank")
    for piece in ("Łąka", "text", "nul", "half", "a", "b", str(10**30)):
        if piece in str(payload):
            assert piece in kept


def test_a_repeated_reject_is_counted_and_a_good_record_settles_it(
    store: PostgresStateStore, query: Query
) -> None:
    for _ in range(3):
        store.save_rejects([Reject(KEY, Stage.SOURCE, "no name", {"id": "6"})])
    assert query("SELECT occurrences, resolved_at FROM sync.rejects") == [(3, None)]
    store.resolve_rejects([KEY])
    assert query("SELECT resolved_at IS NOT NULL FROM sync.rejects") == [True]
    store.save_rejects([Reject(KEY, Stage.SOURCE, "no name", {"id": "6"})])
    assert query("SELECT occurrences, resolved_at FROM sync.rejects") == [(4, None)]


def test_two_runs_of_a_stream_exclude_each_other_and_the_second_says_who_holds_it(
    store: PostgresStateStore, database: Database
) -> None:
    with store.exclusive("wtl/courses"), database.session() as other:
        late = PostgresStateStore(other, lock_timeout=timedelta(milliseconds=50))
        with (
            pytest.raises(StreamBusy, match=r"wtl/courses.*sync-pipelines.*server process \d+"),
            late.exclusive("wtl/courses"),
        ):
            pass
        with late.exclusive("wtl/users"):
            pass
    with database.session() as other, PostgresStateStore(other).exclusive("wtl/courses"):
        pass


def test_the_lock_goes_with_the_connection(store: PostgresStateStore, database: Database, query: Query) -> None:
    with database.session() as dying:
        lock = PostgresStateStore(dying).exclusive("wtl/courses")
        lock.__enter__()
        (pid,) = query("SELECT pid FROM pg_locks WHERE locktype = 'advisory'")
        query("SELECT pg_terminate_backend(:pid)", pid=pid)
        with store.exclusive("wtl/courses"):
            pass
        lock.__exit__(None, None, None)
