"""Who may call what: a token in the Authorization header, and the scope that a route asks for.

Every refusal is logged with its reason, and never with the token. A caller is not told whether a token that lets
nobody in is unknown, expired or revoked. How much is too much says `throttle`.
"""

from __future__ import annotations

import logging
import re
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from sync_pipelines.postgres.api_tokens import ApiToken, Scope, find_token, note_use
from sync_pipelines.postgres.engine import Database
from sync_pipelines.service.refusals import Refused
from sync_pipelines.service.throttle import LEARNER_A_MINUTE, ORDERS_A_MINUTE, REQUESTS_A_MINUTE, Throttle

__all__ = ["Learner", "Operator", "Store", "Viewer", "admit", "admit_shown"]

_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)
_scheme = HTTPBearer(
    scheme_name="token",
    description="A token of `sync-pipelines tokens create`, sent as `Authorization: Bearer spl_…`.",
    auto_error=False,
)

_NOT_VALID = "The token is not valid."

_log = logging.getLogger(__name__)


def _store(request: Request) -> Database:
    return request.app.state.database


#: A parameter of a route: the service's database.
Store = Annotated[Database, Depends(_store)]


def admit(request: Request, database: Database, *scopes: Scope) -> ApiToken:
    """The caller's token, if it has one of the scopes.

    Raises Refused: 401 where it lets nobody in, 403 where not here, 429 where it is too much.
    """
    headers = request.headers.getlist("authorization")
    if not headers:
        raise _unknown(request, "no token", "A token is needed: Authorization: Bearer …")
    shown = _BEARER.fullmatch(headers[0])
    if len(headers) > 1 or shown is None:
        raise _unknown(request, "malformed", "The Authorization header is not of the form: Bearer …")
    return admit_shown(request, database, shown[1], *scopes)


def admit_shown(request: Request, database: Database, shown: str, *scopes: Scope) -> ApiToken:
    """As `admit`, of a token that came otherwise than in the header: by a form."""
    throttle: Throttle = request.app.state.throttle
    address = request.client.host if request.client else ""
    if wait := throttle.wait_before(address, shown):
        raise _too_many(request, "too many wrong tokens from its address", wait)
    with database.session() as session:
        token = find_token(session, shown)
        if token is None:
            throttle.was_wrong(address)
            raise _unknown(request, "unknown", _NOT_VALID)
        _count(request, token, "learner" in scopes)
        if token.state != "valid":
            # It is no guess: who shows it had it from us.
            raise _unknown(request, f"token {token.id} is {token.state}", _NOT_VALID)
        note_use(session, token)
    throttle.was_right(address, shown)
    if not {*scopes} & {*token.scopes}:
        lacks = " or ".join(scopes)
        _log_refusal(request, f"token {token.id} lacks {lacks}")
        raise Refused(403, "forbidden", f"The token does not have the scope {lacks}.")
    return token


def _count(request: Request, token: ApiToken, as_learner: bool) -> None:
    """A learner's requests by the learner, whatever token they come with. Raises Refused, 429."""
    if as_learner and token.subject is not None:
        _bound(request, token, f"learner {token.subject}", LEARNER_A_MINUTE)
    else:
        _bound(request, token, f"token {token.id}", REQUESTS_A_MINUTE)


def _bound(request: Request, token: ApiToken, caller: str, at_most: int) -> None:
    throttle: Throttle = request.app.state.throttle
    if wait := throttle.take(caller, at_most):
        raise _too_many(request, f"token {token.id} had its {at_most} requests a minute", wait)


def _unknown(request: Request, why: str, detail: str) -> Refused:
    _log_refusal(request, why)
    return Refused(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})


def _too_many(request: Request, why: str, wait: int) -> Refused:
    _log_refusal(request, why)
    detail = f"Too many requests: try again in {wait} seconds."
    return Refused(429, "too_many_requests", detail, headers={"Retry-After": str(wait)})


def _log_refusal(request: Request, why: str) -> None:
    """Never with the token, nor with the address as it was sent, which may hold one."""
    route = getattr(request.scope.get("route"), "path", "(no route)")
    _log.warning("request %s refused at %s %s: %s", request.state.request_id, request.method, route, why)


def _learner(request: Request, database: Store, _documented: Annotated[Any, Depends(_scheme)]) -> str:
    subject = admit(request, database, "learner").subject
    assert subject is not None, "the table has no learner's token without"
    return subject


#: A parameter of a route that is a learner's own: the user_id.
Learner = Annotated[str, Depends(_learner)]


def _operator(request: Request, database: Store, _documented: Annotated[Any, Depends(_scheme)]) -> ApiToken:
    token = admit(request, database, "operator")
    if request.method == "POST":
        _bound(request, token, f"orders of token {token.id}", ORDERS_A_MINUTE)
    return token


def _viewer(request: Request, database: Store, _documented: Annotated[Any, Depends(_scheme)]) -> ApiToken:
    return admit(request, database, "operator", "viewer")


#: A parameter of a route for those who may start syncs: their token.
Operator = Annotated[ApiToken, Depends(_operator)]
#: A parameter of a route for those who may look: their token.
Viewer = Annotated[ApiToken, Depends(_viewer)]
