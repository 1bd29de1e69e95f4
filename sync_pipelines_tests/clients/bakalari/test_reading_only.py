"""Whatever is asked of the client, it sends GETs, and one form to log in; no secret stands in an address."""

import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from starlette.responses import Response

from sync_pipelines.clients.bakalari import Account, AccountClient, SchoolClient
from sync_pipelines.errors import SourceError
from sync_pipelines.sandbox.bakalari import bakalari_app
from sync_pipelines_tests.clients.bakalari.asking import Serve, client_at, small_school
from sync_pipelines_tests.clients.bakalari.logins import Vault

SCHOOL = small_school()
TEACHER = SCHOOL.account_of(SCHOOL.teachers[0])
PREFIX = f"/{SCHOOL.id}"


class Recording:
    """An application, and what it was asked: method, address as sent, headers."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            address = f"{scope['raw_path'].decode()}?{scope['query_string'].decode()}"
            headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
            self.asked.append((scope["method"], address.removeprefix(PREFIX), headers))
        await self.app(scope, receive, send)


def uses(client: SchoolClient, account: AccountClient) -> dict[str, Callable[[], object]]:
    """Each public method, used."""
    return {
        "account": lambda: client.account(Account("u", None, None, "#2"), Vault()),
        "info": client.info,
        "public_lists": client.public_lists,
        "public_lessons": lambda: client.public_lessons("teacher", SCHOOL.teachers[0].id, "next"),
        "user": account.user,
        "subjects": account.subjects,
        "timetable": account.timetable,
        "atoms": account.atoms,
        "sheet": lambda: account.sheet(SCHOOL.atoms[0].id),
    }


def public(of: type[object]) -> set[str]:
    return {name for name, _ in inspect.getmembers(of, inspect.isfunction) if not name.startswith("_")}


@pytest.mark.parametrize(
    "app",
    [
        bakalari_app([SCHOOL]),
        Response(b"", 401),
        Response(b"", 405, headers={"Allow": "POST"}),
        Response(b"", 503),
        Response(b"", 307, headers={"Location": "/api/3/marks"}),
        Response(b"{}"),
    ],
    ids=["school", "denied", "not allowed", "failing", "redirecting", "empty"],
)
def test_the_client_sends_nothing_but_gets_and_the_form_that_logs_in(serve: Serve, app: Any) -> None:
    recording = Recording(app)
    with client_at(serve(recording) + PREFIX) as client:
        account = client.account(Account(TEACHER.username, TEACHER.password, "refresh-secret", "#1"), Vault())
        used = uses(client, account)
        assert set(used) == public(SchoolClient) | public(AccountClient)
        for use in used.values():
            with suppress(SourceError):
                use()
    assert {(method, address) for method, address, _ in recording.asked if method != "GET"} == {
        ("POST", "/api/login?")
    }
    assert all(headers["accept-language"] == "cs" for _, _, headers in recording.asked)
    assert all("cookie" not in headers for _, _, headers in recording.asked)
    addresses = " ".join(address for _, address, _ in recording.asked)
    for secret in (TEACHER.username, TEACHER.password, "refresh-secret", *SCHOOL.access_tokens):
        assert secret not in addresses
