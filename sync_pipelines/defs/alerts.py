"""The sensor that tells of trouble, and what Dagster's own history shows of it."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy import exc

from sync_pipelines.alerts.evaluating import look_and_deliver
from sync_pipelines.alerts.history import History, Tick
from sync_pipelines.alerts.problems import EndedRun
from sync_pipelines.defs.ended_runs import ended_run, flows_of_run
from sync_pipelines.defs.schedules import LIVE, SCHEDULES
from sync_pipelines.errors import DatabaseUnavailable, SchemaError, SettingsError
from sync_pipelines.flows.naming import job_name
from sync_pipelines.settings import Settings

__all__ = ["ALERTS_SENSOR", "DagsterHistory", "open_history"]

_AT_A_TIME = 500
_TICKS = 200
_DAEMONS = ("SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR")
EventRecord = dg.EventLogRecord


@dg.sensor(
    name="alerts",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Tells the receivers of SYNC_ALERT_URLS of trouble: when it starts, once a day, and when it is over. What "
        "was told, and to whom, is in the tables sync.incidents and sync.alerts."
    ),
)
def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    try:
        settings = Settings.load()
        look_and_deliver(settings, DagsterHistory(context.instance, settings.slow_after))
    except (SettingsError, SchemaError) as error:
        return dg.SkipReason(str(error))
    return dg.SkipReason("looked; `sync-pipelines alerts list` shows what is open")


ALERTS_SENSOR = alerts


@contextmanager
def open_history() -> Generator[Callable[[Settings], History], None, None]:
    """The history of DAGSTER_HOME's instance, for whoever is not a sensor. Raises DatabaseUnavailable."""
    with _translated():
        instance = dg.DagsterInstance.get()
    with instance:
        yield lambda settings: DagsterHistory(instance, settings.slow_after)


class DagsterHistory:
    """A History. `slow_after`: after how many seconds a flow's scheduled run is slow."""

    def __init__(self, instance: dg.DagsterInstance, slow_after: Callable[[str], float]) -> None:
        self._instance = instance
        self._slow_after = slow_after

    def newest(self) -> int:
        with _translated():
            return self._instance.event_log_storage.get_maximum_record_id() or 0

    def ended_after(self, position: int, until: datetime) -> tuple[Sequence[EndedRun], int]:
        with _translated():
            found = self._in_order(position, until)
            ids = list({record.run_id for record in found})
            runs = self._instance.get_run_records(dg.RunsFilter(run_ids=ids)) if ids else []
            by_id = {run.dagster_run.run_id: run for run in runs}
            ended = [
                ended_run(
                    self._instance,
                    by_id[record.run_id],
                    record.event_log_entry,
                    record.storage_id,
                    self._slow_after,
                )
                for record in found
                if record.run_id in by_id  # else somebody has deleted it
            ]
        return ended, found[-1].storage_id if found else position

    def _in_order(self, position: int, until: datetime) -> list[EventRecord]:
        """The ends of runs after a position, as far as both kinds of them were read, and as they are settled."""
        found: list[EventRecord] = []
        last: int | None = None
        for kind in (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS):
            wanted = dg.RunStatusChangeRecordsFilter(event_type=kind, after_storage_id=position)
            result = self._instance.fetch_run_status_changes(wanted, limit=_AT_A_TIME, ascending=True)
            found += result.records
            if result.has_more:
                end = result.records[-1].storage_id
                last = end if last is None else min(last, end)
        found = sorted((r for r in found if last is None or r.storage_id <= last), key=lambda r: r.storage_id)
        young = (place for place, record in enumerate(found) if record.timestamp > until.timestamp())
        return found[: next(young, len(found))]

    def ticks(self, flow: str, since: datetime | None) -> Sequence[Tick]:
        names = {schedule.name for schedule in SCHEDULES if schedule.job_name == job_name(flow)}
        after = None if since is None else since.timestamp()
        with _translated():
            turns = [
                tick
                for state in self._instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
                if state.instigator_name in names
                for tick in self._instance.get_ticks(
                    state.instigator_origin_id, state.selector_id, after=after, limit=_TICKS
                )
            ]
        return sorted(_ended_ticks(turns), key=lambda tick: tick.at)

    def busy(self) -> frozenset[str]:
        with _translated():
            runs = self._instance.get_runs(dg.RunsFilter(statuses=LIVE), limit=_AT_A_TIME)
        return frozenset(flow.name for run in runs for flow in flows_of_run(run))

    def silent_daemons(self, before: datetime) -> Sequence[tuple[str, datetime]]:
        with _translated():
            statuses = self._instance.get_daemon_statuses(_DAEMONS)
        last = {name: status.last_heartbeat for name, status in statuses.items()}
        at = {name: datetime.fromtimestamp(beat.timestamp, UTC) for name, beat in last.items() if beat is not None}
        return [(name, moment) for name, moment in at.items() if moment < before]


def _ended_ticks(turns: Iterable[InstigatorTick]) -> Iterable[Tick]:
    for turn in turns:
        if turn.status is not TickStatus.STARTED:
            asked = turn.status is TickStatus.FAILURE or bool(turn.run_ids)
            # The time when it really came: what was missed while the daemon was off is made up for at once.
            at = datetime.fromtimestamp(turn.tick_data.end_timestamp or turn.timestamp, UTC)
            yield Tick(at, asked, frozenset(turn.run_keys) or None)


@contextmanager
def _translated() -> Generator[None, None, None]:
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, DagsterPostgresException) as error:
        # Not "from error": its text may quote the address.
        raise DatabaseUnavailable(f"Dagster's database does not answer: {type(error).__name__}") from None
