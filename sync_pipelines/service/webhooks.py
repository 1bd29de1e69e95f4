"""Calls of upstreams that say what has changed: each is written down, and a run for many of them follows.

No token lets them in: they are signed. The run is asked for by Dagster's sensor webhook_syncs.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from sync_pipelines.errors import KeyReused, NotSetUp
from sync_pipelines.postgres.webhooks import note_call
from sync_pipelines.service.access import Store
from sync_pipelines.service.bodies import JsonBody
from sync_pipelines.service.refusals import Refused
from sync_pipelines.service.signatures import NotSigned, check, secrets_of
from sync_pipelines.service.webhook_documents import (
    CHALLENGE,
    KEYS_AT_ONCE,
    LONGEST_KEY,
    call_answers,
    call_document,
)
from sync_pipelines.settings import Settings

__all__ = ["MAX_CALL_BYTES", "require_good_secrets", "router"]

MAX_CALL_BYTES: Final = 64 * 1024
#: By upstream, the one field that a call of it may hold, and a key as an example.
_NAMES: Final = {"wtl": ("courses", "12"), "bakalari": ("schools", "gymnazium-hradec")}

_log = logging.getLogger(__name__)

router = APIRouter(prefix="/api/webhooks", tags=["webhooks"])


def require_good_secrets(settings: Settings) -> None:
    """Raise SettingsError where a secret is set that is none."""
    for upstream in _NAMES:
        _secrets(upstream, settings)


def _secrets(upstream: str, settings: Settings) -> tuple[bytes, ...]:
    held = {"wtl": settings.wtl_webhook_secret, "bakalari": settings.bakalari_webhook_secret}
    return secrets_of(f"{upstream.upper()}_WEBHOOK_SECRET", held[upstream])


def _route(upstream: str) -> Callable[..., JSONResponse]:
    def call(request: Request, database: Store, body: JsonBody) -> JSONResponse:
        call_id = _signed(request, upstream, body)
        keys = _named(body, _NAMES[upstream][0])
        if upstream == "bakalari":
            _refuse_unknown(keys, request.app.state.settings)
        with database.session() as session:
            try:
                new = note_call(session, upstream, call_id, keys)
            except KeyReused:
                detail = "The webhook-id was used for another call: take a new one."
                raise Refused(409, "key_reused", detail) from None
        said = {
            "accepted": True,
            "duplicate": not new,
            "callId": call_id,
            "requestId": request.state.request_id,
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        return JSONResponse(said, 202)

    return call


def _signed(request: Request, upstream: str, body: bytes) -> str:
    """The call's id. Raises Refused where it is not signed, or by nobody we know."""
    secrets = _secrets(upstream, request.app.state.settings)
    if not secrets:
        _log.warning("request %s refused: %s has no webhook secret", request.state.request_id, upstream)
        raise Refused(403, "not_set_up", "Calls of this upstream are not taken here.")
    if len(body) > MAX_CALL_BYTES:
        raise Refused(413, "too_large", f"The body is larger than {MAX_CALL_BYTES} bytes: send it in parts.")
    ids, timestamps, signatures = (
        request.headers.getlist(f"webhook-{name}") for name in ("id", "timestamp", "signature")
    )
    try:
        return check(secrets, ids, timestamps, signatures, body, time.time())
    except NotSigned as error:
        _log.warning("request %s refused: a call of %s: %s", request.state.request_id, upstream, error)
        headers = {"WWW-Authenticate": CHALLENGE}
        raise Refused(401, "unauthorized", f"The call is not taken: {error}.", headers=headers) from None


def _named(body: bytes, field: str) -> list[str]:
    """The keys that a call names; none where it means everything. Raises Refused."""
    if not body.strip():
        return []
    try:
        said: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "malformed", "The body is not JSON.") from None
    if not isinstance(said, dict):
        raise Refused(422, "invalid", "The body is not taken: an object is expected.")
    # What is misspelt would sync everything.
    if unknown := [name for name in said if name != field]:
        raise _wrong(unknown[0][:LONGEST_KEY], f"there is no such field: it may hold {field} alone")
    if field not in said:
        return []
    keys = said[field]
    if not isinstance(keys, list) or not keys:
        raise _wrong(field, "a list of at least one text is expected; for everything, leave it out")
    if len(keys) > KEYS_AT_ONCE:
        raise _wrong(field, f"at most {KEYS_AT_ONCE} are taken at once; for everything, leave it out")
    for place, key in enumerate(keys):
        if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
            raise _wrong(f"{field}.{place}", f"a text of 1 to {LONGEST_KEY} printable characters is expected")
    return keys


def _refuse_unknown(schools: list[str], settings: Settings) -> None:
    """Raise Refused where a school is named that the settings do not. A course may be new: it is taken."""
    try:
        there = {school.id for school in settings.schools()} if schools else set()
    except NotSetUp:
        raise Refused(403, "not_set_up", "Calls of this upstream are not taken here.") from None
    for place, school in enumerate(schools):
        if school not in there:
            raise _wrong(f"schools.{place}", "there is no such school")


def _wrong(field: str, reason: str) -> Refused:
    shown = field.encode("utf-8", "replace").decode()
    return Refused(422, "invalid", "The call is not taken.", errors=[{"field": shown, "reason": reason}])


for _upstream, (_field, _example) in _NAMES.items():
    router.add_api_route(
        f"/{_upstream}",
        _route(_upstream),
        methods=["POST"],
        name=f"call_of_{_upstream}",
        description=f"Say that {_field} of {_upstream} have changed. Signed, with no token. A sync follows.",
        status_code=202,
        responses=call_answers(),
        openapi_extra=call_document(_field, _example),
    )
