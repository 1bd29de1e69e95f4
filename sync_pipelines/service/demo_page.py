"""The browser library, and a small page that shows what it does: read lessons, with the network and without."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Final

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response

__all__ = ["FILES", "mount"]

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
#: By the address under /progress/, what is served there.
FILES: Final = {
    "": "progress-demo.html",
    "progress.js": "progress.js",
    "progress-demo.js": "progress-demo.js",
    "progress-sw.js": "progress-sw.js",
    "progress-demo.css": "progress-demo.css",
    "progress-demo.svg": "progress-demo.svg",
}
_HEADERS = {
    # Kept, but asked for each time: a new version is there at once.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def mount(app: FastAPI) -> None:
    """Serve the page at /progress/, and beside it the library, /progress/progress.js."""
    for address, name in FILES.items():
        app.add_api_route(f"/progress/{address}", _serving(name), methods=["GET", "HEAD"], include_in_schema=False)
    app.add_api_route("/progress", _to_the_page, methods=["GET", "HEAD"], include_in_schema=False)


async def _to_the_page() -> Response:
    return RedirectResponse("/progress/", 308)


def _serving(name: str) -> Callable[[Request], Awaitable[Response]]:
    body = (files("sync_pipelines.service") / "static" / name).read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**_HEADERS, "ETag": etag}
    media_type = _TYPES[name.rpartition(".")[2]]

    async def serve(request: Request) -> Response:
        if etag in _known(request):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=media_type, headers=headers)

    return serve


def _known(request: Request) -> set[str]:
    """The versions that the browser has. A proxy that packs answers marks their tags as weak."""
    return {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
