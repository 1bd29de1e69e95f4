"""Runs a flow with the settings at hand: the same for the orchestrator, the command line and tests."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sync_pipelines.core import SilentLogger, Source, SyncJob, SyncReport
from sync_pipelines.core.report import Tally
from sync_pipelines.errors import DatabaseUnavailable, GuardTripped, SyncError
from sync_pipelines.flows.database import open_database, read_only, require_schema
from sync_pipelines.flows.origins import origin_of
from sync_pipelines.flows.registry import placed
from sync_pipelines.flows.spec import Flow, LocalFlow, LocalRun, OnRead, WholeFlow
from sync_pipelines.postgres import migrate
from sync_pipelines.postgres.engine import Session
from sync_pipelines.postgres.state import PostgresStateStore
from sync_pipelines.postgres.target import PostgresTarget
from sync_pipelines.settings import Settings

__all__ = [
    "Finished",
    "Progress",
    "Quiet",
    "Runner",
    "not_run",
]


class Progress(Protocol):
    """Hears how far a flow is."""

    def reading(self, stream: str, rows: int, total: int | None) -> None:
        """`rows` are read, of `total` if the upstream says how many there are."""
        ...

    def writing(self, report: SyncReport) -> None:
        """A batch is durable."""
        ...


class Quiet:
    """Hears it and says nothing."""

    def reading(self, stream: str, rows: int, total: int | None) -> None: ...
    def writing(self, report: SyncReport) -> None: ...


class _Relay(SilentLogger):
    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def progress(self, report: SyncReport) -> None:
        self._progress.writing(report)


@dataclass(frozen=True)
class Finished:
    """Flows that were run or planned: a report for each. `run_id` is that of Dagster's history, if it is there.

    `not_run` names the streams that never began, because one they wait for did not succeed; `guarded` those that
    the mass-change guard stopped.
    """

    reports: Sequence[SyncReport]
    success: bool
    run_id: str | None = None
    not_run: frozenset[str] = frozenset()
    guarded: frozenset[str] = frozenset()

    def then(self, later: Finished) -> Finished:
        """This and what was run after it, as one; the run's id is the later one's."""
        return Finished(
            [*self.reports, *later.reports],
            self.success and later.success,
            later.run_id or self.run_id,
            self.not_run | later.not_run,
            self.guarded | later.guarded,
        )


class Runner:
    """Runs flows one at a time. Making one reads and connects to nothing."""

    def __init__(self, settings: Settings, progress: Progress | None = None) -> None:
        self.settings = settings
        self.progress = progress or Quiet()

    def run(self, flow: WholeFlow, *, allow_mass_vanish: bool = False, full: bool = False) -> SyncReport:
        """Sync one flow to its end. An out-of-date schema is brought up to date first.

        `allow_mass_vanish` approves what the mass-change guard would stop; `full` reads from the beginning.
        Raises the SyncError that ended the run; its `report` says how far it got, where it had begun.
        """
        if isinstance(flow, LocalFlow):
            return self._run_local(flow, full=full)
        flow = placed(flow, self.settings)
        database = open_database(self.settings, flow.stream)
        migrate.upgrade(database)
        with self._source(flow) as source, database.session() as session:
            PostgresStateStore(session).claim(flow.stream, origin_of(flow.upstream, self.settings))
            return self._job(flow, source, session, allow_mass_vanish=allow_mass_vanish, full=full).run()

    def plan(self, flow: WholeFlow, *, allow_mass_vanish: bool = False) -> SyncReport:
        """What `run` would do, with the first differences; nothing at all is written, the server sees to it.

        Raises the SyncError that `run` would raise, and SchemaError where the schema is out of date.
        """
        if isinstance(flow, LocalFlow):
            return self._plan_local(flow)
        flow = placed(flow, self.settings)
        database = open_database(self.settings, f"plan {flow.stream}")
        require_schema(database)
        with self._source(flow) as source, database.session() as session:
            read_only(session)
            PostgresStateStore(session).check_origin(flow.stream, origin_of(flow.upstream, self.settings))
            return self._job(flow, source, session, plan=True, allow_mass_vanish=allow_mass_vanish).run()

    def _run_local(self, flow: LocalFlow, *, full: bool) -> SyncReport:
        database = open_database(self.settings, flow.stream)
        migrate.upgrade(database)
        with database.session() as session:
            store, run = PostgresStateStore(session), self._local(flow, session, full=full)
            with store.exclusive(flow.stream):
                store.run_started(flow.stream)
                try:
                    report = _work(flow, run)
                except DatabaseUnavailable:
                    raise
                except SyncError as error:
                    store.run_ended(flow.stream, error.report)
                    raise
                store.run_ended(flow.stream, report)
        return report

    def _plan_local(self, flow: LocalFlow) -> SyncReport:
        database = open_database(self.settings, f"plan {flow.stream}")
        require_schema(database)
        with database.session() as session:
            read_only(session)
            return _work(flow, self._local(flow, session, plan=True))

    def _local(self, flow: LocalFlow, session: Session, *, plan: bool = False, full: bool = False) -> LocalRun:
        tally, on_read = Tally(flow.stream), self._on_read(flow.stream)
        return LocalRun(self.settings, session, tally, on_read, plan=plan, full=full)

    def _on_read(self, stream: str) -> OnRead:
        return lambda rows, total: self.progress.reading(stream, rows, total)

    def _source(self, flow: Flow) -> AbstractContextManager[Source[Any]]:
        return flow.open_source(self.settings, self._on_read(flow.stream))

    def _job(self, flow: Flow, source: Source[Any], session: Session, **options: bool) -> SyncJob[Any]:
        return SyncJob(
            stream=flow.stream,
            source=source,
            mapper=flow.mapper,
            target=PostgresTarget(session, flow.table),
            store=PostgresStateStore(session),
            logger=_Relay(self.progress),
            **options,  # pyright: ignore[reportArgumentType]
        )

    def plan_all(self, flows: Sequence[WholeFlow], *, allow_mass_vanish: bool = False) -> Finished:
        """Plan one flow after the other; one that waits for a flow that would not succeed would not run."""
        reports: list[SyncReport] = []
        stopped: set[str] = set()
        waiting: set[str] = set()
        guarded: set[str] = set()
        for flow in flows:
            if stopped.intersection(flow.after):
                waiting.add(flow.stream)
                report = not_run(flow)
            else:
                try:
                    report = self.plan(flow, allow_mass_vanish=allow_mass_vanish)
                except SyncError as error:
                    report = error.report or SyncReport(flow.stream, errors=(str(error),))
                    if isinstance(error, GuardTripped):
                        guarded.add(flow.stream)
            if not report.complete:
                stopped.add(flow.stream)
            reports.append(report)
        return Finished(reports, not stopped, not_run=frozenset(waiting), guarded=frozenset(guarded))


def _work(flow: LocalFlow, run: LocalRun) -> SyncReport:
    try:
        flow.work(run)
    except SyncError as error:
        run.tally.ended_by = str(error)
        error.report = run.tally.report(facts=run.facts)
        raise
    return run.tally.report(facts=run.facts)


def not_run(flow: WholeFlow) -> SyncReport:
    """The report of a flow that never began."""
    return SyncReport(flow.stream, errors=(f"not run: {', '.join(flow.after)} did not succeed",))
