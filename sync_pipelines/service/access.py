"""Who may call what: a token in the Authorization header, and the scope that a route asks for.

Every refusal is logged with its reason, and never with the token. A caller is not told whether a token that lets
nobody in is unknown, expired or revoked.
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

__all__ = ["Learner", "Operator", "Store", "Viewer", "admit", "admit_shown"]

_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)
_scheme = HTTPBearer(
    scheme_name="token",
    description="A token of `sync-pipelines tokens create`, sent as `Authorization: Bearer spl_…`.",
    auto_error=False,
)

_log = logging.getLogger(__name__)


def _store(request: Request) -> Database:
    return request.app.state.database


#: A parameter of a route: the service's database.
Store = Annotated[Database, Depends(_store)]


def admit(request: Request, database: Database, *scopes: Scope) -> ApiToken:
    """The caller's token, if it has one of the scopes.

    Raises Refused: 401 where it lets nobody in, 403 where not here.
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
    with database.session() as session:
        token = find_token(session, shown)
        if token is None or token.state != "valid":
            why = "unknown" if token is None else f"token {token.id} is {token.state}"
            raise _unknown(request, why, "The token is not valid.")
        note_use(session, token)
    if not {*scopes} & {*token.scopes}:
        lacks = " or ".join(scopes)
        _log.warning("request %s refused: token %d lacks %s", request.state.request_id, token.id, lacks)
        raise Refused(403, "forbidden", f"The token does not have the scope {lacks}.")
    return token


def _unknown(request: Request, why: str, detail: str) -> Refused:
    _log.warning("request %s refused: %s", request.state.request_id, why)
    return Refused(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})


def _learner(request: Request, database: Store, _documented: Annotated[Any, Depends(_scheme)]) -> str:
    subject = admit(request, database, "learner").subject
    assert subject is not None, "the table has no learner's token without"
    return subject


#: A parameter of a route that is a learner's own: the user_id.
Learner = Annotated[str, Depends(_learner)]


def _operator(request: Request, database: Store, _documented: Annotated[Any, Depends(_scheme)]) -> ApiToken:
    return admit(request, database, "operator")


def _viewer(request: Request, database: Store, _documented: Annotated[Any, Depends(_scheme)]) -> ApiToken:
    return admit(request, database, "operator", "viewer")


#: A parameter of a route for those who may start syncs: their token.
Operator = Annotated[ApiToken, Depends(_operator)]
#: A parameter of a route for those who may look: their token.
Viewer = Annotated[ApiToken, Depends(_viewer)]
