"""The shapes of the webhooks. They describe, and read nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, Field

from sync_pipelines.service.documents import Problem, answers, described

__all__ = ["CHALLENGE", "KEYS_AT_ONCE", "LONGEST_KEY", "CallTaken", "call_answers", "call_document"]

KEYS_AT_ONCE: Final = 1000
LONGEST_KEY: Final = 255
#: In WWW-Authenticate, of a call that is not signed.
CHALLENGE: Final = "StandardWebhooks"
_WHEN = "2026-01-12T10:20:30.000Z"


class CallTaken(BaseModel):
    """The call is written down. A run follows within about a minute, for all calls that come until then."""

    model_config = described(
        {"accepted": True, "duplicate": False, "callId": "evt-17", "requestId": "6f1c0f0d2f4e", "timestamp": _WHEN}
    )

    accepted: bool
    duplicate: bool = Field(description="The same call had come before: nothing more follows of this one.")
    call_id: str = Field(alias="callId")
    request_id: str = Field(alias="requestId", description="As in X-Request-ID: the service's log has it too.")
    timestamp: datetime


_HEADERS = (
    (
        "webhook-id",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-\\-/-~]+$"},
        "One for each call, and the same when it is sent again. Visible ASCII characters without a full stop.",
    ),
    (
        "webhook-timestamp",
        {"type": "string", "pattern": "^[0-9]{1,15}$"},
        "When it was signed: seconds since 1970, at most five minutes off the service's clock.",
    ),
    (
        "webhook-signature",
        {"type": "string"},
        "`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; several are divided by blanks.",
    ),
)


def call_document(field: str, example: str) -> dict[str, Any]:
    """What a call of an upstream holds, for a route's `openapi_extra`. `field` is what it may name."""
    keys = {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
        "minItems": 1,
        "maxItems": KEYS_AT_ONCE,
        "description": f"The {field} that changed. Left out: any of them may have.",
    }
    body = {
        "type": "object",
        "properties": {field: keys},
        "additionalProperties": False,
        "examples": [{field: [example]}],
    }
    parameters = [
        {"name": name, "in": "header", "required": True, "schema": schema, "description": said}
        for name, schema, said in _HEADERS
    ]
    taken = {"required": False, "content": {"application/json": {"schema": body}}}
    return {"parameters": parameters, "requestBody": taken}


def call_answers() -> dict[int | str, Any]:
    """What is answered: 202, and problems."""
    said = answers(
        None,
        "",
        *(400, 413, 415, 500, 503),
        others={
            202: (CallTaken, "It is taken."),
            401: (Problem, "The call is not signed, or not as it should be."),
            403: (Problem, "No secret is set for calls of this upstream: none is taken."),
            409: (Problem, "The id was used for another call."),
            422: (Problem, "The call is well-formed, and names what there is not."),
        },
    )
    del said[200]
    for header in ("Location", "Retry-After"):
        said[202]["headers"].pop(header, None)
    said[401]["headers"]["WWW-Authenticate"] = {"schema": {"type": "string", "const": CHALLENGE}}
    return said
