"""What is answered where a request is not done: one JSON shape for all of them, whatever raised it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from sync_pipelines.errors import DagsterUnavailable, StreamBusy, SyncError
from sync_pipelines.log import redact

__all__ = ["RETRY_AFTER_SECONDS", "Refused", "answer_refusals", "problem"]

#: How long whoever meets a database that is restarting is asked to wait.
RETRY_AFTER_SECONDS: Final = 5
_SAID = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take that method."),
}

_TRANSIENT: Final[Mapping[type[SyncError], str]] = {
    DagsterUnavailable: "Dagster does not answer just now: try again.",
    StreamBusy: "Somebody else is asking for the same just now: try again.",
    SyncError: "The database does not answer just now: try again.",
}

_log = logging.getLogger(__name__)


class Refused(Exception):
    """A request is not done, and why.

    `errors` name each thing that is wrong, where there may be several; `more` is said besides, by name.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers
        self.more = more or {}


def problem(request: Request, refused: Refused) -> Response:
    """The one shape: {"detail", "code", "requestId", "errors"?, …more}; of a page for people, a page."""
    if request.url.path.startswith("/admin/"):
        return request.app.state.problem_page(request, refused)
    said: dict[str, Any] = {
        "detail": refused.detail,
        "code": refused.code,
        "requestId": request.state.request_id,
    }
    if refused.errors:
        said["errors"] = [dict(error) for error in refused.errors]
    said |= refused.more
    return JSONResponse(said, refused.status, headers=refused.headers)


def answer_refusals(app: FastAPI) -> None:
    """Have the app answer errors in the one shape."""
    for error, answer in (
        (Refused, _refused),
        (HTTPException, _of_the_framework),
        (RequestValidationError, _not_valid),
        (SyncError, _of_ours),
    ):
        app.add_exception_handler(error, answer)  # pyright: ignore[reportArgumentType]


async def _refused(request: Request, error: Refused) -> Response:
    return problem(request, error)


async def _of_the_framework(request: Request, error: HTTPException) -> Response:
    code, detail = _SAID.get(error.status_code, ("refused", "The request is not taken."))
    return problem(request, Refused(error.status_code, code, detail, headers=error.headers))


async def _not_valid(request: Request, error: RequestValidationError) -> Response:
    errors = [{"field": ".".join(map(str, e["loc"][1:])), "reason": e["msg"]} for e in error.errors()]
    return problem(request, Refused(422, "invalid", "The request is not valid.", errors=errors))


async def _of_ours(request: Request, error: SyncError) -> Response:
    """503 where trying again may help, else 500; neither says anything of the inside."""
    kind = type(error).__name__
    _log.error("request %s failed: %s: %s", request.state.request_id, kind, redact(str(error)))
    if not error.transient:
        return problem(request, Refused(500, "internal", "The service failed; its log says why."))
    wait = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    detail = next(said for kind, said in _TRANSIENT.items() if isinstance(error, kind))
    return problem(request, Refused(503, "unavailable", detail, headers=wait))
