"""How old what each flow has brought is: fresh or not, by the settings, and nothing of whom it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from sync_pipelines.alerts.states import FlowInUse, flows_in_use, is_empty
from sync_pipelines.flows.reporting.history import last_complete
from sync_pipelines.flows.spec import Sites
from sync_pipelines.postgres.alerts import StreamState, stream_states
from sync_pipelines.postgres.engine import Session
from sync_pipelines.settings import Settings

__all__ = ["Freshness", "Status", "flows_are_fresh", "freshness_of", "may_be_old"]

#: empty: there is nothing of it upstream, such as no course; never: no sync of it was ever complete.
Status: TypeAlias = Literal["fresh", "stale", "never", "empty"]
# So long the run of a tick may take to begin and to end.
_GRACE = timedelta(minutes=5)


@dataclass(frozen=True)
class Freshness:
    """`last_complete_at`: since when all of the flow is as it is upstream. `reason` where it is stale or never."""

    status: Status
    last_complete_at: datetime | None = None
    reason: str | None = None


def may_be_old(settings: Settings) -> timedelta:
    """How old a flow may be, and be fresh: so many intervals, and the time that a run takes."""
    return settings.stale_intervals * timedelta(minutes=settings.every_minutes) + _GRACE


def flows_are_fresh(session: Session, settings: Settings, now: datetime) -> dict[str, Freshness]:
    """How each flow is that is set up, by name."""
    used, _ = flows_in_use(settings)
    return freshness_of(used, stream_states(session), now - may_be_old(settings))


def freshness_of(
    used: Iterable[FlowInUse], states: Iterable[StreamState], since: datetime
) -> dict[str, Freshness]:
    """By the flow's name; fresh is what was complete at `since` or later, with each of its sites."""
    used, streams = list(used), {state.stream: state for state in states}
    known = {name: state.last_complete_at for name, state in streams.items() if state.last_complete_at}
    complete = last_complete(known, {one.flow.name: one.members or () for one in used})
    return {one.flow.name: _freshness(one, streams, complete, since) for one in used}


def _freshness(
    one: FlowInUse,
    streams: Mapping[str, StreamState],
    complete: Mapping[tuple[str, str | None], datetime],
    since: datetime,
) -> Freshness:
    at = complete.get((one.flow.name, None))
    times = [complete.get((one.flow.name, partition)) for partition in one.partitions]
    old = [time for time in times if time is None or time < since]
    if not times or (at is None and is_empty(one.flow, streams)):
        return Freshness("empty")
    if not old:
        return Freshness("fresh", at)
    whose = f"{_share(one, len(old), len(times))}no complete sync"
    if not any(times):
        return Freshness("never", None, f"{whose} so far")
    return Freshness("stale", at, f"{whose} since {since:%Y-%m-%d %H:%M} UTC")


def _share(one: FlowInUse, some: int, of_all: int) -> str:
    """Of several sites, how many it concerns, and never which."""
    if of_all == 1 or not isinstance(one.flow.partitions, Sites):
        return ""
    kind = one.flow.partitions.name.removeprefix(f"{one.flow.name}_")
    return f"{some} of {of_all} {kind}: "
