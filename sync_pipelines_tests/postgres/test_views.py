"""What consumers read: rows that are there upstream, and when that was last confirmed."""

from collections.abc import Callable
from typing import Any

import pytest

Query = Callable[..., list[Any]]


@pytest.fixture
def lessons(query: Query) -> None:
    query(
        "INSERT INTO wtl.lessons (wtl_lesson_id, title, last_sync_at, remote_deleted_at) VALUES "
        "('1', 'old', '2026-01-01Z', NULL), ('2', 'gone', '2026-01-01Z', '2026-02-01Z'), "
        "('3', 'fresh', '2026-03-02Z', NULL), ('local-1', 'ours', NULL, NULL)"
    )


def confirmed(query: Query) -> list[Any]:
    confirmed_on = "to_char(last_sync_at AT TIME ZONE 'UTC', 'MM-DD')"
    return query(f"SELECT wtl_lesson_id, {confirmed_on} FROM wtl.lessons_current ORDER BY 1")


@pytest.mark.usefixtures("lessons")
def test_vanished_rows_are_left_out_and_local_ones_are_in(query: Query) -> None:
    assert confirmed(query) == [("1", "01-01"), ("3", "03-02"), ("local-1", None)]


@pytest.mark.usefixtures("lessons")
def test_a_complete_sync_confirms_every_row_it_did_not_have_to_write(query: Query) -> None:
    query("INSERT INTO sync.streams (stream, last_complete_at) VALUES ('wtl/lesson_catalog', '2026-03-01Z')")
    assert confirmed(query) == [("1", "03-01"), ("3", "03-02"), ("local-1", None)]
