"""Runs that callers ask for: one of a flow at a time, each followed to its end.

What becomes of them is logged as events, a JSON object a line: sync_start, sync_ok, sync_fail.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Self

import anyio.from_thread
from starlette.concurrency import run_in_threadpool

from sync_pipelines.errors import DagsterUnavailable, SyncError
from sync_pipelines.flows.naming import NamedFlow
from sync_pipelines.log import redact
from sync_pipelines.postgres.engine import Database
from sync_pipelines.postgres.lock import named_lock
from sync_pipelines.service.asked import Asked, flow_of_run
from sync_pipelines.service.looking import Look, Record
from sync_pipelines.service.orchestrator import Orchestrator, Run
from sync_pipelines.service.refusals import Refused

__all__ = ["Busy", "Runs", "moment", "where"]

_TOKEN, _REQUEST = "sync/requested_by", "sync/request_id"
# Asking Dagster takes tenths of a second, and while it does nobody else may ask for the same.
_LONGEST_TURN: Final = timedelta(seconds=10)
# A run is looked at again after a tenth of the time that it has taken so far.
_LOOK_SECONDS_AT_LEAST, _LOOK_SECONDS_AT_MOST = 0.5, 5.0
_ASK_AGAIN_SECONDS: Final = 5
_READINGS_AT_MOST: Final = 100

_log = logging.getLogger(__name__)
_events = logging.getLogger("sync_pipelines.events")


class Busy(Refused):
    """Some of what was asked for is being synced: by that run."""

    def __init__(self, run: Run) -> None:
        more = {"runId": run.run_id, "location": where(run.run_id)}
        super().__init__(409, "under_way", f"A sync of this is under way: run {run.run_id}.", more=more)
        self.run_id = run.run_id


def where(run_id: str) -> str:
    """The address at which the API shows a run."""
    return f"/api/sync/runs/{run_id}"


def moment(at: datetime | None) -> str | None:
    """A time as the API writes it: "2026-01-12T10:20:30.000Z"."""
    return at and at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Reading:
    """What was read of a run's events, which may be thousands: the next look goes on from there."""

    def __init__(self, flow: NamedFlow) -> None:
        self.record = Record(flow)
        self._cursor: str | None = None
        self._turn = asyncio.Lock()

    async def go_on(self, orchestrator: Orchestrator, run_id: str) -> None:
        async with self._turn:
            more = True
            while more:
                events, self._cursor, more = await orchestrator.events(run_id, self._cursor)
                self.record.take(events)


