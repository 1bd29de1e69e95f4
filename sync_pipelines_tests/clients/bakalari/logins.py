"""A server that gives tokens as Bakalari does, a vault in memory, and a time of their own."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sync_pipelines.clients.bakalari import Account, Kept
from sync_pipelines.clients.bakalari.answers import object_of
from sync_pipelines.clients.bakalari.session import AccountSession
from sync_pipelines.clients.budget import RateBudget
from sync_pipelines.clients.http import Answer, Sender
from sync_pipelines.errors import SyncError
from sync_pipelines.sandbox.server import TRANSPORT
from sync_pipelines_tests.clients.servers import no_sleep

BEGAN = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
MOST_USES = 3


class Time:
    """Stands still until it is moved. Seconds since the beginning."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self.seconds)


class Vault:
    """Keeps tokens in memory. `put_error` is raised in place of the next put; `asked_for` counts who wants in."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}
        self.ever: dict[str, list[Kept]] = {}
        self.put_error: SyncError | None = None
        self.first_look: dict[str, Kept] = {}
        self.asked_for = threading.Semaphore(0)
        self._locks: dict[str, threading.Lock] = {}

    def peek(self, account: str) -> Kept:
        return self.first_look.get(account) or self.newest(account)

    def newest(self, account: str) -> Kept:
        return self.kept.get(account, Kept())

    @contextmanager
    def alone(self, account: str) -> Iterator["Drawer"]:
        self.asked_for.release()
        with self._locks.setdefault(account, threading.Lock()):
            yield Drawer(self, account)


class Drawer:
    def __init__(self, vault: Vault, account: str) -> None:
        self._vault = vault
        self._account = account

    @property
    def kept(self) -> Kept:
        return self._vault.newest(self._account)

    def put(self, kept: Kept) -> None:
        if error := self._vault.put_error:
            self._vault.put_error = None
            raise error
        self._vault.kept[self._account] = kept
        self._vault.ever.setdefault(self._account, []).append(kept)


@dataclass
class Login:
    """One account at the server. `lose` is how many of the next renewals, or logins, lose their reply."""

    username: str
    time: Time
    vault: Vault
    password: str = "right"
    life: object = 3599
    lose: int = 0
    lose_logins: int = 0
    moody: int = 0  # so many of the next tokens are refused, and good again afterwards
    rotates: bool = True
    gives_refresh: bool = True
    deaf: bool = False  # no access token is ever good
    busy: bool = False  # 503 to everything about tokens
    strange: bool = False  # takes no form from anybody
    access: dict[str, float] = field(default_factory=dict[str, float])
    refresh: Counter[str] = field(default_factory=Counter[str])
    passwords: Counter[str] = field(default_factory=Counter[str])
    refusals: Counter[str] = field(default_factory=Counter[str])
    used: list[str] = field(default_factory=list[str])
    broken: list[str] = field(default_factory=list[str])
    made: int = 0

    def tokens(self, form: Mapping[str, str]) -> Response | None:
        """The answer to a form; None is a lost one."""
        if self.strange:
            return JSONResponse({"error": "invalid_client"}, 400)
        if form["grant_type"] == "password":
            self.passwords[form["password"]] += 1
            if form["password"] != self.password:
                self.refusals[form["password"]] += 1
                return refused("ID2024")
        else:
            token = form["refresh_token"]
            newest = self.vault.newest(self.username).tokens
            if newest and newest.refresh != token:
                self.broken.append("a refresh token was used that is not the newest in the vault")
            if token not in self.refresh:
                return refused("ID2003")
            if self.rotates and self.refresh[token] >= MOST_USES:
                self.broken.append("a refresh token was used once too often")
                return refused("ID2012")
            self.refresh[token] += 1
        if self.busy:
            return Response(status_code=503)
        self.made += self.rotates or not self.made
        access, refresh = f"{self.username}/a{self.made}", f"{self.username}/r{self.made}"
        self.access[access] = self.time.seconds + (self.life if type(self.life) is int and self.life > 0 else 599)
        self.refresh.setdefault(refresh, 0)
        if self.lose and form["grant_type"] == "refresh_token":
            self.lose -= 1
            return None
        if self.lose_logins and form["grant_type"] == "password":
            self.lose_logins -= 1
            return None
        given = {"refresh_token": refresh} if self.gives_refresh else {}
        return JSONResponse({"access_token": access, "expires_in": self.life, "bak:UserId": "U1"} | given)

    def lets_in(self, token: str) -> bool:
        self.used.append(token)
        if all(kept.tokens is None or kept.tokens.access != token for kept in self.vault.ever[self.username]):
            self.broken.append("an access token was used that had not been put into the vault")
        if self.moody:
            self.moody -= 1
            return False
        return not self.deaf and self.access.get(token, -1.0) > self.time.seconds

    def revoke(self) -> None:
        self.access.clear()

    def forget(self) -> None:
        """As after a month: no token is known any more."""
        self.access.clear()
        self.refresh.clear()


def refused(number: str) -> Response:
    body = {"error": "invalid_grant", "error_description": "Špatně", "error_uri": f"https://x/errors/{number}"}
    return JSONResponse(body, 400)


class Bakalari:
    """The server, for any number of logins."""

    def __init__(self) -> None:
        self.logins: dict[str, Login] = {}
        self.meanwhile: Callable[[], object] = lambda: None
        self.app = Starlette(
            routes=[
                Route("/api/login", self._tokens, methods=["POST"]),
                Route("/api/3/who", self._who),
                Route("/api/3/nobodys", self._nobodys),
            ]
        )

    async def _tokens(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        username = form.get("username") or form["refresh_token"].partition("/")[0]
        answer = self.logins[username].tokens(form)
        if answer is None:
            request.scope["extensions"][TRANSPORT].abort()
            return Response()
        return answer

    def _nobodys(self, request: Request) -> Response:
        self.meanwhile()
        return Response(b"", 401)

    async def _who(self, request: Request) -> Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        username = token.partition("/")[0]
        if not self.logins[username].lets_in(token):
            return Response(b"", 401)
        return JSONResponse({"who": username})


def sender_to(url: str) -> Sender:
    return Sender(url, {}, sleep=no_sleep, budget=RateBudget(in_flight=64))


def session_of(
    sender: Sender, login: Login, password: str | None = "right", refresh_token: str | None = None
) -> AccountSession:
    account = Account(login.username, password, refresh_token, "#3")
    return AccountSession(sender, account, login.vault, clock=lambda: login.time.seconds, now=login.time.now)


def who(session: AccountSession, path: str = "api/3/who") -> str:
    def read(answer: Answer) -> Any:
        return object_of(answer, BEGAN)["who"]

    return session.get(path, {}, read)
