"""The shapes of the trigger API: what to sync, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sync_pipelines.service.documents import described
from sync_pipelines.service.looking import StepState
from sync_pipelines.service.orchestrator import Status

__all__ = ["SyncBody", "SyncBusy", "SyncFailed", "SyncRun"]

_AT_ONCE = 1000
_RUN = "5f0c3c0e-4f6b-4a1e-9a53-0d5a6a1f2b3c"
_WHERE = f"/api/sync/runs/{_RUN}"
_DONE = {
    "success": True,
    "runId": _RUN,
    "status": "succeeded",
    "flow": "bakalari",
    "requestedAt": "2024-12-01T09:59:58.000Z",
    "startedAt": "2024-12-01T10:00:00.000Z",
    "completedAt": "2024-12-01T10:00:01.500Z",
    "durationMs": 1500,
    "result": {"classesCreated": 2, "classesUpdated": 1, "classesSkipped": 5, "classesFailed": 0},
    "errors": [],
    "steps": {"bakalari/classes": "done"},
    "location": _WHERE,
    "requestId": "6f1c0f0d2f4e4d2b8f8e",
    "timestamp": "2024-12-01T10:00:01.600Z",
}
_FAILED = {"code": "source_unavailable", "stream": "bakalari/roster", "count": 1}
_ID = Annotated[str, Field(min_length=1, max_length=255)]


class SyncBody(BaseModel):
    """What to sync: everything, or some of it. A name that is not known is refused: misspelt it would sync all."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        title="SyncBody",
        json_schema_extra={"examples": [{}, {"schools": ["gymnazium-hradec"]}, {"courses": ["12", "7"]}]},
    )

    schools: list[_ID] | None = Field(
        default=None, min_length=1, max_length=_AT_ONCE, description="Of Bakalari: ids of the settings' schools."
    )
    courses: list[_ID] | Literal["all"] | None = Field(
        default=None,
        min_length=1,
        max_length=_AT_ONCE,
        description="Of WebToLearn: what is read by course, lessons and who has access, of these courses (the "
        "platform's ids); or of all, those first that were read the longest ago.",
    )


class SyncError(BaseModel):
    """One kind of failure."""

    code: str = Field(description="source_unavailable, access_refused, guard_tripped, …: docs/service.md.")
    stream: str | None = Field(description="What failed; null where it is the run.")
    count: int = Field(ge=1, description="How many schools or courses of it; 1 where it is not divided.")


class SyncRun(BaseModel):
    """A sync as it stands."""

    model_config = described(_DONE)

    success: bool | None = Field(description="Whether all was synced; null while it is under way.")
    run_id: str = Field(alias="runId", description="As in Dagster's history.")
    status: Status
    flow: str = Field(description="wtl, wtl_courses, bakalari or progress.")
    requested_at: datetime = Field(alias="requestedAt")
    started_at: datetime | None = Field(alias="startedAt", description="Null while it waits for its turn.")
    completed_at: datetime | None = Field(alias="completedAt")
    duration_ms: int | None = Field(alias="durationMs", ge=0)
    result: dict[str, Annotated[int, Field(ge=0)]] = Field(
        description="Rows by what became of them: classesCreated, classesUpdated, …Skipped, …Failed (refused, and "
        "kept aside), …Deleted (marked as gone), …Restored."
    )
    errors: list[SyncError]
    steps: dict[str, StepState] = Field(description="How each stream stands.")
    location: str = Field(description="Where to look again.")
    request_id: str = Field(alias="requestId")
    timestamp: datetime = Field(description="When this was answered.")


class SyncFailed(SyncRun):
    """A sync that failed."""

    model_config = described(
        {
            **_DONE,
            "success": False,
            "status": "failed",
            "errors": [_FAILED],
            "detail": "The sync failed: source_unavailable.",
            "code": "sync_failed",
        }
    )

    detail: str = Field(description="A sentence for people.")
    code: Literal["sync_failed"]


class SyncBusy(BaseModel):
    """Some of what was asked for is being synced."""

    model_config = described(
        {
            "detail": f"A sync of this is under way: run {_RUN}.",
            "code": "under_way",
            "runId": _RUN,
            "location": _WHERE,
            "requestId": "6f1c0f0d2f4e4d2b8f8e",
        }
    )

    detail: str
    code: Literal["under_way"]
    run_id: str = Field(alias="runId", description="The run that does.")
    location: str = Field(description="Where to look at it.")
    request_id: str = Field(alias="requestId")
