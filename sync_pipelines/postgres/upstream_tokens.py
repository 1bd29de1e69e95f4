"""The tokens of upstreams' accounts between runs: sealed bytes, which this module cannot read.

One connection an operation: it is used from several threads, and seldom.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sync_pipelines.postgres.engine import Database, Session
from sync_pipelines.postgres.lock import named_lock
from sync_pipelines.postgres.tables.sync import upstream_tokens as table

__all__ = ["AccountState", "AccountTokens", "UpstreamTokens"]

AccountState = Literal["ok", "needs_login"]
# Whoever has an account renews its tokens, which takes a few answers of its upstream.
_LONGEST_WAIT = timedelta(seconds=180)


@dataclass(frozen=True)
class AccountTokens:
    """One account's row, while nobody else may change it."""

    session: Session
    system: str
    account: str

    def read(self) -> bytes | None:
        """The sealed tokens; None where there are none."""
        query = sa.select(table.c.tokens).where(table.c.system == self.system, table.c.account == self.account)
        with self.session.transaction() as connection:
            return connection.scalar(query)

    def write(self, sealed: bytes, expires_at: datetime | None, state: AccountState) -> None:
        """Keep these instead. They are durable when this returns, whatever the server's own setting is."""
        values = {"tokens": sealed, "expires_at": expires_at, "state": state, "rotated_at": sa.func.now()}
        statement = insert(table).values(system=self.system, account=self.account, **values)
        key = [table.c.system, table.c.account]
        with self.session.transaction() as connection:
            connection.execute(sa.text("SET LOCAL synchronous_commit = on"))
            connection.execute(statement.on_conflict_do_update(index_elements=key, set_=values))


class UpstreamTokens:
    """The tokens of one system's accounts."""

    def __init__(self, database: Database, system: str) -> None:
        self._database = database
        self._system = system

    def read_all(self) -> Mapping[str, bytes]:
        """The sealed tokens by account."""
        query = sa.select(table.c.account, table.c.tokens).where(table.c.system == self._system)
        with self._database.session() as session, session.transaction() as connection:
            return {account: bytes(sealed) for account, sealed in connection.execute(query) if sealed is not None}

    def states(self) -> Mapping[str, AccountState]:
        """What is known of each account."""
        query = sa.select(table.c.account, table.c.state).where(table.c.system == self._system)
        with self._database.session() as session, session.transaction() as connection:
            return {row.account: row.state for row in connection.execute(query)}

    @contextmanager
    def alone(self, account: str) -> Generator[AccountTokens, None, None]:
        """The account's row, for one at a time across threads and processes. Raises StreamBusy after minutes."""
        with (
            self._database.session() as session,
            named_lock(
                session,
                f"tokens {self._system} {account}",
                "the tokens of an account are still being renewed",
                _LONGEST_WAIT,
            ),
        ):
            yield AccountTokens(session, self._system, account)
