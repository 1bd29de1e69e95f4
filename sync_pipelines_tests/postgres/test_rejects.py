from datetime import timedelta

import pytest

from sync_pipelines.core import ExternalKey, Reject, Stage
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.rejects import (
    count_open,
    count_resolved_since,
    find_rejects,
    list_rejects,
    server_time,
)
from sync_pipelines.postgres.state import PostgresStateStore

COURSE, LESSON, PLAIN = "wtl:course", "bakalari:gymnazium:lesson", "plain"


def key(system: str, number: int) -> ExternalKey:
    return ExternalKey(system, str(number))


@pytest.fixture
def store(session: Session) -> PostgresStateStore:
    """Five rejects of courses, one of a lesson and one of a system without an entity; course 1's is resolved."""
    store = PostgresStateStore(session)
    for each in [*(key(COURSE, n) for n in range(1, 6)), key(LESSON, 1), key(PLAIN, 1)]:
        store.save_rejects([Reject(each, Stage.SOURCE, "title is missing", {"id": each.key, "who": "Anna"})])
    store.resolve_rejects([key(COURSE, 1)])
    return store


def test_the_newest_come_first_and_no_more_than_asked_for(session: Session, store: PostgresStateStore) -> None:
    store.save_rejects([Reject(key(COURSE, 2), Stage.TARGET, "too long", {})])
    found, total = list_rejects(session, [COURSE], limit=2)
    assert total == 4
    assert [(r.key, r.stage, r.error, r.occurrences) for r in found] == [
        (key(COURSE, 2), "target", "too long", 2),
        (key(COURSE, 5), "source", "title is missing", 1),
    ]


def test_a_list_holds_no_record(session: Session, store: PostgresStateStore) -> None:
    found, total = list_rejects(session, resolved=True)
    assert (len(found), total) == (7, 7)
    assert "Anna" not in str(found)


def test_resolved_ones_are_listed_on_demand(session: Session, store: PostgresStateStore) -> None:
    assert all(reject.resolved_at is None for reject in list_rejects(session)[0])
    assert [r.key for r in list_rejects(session, resolved=True)[0] if r.resolved_at] == [key(COURSE, 1)]


def test_a_reject_is_found_by_its_id_or_its_key_whole(session: Session, store: PostgresStateStore) -> None:
    newest = list_rejects(session, [LESSON])[0][0]
    (by_id,) = find_rejects(session, str(newest.id), [LESSON])
    assert (by_id.key, by_id.payload) == (key(LESSON, 1), {"id": "1", "who": "Anna"})
    named_1 = find_rejects(session, "1")
    assert [r.key for r in named_1 if r.key.key == "1"] == [key(LESSON, 1), key(PLAIN, 1), key(COURSE, 1)]
    assert find_rejects(session, "no such key") == find_rejects(session, "9" * 400) == []


def test_counts_are_by_system(session: Session, store: PostgresStateStore) -> None:
    assert count_open(session) == {COURSE: 4, LESSON: 1, PLAIN: 1}
    now = server_time(session)
    assert count_resolved_since(session, [COURSE, LESSON], now) == 0
    assert count_resolved_since(session, [COURSE, LESSON], now - timedelta(hours=1)) == 1
    assert count_resolved_since(session, [LESSON], now - timedelta(hours=1)) == 0
