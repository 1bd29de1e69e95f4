"""Logging in and renewing, as a conversation without I/O. Source: contracts/bakalari.md C3–C5.

What an error means is decided by the ids in `error_uri`, then by `error`, and by Czech words last.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeGuard, cast

from sync_pipelines.clients.bakalari.answers import object_of
from sync_pipelines.clients.http import Answer
from sync_pipelines.clients.json_bodies import json_of
from sync_pipelines.errors import SourceError, UnexpectedAnswer

__all__ = ["LOGIN_PATH", "Grant", "Refusal", "TokenPair", "answer_of", "password_form", "refresh_form"]

LOGIN_PATH = "api/login"
Grant = Literal["password", "refresh_token"]
_KINDS: Mapping[str, Literal["login", "token", "request"]] = {
    "ID2024": "login",  # wrong
    "ID2059": "login",  # missing
    "ID2003": "token",  # invalid
    "ID2012": "token",  # redeemed, or expired
    "ID2084": "request",  # not a POST
}
_SAYS_WRONG = "redeemed", "neplatn", "nesprávn"
_USUAL_SECONDS, _MOST_SECONDS = 599.0, 86_400.0


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a login gives. `seconds` is the access token's life; `refresh` is None where none came (fault 52)."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    seconds: float
    user_id: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there are no tokens: a wrong, locked or missing login; a refresh token that is invalid, expired or used
    up; or a request that the server does not take from anybody, which is no fault of the account's."""

    kind: Literal["login", "token", "request"]


def password_form(username: str, password: str) -> Mapping[str, str]:
    """The form that logs in."""
    return {"client_id": "ANDR", "grant_type": "password", "username": username, "password": password}


def refresh_form(refresh: str) -> Mapping[str, str]:
    """The form that renews."""
    return {"client_id": "ANDR", "grant_type": "refresh_token", "refresh_token": refresh}


def answer_of(answer: Answer, grant: Grant, now: datetime) -> TokenPair | Refusal:
    """What came of a form. `grant` decides whose an error is that says no more than invalid_grant.

    Raises SourceError where the answer is neither: UnexpectedAnswer if it is good and has no access token.
    """
    if answer.status in (400, 401):
        return Refusal(_kind(_error_body(answer), grant))
    body = object_of(answer, now)
    access, refresh = body.get("access_token"), body.get("refresh_token")
    refresh = refresh or None
    if not _is_token(access) or not (refresh is None or _is_token(refresh)):
        raise UnexpectedAnswer(f"{LOGIN_PATH} answered without tokens, or with some that no header can hold")
    user_id = body.get("bak:UserId")
    return TokenPair(
        access,
        refresh,
        _seconds(body.get("expires_in")),
        user_id if type(user_id) is str and user_id.strip() else None,
    )


def _is_token(value: object) -> TypeGuard[str]:
    return type(value) is str and re.fullmatch(r"[!-~]+", value) is not None


def _seconds(value: object) -> float:
    """A life that can be; else the shortest that is known (fault 54)."""
    try:
        seconds = float(value) if type(value) in (int, float, str) else math.nan  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return _USUAL_SECONDS
    return min(seconds, _MOST_SECONDS) if 0 < seconds < math.inf else _USUAL_SECONDS


def _error_body(answer: Answer) -> Mapping[str, Any]:
    try:
        body = json_of(answer)
    except SourceError:
        return {}
    return cast("Mapping[str, Any]", body) if isinstance(body, dict) else {}


def _kind(body: Mapping[str, Any], grant: Grant) -> Literal["login", "token", "request"]:
    for error_id in re.findall(r"ID\d{4}", f"{body.get('error_uri')}"):
        if error_id in _KINDS:
            return _KINDS[error_id]
    error = body.get("error")
    said = f"{body.get('error_description')}".casefold()
    if error == "invalid_grant" or (not error and any(word in said for word in _SAYS_WRONG)):
        return "login" if grant == "password" else "token"
    return "request"
