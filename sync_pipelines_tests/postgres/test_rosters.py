"""Where readings of schools land: what is written of them, and when."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.rosters import LandedRoster, land, landed

Query = Callable[..., list[Any]]
# Too long for the row itself, and nothing to compress.
SNAPSHOT = {"class": [[random.Random(number).randbytes(400).hex(), {}] for number in range(20)]}
TEXT = json.dumps(SNAPSHOT)


def test_what_landed_is_there_as_it_was_and_of_another_school_is_nothing(session: Session) -> None:
    coverage = {"asked": [{"source": "account #1", "requests": 7}], "whole": {"rosters": True}}
    land(session, "a", TEXT, "1", coverage)
    assert landed(session, "a") == LandedRoster(SNAPSHOT, coverage)
    assert landed(session, "b") is None


def test_a_snapshot_that_differs_takes_the_place_of_the_last(session: Session, query: Query) -> None:
    land(session, "a", TEXT, "1", {"run": 1})
    land(session, "b", TEXT, "1", {"run": 1})
    long_ago(query)
    land(session, "a", '{"class": []}', "2", {"run": 2})
    assert landed(session, "a") == LandedRoster({"class": []}, {"run": 2})
    assert landed(session, "b") == LandedRoster(SNAPSHOT, {"run": 1})
    assert query(f"SELECT school_id, {SINCE} FROM bakalari.rosters ORDER BY 1") == [
        ("a", True, True),
        ("b", False, False),
    ]


def test_an_equal_snapshot_is_not_written_again_and_that_it_was_read_is(session: Session, query: Query) -> None:
    land(session, "a", TEXT, "1", {"run": 1})
    long_ago(query)
    (kept,) = query("SELECT reltoastrelid::regclass::text FROM pg_class WHERE oid = 'bakalari.rosters'::regclass")
    look = f"SELECT chunk_id::text, xmin::text FROM {kept} ORDER BY chunk_id, chunk_seq"
    before = query(look)
    assert before
    land(session, "a", TEXT, "1", {"run": 2})
    assert query(look) == before
    assert query(f"SELECT school_id, {SINCE} FROM bakalari.rosters") == [("a", True, False)]
    assert landed(session, "a") == LandedRoster(SNAPSHOT, {"run": 2})


SINCE = "read_at > '2021-01-01Z', changed_at > '2021-01-01Z'"


def long_ago(query: Query) -> None:
    query("UPDATE bakalari.rosters SET read_at = '2020-01-01Z', changed_at = '2020-01-01Z'")
