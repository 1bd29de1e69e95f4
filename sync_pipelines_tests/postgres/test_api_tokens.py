import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.errors import StateError
from sync_pipelines.postgres.api_tokens import create_token, find_token, list_tokens, note_use, revoke_token
from sync_pipelines.postgres.engine import Session

Query = Callable[..., list[Any]]


def test_a_token_is_found_by_itself_and_kept_nowhere(session: Session, query: Query) -> None:
    token, made = create_token(session, "cron", {"viewer", "operator"})
    assert re.fullmatch(r"spl_[A-Za-z0-9_-]{43}", token)
    assert find_token(session, token) == made
    assert (made.name, made.scopes, made.subject, made.state) == ("cron", ["operator", "viewer"], None, "valid")
    (row,) = query("SELECT t::text FROM sync.api_tokens t")
    assert token not in row
    assert token.removeprefix("spl_") not in row
    assert query("SELECT encode(token_sha256, 'hex') FROM sync.api_tokens") == [
        hashlib.sha256(token.encode()).hexdigest()
    ]


def test_no_two_tokens_are_alike(session: Session) -> None:
    assert len({create_token(session, f"t{n}", {"viewer"})[0] for n in range(20)}) == 20


@given(shown=st.text() | st.from_regex(r"spl_[A-Za-z0-9_-]{43}", fullmatch=True))
def test_whatever_else_is_shown_finds_none(session: Session, shown: str) -> None:
    assert find_token(session, shown) is None


def test_no_part_of_a_token_and_nothing_around_it_will_do(session: Session) -> None:
    token, _ = create_token(session, "cron", {"viewer"})
    for other in (token[:-1], token + "A", token + "\n", " " + token, token.swapcase(), token[4:], ""):
        assert find_token(session, other) is None


def test_a_learners_token_names_the_learner_and_does_not_show_who_it_is(session: Session) -> None:
    _, made = create_token(session, "tablet", {"learner"}, "user-1")
    assert made.subject == "user-1"
    assert "user-1" not in repr(made)


def test_a_token_ends_when_it_expires(session: Session, query: Query) -> None:
    token, made = create_token(session, "cron", {"viewer"}, expires_after=timedelta(days=30))
    assert made.expires_at == made.created_at + timedelta(days=30)
    query("UPDATE sync.api_tokens SET expires_at = now()")
    found = find_token(session, token)
    assert found is not None
    assert found.state == "expired"


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_revoked_token_is_revoked_for_ever_and_its_name_is_free_again(session: Session, by: str) -> None:
    token, made = create_token(session, "cron", {"viewer"})
    with pytest.raises(StateError, match="in force"):
        create_token(session, "cron", {"viewer"})
    revoked = revoke_token(session, str(getattr(made, by)))
    assert revoked is not None
    assert (revoked.id, revoked.state) == (made.id, "revoked")
    assert find_token(session, token) == revoked
    assert revoke_token(session, str(getattr(made, by))) is None
    _, again = create_token(session, "cron", {"viewer"})
    assert [(t.id, t.state) for t in list_tokens(session)] == [(made.id, "revoked"), (again.id, "valid")]


def test_a_use_is_noted_once_a_minute(session: Session, query: Query) -> None:
    token, made = create_token(session, "cron", {"viewer"})
    assert made.last_used_at is None

    def use() -> datetime:
        found = find_token(session, token)
        assert found is not None
        note_use(session, found)
        (noted,) = query("SELECT last_used_at FROM sync.api_tokens")
        return noted

    first = use()
    assert use() == first
    query("UPDATE sync.api_tokens SET last_used_at = now() - interval '59 seconds'")
    (recent,) = query("SELECT last_used_at FROM sync.api_tokens")
    assert use() == recent
    query("UPDATE sync.api_tokens SET last_used_at = now() - interval '61 seconds'")
    assert use() >= first
    assert first.astimezone(UTC) == first
