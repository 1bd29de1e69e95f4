"""Bakalari's API v3 and public timetable, reading only. Source of every fact: contracts/bakalari.md, section C.

Every method is synchronous, and safe to call from several threads. The one POST there is logs an account in.
"""

from __future__ import annotations

from datetime import date as Date  # noqa: N812
from types import TracebackType
from typing import Literal, Self

from sync_pipelines.clients.bakalari.public import PublicLesson, PublicLists
from sync_pipelines.clients.bakalari.records import Atom, Info, Rows, Sheet, Taught, Timetable, User
from sync_pipelines.clients.bakalari.vault import Account, TokenVault
from sync_pipelines.clients.http import Sender, Spent

__all__ = ["AccountClient", "SchoolClient"]


class AccountClient:
    """What one account may read. Every method raises SourceError: NeedsLogin where a person must log in anew."""

    spent: Spent  # requests and repetitions of this account, logins included
    logins: int  # how often the password was sent: once at most
    user_id: str | None  # "bak:UserId" of the last login or renewal; not the UserUID

    def user(self) -> User: ...
    def subjects(self) -> Rows[Taught]: ...
    def timetable(
        self, kind: Literal["permanent", "actual"] = "permanent", date: Date | None = None
    ) -> Timetable: ...
    def atoms(self) -> Rows[Atom]: ...
    def sheet(self, atom_id: str) -> Sheet: ...


class SchoolClient:
    """A connection to one school; `base_url` is the root of its web. At most `in_flight` requests go at once."""

    def __init__(self, base_url: str, *, in_flight: int = 4, sender: Sender | None = None) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    spent: Spent

    def info(self) -> Info: ...
    def public_lists(self) -> PublicLists: ...
    def public_lessons(
        self, kind: Literal["class", "teacher", "room"], item_id: str, week: Literal["actual", "permanent", "next"]
    ) -> tuple[PublicLesson, ...]: ...
    def account(self, account: Account, vault: TokenVault) -> AccountClient: ...
