"""The learners' progress API: what a learner's devices send is merged, and what is known is answered."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse

from sync_pipelines.errors import KeyReused
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.progress import answer_once, merge_changes, progress_of
from sync_pipelines.progress import wire
from sync_pipelines.progress.merge import MAX_TIME_MS
from sync_pipelines.service.access import Learner, Store
from sync_pipelines.service.bodies import JsonBody
from sync_pipelines.service.documents import Problem, answers, json_body
from sync_pipelines.service.progress_documents import (
    ImportAnswer,
    ImportBody,
    LessonBody,
    LessonNotFound,
    LessonRow,
)
from sync_pipelines.service.refusals import Refused

__all__ = ["router"]

_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_LESSON_ID = {"type": "integer", "minimum": 1, "maximum": MAX_TIME_MS}
_IMPORTED = {
    "X-Received-At": {
        "schema": {"type": "string", "format": "date-time"},
        "description": "The server's time of the import, which stamps in the future became.",
    },
    "Idempotency-Replayed": {
        "schema": {"type": "string", "const": "true"},
        "description": "Only where the import had come before: this is what was answered then.",
    },
}

router = APIRouter(prefix="/api/v1/learning/progress", tags=["progress"])
Handler = Callable[..., JSONResponse]


def _at(method: str, path: str, **options: Any) -> Callable[[Handler], Handler]:
    """A route, with its last slash and without: a redirect would lose some clients' Authorization."""

    def register(handler: Handler) -> Handler:
        router.add_api_route(path, handler, methods=[method], **options)
        router.add_api_route(path.removesuffix("/"), handler, methods=[method], include_in_schema=False)
        return handler

    return register


@_at("GET", "/", responses=answers(list[LessonRow], "By lesson id, ascending.", 400, 401, 403, 429, 500, 503))
def read_progress(
    user: Learner,
    database: Store,
    device_id: Annotated[
        str | None,
        Query(
            description="Adds to each lesson what is known of this device's own time.",
            json_schema_extra={"maxLength": wire.DEVICE_ID_LENGTH},
        ),
    ] = None,
) -> JSONResponse:
    """All that is known of the learner's lessons."""
    device = _read(wire.device_id, device_id)
    with database.session() as session:
        lessons = progress_of(session, user, device)
    rows = [wire.row_of(identity, lesson) for identity, lesson in lessons.items()]
    if device_id is not None:
        for row, lesson in zip(rows, lessons.values(), strict=True):
            row["device_time_ms"] = lesson.own_time_ms
    return JSONResponse(rows)


@_at(
    "PATCH",
    "/{lesson_id}/",
    responses=answers(
        LessonRow,
        "The lesson, merged.",
        *(400, 401, 403, 413, 415, 429, 500, 503),
        others={404: (LessonNotFound, "No lesson has this id.")},
    ),
    openapi_extra=json_body(LessonBody),
)
def change_lesson(
    user: Learner,
    database: Store,
    lesson_id: Annotated[str, Path(json_schema_extra=_LESSON_ID)],
    body: JsonBody,
) -> JSONResponse:
    """Merge what a device says of one lesson. To send it again changes nothing."""
    payload = _read(wire.parse, body)
    if not isinstance(payload, dict):
        raise Refused(400, "malformed", "The body is not taken: an object is expected.")
    device = _read(wire.device_id, payload.get("device_id"))
    try:
        change = wire.change_of(payload)
    except wire.LessonRefused as error:
        wrong = {"field": error.field, "reason": error.why}
        raise Refused(400, "invalid", f"The lesson is not taken: {error}.", errors=[wrong]) from None
    try:
        identity = wire.lesson_id(lesson_id)
    except wire.LessonRefused:
        return _not_found()
    with database.session() as session, session.transaction():
        if merge_changes(session, user, device, {identity: change}).unknown:
            return _not_found()
        lesson = progress_of(session, user, device, [identity])[identity]
    return JSONResponse(wire.row_of(identity, lesson))


@_at(
    "POST",
    "/import/",
    responses=answers(
        ImportAnswer,
        "What became of it.",
        *(400, 401, 403, 413, 415, 429, 500, 503),
        headers=_IMPORTED,
        others={409: (Problem, "The idempotency key was used for another payload.")},
    ),
    openapi_extra={
        **json_body(ImportBody),
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
                "description": "One for each import, and the same when it is sent again: then the answer is the "
                "same too. Without one, the same payload is the same import.",
            }
        ],
    },
)
def import_progress(request: Request, user: Learner, database: Store, body: JsonBody) -> JSONResponse:
    """Merge what a device says of many lessons, at most 1000. Those that are wrong are refused by themselves."""
    given = _key(request)
    imported = _read(wire.read_import, _read(wire.parse, body))
    # So that no caller's key is ever the fingerprint of a payload.
    key = f"sha256:{imported.sha256}" if given is None else f"key:{given}"
    with database.session() as session, session.transaction():

        def merge() -> dict[str, Any]:
            return _merged(session, user, imported)

        try:
            answer, replayed = answer_once(session, user, imported.device_id, key, imported.sha256, merge)
        except KeyReused:
            detail = "The Idempotency-Key was used for another payload: take a new one."
            raise Refused(409, "key_reused", detail) from None
        if replayed and given is None and any(one["code"] == "unknown_lesson" for one in answer["rejected"]):
            # A lesson that was unknown may be known by now, and nobody said that this is the same import.
            answer, replayed = merge(), False
    headers = {"X-Received-At": answer.pop("received_at")}
    return JSONResponse(answer, headers={**headers, **({"Idempotency-Replayed": "true"} if replayed else {})})


def _merged(session: Session, user: str, imported: wire.Import) -> dict[str, Any]:
    """The answer, and when it was: of an import that comes again, both are what they were."""
    merged = merge_changes(session, user, imported.device_id, imported.changes)
    unknown = [wire.Refusal(str(one), "unknown_lesson", "no lesson has this id") for one in merged.unknown]
    return {
        "imported": merged.imported,
        "updated": merged.updated,
        "rejected": [refusal.to_json() for refusal in (*imported.refused, *unknown)],
        "received_at": wire.stamp(merged.received_at),
    }


def _read(read: Callable[[Any], Any], value: Any) -> Any:
    """What `read` makes of it. Raises Refused where it is nothing that can be read."""
    try:
        return read(value)
    except wire.TooMuch as error:
        raise Refused(413, "too_large", f"The import is too large: {error}.") from None
    except wire.BadPayload as error:
        field, _, reason = str(error).rpartition(": ")
        errors = [{"field": field, "reason": reason}] if field else []
        raise Refused(400, "malformed", f"The request is not taken: {error}.", errors=errors) from None


def _key(request: Request) -> str | None:
    given = request.headers.getlist("idempotency-key")
    if len(given) > 1 or not all(_KEY.fullmatch(key) for key in given):
        reason = "1 to 255 visible ASCII characters, once"
        errors = [{"field": "Idempotency-Key", "reason": reason}]
        raise Refused(400, "malformed", f"The Idempotency-Key is not taken: {reason}.", errors=errors)
    return given[0] if given else None


def _not_found() -> JSONResponse:
    return JSONResponse({"detail": "Lesson not found."}, 404)
