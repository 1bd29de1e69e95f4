"""How each flow stands: put together of the database, and of Dagster's history where Dagster answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

from starlette.concurrency import run_in_threadpool

from sync_pipelines.alerts.incidents import Incident
from sync_pipelines.alerts.problems import FAILING
from sync_pipelines.alerts.rows import incident_of
from sync_pipelines.alerts.states import FlowInUse, flows_in_use
from sync_pipelines.errors import DagsterUnavailable
from sync_pipelines.flows.naming import NamedFlow, flow_of
from sync_pipelines.flows.registry import owner_of
from sync_pipelines.flows.spec import Partitions
from sync_pipelines.postgres.alerts import AlertTables, stream_states
from sync_pipelines.postgres.engine import Database
from sync_pipelines.postgres.overview import Counts, last_counts, vanished_since
from sync_pipelines.postgres.rejects import count_open
from sync_pipelines.service.admin.sparkline import BARS
from sync_pipelines.service.freshness import Freshness, freshness_of, may_be_old
from sync_pipelines.service.orchestrator import Run
from sync_pipelines.service.runs import Runs
from sync_pipelines.settings import Settings

__all__ = ["FlowStanding", "Standing", "State", "standing"]

State: TypeAlias = Literal["running", "failing", "stale", "never", "empty", "fresh"]
_VANISHED_WITHIN: Final = timedelta(days=7)
_WTL: Final = "wtl"
_PATIENCE_SECONDS: Final = 4


@dataclass(frozen=True)
class FlowStanding:
    """One flow. `runs` are its last, the newest first; None where Dagster does not answer."""

    flow: NamedFlow
    state: State
    freshness: Freshness
    counts: Counts
    runs: Sequence[Run] | None
    schools: Sequence[str]

    @property
    def by_course(self) -> bool:
        """Whether it is divided by the courses of another flow."""
        return isinstance(self.flow.partitions, Partitions)

    @property
    def newest(self) -> Run | None:
        """The last run, ended or not."""
        return self.runs[0] if self.runs else None


@dataclass(frozen=True)
class Standing:
    """All flows that are set up, and what a person should look at.

    `rejects` are open ones by stream, `vanished` are records by type, gone upstream within a week.
    """

    flows: Sequence[FlowStanding]
    incidents: Sequence[Incident]
    rejects: Mapping[str, int]
    vanished: Mapping[str, int]
    dagster_answers: bool


@dataclass(frozen=True)
class _Kept:
    """What the database says."""

    freshness: Mapping[str, Freshness]
    counts: Mapping[str, Counts]
    incidents: Sequence[Incident]
    rejects: Mapping[str, int]
    vanished: Mapping[str, int]


async def standing(settings: Settings, database: Database, runs: Runs) -> Standing:
    """How everything stands now. Dagster may be down; the database may not: raises DatabaseError."""
    used, _ = flows_in_use(settings)
    asked = asyncio.gather(*(_history(runs, one.flow) for one in used))
    kept = await run_in_threadpool(_kept, settings, database, used)
    histories = await asked
    return Standing(
        [_of_flow(one, kept, history) for one, history in zip(used, histories, strict=True)],
        [incident for incident in kept.incidents if incident.lasts],
        kept.rejects,
        kept.vanished,
        None not in histories,
    )


async def _history(runs: Runs, flow: NamedFlow) -> Sequence[Run] | None:
    """None where Dagster does not answer, or not at once: whoever looks does not wait for it."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await runs.recent(flow, BARS)
    except (DagsterUnavailable, TimeoutError):
        return None


def _kept(settings: Settings, database: Database, used: Iterable[FlowInUse]) -> _Kept:
    now = datetime.now(UTC)
    with database.session() as session:
        rejects: Counter[str] = Counter()
        for system, number in count_open(session).items():
            owner = owner_of(system)
            rejects[owner.stream if owner else system] += number
        return _Kept(
            freshness_of(used, stream_states(session), now - may_be_old(settings)),
            last_counts(session),
            [incident_of(row) for row in AlertTables(session).open_incidents()],
            rejects,
            vanished_since(session, _WTL, now - _VANISHED_WITHIN),
        )


def _of_flow(one: FlowInUse, kept: _Kept, runs: Sequence[Run] | None) -> FlowStanding:
    streams = one.flow.streams | one.flow.settled
    mine = (c for name, c in kept.counts.items() if name in streams or name.rpartition("/")[0] in streams)
    return FlowStanding(
        one.flow,
        _state(one.flow, kept, runs or ()),
        kept.freshness[one.flow.name],
        sum(mine, Counts()),
        runs,
        one.members or (),
    )


def _state(flow: NamedFlow, kept: _Kept, runs: Sequence[Run]) -> State:
    if any(not run.ended for run in runs):
        return "running"
    last = next((run.status for run in runs if run.status != "canceled"), None)
    failing = any(i.lasts and i.kind in FAILING and flow_of(i.subject) == flow.name for i in kept.incidents)
    return "failing" if failing or last == "failed" else kept.freshness[flow.name].status
