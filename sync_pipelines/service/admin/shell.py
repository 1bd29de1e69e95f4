"""What every page has: its frame, its words, its strict policy, and the files that it loads.

A page is a template of templates/, which holds no words of its own: those are texts/'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote

from fastapi import FastAPI, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from sync_pipelines.service.admin.person import LoggedIn, language_of
from sync_pipelines.service.admin.texts import LANGUAGES, Texts
from sync_pipelines.service.refusals import Refused

__all__ = ["HEADERS", "mount", "page"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: Of every page. How long TLS is insisted upon is said by the proxy that speaks it.
HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Vary": "Cookie, Accept-Language, HX-Request",
    "X-Content-Type-Options": "nosniff",
}
_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
# The pages of the navigation, and the area whose words each has.
_NAVIGATION = {
    "/admin/": "overview",
    "/admin/mapping": "mapping",
    "/admin/rejects": "rejects",
    "/admin/debug": "debug",
}


def _coded(text: str) -> Markup:
    """The text with its `commands` set as such."""
    code = Markup("<code>{}</code>")
    parts = text.split("`")
    return Markup().join(code.format(part) if place % 2 else escape(part) for place, part in enumerate(parts))


_environment = Environment(
    loader=PackageLoader("sync_pipelines.service.admin"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["coded"] = _coded


def mount(app: FastAPI) -> None:
    """Serve what pages load at /admin/static/, and have what is refused under /admin/ said by a page."""
    app.state.problem_page = _problem_page
    static = files("sync_pipelines.service.admin") / "static"
    for file in (*static.iterdir(), *(static / "vendor").iterdir()):
        if (kind := file.name.rpartition(".")[2]) in _TYPES:
            serve = _serving(file.read_bytes(), _TYPES[kind])
            address = f"/admin/static/{file.name}"
            app.add_api_route(address, serve, methods=["GET", "HEAD"], include_in_schema=False)


def page(
    request: Request,
    name: str,
    *,
    person: LoggedIn | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """The template's page, in the person's language.

    Besides `context` a template has: `t("area.key", **values)`, `texts` (a Texts), `time(moment, zone)`,
    `ago(moment, zone)`, `person`, and `here`, the address that is shown.
    """
    texts = Texts(language_of(request))

    def time(at: datetime, zone: str | None = None) -> Markup:
        return _time(texts, at, zone, texts.moment(at, zone))

    def ago(at: datetime, zone: str | None = None) -> Markup:
        return _time(texts, at, zone, texts.ago(at))

    body = _environment.get_template(name).render(
        {
            "t": texts.t,
            "texts": texts,
            "time": time,
            "ago": ago,
            "languages": LANGUAGES,
            "navigation": _NAVIGATION,
            "current": _current(request),
            "person": person,
            "here": _here(request),
            "request_id": request.state.request_id,
            **context,
        }
    )
    return HTMLResponse(body, status, {**HEADERS, "Content-Language": texts.language, **(headers or {})})


def _time(texts: Texts, at: datetime, zone: str | None, shown: str) -> Markup:
    """The moment as `shown`, with all of it, and the zone, for whoever points at it."""
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), texts.moment(at, zone, full=True), shown
    )


def _current(request: Request) -> str:
    """The page of the navigation that this one belongs to."""
    above = [address for address in _NAVIGATION if f"{request.url.path}/".startswith(f"{address.rstrip('/')}/")]
    return max(above, key=len, default="")


def _here(request: Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return quote(request.url.path + query, safe="")


def _problem_page(request: Request, refused: Refused) -> Response:
    """Why a request for a page is not done, as a page. It asks no database who reads it."""
    texts = Texts(language_of(request))
    keys = (f"shell.problem.{refused.code}", f"shell.problem.s{refused.status}", "shell.problem.other")
    key = next(key for key in keys if texts.knows(f"{key}.title"))
    return page(request, "problem.html", status=refused.status, headers=refused.headers, key=key)


def _serving(body: bytes, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    # Kept, but asked for each time: a new version is there at once.
    headers = {**HEADERS, "Cache-Control": "no-cache", "ETag": etag}
    del headers["Vary"]

    async def serve(request: Request) -> Response:
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if etag in known:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=media_type, headers=headers)

    return serve
