"""What a report is made of: runs, what they wrote, and when each flow was last synced to its end.

A flow is what people call it: "wtl" are a platform's lists, "wtl_courses" what is read by course, "bakalari" its
schools, each of which is a site, "progress" what learners did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from sync_pipelines.flows.naming import FLOWS_BY_NAME, name_of
from sync_pipelines.flows.registry import FLOWS, LOCAL_FLOWS, PARTITIONED_FLOWS
from sync_pipelines.flows.spec import Sites

__all__ = [
    "FLOW_NAMES",
    "FlowRun",
    "History",
    "Outcome",
    "Written",
    "flow_of_queue",
    "last_complete",
]

Outcome: TypeAlias = Literal["succeeded", "failed", "canceled", "under way"]


@dataclass(frozen=True)
class FlowRun:
    """One run of a flow; of one of its sites, where it was that one's alone. `seconds` once it has ended."""

    flow: str
    site: str | None
    outcome: Outcome
    began_at: datetime
    seconds: float | None


@dataclass(frozen=True)
class Written:
    """What one sync of a stream did to its rows."""

    flow: str
    site: str | None
    at: datetime
    fetched: int
    created: int
    updated: int
    deleted: int
    failed: int


@dataclass(frozen=True)
class History:
    """All of that between two times. `complete_at` is by flow and site; a flow's own is that of site None.

    `runs_since` and `written_since` are later than `since` where there was more than is read.
    """

    since: datetime
    until: datetime
    runs: Sequence[FlowRun]
    written: Sequence[Written]
    complete_at: Mapping[tuple[str, str | None], datetime]
    runs_since: datetime
    written_since: datetime


#: The flows, in the order in which they are shown.
FLOW_NAMES: tuple[str, ...] = tuple(FLOWS_BY_NAME)
_BY_QUEUE = {
    **{name: name for name in FLOW_NAMES},
    **{flow.partitions.name: name_of(flow) for flow in PARTITIONED_FLOWS},
}


def flow_of_queue(queue: str) -> tuple[str, str | None] | None:
    """The flow and the site whose runs wait in this queue ("bakalari/skola"); None where no sync does."""
    name, _, site = queue.partition("/")
    flow = _BY_QUEUE.get(name)
    return None if flow is None else (flow, site or None)


def last_complete(
    streams: Mapping[str, datetime], sites: Mapping[str, Sequence[str]]
) -> dict[tuple[str, str | None], datetime]:
    """Since when each flow and site is as it is upstream, from when each stream was last synced to its end.

    A flow is as old as its stalest stream and site. Of what is read by course the newest course counts: they are
    read in turn. `sites` are those there are, by flow. What was never synced to its end is left out.
    """
    oldest: dict[tuple[str, str | None], list[datetime | None]] = {}
    for flow in (*FLOWS, *LOCAL_FLOWS):
        oldest.setdefault((flow.upstream.name, None), []).append(streams.get(flow.stream))
    for partitioned in PARTITIONED_FLOWS:
        name = name_of(partitioned)
        if not isinstance(partitioned.partitions, Sites):
            prefix = f"{partitioned.stream}/"
            newest = max((at for stream, at in streams.items() if stream.startswith(prefix)), default=None)
            oldest.setdefault((name, None), []).append(newest)
            continue
        for site in sites.get(name, ()):
            times = [streams.get(f"{part.stream}/{site}") for part in partitioned.parts]
            oldest[name, site] = times
            oldest.setdefault((name, None), []).extend(times)
    return {key: min(at for at in times if at) for key, times in oldest.items() if all(times)}
