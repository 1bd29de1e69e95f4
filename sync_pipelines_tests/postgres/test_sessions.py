"""Sessions of the admin pages: whom they let in, and for how long."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sync_pipelines.postgres.api_tokens import create_token, revoke_token
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.sessions import LONGEST, LONGEST_UNUSED, close_session, find_session, open_session

Query = Callable[..., list[Any]]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def token_id(session: Session) -> int:
    return create_token(session, "the office", {"operator", "viewer"})[1].id


def pass_time(query: Query, created: timedelta, seen: timedelta) -> None:
    """As if the sessions had been opened, and last used, so long ago."""
    query(
        "UPDATE sync.sessions SET created_at = created_at - :created, expires_at = expires_at - :created, "
        "last_seen_at = now() - :seen",
        created=created,
        seen=seen,
    )


def test_a_session_lets_in_whoever_opened_it(session: Session, token_id: int) -> None:
    found = find_session(session, open_session(session, token_id))
    assert found is not None
    assert (found.token_id, found.name, found.scopes) == (token_id, "the office", {"operator", "viewer"})


def test_what_was_never_opened_lets_nobody_in(session: Session, token_id: int, query: Query) -> None:
    opened = open_session(session, token_id)
    digest = hashlib.sha256(opened.encode()).hexdigest()
    for other in ("", "x", opened[:-1], opened + "A", opened.swapcase(), digest, "\0", "é" * 43, "A" * 43):
        assert find_session(session, other) is None


def test_the_table_does_not_hold_the_id(session: Session, token_id: int, query: Query) -> None:
    opened = open_session(session, token_id)
    assert query("SELECT session_sha256 FROM sync.sessions") == [hashlib.sha256(opened.encode()).digest()]
    (row,) = query("SELECT row_to_json(s)::text FROM sync.sessions s")
    assert opened not in row


def test_each_session_has_an_id_of_its_own(session: Session, token_id: int) -> None:
    opened = [open_session(session, token_id) for _ in range(20)]
    assert len({*opened}) == 20
    assert all(find_session(session, one) for one in opened)


@pytest.mark.parametrize(
    ("created", "seen", "lasts"),
    [
        (LONGEST - MINUTE, MINUTE, True),
        (LONGEST + MINUTE, MINUTE, False),
        (LONGEST_UNUSED, LONGEST_UNUSED - MINUTE, True),
        (LONGEST_UNUSED, LONGEST_UNUSED + MINUTE, False),
    ],
)
def test_a_session_ends_by_its_age_and_without_use(
    session: Session, token_id: int, query: Query, created: timedelta, seen: timedelta, lasts: bool
) -> None:
    opened = open_session(session, token_id)
    pass_time(query, created, seen)
    assert (find_session(session, opened) is not None) is lasts


def test_use_keeps_a_session_and_is_noted_to_the_minute(session: Session, token_id: int, query: Query) -> None:
    opened = open_session(session, token_id)
    for _ in range(4):
        pass_time(query, LONGEST_UNUSED - MINUTE, LONGEST_UNUSED - MINUTE)
        assert find_session(session, opened) is not None
    (noted,) = query("SELECT last_seen_at FROM sync.sessions")
    assert find_session(session, opened) is not None
    assert query("SELECT last_seen_at FROM sync.sessions") == [noted]


def test_a_revoked_or_expired_token_ends_its_sessions_at_once(session: Session, query: Query) -> None:
    for number, end in enumerate(("revoked", "expired")):
        token = create_token(session, f"token {number}", {"viewer"})[1]
        opened = open_session(session, token.id)
        assert find_session(session, opened) is not None
        if end == "revoked":
            revoke_token(session, token.name)
        else:
            query("UPDATE sync.api_tokens SET expires_at = now() WHERE id = :id", id=token.id)
        assert find_session(session, opened) is None


def test_a_closed_session_lets_nobody_in_and_the_others_still_do(session: Session, token_id: int) -> None:
    one, other = open_session(session, token_id), open_session(session, token_id)
    close_session(session, one)
    assert find_session(session, one) is None
    assert find_session(session, other) is not None


def test_opening_one_clears_away_those_that_have_ended(session: Session, token_id: int, query: Query) -> None:
    for _ in range(3):
        open_session(session, token_id)
    pass_time(query, LONGEST + MINUTE, MINUTE)
    open_session(session, token_id)
    assert query("SELECT count(*) FROM sync.sessions") == [1]
