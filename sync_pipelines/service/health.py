"""Whether the service is up, and whether it can work: for whoever starts it, and for load balancers."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from sync_pipelines.errors import SchemaError, SyncError
from sync_pipelines.flows.database import require_schema
from sync_pipelines.log import redact
from sync_pipelines.service.access import Store
from sync_pipelines.service.documents import Health, answers
from sync_pipelines.service.refusals import RETRY_AFTER_SECONDS, Refused

__all__ = ["router"]

_log = logging.getLogger(__name__)

router = APIRouter(tags=["health"])


@router.get("/healthz", responses=answers(Health, "The service is up."))
async def healthz() -> JSONResponse:
    """Whether the service is up. It asks nobody else."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", responses=answers(Health, "The service can work.", 500, 503))
def readyz(request: Request, database: Store) -> JSONResponse:
    """Whether the database answers, and has this version's tables."""
    try:
        require_schema(database)
    except SyncError as error:
        _log.warning("request %s: not ready: %s", request.state.request_id, redact(str(error)))
        old = isinstance(error, SchemaError)
        why = "The database does not have this version's tables." if old else "The database does not answer."
        wait = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise Refused(503, "unavailable", why, headers=wait) from None
    return JSONResponse({"status": "ok"})
