"""Bakalari's API v3 and public timetable, reading only. Source of every fact: contracts/bakalari.md, section C.

Every method is synchronous, and safe to call from several threads. The one POST there is logs an account in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date as Date  # noqa: N812
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

from sync_pipelines import __version__
from sync_pipelines.clients.bakalari.answers import object_of
from sync_pipelines.clients.bakalari.public import (
    LISTS_PATH,
    Kind,
    PublicLists,
    Week,
    lessons_path,
    lists_of,
    page_of,
)
from sync_pipelines.clients.bakalari.public_lessons import PublicLesson, public_lessons
from sync_pipelines.clients.bakalari.readers import (
    atoms_of,
    info_of,
    sheet_of,
    subjects_of,
    timetable_of,
    user_of,
)
from sync_pipelines.clients.bakalari.records import Atom, Info, Rows, Sheet, Taught, Timetable, User
from sync_pipelines.clients.bakalari.session import AccountSession
from sync_pipelines.clients.bakalari.vault import Account, TokenVault
from sync_pipelines.clients.budget import RateBudget
from sync_pipelines.clients.http import Answer, Sender, Spent

__all__ = ["HEADERS", "AccountClient", "SchoolClient"]

R = TypeVar("R")
HEADERS = {
    "Accept": "application/json",
    "Accept-Language": "cs",  # some servers answer every request without it with status 500
    "User-Agent": f"sync-pipelines/{__version__}",
}
_WEB_PAGE = {"Accept": "text/html"}
_INFO_SECONDS = 5.0


class AccountClient:
    """What one account may read. Every method raises SourceError: NeedsLogin where a person must log in anew.

    The session, and with it what was spent, is of this client alone: one for an account and a run.
    """

    def __init__(self, session: AccountSession, sender: Sender) -> None:
        self._session = session
        self._sender = sender

    @property
    def spent(self) -> Spent:
        """Requests sent for this account, logins included, and how many of them were repetitions."""
        return self._session.spent

    @property
    def logins(self) -> int:
        """How often the password was sent: once at most."""
        return self._session.logins

    @property
    def user_id(self) -> str | None:
        """The user's code as the last login or renewal told it; None where a stored token was good."""
        return self._session.user_id

    def user(self) -> User:
        """Who this account is (C9)."""
        return self._read("user", user_of)

    def subjects(self) -> Rows[Taught]:
        """The account's subjects, a row a teacher (C10)."""
        return self._read("subjects", subjects_of)

    def timetable(self, kind: Literal["permanent", "actual"] = "permanent", date: Date | None = None) -> Timetable:
        """The account's own week: the permanent one, or the actual one that holds `date` (C11)."""
        return self._read(f"timetable/{kind}", timetable_of, {"date": date.isoformat()} if date else {})

    def atoms(self) -> Rows[Atom]:
        """What is taught, as a teacher or superuser sees it; AccessRefused to others."""
        return self._read("marking/atoms", atoms_of)

    def sheet(self, atom_id: str) -> Sheet:
        """Who is taught an atom, and by whom; AccessRefused to others than teachers and superusers."""
        return self._read(f"marking/marks/{quote(atom_id, safe='')}", sheet_of)

    def _read(
        self, path: str, read: Callable[[Mapping[str, Any]], R], params: Mapping[str, str] | None = None
    ) -> R:
        return self._session.get(
            f"api/3/{path}", params or {}, lambda answer: read(object_of(answer, self._sender.now()))
        )


class SchoolClient:
    """A connection to one school; `base_url` is the root of its web. At most `in_flight` requests go at once.

    A `sender` of the caller's own sends HEADERS; it is closed with the client.
    """

    def __init__(self, base_url: str, *, in_flight: int = 4, sender: Sender | None = None) -> None:
        self._sender = sender or Sender(base_url, HEADERS, budget=RateBudget(in_flight=in_flight))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sender.close()

    @property
    def spent(self) -> Spent:
        """What was sent to this school so far, for all accounts and for none."""
        return Spent(self._sender.requests, self._sender.retries)

    def account(self, account: Account, vault: TokenVault) -> AccountClient:
        """Reads for one account. Nothing is sent before something is asked for."""
        return AccountClient(AccountSession(self._sender, account, vault, now=self._sender.now), self._sender)

    def info(self) -> Info:
        """The server's versions, without login (C2). Raises SourceError."""

        def read(answer: Answer) -> Info:
            return info_of(object_of(answer, self._sender.now()))

        return self._sender.get("api/3", {}, read, attempts=2, timeout=_INFO_SECONDS)

    def public_lists(self) -> PublicLists:
        """Classes, teachers and rooms, without login (C13). Raises SourceError."""
        return self._read_page(LISTS_PATH, lists_of)

    def public_lessons(self, kind: Kind, item_id: str, week: Week = "permanent") -> tuple[PublicLesson, ...]:
        """What is taught in a week to one of the public lists (C13). Raises SourceError."""
        return self._read_page(lessons_path(kind, item_id, week), public_lessons)

    def _read_page(self, path: str, read: Callable[[str], R]) -> R:
        def read_page(answer: Answer) -> R:
            return read(page_of(answer, self._sender.now()))

        return self._sender.get(path, {}, read_page, headers=_WEB_PAGE)
