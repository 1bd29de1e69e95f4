"""The tokens of upstreams' accounts: kept exactly, durable, and for one at a time."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_pipelines.errors import StreamBusy
from sync_pipelines.postgres import upstream_tokens
from sync_pipelines.postgres.engine import Database
from sync_pipelines.postgres.upstream_tokens import UpstreamTokens

Query = Callable[..., list[Any]]
ENDS = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
WAITING = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
accounts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=10)


@pytest.fixture
def tokens(database: Database) -> UpstreamTokens:
    return UpstreamTokens(database, "bakalari:a")


def write(tokens: UpstreamTokens, account: str, sealed: bytes, state: Any = "ok") -> None:
    with tokens.alone(account) as row:
        row.write(sealed, ENDS, state)


@settings(max_examples=10)
@given(st.dictionaries(accounts, st.binary(max_size=5000), max_size=3))
def test_each_account_has_what_was_last_written_to_it(database: Database, written: dict[str, bytes]) -> None:
    tokens = UpstreamTokens(database, f"bakalari:{uuid.uuid4()}")
    for account, sealed in written.items():
        write(tokens, account, b"before", "needs_login")
        write(tokens, account, sealed)
    assert tokens.read_all() == written
    assert tokens.states() == dict.fromkeys(written, "ok")
    for account, sealed in written.items():
        with tokens.alone(account) as row:
            assert row.read() == sealed


def test_an_account_that_is_not_known_has_none(tokens: UpstreamTokens) -> None:
    with tokens.alone("novak") as row:
        assert row.read() is None
    assert (tokens.read_all(), tokens.states()) == ({}, {})


def test_accounts_that_differ_in_a_blank_a_letters_case_or_their_system_are_different_accounts(
    tokens: UpstreamTokens, database: Database
) -> None:
    other = UpstreamTokens(database, "bakalari:b")
    for number, account in enumerate(["novak", "Novak", " novak", "novak "]):
        write(tokens, account, bytes([number]))
    write(other, "novak", b"other")
    assert sorted(tokens.read_all().values()) == [b"\0", b"\1", b"\2", b"\3"]
    assert other.read_all() == {"novak": b"other"}


def test_tokens_are_durable_when_they_are_written_whatever_the_server_is_set_to(
    tokens: UpstreamTokens, query: Query
) -> None:
    query(
        """
        CREATE TABLE set_to (value text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO set_to VALUES (current_setting('synchronous_commit')); RETURN NEW;
        END $$;
        CREATE TRIGGER note BEFORE INSERT OR UPDATE ON sync.upstream_tokens FOR EACH ROW EXECUTE FUNCTION note();
        """
    )
    query(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$"
    )
    write(tokens, "novak", b"x")
    assert query("SELECT value FROM set_to") == ["on"]


def test_what_was_written_stays_where_its_holder_fails_after(tokens: UpstreamTokens) -> None:
    def fail() -> None:
        with tokens.alone("novak") as row:
            row.write(b"x", ENDS, "ok")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with tokens.alone("novak") as row:
        assert row.read() == b"x"


def test_the_time_of_a_writing_is_kept_and_the_end_may_be_none(tokens: UpstreamTokens, query: Query) -> None:
    write(tokens, "novak", b"x")
    query("UPDATE sync.upstream_tokens SET rotated_at = '2020-01-01Z'")
    with tokens.alone("novak") as row:
        row.write(b"y", None, "needs_login")
    look = "SELECT expires_at, state, rotated_at > now() - interval '1 hour' FROM sync.upstream_tokens"
    assert query(look) == [(None, "needs_login", True)]


def test_an_account_is_one_holders_at_a_time_and_others_are_free(tokens: UpstreamTokens, query: Query) -> None:
    found: list[bytes | None] = []

    def second() -> None:
        with tokens.alone("novak") as row:
            found.append(row.read())

    late = threading.Thread(target=second)
    with tokens.alone("novak") as row:
        late.start()
        while query(WAITING) == [0] and late.is_alive():
            pass
        write(tokens, "svoboda", b"free")
        row.write(b"x", ENDS, "ok")
        assert not found
    late.join()
    assert found == [b"x"]


def test_a_holder_who_never_ends_is_told_of_and_the_accounts_name_is_not(
    tokens: UpstreamTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_tokens, "_LONGEST_WAIT", timedelta(milliseconds=20))
    said = pytest.raises(StreamBusy, match="the tokens of an account")
    with tokens.alone("novak7788"), said as caught, tokens.alone("novak7788"):
        pass
    assert "novak7788" not in str(caught.value)
