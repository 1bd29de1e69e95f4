"""One account's tokens: kept, renewed, and never a login too many. Source of the rules: contracts/bakalari.md C8.

A new pair is in the vault before it is used. A password is sent once, for schools lock accounts.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sync_pipelines.clients.bakalari.answers import TokenRefused
from sync_pipelines.clients.bakalari.login import (
    LOGIN_PATH,
    Grant,
    Refusal,
    TokenPair,
    answer_of,
    password_form,
    refresh_form,
)
from sync_pipelines.clients.bakalari.vault import Account, Drawer, Kept, Tokens, TokenVault
from sync_pipelines.clients.http import Answer, Sender, Spent
from sync_pipelines.errors import NeedsLogin, SyncError, UnexpectedAnswer

__all__ = ["AccountSession", "fingerprint"]

T = TypeVar("T")
_MARGIN_SECONDS, _MARGIN_SHARE = 60.0, 0.2
# A token may end while its request waits for its turn; a request that no token helps is not one's to repeat.
_MOST_REFUSALS = 3
# A refresh token works three times (C4): once, and again where the reply was lost.
_MOST_USES = 3
_MOST_MARKS = 4


def fingerprint(account: Account, secret: str) -> str:
    """What a refused secret is remembered by. Slow to compute: it must not give the secret away."""
    salt = account.username.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret.encode("utf-8", "surrogatepass"), salt=salt, n=2**14, r=8, p=1, dklen=16).hex()


@dataclass(slots=True)
class _Held:
    """A pair, and when to renew it by the monotonic clock. `is_new` until it was good for something."""

    tokens: Tokens
    renew_at: float
    is_new: bool


class AccountSession:
    """Asks for one account. Thread-safe: of callers that need a new token one fetches it, and the others wait.

    `clock` is monotonic, in seconds; `now` is the time in UTC. `logins` counts the passwords sent: one at most.
    Where no token can be had, nor a reply about one, the session is over: what it raised it raises ever after.
    """

    def __init__(
        self,
        sender: Sender,
        account: Account,
        vault: TokenVault,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sender = sender
        self._account = account
        self._vault = vault
        self._clock = clock
        self._now = now
        self._turn = threading.Lock()
        self._held: _Held | None = None
        self._over: SyncError | None = None
        self._used_up = set[str]()
        self.spent = Spent()
        self.logins = 0
        self.user_id: str | None = None

    def get(self, path: str, params: Mapping[str, str], read: Callable[[Answer], T]) -> T:
        """What `read` makes of the answer to a GET, with a token that is good.

        Raises SourceError: NeedsLogin where the account has no token, and no way left to get one.
        """
        held: _Held | None = None
        for _ in range(_MOST_REFUSALS):
            held = self._good(refused=held)
            bearer = {"Authorization": f"Bearer {held.tokens.access}"}
            try:
                result = self._sender.get(path, params, read, headers=bearer, spent=self.spent)
            except TokenRefused:
                continue
            else:
                held.is_new = False
                return result
        raise NeedsLogin(
            f"the school takes tokens of {self._label}, but none for {path}: ask the school whether it may"
        )

    def _good(self, refused: _Held | None = None) -> _Held:
        """A pair that lives, and is another than the refused one. Raises SyncError."""
        with self._turn:
            if self._over:
                raise type(self._over)(str(self._over))
            try:
                self._held = self._found(self._held, refused)
            except SyncError as error:
                self._over = error
                raise
            return self._held

    def _found(self, held: _Held | None, refused: _Held | None) -> _Held:
        if refused:
            self._used_up.add(refused.tokens.access)
        if held and self._is_good(held):
            return held
        if refused and refused.is_new:
            raise NeedsLogin(f"the school refuses the token it has just given {self._label}: ask the school why")
        if held:
            self._used_up.add(held.tokens.access)
        stored = self._stored(self._vault.peek(self._account.username))
        if stored and self._is_good(stored):
            return stored
        with self._vault.alone(self._account.username) as drawer:
            stored = self._stored(drawer.kept)  # another process may have been quicker
            return stored if stored and self._is_good(stored) else self._renewed(drawer)

    def _is_good(self, held: _Held) -> bool:
        return held.tokens.access not in self._used_up and self._clock() < held.renew_at

    @property
    def _label(self) -> str:
        return f"account {self._account.label}"

    def _stored(self, kept: Kept) -> _Held | None:
        """A pair of an earlier run, or of another process, of which only the wall clock knows the end."""
        tokens = kept.tokens
        return tokens and self._hold(tokens, (tokens.ends_at - self._now()).total_seconds(), is_new=False)

    def _hold(self, tokens: Tokens, seconds: float, *, is_new: bool) -> _Held:
        margin = min(_MARGIN_SECONDS, seconds * _MARGIN_SHARE)
        return _Held(tokens, self._clock() + seconds - margin, is_new)

    # --- the drawer is open: nobody else has this account now ---------------------------------------------------

    def _renewed(self, drawer: Drawer) -> _Held:
        """A new pair by the first way that works: the stored refresh token, the account's own, its password."""
        kept = drawer.kept
        marks = (kept.refused or "").split()
        if kept.tokens and kept.tokens.refresh:
            pair = self._redeemed(kept.tokens.refresh)
            if pair:
                return self._put(drawer, pair, kept.tokens.refresh, marks)
        for secret, ask, serves_once in self._ways():
            mark = fingerprint(self._account, secret)
            if mark in marks:
                continue
            pair = ask(secret)
            if not pair or serves_once:
                marks.append(mark)
            if pair:
                return self._put(drawer, pair, secret if serves_once else None, marks)
        if kept.tokens or marks != (kept.refused or "").split():
            drawer.put(Kept(None, _joined(marks)))
        raise NeedsLogin(
            f"{self._label} must log in anew: the school refuses its password, or its token, and nothing else is"
            " left to try; look at it in the list of accounts"
        )

    def _ways(self) -> Iterator[tuple[str, Callable[[str], TokenPair | None], bool]]:
        """The account's own secrets, how to use each, and whether it serves but once."""
        if self._account.refresh_token:
            yield self._account.refresh_token, self._redeemed, True
        if self._account.password and not self.logins:
            yield self._account.password, self._logged_in, False

    def _put(self, drawer: Drawer, pair: TokenPair, refresh: str | None, marks: list[str]) -> _Held:
        ends_at = self._now() + timedelta(seconds=pair.seconds)
        held = self._hold(Tokens(pair.access, pair.refresh or refresh, ends_at), pair.seconds, is_new=True)
        self._used_up.discard(pair.access)  # some servers give the same one again, and it lives on
        drawer.put(Kept(held.tokens, _joined(marks)))
        self.user_id = pair.user_id or self.user_id
        return held

    def _redeemed(self, refresh: str) -> TokenPair | None:
        return self._said(refresh_form(refresh), "refresh_token", _MOST_USES)

    def _logged_in(self, password: str) -> TokenPair | None:
        self.logins += 1
        return self._said(password_form(self._account.username, password), "password", 1)

    def _said(self, form: Mapping[str, str], grant: Grant, attempts: int) -> TokenPair | None:
        """The pair, or None for a refusal. Raises SourceError; where the reply was lost, a transient one."""

        def read(answer: Answer) -> TokenPair | Refusal:
            return answer_of(answer, grant, self._now())

        said = self._sender.post_form(LOGIN_PATH, form, read, attempts=attempts, spent=self.spent)
        if isinstance(said, TokenPair):
            return said
        if said.kind == "request":
            raise UnexpectedAnswer(
                f"the school does not take the form that logs {self._label} in: check the school's address"
            )
        return None


def _joined(marks: list[str]) -> str | None:
    return " ".join(marks[-_MOST_MARKS:]) or None
