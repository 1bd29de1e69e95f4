"""The OpenAPI document: what routes answer and take, in words and shapes. It describes, and reads nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

__all__ = ["Health", "Problem", "answers", "complete", "described", "json_body"]

_COMPONENTS = "#/components/schemas/{model}"


def _may_be_left_out(schema: dict[str, Any]) -> None:
    """A field with a default is one that may be left out, and then says nothing: the default is none."""
    for one in schema["properties"].values():
        one.pop("default", None)


def described(example: Mapping[str, Any], **more: Any) -> ConfigDict:
    """The configuration of a shape, with an example of it."""

    def extend(schema: dict[str, Any]) -> None:
        _may_be_left_out(schema)
        schema["examples"] = [dict(example)]

    return ConfigDict(json_schema_extra=extend, **more)


class Health(BaseModel):
    """All is well."""

    status: str = Field(examples=["ok"])


class Wrong(BaseModel):
    """One thing that is wrong."""

    model_config = described({"field": "percent", "reason": "a whole number from 0 to 100 is expected"})

    field: str | None
    reason: str
    lesson_id: str = Field(default="")


class Problem(BaseModel):
    """Why a request was not done."""

    model_config = described(
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
_WAIT = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
_HEADERS: Final[dict[int, dict[str, Any]]] = {
    202: {"Location": {"schema": {"type": "string"}, "description": "Where to look."}, **_WAIT},
    401: {"WWW-Authenticate": {"schema": {"type": "string", "const": "Bearer"}}},
    429: _WAIT,
    503: _WAIT,
}
_WHY: Final = {
    400: "The request is wrong, and would be wrong again.",
    401: "No token, or one that is not valid.",
    403: "The token is for something else.",
    404: "There is no such thing.",
    409: "Something else is in its way.",
    413: "Too much at once: send it in parts.",
    415: "The body is not plain JSON.",
    422: "The request is well-formed, and asks for what there is not.",
    429: "Too many requests: wait.",
    500: "The service failed.",
    503: "What this needs does not answer just now: try again.",
}


def answers(
    model: Any,
    description: str,
    *statuses: int,
    headers: Mapping[str, Any] | None = None,
    others: Mapping[int, tuple[Any, str]] | None = None,
) -> dict[int | str, Any]:
    """What a route answers: 200 with the model, problems, and `others` with a model and words of their own."""
    said: dict[int | str, Any] = {
        200: {"model": model, "description": description, "headers": {**_REQUEST_ID, **(headers or {})}}
    }
    problems = {status: (Problem, _WHY[status]) for status in statuses}
    for status, (model, description) in sorted({**problems, **(others or {})}.items()):
        headers = {**_REQUEST_ID, **_HEADERS.get(status, {})}
        said[status] = {"model": model, "description": description, "headers": headers}
    return said


def json_body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """What a route takes, for a route's `openapi_extra`. `complete` must be told the model."""
    schema = {"$ref": _COMPONENTS.format(model=model.__name__)}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def complete(app: FastAPI, bodies: Collection[type[BaseModel]]) -> None:
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
            _, shapes = models_json_schema([(model, "validation") for model in bodies], ref_template=_COMPONENTS)
            said["components"]["schemas"] |= shapes["$defs"]
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
