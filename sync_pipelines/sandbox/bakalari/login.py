"""Logins, tokens and their ends (contracts/bakalari.md C3–C6). Refusals of a login are always HTTP 400."""

from __future__ import annotations

import secrets

from sync_pipelines.sandbox.answer import Answer
from sync_pipelines.sandbox.bakalari.asking import Asked
from sync_pipelines.sandbox.bakalari.faults import DENIED
from sync_pipelines.sandbox.bakalari.records import Account, Token
from sync_pipelines.sandbox.bakalari.school import School

__all__ = ["VERSIONS", "authorized", "login"]

# What a server says it is, by style.
VERSIONS = {"new": ("3.23.0", "1.62.1205.1"), "old": ("3.8.0", "1.34.1017.2")}
_CLIENT = "ANDR"
_ERRORS = "https://documentation.openiddict.com/errors/"
_BAD_LOGIN = "Špatný login nebo heslo"


def login(asked: Asked) -> Answer:
    """POST /api/login: by password or by refresh token."""
    school, form = asked.school, asked.form
    if asked.method != "POST":
        return _refused(school, "invalid_request", "The specified HTTP method is not valid.", "ID2084")
    if "client_id" not in form:
        return _refused(school, "invalid_client", "The mandatory 'client_id' parameter is missing.", "ID2029")
    if "grant_type" not in form:
        return _refused(school, "invalid_request", "The mandatory 'grant_type' parameter is missing.", "ID2029")
    if form["client_id"] != _CLIENT:
        return _refused(school, "invalid_client", "The specified 'client_id' is invalid.", "ID2052")
    if form["grant_type"] == "password":
        return _by_password(asked)
    if form["grant_type"] == "refresh_token":
        return _by_refresh_token(asked)
    error = "unsupported_grant_type" if school.style == "new" else "invalid_client"
    return _refused(school, error, "The specified 'grant_type' is not supported.", "ID2032")


def _by_password(asked: Asked) -> Answer:
    """Every refusal is counted for the account: after five it is locked."""
    school, form = asked.school, asked.form
    if not form.get("username") or not form.get("password"):
        missing = "The mandatory 'username' and/or 'password' parameters are missing."
        return _refused(school, "invalid_request", missing, "ID2059")
    account = school.accounts.get(form["username"])
    if account is None:
        return _refused(school, "invalid_grant", _BAD_LOGIN, "ID2024")
    if account.is_locked or account.password != form["password"]:
        account.failed_logins += 1
        return _refused(school, "invalid_grant", _BAD_LOGIN, "ID2024")
    account.password_logins += 1
    return _tokens(asked, account)


def _by_refresh_token(asked: Asked) -> Answer:
    school = asked.school
    text = asked.form.get("refresh_token", "")
    token = school.refresh_tokens.get(text)
    account = token and school.accounts.get(token.username)
    if token is None or account is None:
        return _refused(school, "invalid_grant", "The specified refresh token is invalid.", "ID2003")
    if token.expires <= asked.now:
        return _refused(school, "invalid_grant", "The specified refresh token is no longer valid.", "ID2012")
    if school.rotates and token.uses >= school.refresh_reuses:
        redeemed = "The specified refresh token has already been redeemed."
        return _refused(school, "invalid_grant", redeemed, "ID2012")
    token.uses += 1
    account.refreshes += 1
    if school.rotates:
        answer = _tokens(asked, account)
    else:
        school.access_tokens[token.other] = Token(token.username, asked.now + school.access_seconds, text)
        answer = _granted(school, account, token.other, text)
    if school.lost_refreshes:
        school.lost_refreshes -= 1
        answer.connection = "reset"
    return answer


def _tokens(asked: Asked, account: Account) -> Answer:
    """A new pair: long, and of no meaning."""
    school = asked.school
    access, refresh = secrets.token_urlsafe(1900), secrets.token_urlsafe(2600)
    school.access_tokens[access] = Token(account.username, asked.now + school.access_seconds, refresh)
    school.refresh_tokens[refresh] = Token(account.username, asked.now + school.refresh_seconds, access)
    return _granted(school, account, access, refresh)


def _granted(school: School, account: Account, access: str, refresh: str) -> Answer:
    api, app = VERSIONS[school.style]
    new = school.style == "new"
    return Answer(
        {
            "bak:ApiVersion": api,
            "bak:AppVersion": app,
            "bak:UserId": account.code,
            "access_token": access,
            "refresh_token": refresh,
            **({"id_token": secrets.token_urlsafe(500)} if new else {}),
            "token_type": "Bearer" if new else "bearer",
            "expires_in": school.access_seconds,
            "scope": "openid profile offline_access bakalari_api",
        }
    )


def authorized(asked: Asked) -> Account | Answer:
    """Whose the request's access token is; or the 401 of the school's style: an old one has no header of use."""
    school = asked.school
    scheme, _, text = asked.headers.get("authorization", "").partition(" ")
    token = school.access_tokens.get(text) if scheme.lower() == "bearer" else None
    account = token and school.accounts.get(token.username)
    if token and account and token.expires > asked.now:
        return account
    answer = Answer(status=401, text=DENIED)
    if school.style == "new":
        error = ("no longer valid", "ID2019") if token and account else ("invalid", "ID2004")
        answer.headers["WWW-Authenticate"] = "Bearer" + (
            f' error="invalid_token", error_description="The specified token is {error[0]}.",'
            f' error_uri="{_ERRORS}{error[1]}"'
            if text
            else ""
        )
    return answer


def _refused(school: School, error: str, description: str, number: str) -> Answer:
    value = {"error": error, "error_description": description}
    return Answer(value | ({"error_uri": _ERRORS + number} if school.style == "new" else {}), 400)
