"""The records that were refused: which, why, and as they came, with what is personal masked."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sync_pipelines.flows.naming import FLOWS_BY_NAME, name_of
from sync_pipelines.flows.registry import Owner, owner_of, streams_by_system
from sync_pipelines.log import redact
from sync_pipelines.postgres.engine import Database
from sync_pipelines.postgres.rejects import StoredReject, find_rejects, list_rejects
from sync_pipelines.service.access import Store
from sync_pipelines.service.admin import syncs
from sync_pipelines.service.admin.flow_names import stream_name, zone_of
from sync_pipelines.service.admin.masking import masked
from sync_pipelines.service.admin.person import OperatorPerson, Person, language_of
from sync_pipelines.service.admin.shell import page
from sync_pipelines.service.admin.texts import Texts
from sync_pipelines.service.refusals import Refused

__all__ = ["router"]

_PAGE: Final = 50
_MOST_PAGES: Final = 10_000

router = APIRouter(prefix="/admin/rejects", include_in_schema=False)


@router.get("")
def show_rejects(request: Request, person: Person, database: Store) -> Response:
    """The newest first, so many a page."""
    streams = streams_by_system()
    stream = request.query_params.get("stream", "")
    resolved = request.query_params.get("all") == "1"
    number = _number(request.query_params.get("page", "1"))
    systems = [system for system, name in streams.items() if name == stream] if stream else None
    with database.session() as session:
        found, total = list_rejects(session, systems, resolved=resolved, limit=_PAGE, offset=(number - 1) * _PAGE)
    texts = Texts(language_of(request))
    asked = {**({"stream": stream} if stream else {}), **({"all": "1"} if resolved else {})}
    return page(
        request,
        "rejects.html",
        person=person,
        rejects=[_described(texts, reject) for reject in found],
        total=total,
        first=(number - 1) * _PAGE + 1,
        streams={name: stream_name(texts, name) for name in sorted(set(streams.values()))},
        stream=stream,
        resolved=resolved,
        newer=f"?{urlencode({**asked, 'page': number - 1})}" if number > 1 else None,
        older=f"?{urlencode({**asked, 'page': number + 1})}" if number * _PAGE < total else None,
    )


@router.get("/{reject_id}")
def show_reject(request: Request, person: Person, database: Store, reject_id: str) -> Response:
    """One, with the record as it came."""
    reject = _found(database, reject_id)
    shown = json.dumps(masked(reject.payload), indent=2, ensure_ascii=False)
    texts = Texts(language_of(request))
    retriable = reject.resolved_at is None and owner_of(reject.key.system) is not None
    return page(
        request, "reject.html", person=person, reject=_described(texts, reject), payload=shown, retriable=retriable
    )


@router.post("/{reject_id}/retry")
async def retry(request: Request, person: OperatorPerson, database: Store, reject_id: str) -> Response:
    """Start the sync that brings the record, and have it read from the beginning."""
    reject = await run_in_threadpool(_found, database, reject_id)
    owner = owner_of(reject.key.system)
    if owner is None:
        raise Refused(404, "not_found", "No flow brings records of this kind.")
    flow = FLOWS_BY_NAME[name_of(owner.flow)]
    return await syncs.start(request, person, flow, owner.partition, full=True)


def _found(database: Database, reject_id: str) -> StoredReject:
    with database.session() as session:
        found = [reject for reject in find_rejects(session, reject_id) if str(reject.id) == reject_id]
    if not found:
        raise Refused(404, "not_found", "There is no such reject.")
    return found[0]


def _number(given: str) -> int:
    return min(max(int(given), 1), _MOST_PAGES) if given.isascii() and given.isdecimal() and len(given) < 9 else 1


def _described(texts: Texts, reject: StoredReject) -> dict[str, object]:
    owner: Owner | None = owner_of(reject.key.system)
    return {
        "id": reject.id,
        "stream": stream_name(texts, owner.stream) if owner else reject.key.system,
        "partition": owner.partition if owner else None,
        "key": redact(reject.key.key),
        "error": redact(reject.error),
        "stage": texts.t(f"rejects.stage.{reject.stage}")
        if texts.knows(f"rejects.stage.{reject.stage}")
        else reject.stage,
        "occurrences": reject.occurrences,
        "first_seen_at": reject.first_seen_at,
        "last_seen_at": reject.last_seen_at,
        "resolved_at": reject.resolved_at,
        "zone": zone_of(name_of(owner.flow)) if owner else None,
    }
