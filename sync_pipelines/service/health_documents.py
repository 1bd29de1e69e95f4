"""The shapes of what the service says of its health. They describe, and read nothing."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from sync_pipelines.service.documents import Problem, described

__all__ = ["NotReady", "Ready"]

_FLOWS = {"wtl": {"status": "fresh", "lastCompleteAt": "2026-01-12T10:15:08Z"}}
_CHECKS = {"database": {"status": "ok"}, "dagster": {"status": "ok"}, "flows": _FLOWS}
_STALE = {
    "status": "stale",
    "lastCompleteAt": "2026-01-12T09:15:08Z",
    "reason": "no complete sync since 2026-01-12 09:30 UTC",
}


class Part(BaseModel):
    """Whether something that the service needs works."""

    model_config = described({"status": "unavailable", "reason": "Dagster does not answer."})

    status: str = Field(description="ok or unavailable.")
    reason: str = Field(default="")


class FlowState(BaseModel):
    """How old what a flow has brought is."""

    model_config = described(_STALE)

    status: str = Field(
        description="fresh, stale, never (no sync of it was ever complete) or empty (nothing of it is upstream)."
    )
    last_complete_at: datetime | None = Field(
        alias="lastCompleteAt", description="Since when all of it is as it is upstream; null where it never was."
    )
    reason: str = Field(default="")


class Checks(BaseModel):
    """What was looked at: all, or what the request names."""

    model_config = described(_CHECKS)

    database: Part = Field(default=Part(status=""))
    dagster: Part = Field(default=Part(status=""))
    flows: dict[str, FlowState] = Field(default={}, description="Those whose upstream is set up, by name.")


class Ready(BaseModel):
    """The service can do its work, and does."""

    model_config = described({"status": "ok", "checks": _CHECKS})

    status: str = Field(examples=["ok"])
    checks: Checks


class NotReady(Problem):
    """Something does not work, or has not for a while."""

    model_config = described(
        {
            "detail": "wtl: no complete sync since 2026-01-12 09:30 UTC.",
            "code": "unavailable",
            "requestId": "6f1c0f0d2f4e4d2b8f8e",
            "status": "unavailable",
            "checks": {**_CHECKS, "flows": {"wtl": _STALE}},
        }
    )

    status: str = Field(examples=["unavailable"])
    checks: Checks
