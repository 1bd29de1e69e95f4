"""The OpenAPI document's shapes. They describe, and read nothing: `progress.wire` does, lesson by lesson."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from sync_pipelines.progress import wire
from sync_pipelines.progress.merge import MAX_TIME_MS

__all__ = [
    "Health",
    "ImportAnswer",
    "ImportBody",
    "LessonBody",
    "LessonNotFound",
    "LessonRow",
    "Problem",
    "answers",
    "complete",
    "json_body",
]

_COMPONENTS = "#/components/schemas/{model}"
_WHEN = "2026-01-12T10:20:30.000Z"
_AT = "2026-01-12T10:20:30.000000Z"
# Without a null: the framework leaves those out of examples.
_LESSON = {"seen": True, "completed": False, "percent": 40, "time_ms": 120_000, "score_best": 80}
_LESSON |= {"score_last": 60, "updated_at": _WHEN, "last_seen_at": _WHEN}
_ROW = {"lesson_id": 123, **_LESSON, "updated_at": _AT, "last_seen_at": _AT}
_DEVICE = "0b8e5c2e-7f3c-4a51-9a1e-0d5a6a1f2b3c"

Percent = Annotated[int, Field(ge=0, le=100)]
Score = Annotated[int | None, Field(ge=0, le=100)]
TimeMs = Annotated[int, Field(ge=0, le=MAX_TIME_MS)]


def _may_be_left_out(schema: dict[str, Any]) -> None:
    """A field with a default is one that may be left out, and then says nothing: the default is none."""
    for one in schema["properties"].values():
        one.pop("default", None)


def _body(example: Mapping[str, Any]) -> ConfigDict:
    def extend(schema: dict[str, Any]) -> None:
        _may_be_left_out(schema)
        schema["examples"] = [dict(example)]

    return ConfigDict(json_schema_extra=extend)


class Lesson(BaseModel):
    """What a device says of a lesson. Fields that are left out say nothing; others are ignored."""

    model_config = _body(_LESSON)

    updated_at: datetime = Field(
        description="When the device last changed the lesson. With a zone. The later stamp wins; one in the "
        "future counts as the server's now."
    )
    seen: bool = Field(default=False)
    completed: bool = Field(default=False, description="May go back to false.")
    percent: Percent = Field(default=0)
    time_ms: TimeMs = Field(
        default=0, description="This device's own time, ever, in milliseconds; never that of other devices."
    )
    score_best: Score = Field(default=None, description="The highest that was ever sent is kept.")
    score_last: Score = Field(default=None, description="Null clears it.")
    last_seen_at: datetime | None = Field(default=None, description="With a zone. Null clears it.")


_DeviceId = Annotated[
    str | None,
    Field(
        max_length=wire.DEVICE_ID_LENGTH,
        description="Tells the learner's devices apart, so that their times add up: a random UUID that the device "
        "keeps. No control characters. Left out, null or blank: the one anonymous device.",
    ),
]


class LessonBody(Lesson):
    """One lesson of a device."""

    model_config = _body({"device_id": _DEVICE, **_LESSON})

    device_id: _DeviceId = Field(default=None)


class ImportBody(BaseModel):
    """Lessons of a device. One that is wrong is refused by itself."""

    model_config = _body({"device_id": _DEVICE, "lessons": {"123": _LESSON}})

    device_id: _DeviceId = Field(default=None)
    lessons: dict[str, Lesson] = Field(
        max_length=wire.LESSONS_AT_ONCE,
        description="By lesson id: digits, without a leading zero.",
    )


class LessonRow(BaseModel):
    """What is known of a lesson of the learner, over all devices. Times have six digits, and Z."""

    model_config = _body(_ROW)

    lesson_id: int = Field(ge=1, le=MAX_TIME_MS)
    seen: bool
    completed: bool
    percent: Percent
    time_ms: TimeMs = Field(description="The sum of what each device has spent by itself.")
    score_best: Score
    score_last: Score
    updated_at: datetime = Field(description="When a device last changed it; never in the future.")
    last_seen_at: datetime | None
    device_time_ms: TimeMs = Field(
        default=0, description="Of `time_ms`, that of the device asked about. Only where one was."
    )


class RefusedLesson(BaseModel):
    """A lesson that was not taken. The others were."""

    lesson_id: str = Field(description="As it was sent; cut where it is long.")
    code: str = Field(description="invalid, unknown_lesson or duplicate.")
    field: str | None = Field(description="What is wrong with it; null where it is the whole lesson.")
    reason: str


class ImportAnswer(BaseModel):
    """What became of an import."""

    model_config = _body(
        {
            "imported": 1,
            "updated": 1,
            "rejected": [
                {"lesson_id": "7", "code": "invalid", "field": "percent", "reason": "a whole number is expected"}
            ],
        }
    )

    imported: int = Field(ge=0, description="Lessons that were taken.")
    updated: int = Field(ge=0, description="Of these, the new ones and those whose updated_at moved forward.")
    rejected: list[RefusedLesson]


class Health(BaseModel):
    """All is well."""

    status: str = Field(examples=["ok"])


class LessonNotFound(BaseModel):
    """No lesson has this id."""

    detail: str = Field(examples=["Lesson not found."])


class Wrong(BaseModel):
    """One thing that is wrong."""

    model_config = _body({"field": "percent", "reason": "a whole number from 0 to 100 is expected"})

    field: str | None
    reason: str
    lesson_id: str = Field(default="")


class Problem(BaseModel):
    """Why a request was not done."""

    model_config = _body(
        {"detail": "The token is not valid.", "code": "unauthorized", "requestId": "6f1c0f0d2f4e4d2b8f8e"}
    )

    detail: str = Field(description="A sentence for people.")
    code: str = Field(description="A word for programs.")
    request_id: str = Field(alias="requestId", description="As in X-Request-ID: the service's log has it too.")
    errors: list[Wrong] = Field(default=[], description="Each thing that is wrong, where it can be told.")


_REQUEST_ID = {
    "X-Request-ID": {
        "schema": {"type": "string"},
        "description": "The caller's own, or one made for this request.",
    }
}
_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string", "const": "Bearer"}}},
    503: {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
}
_WHY: Final = {
    400: "The request is wrong, and would be wrong again.",
    401: "No token, or one that is not valid.",
    403: "The token is for something else.",
    404: "No lesson has this id.",
    409: "The idempotency key was used for another payload.",
    413: "Too much at once: send it in parts.",
    415: "The body is not plain JSON.",
    500: "The service failed.",
    503: "The database does not answer just now: try again.",
}


def answers(
    model: Any, description: str, *statuses: int, headers: Mapping[str, Any] | None = None
) -> dict[int | str, Any]:
    """What a route answers: 200 with the model, and problems."""
    said: dict[int | str, Any] = {
        200: {"model": model, "description": description, "headers": {**_REQUEST_ID, **(headers or {})}}
    }
    for status in statuses:
        headers = {**_REQUEST_ID, **_HEADERS.get(status, {})}
        model = LessonNotFound if status == 404 else Problem
        said[status] = {"model": model, "description": _WHY[status], "headers": headers}
    return said


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """What a route takes, for a route's `openapi_extra`."""
    schema = {"$ref": _COMPONENTS.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def complete(app: FastAPI) -> None:
    """Have the app's document hold the bodies' shapes too, and no status that no route answers."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            said = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            _, bodies = models_json_schema(
                [(model, "validation") for model in (LessonBody, ImportBody)], ref_template=_COMPONENTS
            )
            said["components"]["schemas"] |= bodies["$defs"]
            _without_validation(said)
            app.openapi_schema = said
        return app.openapi_schema

    app.openapi = document


def _without_validation(said: dict[str, Any]) -> None:
    """Parameters are texts, and read by us: the framework has none to refuse, though it says it might."""
    for operations in said["paths"].values():
        for operation in operations.values():
            refused = operation["responses"].get("422", {}).get("content", {}).get("application/json", {})
            if refused.get("schema", {}).get("$ref") == _COMPONENTS.format(model="HTTPValidationError"):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        said["components"]["schemas"].pop(name, None)
