"""What Dagster's history says of the syncs of a time: runs by flow, and what each materialization wrote.

It is read newest first and no further than a bound; what lies before that is told as not counted.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from sync_pipelines.defs.config import asset_key
from sync_pipelines.defs.metadata import report_from_metadata
from sync_pipelines.errors import SettingsError
from sync_pipelines.flows.database import open_database
from sync_pipelines.flows.naming import QUEUE_TAG, flow_of_stream
from sync_pipelines.flows.registry import FLOWS, LOCAL_FLOWS, PARTITIONED_FLOWS
from sync_pipelines.flows.reporting.history import (
    FlowRun,
    History,
    Outcome,
    Written,
    flow_of_queue,
    last_complete,
)
from sync_pipelines.flows.spec import Sites
from sync_pipelines.postgres import migrate
from sync_pipelines.postgres.streams import complete_at
from sync_pipelines.settings import Settings

__all__ = ["history"]

_PARTITION_TAG = "dagster/partition"
_MOST_RUNS, _MOST_EVENTS, _PAGE = 20_000, 10_000, 500
_OUTCOMES: dict[dg.DagsterRunStatus, Outcome] = {
    dg.DagsterRunStatus.SUCCESS: "succeeded",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "canceled",
}
_SITES = {flow.upstream.name: flow.partitions for flow in PARTITIONED_FLOWS if isinstance(flow.partitions, Sites)}


def history(instance: dg.DagsterInstance, settings: Settings, until: datetime, length: timedelta) -> History:
    """That of the time before `until`. Raises SyncError where the database does not answer."""
    since = until - length
    runs, runs_since = _runs(instance, since)
    written, written_since = _written(instance, since)
    return History(since, until, runs, written, _complete_at(settings), runs_since, written_since)


def _complete_at(settings: Settings) -> dict[tuple[str, str | None], datetime]:
    database = open_database(settings, "report")
    migrate.upgrade(database)
    with database.session() as session:
        streams = complete_at(session)
    return last_complete(streams, {flow: _names(sites, settings) for flow, sites in _SITES.items()})


def _names(sites: Sites, settings: Settings) -> list[str]:
    try:
        return list(sites.addresses(settings))
    except SettingsError:
        return []


def _runs(instance: dg.DagsterInstance, since: datetime) -> tuple[list[FlowRun], datetime]:
    found: list[FlowRun] = []
    wanted, cursor, read = dg.RunsFilter(created_after=since), None, 0
    while page := instance.get_run_records(wanted, limit=_PAGE, cursor=cursor):
        found += [run for record in page for run in _flow_runs(record)]
        read, cursor = read + len(page), page[-1].dagster_run.run_id
        if read >= _MOST_RUNS:
            return found, page[-1].create_timestamp
    return found, since


def _flow_runs(record: dg.RunRecord) -> Iterator[FlowRun]:
    """One for each flow that the run is of: one that a person began may be of several, and most are of one."""
    run = record.dagster_run
    started, ended = record.start_time, record.end_time  # of a run that never began: none
    began = _time(started) if started else record.create_timestamp
    seconds = ended - started if started and ended else None
    for flow, site in _flows_of(run):
        yield FlowRun(flow, site, _OUTCOMES.get(run.status, "under way"), began, seconds)


def _flows_of(run: dg.DagsterRun) -> set[tuple[str, str | None]]:
    """By the queue that our jobs name; a run that was begun at an asset's page has none, and names its assets."""
    if QUEUE_TAG in run.tags:
        of_queue = flow_of_queue(run.tags[QUEUE_TAG])
        flows = {of_queue} if of_queue else set()
    else:
        streams = {key.to_user_string() for key in run.asset_selection or ()}
        flows = {(flow.name, None) for stream in streams if (flow := flow_of_stream(stream))}
    key = run.tags.get(_PARTITION_TAG)
    return {(flow, site or (key if flow in _SITES else None)) for flow, site in flows}


def _written(instance: dg.DagsterInstance, since: datetime) -> tuple[list[Written], datetime]:
    """What each stream's materializations say; a reading that only lands writes no rows that anybody counts."""
    streams = [flow.stream for flow in (*FLOWS, *LOCAL_FLOWS)]
    streams += [s for flow in PARTITIONED_FLOWS for s in flow.streams if not flow.stage or s != flow.stream]
    found: list[Written] = []
    counted_since = since
    for stream in streams:
        of_stream, of_stream_since = _written_to(instance, stream, since)
        found += of_stream
        counted_since = max(counted_since, of_stream_since)
    return [written for written in found if written.at >= counted_since], counted_since


def _written_to(instance: dg.DagsterInstance, stream: str, since: datetime) -> tuple[list[Written], datetime]:
    wanted = dg.AssetRecordsFilter(asset_key(stream), after_timestamp=since.timestamp())
    found: list[Written] = []
    cursor = None
    while len(found) < _MOST_EVENTS:
        page = instance.fetch_materializations(wanted, limit=_PAGE, cursor=cursor)
        found += [_of_event(stream, record) for record in page.records]
        if not page.has_more:
            return found, since
        cursor = page.cursor
    return found, found[-1].at


def _of_event(stream: str, record: dg.EventLogRecord) -> Written:
    event = record.asset_materialization
    assert event is not None
    report = report_from_metadata(stream, event.metadata, event.partition)
    flow = flow_of_stream(stream)
    assert flow is not None
    return Written(
        flow.name,
        event.partition if flow.name in _SITES else None,
        _time(record.timestamp),
        report.fetched,
        report.created,
        report.updated,
        report.deleted,
        report.failed,
    )


def _time(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
