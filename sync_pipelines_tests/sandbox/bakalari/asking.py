"""How the tests ask a school: httpx, and no client of ours."""

from typing import Any
from urllib.parse import quote

import httpx

from sync_pipelines.sandbox.bakalari import Account

__all__ = ["by_password", "by_refresh_token", "get", "sheet_of", "with_token"]


def by_password(http: httpx.Client, account: Account, **changed: str) -> httpx.Response:
    form = {"client_id": "ANDR", "grant_type": "password", "username": account.username}
    return http.post("/api/login", data=form | {"password": account.password} | changed)


def by_refresh_token(http: httpx.Client, token: str) -> httpx.Response:
    form = {"client_id": "ANDR", "grant_type": "refresh_token", "refresh_token": token}
    return http.post("/api/login", data=form)


def with_token(http: httpx.Client, token: str, path: str = "/api/3/user") -> httpx.Response:
    return http.get(path, headers={"Authorization": f"Bearer {token}"})


def get(http: httpx.Client, account: Account, path: str) -> httpx.Response:
    """Logs in and asks."""
    return with_token(http, by_password(http, account).json()["access_token"], path)


def sheet_of(http: httpx.Client, account: Account, atom_id: str) -> Any:
    return get(http, account, f"/api/3/marking/marks/{quote(atom_id, safe='')}")
