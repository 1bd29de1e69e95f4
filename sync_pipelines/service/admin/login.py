"""Logging in with a token, logging out, and choosing a language."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from sync_pipelines.postgres.sessions import LONGEST, close_session, open_session
from sync_pipelines.service.access import Store, admit_shown
from sync_pipelines.service.admin.person import (
    LANGUAGE_COOKIE,
    Form,
    Person,
    from_our_pages,
    is_secure,
    own_path,
    session_cookie,
)
from sync_pipelines.service.admin.shell import HEADERS, page
from sync_pipelines.service.admin.texts import LANGUAGES
from sync_pipelines.service.refusals import Refused

__all__ = ["router"]

_YEAR_SECONDS = 365 * 24 * 3600

_log = logging.getLogger(__name__)

router = APIRouter(prefix="/admin", include_in_schema=False)


@router.get("/login")
async def show_login(request: Request) -> Response:
    """Where a token is typed in."""
    return page(request, "login.html", then=own_path(request.query_params.get("next", "")), wrong=None)


@router.post("/login")
def log_in(request: Request, database: Store, form: Form) -> Response:
    """Open a session, with an id that nobody knew before. Whose token lets nobody in here is told no more."""
    then = own_path(form.get("next", ""))
    if not from_our_pages(request):
        _log.warning("request %s refused: a login from elsewhere", request.state.request_id)
        raise Refused(403, "csrf", "This was not sent from the login page.")
    try:
        token = admit_shown(request, database, form.get("token", "").strip(), "operator", "viewer")
    except Refused as refused:
        if refused.status not in (401, 403, 429):
            raise
        wrong = "login.wait" if refused.status == 429 else "login.wrong"
        status, headers = (429, refused.headers) if refused.status == 429 else (401, None)
        return page(request, "login.html", then=then, wrong=wrong, status=status, headers=headers)
    old = request.cookies.get(session_cookie(request))
    with database.session() as session, session.transaction():
        if old is not None:
            close_session(session, old)
        opened = open_session(session, token.id)
    _log.info("request %s: token %d logged in", request.state.request_id, token.id)
    answer = _to(then)
    answer.set_cookie(value=opened, max_age=int(LONGEST.total_seconds()), **_session_cookie(request))
    return answer


@router.post("/logout")
def log_out(request: Request, database: Store, person: Person) -> Response:
    """Close the session."""
    with database.session() as session:
        close_session(session, request.cookies[session_cookie(request)])
    _log.info("request %s: token %d logged out", request.state.request_id, person.token_id)
    answer = _to("/admin/login")
    answer.delete_cookie(**_session_cookie(request))
    return answer


@router.get("/language/{language}")
async def choose_language(request: Request, language: str) -> Response:
    """Remember the language, for whoever sits there, and go back to the page."""
    if language not in LANGUAGES:
        raise Refused(404, "not_found", "There is no such language.")
    then = request.query_params.get("next", "")
    answer = _to(then if then == "/admin/login" else own_path(then))
    answer.set_cookie(
        LANGUAGE_COOKIE, language, _YEAR_SECONDS, path="/admin", secure=is_secure(request), samesite="lax"
    )
    return answer


def _session_cookie(request: Request) -> dict[str, Any]:
    """What is said of the cookie: no script reads it, and no other site has it sent."""
    return {
        "key": session_cookie(request),
        "path": "/admin",
        "secure": is_secure(request),
        "httponly": True,
        "samesite": "strict",
    }


def _to(path: str) -> RedirectResponse:
    return RedirectResponse(path, 303, HEADERS)
