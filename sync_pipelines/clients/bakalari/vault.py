"""Accounts, their tokens, and the vault that keeps tokens between runs: a port, implemented elsewhere.

Secrets are in no repr.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

__all__ = ["Account", "Drawer", "Kept", "TokenVault", "Tokens"]


@dataclass(frozen=True, slots=True)
class Account:
    """An account of one school and what it may log in with. Errors and tables show the `label` alone, say "#3"."""

    username: str = field(repr=False)
    password: str | None = field(repr=False)
    refresh_token: str | None = field(repr=False)
    label: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """A pair. `refresh` is None where the server gives none; `ends_at` is when the access token ends, in UTC."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of an account: its newest pair, and which of its secrets are not to be tried again.

    `refused` holds fingerprints, separated by blanks. A secret that changes has another, and is tried.
    """

    tokens: Tokens | None = None
    refused: str | None = None


class Drawer(Protocol):
    """One account's place in the vault, while nobody else has it."""

    @property
    def kept(self) -> Kept:
        """What was there when it was opened, or was put since."""
        ...

    def put(self, kept: Kept) -> None:
        """Keep this instead; it is durable when this returns. Raises SyncError."""
        ...


class TokenVault(Protocol):
    """The tokens of one school's accounts, by username. Thread-safe."""

    def peek(self, account: str) -> Kept:
        """What is kept of an account; an empty Kept where nothing is. Raises SyncError."""
        ...

    def alone(self, account: str) -> AbstractContextManager[Drawer]:
        """The account's drawer, for one at a time across threads and processes: waits. Raises SyncError."""
        ...
