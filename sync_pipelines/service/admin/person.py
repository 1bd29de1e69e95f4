"""Who looks at a page, by the session's cookie; and whether what is posted was sent from a page of theirs."""

from __future__ import annotations

import hashlib
import hmac
import logging
from dataclasses import dataclass, field
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import Depends, Request

from sync_pipelines.postgres.sessions import find_session
from sync_pipelines.service.access import Store
from sync_pipelines.service.admin.texts import LANGUAGES, negotiated
from sync_pipelines.service.refusals import Refused

__all__ = [
    "LANGUAGE_COOKIE",
    "Form",
    "LoggedIn",
    "OperatorPerson",
    "Person",
    "from_our_pages",
    "is_secure",
    "language_of",
    "own_path",
    "session_cookie",
]

LANGUAGE_COOKIE: Final = "sync_language"
_MAX_FORM_BYTES = 2**18
_SAFE = frozenset({"GET", "HEAD"})

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoggedIn:
    """Who is logged in. `name` is the token's; `csrf` goes with each of their forms and htmx requests."""

    token_id: int
    name: str
    is_operator: bool
    csrf: str = field(repr=False)
    language: str


def language_of(request: Request) -> str:
    """The language that was chosen on a page, or the one that the browser asks for."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in LANGUAGES else negotiated(request.headers.get("accept-language", ""))


def is_secure(request: Request) -> bool:
    """Whether people come by TLS, as far as this can be known behind a proxy."""
    return request.url.scheme == "https" or request.app.state.settings.app_url.startswith("https:")


def session_cookie(request: Request) -> str:
    """The cookie's name. Browsers take one of this prefix from TLS alone."""
    return "__Secure-sync_session" if is_secure(request) else "sync_session"


def own_path(given: str) -> str:
    """A path of these pages that may be gone to, as given; the first page for whatever else was given."""
    own = given.startswith("/admin/") and given.isascii() and given.isprintable() and "\\" not in given
    return given if own else "/admin/"


def from_our_pages(request: Request) -> bool | None:
    """Whether the browser says that a page of ours sent this; None where it says nothing."""
    said = request.headers.get("sec-fetch-site")
    if said is not None:
        return said in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return None
    ours = (str(request.base_url), request.app.state.settings.app_url)
    return _origin(origin) in map(_origin, ours)


def _origin(address: str) -> str:
    """The scheme and the host, as a browser writes them."""
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}".lower()


async def _form(request: Request) -> dict[str, str]:
    """What a form says: of bounded size, and without files."""
    if request.method in _SAFE:
        return {}
    announced = request.headers.get("content-length", "")
    if "transfer-encoding" in request.headers or (announced.isdecimal() and int(announced) > _MAX_FORM_BYTES):
        raise Refused(413, "too_large", "The form is too large.")
    form = await request.form(max_files=0)
    return {name: value for name, value in form.items() if isinstance(value, str)}


#: A parameter of a route: the fields of the form that was posted.
Form = Annotated[dict[str, str], Depends(_form)]


async def _shown_csrf(request: Request) -> str | None:
    """What shows that a page of this session sent the request; None where nothing needs to."""
    if request.method in _SAFE:
        return None
    header = request.headers.get("x-csrf-token")
    return header if header is not None else (await _form(request)).get("csrf", "")


def _logged_in(
    request: Request, database: Store, shown_csrf: Annotated[str | None, Depends(_shown_csrf)]
) -> LoggedIn:
    shown = request.cookies.get(session_cookie(request), "")
    with database.session() as session:
        found = find_session(session, shown)
    if found is None or not found.scopes & {"operator", "viewer"}:
        raise _to_log_in(request)
    csrf = _csrf(shown)
    if shown_csrf is not None:
        good = hmac.compare_digest(shown_csrf.encode(), csrf.encode()) and from_our_pages(request) is not False
        if not good:
            _log.warning("request %s refused: not sent from a page of its session", request.state.request_id)
            raise Refused(403, "csrf", "This was not sent from a page of this session: load the page again.")
    return LoggedIn(found.token_id, found.name, "operator" in found.scopes, csrf, language_of(request))


def _csrf(session_id: str) -> str:
    """Bound to the session, and of no use for finding its id."""
    return hmac.new(session_id.encode(), b"sync-pipelines form", hashlib.sha256).hexdigest()


def _to_log_in(request: Request) -> Refused:
    """Back to where they were, once they are logged in."""
    if request.headers.get("hx-request") == "true":
        shown = request.headers.get("hx-current-url", "").partition("://")[2].partition("#")[0]
        headers = {"HX-Redirect": _login("/" + shown.partition("/")[2])}
        return Refused(401, "not_logged_in", "Log in first.", headers=headers)
    at = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    headers = {"Location": _login(at if request.method in _SAFE else "/admin/")}
    return Refused(303, "not_logged_in", "Log in first.", headers=headers)


def _login(then: str) -> str:
    then = own_path(then)
    return "/admin/login" if then == "/admin/" else f"/admin/login?next={quote(then, safe='/')}"


#: A parameter of a page: who looks at it, a viewer or an operator. Who is not logged in is sent to do so, and what
#: is posted from elsewhere is refused.
Person = Annotated[LoggedIn, Depends(_logged_in)]


def _operator(request: Request, person: Person) -> LoggedIn:
    if not person.is_operator:
        _log.warning("request %s refused: token %d lacks operator", request.state.request_id, person.token_id)
        raise Refused(403, "operators_only", "This is for operators.")
    return person


#: The same, of an operator.
OperatorPerson = Annotated[LoggedIn, Depends(_operator)]
