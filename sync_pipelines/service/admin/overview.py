"""The first page: how each flow stands, what needs attention, and a button for each sync."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from sync_pipelines.alerts.incidents import Incident
from sync_pipelines.flows.naming import FLOWS_BY_NAME
from sync_pipelines.flows.spec import Partitions
from sync_pipelines.postgres.engine import Database
from sync_pipelines.postgres.overview import titles_of_courses
from sync_pipelines.service.access import Store
from sync_pipelines.service.admin.flow_names import flow_name, stream_name, zone_of
from sync_pipelines.service.admin.person import Person, language_of
from sync_pipelines.service.admin.shell import page
from sync_pipelines.service.admin.sparkline import BARS, HEIGHT, STEP, bars
from sync_pipelines.service.admin.standing import FlowStanding, Standing, standing
from sync_pipelines.service.admin.texts import Texts

__all__ = ["courses_to_choose", "router"]

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Attention:
    """One thing to look at: what it is, what to do about it, since when, and where."""

    level: Literal["bad", "busy", "note"]
    what: str
    to_do: str = ""
    since: datetime | None = None
    zone: str | None = None
    link: str | None = None


@router.get("/admin")
async def to_the_overview() -> Response:
    """The pages' address as people type it."""
    return RedirectResponse("/admin/", 308)


@router.get("/admin/")
async def show_overview(request: Request, person: Person, database: Store) -> Response:
    """The page."""
    courses = await run_in_threadpool(courses_to_choose, database) if person.is_operator else {}
    return await _show(request, "overview.html", person, courses=courses)


@router.get("/admin/overview/live")
async def show_changes(request: Request, person: Person) -> Response:
    """What of the page changes by itself: each piece takes the place of the one that is there."""
    return await _show(request, "overview_live.html", person)


async def _show(request: Request, template: str, person: Person, **more: Any) -> Response:
    state = request.app.state
    stands = await standing(state.settings, state.database, state.runs)
    texts = Texts(language_of(request))
    return page(
        request,
        template,
        person=person,
        flows=stands.flows,
        attention=[*_attention(texts, stands)],
        called=lambda subject: flow_name(texts, subject),
        zone=zone_of,
        summary=lambda flow: _summary(texts, flow),
        bars=bars,
        picture={"bars": BARS, "step": STEP, "width": BARS * STEP, "height": HEIGHT, "bar": STEP - 2},
        dagster=f"{state.settings.dagster_webserver_url.rstrip('/')}/runs",
        **more,
    )


def courses_to_choose(database: Database) -> dict[str, str]:
    """The courses by which a flow is divided: titles, by the platform's id."""
    divided = (flow.partitions for flow in FLOWS_BY_NAME.values() if isinstance(flow.partitions, Partitions))
    found: dict[str, str] = {}
    with database.session() as session:
        for partitions in divided:
            found |= titles_of_courses(session, partitions.system.partition(":")[0])
    return found


def _summary(texts: Texts, flow: FlowStanding) -> str:
    """The picture of the last runs, in words."""
    runs = (flow.runs or ())[:BARS]
    counts = Counter(run.status if run.ended else "running" for run in runs)
    said = [texts.t(f"overview.runs.{status}", count=number) for status, number in counts.most_common()]
    return f"{texts.t('overview.last_runs', count=len(runs))}: {', '.join(said)}"


def _attention(texts: Texts, stands: Standing) -> Iterator[Attention]:
    """What needs a person, the worst first."""
    t = texts.t
    if not stands.dagster_answers:
        yield Attention("bad", t("overview.dagster.what"), t("overview.dagster.to_do"))
    for incident in stands.incidents:
        yield _of_incident(texts, incident)
    for stream, number in sorted(stands.rejects.items()):
        what = t("overview.rejects.what", count=number, stream=stream_name(texts, stream))
        link = f"/admin/rejects?{urlencode({'stream': stream})}"
        yield Attention("busy", what, t("overview.rejects.to_do"), link=link)
    for kind in ("course", "lesson"):
        if number := stands.vanished.get(kind, 0):
            yield Attention(
                "note",
                t(f"overview.vanished.{kind}", count=number),
                t("overview.vanished.to_do"),
                link="/admin/mapping",
            )


def _of_incident(texts: Texts, incident: Incident) -> Attention:
    known = f"overview.incident.{incident.kind}"
    key = known if texts.knows(f"{known}.what") else "overview.incident.other"
    counts = {
        "failed": int(incident.counts.get("failed", 0)),
        "fetched": int(incident.counts.get("fetched", 0)),
        "took": texts.lasted(incident.counts.get("seconds", 0)),
    }
    link = f"/admin/syncs/{incident.run_id}" if incident.run_id else None
    if incident.kind == "error_rate":
        link = "/admin/rejects"
    return Attention(
        "busy" if incident.kind in ("slow", "error_rate") else "bad",
        texts.t(f"{key}.what", who=flow_name(texts, incident.subject), **counts),
        texts.t(f"{key}.to_do"),
        incident.started_at,
        zone_of(incident.subject),
        link,
    )
