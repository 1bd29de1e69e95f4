"""Whether the service is up, and whether all works that it needs: for whoever starts it, and for load balancers.

Anybody may ask. So answers name flows, and neither schools nor addresses, and cost little however often asked for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, get_args

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse

from sync_pipelines.errors import SchemaError, SyncError
from sync_pipelines.flows.database import require_schema
from sync_pipelines.log import redact
from sync_pipelines.postgres.engine import Database
from sync_pipelines.service.documents import Health, answers
from sync_pipelines.service.freshness import Freshness, flows_are_fresh
from sync_pipelines.service.health_documents import NotReady, Ready
from sync_pipelines.service.orchestrator import Orchestrator
from sync_pipelines.service.refusals import RETRY_AFTER_SECONDS, Refused
from sync_pipelines.settings import Settings

__all__ = ["CHECKS", "Readiness", "router"]

Check: TypeAlias = Literal["database", "dagster", "flows"]
#: What /readyz looks at.
CHECKS: Final[tuple[Check, ...]] = get_args(Check)

_PATIENCE_SECONDS = 4
_KEPT_SECONDS = 2.0
_T = TypeVar("_T")

_log = logging.getLogger(__name__)

router = APIRouter(tags=["health"])


@dataclass(frozen=True)
class Found:
    """What a look found: as it is answered, and what is wrong, in sentences."""

    said: Any
    wrong: tuple[str, ...] = ()


class Readiness:
    """Looks whether all works, at most every two seconds, and tells everybody who asks meanwhile the same."""

    def __init__(
        self, settings: Settings, database: Database, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings, self._database, self._clock = settings, database, clock
        self._found: dict[Check, tuple[float, Found]] = {}
        self._turns = {check: asyncio.Lock() for check in CHECKS}

    async def look(self, check: Check, orchestrator: Orchestrator) -> Found:
        """What is so, or was two seconds ago."""
        async with self._turns[check]:
            if check not in self._found or self._clock() >= self._found[check][0] + _KEPT_SECONDS:
                found = await self._look(check, orchestrator)
                for why in found.wrong:
                    _log.warning("not ready: %s", why)
                self._found[check] = self._clock(), found
            return self._found[check][1]

    async def _look(self, check: Check, orchestrator: Orchestrator) -> Found:
        try:
            if check == "dagster":
                await orchestrator.ping()
                return Found({"status": "ok"})
            if check == "database":
                await _in_a_thread(partial(require_schema, self._database))
                return Found({"status": "ok"})
            return _of_flows(await _in_a_thread(self._flows))
        except (SyncError, TimeoutError) as error:
            why = _why(check, error)
            _log.warning("the %s check failed: %s: %s", check, type(error).__name__, redact(str(error)))
            return Found({} if check == "flows" else {"status": "unavailable", "reason": why}, (why,))

    def _flows(self) -> dict[str, Freshness]:
        with self._database.session() as session:
            return flows_are_fresh(session, self._settings, datetime.now(UTC))


async def _in_a_thread(look: Callable[[], _T]) -> _T:
    """Raises TimeoutError where it takes too long; then the thread is left to end by itself."""
    with anyio.fail_after(_PATIENCE_SECONDS):
        return await run_sync(look, abandon_on_cancel=True)


def _why(check: Check, error: Exception) -> str:
    if check == "dagster":
        return "Dagster does not answer."
    if isinstance(error, SchemaError):
        return "The database does not have this version's tables."
    if check == "flows":
        return "The database does not say how old the flows' data are."
    return "The database does not answer."


def _of_flows(flows: dict[str, Freshness]) -> Found:
    said, wrong = {}, []
    for name, flow in flows.items():
        at = flow.last_complete_at
        said[name] = {
            "status": flow.status,
            "lastCompleteAt": at and at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        if flow.reason is not None:
            said[name]["reason"] = flow.reason
            wrong.append(f"{name}: {flow.reason}.")
    return Found(said, tuple(wrong))


@router.get("/healthz", responses=answers(Health, "The service is up."))
async def healthz() -> JSONResponse:
    """Whether the service is up. It asks nobody else."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz",
    responses=answers(
        Ready,
        "All works.",
        422,
        500,
        others={
            503: (NotReady, "Something does not work, or a flow's data have grown old. The detail says what.")
        },
    ),
)
async def readyz(
    request: Request,
    check: Annotated[
        list[str] | None,
        Query(
            description="Look only at this. May be repeated. Whoever takes a service off the net that is not "
            "ready asks for `database`: learners need neither Dagster nor fresh flows.",
            json_schema_extra={"items": {"type": "string", "enum": [*CHECKS]}},
        ),
    ] = None,
) -> JSONResponse:
    """Whether the database and Dagster answer, and how old the data of each flow are."""
    for asked in check or ():
        if asked not in CHECKS:
            reason = f"there are: {', '.join(CHECKS)}"
            errors = [{"field": "check", "reason": reason}]
            raise Refused(422, "invalid", f"There is no such check: {reason}.", errors=errors)
    wanted: list[Check] = [one for one in CHECKS if not check or one in check]
    readiness: Readiness = request.app.state.readiness
    looks = [readiness.look(one, request.app.state.runs.orchestrator) for one in wanted]
    found = dict(zip(wanted, await asyncio.gather(*looks), strict=True))
    checks = {one: look.said for one, look in found.items()}
    if wrong := [why for look in found.values() for why in look.wrong]:
        raise Refused(
            503,
            "unavailable",
            " ".join(wrong),
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            more={"status": "unavailable", "checks": checks},
        )
    return JSONResponse({"status": "ok", "checks": checks})