class Runs:
    """Starts runs and looks at them. Within its context it follows those that were asked for, to log their ends.

    Any number of processes may: none starts what another one has.
    """

    def __init__(self, orchestrator: Orchestrator, database: Database) -> None:
        self.orchestrator = orchestrator
        self._database = database
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        # By flow, the last run that was begun here, and when.
        self._begun: dict[str, tuple[float, Run]] = {}
        self._followed: dict[str, asyncio.Task[Look | None]] = {}
        self._readings: OrderedDict[str, _Reading] = OrderedDict()
        self._resuming: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._resuming = asyncio.create_task(self._resume())
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Follow no more. The runs go on; whoever follows next says how they ended."""
        tasks = [*self._followed.values(), *filter(None, [self._resuming])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def start(self, asked: Asked, token_id: int, request_id: str) -> Run:
        """Ask Dagster for a run. Raises Busy where one of the same is under way, and DagsterUnavailable."""
        tags = {**asked.tags, _TOKEN: f"token {token_id}", _REQUEST: request_id}
        came = time.monotonic()
        # Here in turn first, so that many callers take one connection of the database and not all there are.
        async with self._turns[asked.flow.name]:
            begun, run = self._begun.get(asked.flow.name, (came, None))
            if run and begun > came and asked.is_synced_by(run):
                # Begun after this was asked for, it reads all that this wants, though it may have ended meanwhile.
                raise Busy(run)
            run = await run_in_threadpool(self._alone, asked, tags)
            self._begun[asked.flow.name] = time.monotonic(), run
        _event(logging.INFO, "sync_start", run, flow=asked.flow.name, startedAt=moment(run.created_at))
        self._follow(run)
        return run

    def _alone(self, asked: Asked, tags: dict[str, str]) -> Run:
        """With no other process asking for the same flow meanwhile."""
        with self._database.session() as session:
            busy = f"a run of {asked.flow.name} is being asked for"
            with named_lock(session, f"asking for {asked.flow.name}", busy, _LONGEST_TURN):
                return anyio.from_thread.run(self._launch, asked, tags)

    async def _launch(self, asked: Asked, tags: dict[str, str]) -> Run:
        for run in await self.orchestrator.live():
            if asked.is_synced_by(run):
                raise Busy(run)
        return await self.orchestrator.launch(asked.flow.job, asked.config, tags)

    async def wait(self, run_id: str, seconds: float) -> Look | None:
        """The run once it has ended; None where that takes longer. Of a run that `start` gave."""
        task = self._followed.get(run_id)
        if task is None:
            look = await self.look(run_id)
            return look if look and look.run.ended else None
        await asyncio.wait([task], timeout=seconds)
        return task.result() if task.done() and not task.cancelled() else None

    async def look(self, run_id: str) -> Look | None:
        """The run as it stands; None where there is no such run, or it is of no flow."""
        run = await self.orchestrator.find(run_id)
        flow = run and flow_of_run(run)
        if run is None or flow is None:
            return None
        # In this order: what is read of a run that has ended is all.
        reading = self._reading(run_id, flow)
        await reading.go_on(self.orchestrator, run_id)
        return reading.record.look(run)

    def _reading(self, run_id: str, flow: NamedFlow) -> _Reading:
        reading = self._readings.setdefault(run_id, _Reading(flow))
        self._readings.move_to_end(run_id)
        if len(self._readings) > _READINGS_AT_MOST:
            self._readings.popitem(last=False)
        return reading

    async def recent(self, flow: NamedFlow, limit: int = 50) -> Sequence[Run]:
        """The last runs of a flow's own job, the newest first."""
        return await self.orchestrator.recent(flow.job, limit)

    def _follow(self, run: Run) -> None:
        if run.run_id not in self._followed:
            task = asyncio.create_task(self._to_its_end(run.run_id))
            self._followed[run.run_id] = task
            task.add_done_callback(lambda _: self._followed.pop(run.run_id, None))

    async def _to_its_end(self, run_id: str) -> Look | None:
        """Say how it ended. While Dagster does not answer, it is asked again; None where the run is gone."""
        began = time.monotonic()
        while True:
            try:
                look = await self.look(run_id)
            except DagsterUnavailable as error:
                _log.warning("run %s: %s", run_id, redact(str(error)))
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
                continue
            if look is None:
                return None
            if look.run.ended:
                _say_how_it_ended(look)
                return look
            wait = (time.monotonic() - began) / 10
            await asyncio.sleep(min(max(wait, _LOOK_SECONDS_AT_LEAST), _LOOK_SECONDS_AT_MOST))

    async def _resume(self) -> None:
        """Follow what was asked for before this process began, and is under way."""
        while True:
            try:
                for run in await self.orchestrator.live():
                    if _REQUEST in run.tags:
                        self._follow(run)
            except DagsterUnavailable:
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
            except SyncError as error:
                _log.error("%s", redact(str(error)))
                return
            else:
                return


def _say_how_it_ended(look: Look) -> None:
    level, event = (logging.INFO, "sync_ok") if look.success else (logging.ERROR, "sync_fail")
    took = None if look.run.seconds is None else round(look.run.seconds * 1000)
    errors = {} if look.success else {"errors": list(look.errors)}
    _event(level, event, look.run, flow=look.flow.name, result=dict(look.result), durationMs=took, **errors)


def _event(level: int, name: str, run: Run, **said: Any) -> None:
    who = {"requestId": run.tags.get(_REQUEST), "operatorId": run.tags.get(_TOKEN)}
    _events.log(level, name, extra={"event": {"runId": run.run_id, **who, **said}})
