"""Calls of webhooks in the database: each once, gathered into batches, none lost and none in two."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.errors import KeyReused
from sync_pipelines.postgres.engine import Database, Session
from sync_pipelines.postgres.webhooks import (
    Batch,
    gather_calls,
    note_call,
    open_batches,
    purge_calls,
    settle_batch,
)

Query = Callable[..., list[Any]]
AT_ONCE = {"quiet": timedelta(), "longest": timedelta()}
PATIENT = {"quiet": timedelta(seconds=20), "longest": timedelta(seconds=60)}


def waited(query: Query, seconds: int, call_id: str) -> None:
    """As if the call had come so long ago."""
    query("UPDATE sync.webhook_calls SET received_at = now() - :age WHERE call_id = :id",
          age=timedelta(seconds=seconds), id=call_id)  # fmt: skip


def test_a_call_is_new_once_for_each_upstream_and_its_keys_are_in_no_order(session: Session) -> None:
    assert note_call(session, "wtl", "a", ["2", "1", "2"])
    assert not note_call(session, "wtl", "a", ["1", "2"])
    assert note_call(session, "bakalari", "a", ["skola"])
    assert note_call(session, "wtl", "A", [])


def test_an_id_that_comes_with_other_keys_is_refused_and_changes_nothing(session: Session, query: Query) -> None:
    note_call(session, "wtl", "a", ["1"])
    for others in ([], ["2"], ["1", "2"]):
        with pytest.raises(KeyReused):
            note_call(session, "wtl", "a", others)
    assert query("SELECT keys FROM sync.webhook_calls") == [["1"]]


def test_of_the_same_call_many_times_at_once_one_is_new(database: Database, query: Query) -> None:
    def call(_: int) -> bool:
        with database.session() as session:
            return note_call(session, "wtl", "a", ["1"])

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(call, range(16))) == [False] * 15 + [True]
    assert query("SELECT count(*) FROM sync.webhook_calls") == [1]


@pytest.mark.parametrize(
    ("ages", "due"),
    [([10], False), ([21], True), ([59, 0], False), ([61, 0], True), ([40, 30, 21], True), ([40, 30, 10], False)],
)
def test_calls_are_gathered_when_it_is_quiet_or_the_first_has_waited_long(
    session: Session, query: Query, ages: list[int], due: bool
) -> None:
    for number, age in enumerate(ages):
        note_call(session, "wtl", str(number), [str(number)])
        waited(query, age, str(number))
    gather_calls(session, "wtl", **PATIENT)
    batches = open_batches(session, "wtl")
    assert [batch.keys for batch in batches] == ([sorted(map(str, range(len(ages))))] if due else [])


def test_calls_of_another_upstream_neither_wait_nor_go_along(session: Session, query: Query) -> None:
    note_call(session, "wtl", "a", [])
    waited(query, 30, "a")
    note_call(session, "bakalari", "b", [])
    for upstream in ("wtl", "bakalari"):
        gather_calls(session, upstream, **PATIENT)
    assert len(open_batches(session, "wtl")) == 1
    assert open_batches(session, "bakalari") == []


def test_where_nothing_waits_there_is_no_batch(session: Session) -> None:
    gather_calls(session, "wtl", **AT_ONCE)
    assert open_batches(session, "wtl") == []


STEPS = st.lists(
    st.lists(st.sampled_from("123"), max_size=3) | st.sampled_from(["gather", "settle"]), min_size=1, max_size=12
)


@given(steps=STEPS)
@settings(max_examples=60)
def test_each_call_is_in_one_batch_which_names_what_its_calls_name(
    session: Session, query: Query, steps: list[Any]
) -> None:
    """Against a plain model: a list of waiting calls, and lists of those that were gathered."""
    query("TRUNCATE sync.webhook_calls")
    waiting: list[list[str]] = []
    gathered: list[list[list[str]]] = []
    for number, step in enumerate(steps):
        if step == "gather":
            gather_calls(session, "wtl", **AT_ONCE)
            if waiting:
                gathered.append(waiting)
                waiting = []
        elif step == "settle":
            if gathered:
                settle_batch(session, open_batches(session, "wtl")[0].id, f"run {number}")
                gathered.pop(0)
        else:
            note_call(session, "wtl", f"call {number}", step)
            waiting.append(step)
        batches = open_batches(session, "wtl")
        assert batches == [
            Batch(batch.id, sorted({key for keys in calls for key in keys}), everything=[] in calls)
            for batch, calls in zip(batches, gathered, strict=True)
        ]
    assert query("SELECT count(*) FROM sync.webhook_calls WHERE batch IS NULL") == [len(waiting)]


def test_calls_are_forgotten_when_they_are_old_and_their_run_was_there(session: Session, query: Query) -> None:
    for call_id in ("settled", "asked for", "young"):
        note_call(session, "wtl", call_id, [])
        gather_calls(session, "wtl", **AT_ONCE)
        if call_id != "asked for":
            settle_batch(session, open_batches(session, "wtl")[-1].id, "run")
    note_call(session, "wtl", "waits", [])
    for call_id in ("settled", "asked for", "waits"):
        waited(query, 100, call_id)
    assert purge_calls(session, datetime.now(UTC) - timedelta(seconds=50)) == 1
    assert query("SELECT call_id FROM sync.webhook_calls ORDER BY 1") == ["asked for", "waits", "young"]
