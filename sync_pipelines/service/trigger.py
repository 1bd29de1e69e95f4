"""The trigger API: ask for a sync, and look what became of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from sync_pipelines.flows.registry import UPSTREAMS
from sync_pipelines.service.access import Operator, Viewer
from sync_pipelines.service.asked import asked_for
from sync_pipelines.service.bodies import JsonBody
from sync_pipelines.service.documents import Problem, answers, json_body
from sync_pipelines.service.looking import Look
from sync_pipelines.service.refusals import Refused
from sync_pipelines.service.runs import Runs, moment, where
from sync_pipelines.service.trigger_documents import SyncBody, SyncBusy, SyncFailed, SyncRun

__all__ = ["router"]

_LONGEST_WAIT_SECONDS: Final = 300
_LOOK_AGAIN_SECONDS: Final = 2
_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

router = APIRouter(prefix="/api/sync", tags=["sync"])
Wait = Annotated[
    int,
    Query(ge=0, le=_LONGEST_WAIT_SECONDS, description="Seconds to wait for its end; then 202, and where to look."),
]


def _sync(upstream: str) -> Callable[..., Awaitable[JSONResponse]]:
    async def sync(request: Request, token: Operator, body: JsonBody, wait: Wait = 60) -> JSONResponse:
        wanted = _read(body)
        settings = request.app.state.settings
        asked = await run_in_threadpool(
            asked_for, upstream, settings, schools=wanted.schools or (), courses=wanted.courses or ()
        )
        runs: Runs = request.app.state.runs
        run = await runs.start(asked, token.id, request.state.request_id)
        look = await runs.wait(run.run_id, wait) or await runs.look(run.run_id)
        if look is None:
            raise Refused(503, "unavailable", "The run is gone from Dagster's history.", headers=_again())
        return _ended(request, look) if look.run.ended else _under_way(request, look)

    sync.__doc__ = f"Sync {UPSTREAMS[upstream].group}, or some of it, and wait for the end of it."
    return sync


for _upstream in UPSTREAMS:
    router.add_api_route(
        f"/{_upstream}",
        _sync(_upstream),
        methods=["POST"],
        name=f"sync_{_upstream}",
        openapi_extra=json_body(SyncBody, required=False),
        responses=answers(
            SyncRun,
            "It ran, and all was synced.",
            *(400, 401, 403, 413, 415, 422, 429, 503),
            others={
                202: (SyncRun, "It is under way: look at `location`."),
                409: (SyncBusy, "Some of it is being synced by a run under way."),
                500: (SyncFailed | Problem, "It ran, and failed; or the service did."),
            },
        ),
    )


@router.get("/runs/{run_id}", responses=answers(SyncRun, "As it stands.", 401, 403, 404, 429, 500, 503))
async def sync_run(
    request: Request, _token: Viewer, run_id: Annotated[str, Path(description="As Dagster's history has it.")]
) -> JSONResponse:
    """How a sync stands, whoever asked for it: this API, a schedule, a person in Dagster's pages."""
    runs: Runs = request.app.state.runs
    look = await runs.look(run_id) if _RUN_ID.fullmatch(run_id) else None
    if look is None:
        raise Refused(404, "not_found", "There is no such run of a sync.")
    headers = None if look.run.ended else _again()
    return JSONResponse(_said(request, look), headers=headers)


def _read(body: bytes) -> SyncBody:
    """What is asked for; of an empty body, everything."""
    try:
        return SyncBody.model_validate_json(body or b"{}")
    except ValidationError as error:
        if any(e["type"] == "json_invalid" for e in error.errors()):
            raise Refused(400, "malformed", "The body is not JSON.") from None
        wrong = [{"field": ".".join(map(str, e["loc"])), "reason": e["msg"]} for e in error.errors()]
        raise Refused(422, "invalid", "The request is not valid.", errors=wrong) from None


def _again() -> dict[str, str]:
    return {"Retry-After": str(_LOOK_AGAIN_SECONDS)}


def _said(request: Request, look: Look) -> dict[str, Any]:
    run = look.run
    return {
        "success": look.success,
        "runId": run.run_id,
        "status": run.status,
        "flow": look.flow.name,
        "requestedAt": moment(run.created_at),
        "startedAt": moment(run.started_at),
        "completedAt": moment(run.ended_at),
        "durationMs": None if run.seconds is None else round(run.seconds * 1000),
        "result": dict(look.result),
        "errors": [dict(error) for error in look.errors],
        "steps": dict(look.steps),
        "location": where(run.run_id),
        "requestId": request.state.request_id,
        "timestamp": moment(datetime.now(UTC)),
    }


def _ended(request: Request, look: Look) -> JSONResponse:
    said = _said(request, look)
    if look.success:
        return JSONResponse(said)
    codes = ", ".join(dict.fromkeys(error["code"] for error in look.errors))
    return JSONResponse({**said, "detail": f"The sync failed: {codes}.", "code": "sync_failed"}, 500)


def _under_way(request: Request, look: Look) -> JSONResponse:
    headers = {"Location": where(look.run.run_id), **_again()}
    return JSONResponse(_said(request, look), 202, headers=headers)
