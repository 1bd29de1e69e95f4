"""A request's body, of bounded size. What it says is read by whoever knows what it should say."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from sync_pipelines.service.refusals import Refused

__all__ = ["MAX_BODY_BYTES", "JsonBody"]

MAX_BODY_BYTES: Final = 2**20


async def _json_body(request: Request) -> bytes:
    """The bytes, at most so many, whether their number was announced or not."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, "unsupported", "The body must be JSON: Content-Type: application/json.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refused(415, "unsupported", "The body must be sent as it is: no Content-Encoding is taken.")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
        raise _too_large()
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise _too_large()
    except ClientDisconnect:
        raise Refused(400, "malformed", "The body broke off.") from None
    return bytes(body)


def _too_large() -> Refused:
    return Refused(413, "too_large", f"The body is larger than {MAX_BODY_BYTES} bytes: send it in parts.")


#: A parameter of a route: the body's bytes, said to be JSON.
JsonBody = Annotated[bytes, Depends(_json_body)]
