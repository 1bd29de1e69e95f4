"""Starting a sync from a page, and following it to its end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from sync_pipelines.flows.naming import FLOWS_BY_NAME, NamedFlow
from sync_pipelines.flows.spec import Partitions, Sites
from sync_pipelines.service.admin.flow_names import flow_name, stream_name, zone_of
from sync_pipelines.service.admin.person import Form, LoggedIn, OperatorPerson, Person, language_of
from sync_pipelines.service.admin.shell import HEADERS, page
from sync_pipelines.service.admin.texts import Texts
from sync_pipelines.service.asked import ALL, Asked, asked_for
from sync_pipelines.service.looking import Look, nouns
from sync_pipelines.service.refusals import Refused
from sync_pipelines.service.runs import Busy, Runs
from sync_pipelines.settings import Settings

__all__ = ["router", "start"]

#: What a run counts of each kind of row, in the order in which it is shown.
COUNTERS: Final = ("Created", "Updated", "Skipped", "Deleted", "Restored", "Failed")
_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

router = APIRouter(prefix="/admin/syncs", include_in_schema=False)


@router.post("")
async def start_sync(request: Request, person: OperatorPerson, form: Form) -> Response:
    """Start what was chosen, and show it."""
    flow = FLOWS_BY_NAME.get(form.get("flow", ""))
    if flow is None:
        raise Refused(422, "invalid", "There is no such flow.")
    return await start(request, person, flow, form.get("key") or None)


async def start(
    request: Request, person: LoggedIn, flow: NamedFlow, key: str | None, *, full: bool = False
) -> Response:
    """Start a sync of a flow, or of one of its partitions, and go to its page; or to that of the run under way."""
    asked = replace(await run_in_threadpool(_asked, request.app.state.settings, flow, key), full=full)
    runs: Runs = request.app.state.runs
    try:
        run = await runs.start(asked, person.token_id, request.state.request_id)
    except Busy as busy:
        return RedirectResponse(f"/admin/syncs/{busy.run_id}?busy=1", 303, HEADERS)
    return RedirectResponse(f"/admin/syncs/{run.run_id}", 303, HEADERS)


def _asked(settings: Settings, flow: NamedFlow, key: str | None) -> Asked:
    if isinstance(flow.partitions, Partitions):
        return asked_for(flow.upstream.name, settings, courses=ALL if key is None else (key,))
    if isinstance(flow.partitions, Sites):
        return asked_for(flow.upstream.name, settings, schools=() if key is None else (key,))
    return asked_for(flow.upstream.name, settings)


@router.get("/{run_id}")
async def show_run(request: Request, person: Person, run_id: str) -> Response:
    """A run as it stands. While it is under way the page asks for itself again."""
    runs: Runs = request.app.state.runs
    look = await runs.look(run_id) if _RUN_ID.fullmatch(run_id) else None
    if look is None:
        raise Refused(404, "not_found", "There is no such run of a sync.")
    texts = Texts(language_of(request))
    state = request.app.state
    return page(
        request,
        "sync.html",
        person=person,
        look=look,
        run=look.run,
        flow=flow_name(texts, look.flow.name),
        zone=zone_of(look.flow.name),
        outcome=_outcome(look),
        steps=[(stream_name(texts, stream), step) for stream, step in look.steps.items()],
        counters=COUNTERS,
        counted=_counted(texts, look),
        errors=[_error(texts, error) for error in look.errors],
        busy=request.query_params.get("busy") == "1",
        dagster=f"{state.settings.dagster_webserver_url.rstrip('/')}/runs/{run_id}",
    )


def _outcome(look: Look) -> str:
    """queued, running, succeeded, incomplete, failed or canceled."""
    if look.run.status == "succeeded" and not look.success:
        return "incomplete"
    return look.run.status


def _counted(texts: Texts, look: Look) -> list[tuple[str, list[int]]]:
    """A line for each kind of row that the run has counted any of."""
    lines = (
        (stream_name(texts, stream), [look.result.get(f"{noun}{counter}", 0) for counter in COUNTERS])
        for stream, noun in nouns(look.flow).items()
    )
    return [(name, numbers) for name, numbers in lines if any(numbers)]


def _error(texts: Texts, error: Mapping[str, Any]) -> dict[str, str]:
    """What went wrong, of what, and what to do about it."""
    known = f"syncs.error.{error['code']}"
    key = known if texts.knows(f"{known}.what") else "syncs.error.other"
    return {
        "stream": stream_name(texts, error["stream"]) if error["stream"] else "",
        "what": texts.t(f"{key}.what"),
        "times": texts.t("syncs.times", count=error["count"]) if error["count"] > 1 else "",
        "to_do": texts.t(f"{key}.to_do"),
        "code": error["code"],
    }
