"""The public dummy server as it was measured (contracts/bakalari.md C19): anybody may log in, the password becomes
the class's name, everyone is one user, and a refresh gives the same pair for ever."""

from __future__ import annotations

import secrets

from sync_pipelines.sandbox.answer import Answer
from sync_pipelines.sandbox.bakalari.asking import Asked
from sync_pipelines.sandbox.bakalari.login import VERSIONS
from sync_pipelines.sandbox.bakalari.profile import version
from sync_pipelines.sandbox.bakalari.records import Token
from sync_pipelines.sandbox.bakalari.school import School

__all__ = ["dummy_answer"]

_NEVER = float("inf")


def dummy_answer(asked: Asked) -> Answer:
    """Its refusals have no body."""
    match asked.path.lower():
        case "/api/3":
            return version(asked)
        case "/api/login":
            return _login(asked)
        case "/api/3/user":
            return _user(asked)
        case _:
            return Answer(status=400, text="")


def _login(asked: Asked) -> Answer:
    school, form = asked.school, asked.form
    refresh = form.get("refresh_token", "")
    if form.get("grant_type") == "refresh_token":
        known = school.refresh_tokens.get(refresh)
        return _granted(school, known.other, refresh) if known else Answer(status=400, text="")
    username, password = form.get("username", ""), form.get("password", "")
    access, refresh = secrets.token_urlsafe(1500), secrets.token_urlsafe(1500)
    # What it keeps of a user is a text that it shows again.
    school.access_tokens[access] = Token(f"{username}, {password}", _NEVER, refresh)
    school.refresh_tokens[refresh] = Token(f"{username}, {password}", _NEVER, access)
    return _granted(school, access, refresh)


def _granted(school: School, access: str, refresh: str) -> Answer:
    api, app = VERSIONS[school.style]
    return Answer(
        {
            "bak:ApiVersion": api,
            "bak:AppVersion": app,
            "bak:UserId": "1",
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "Bearer",
            "expires_in": 3599,
        }
    )


def _user(asked: Asked) -> Answer:
    token = asked.school.access_tokens.get(asked.headers.get("authorization", "").removeprefix("Bearer "))
    if token is None:
        return Answer(status=401, text="")
    return Answer(
        {
            "UserUID": "1234/the_id",
            "Class": {"Id": "XL", "Abbrev": token.username.partition(", ")[2], "Name": ""},
            "FullName": token.username,
            "SchoolOrganizationName": asked.school.name,
            "SchoolType": None,
            "UserType": "student",
            "UserTypeText": "žák",
            "StudyYear": 1,
            "EnabledModules": [],
        }
    )
