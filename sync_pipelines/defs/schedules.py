"""When the jobs run: each upstream every 15 minutes, on from the start, and what is read by course between that.

Without settings a tick skips, and says which miss; where the last run is still under way it skips too.
"""

from collections.abc import Iterable

import dagster as dg

from sync_pipelines.defs.jobs import JOBS, PARTITION_JOBS
from sync_pipelines.defs.partitions import keep_in_step
from sync_pipelines.errors import SettingsError
from sync_pipelines.flows.naming import FLOWS_BY_NAME, step_of
from sync_pipelines.flows.registry import UPSTREAMS, partitioned_flows_of, sites_of
from sync_pipelines.flows.runner import Runner
from sync_pipelines.flows.spec import Partitions, Upstream
from sync_pipelines.settings import Pace, Settings

__all__ = ["LIVE", "SCHEDULES", "every", "is_under_way"]

Tick = dg.RunRequest | dg.SkipReason | list[dg.RunRequest]

_MINUTES = Pace.load().every_minutes
#: Of a platform's 3,600 requests an hour some 960; the lists and people's backfills want theirs.
_COURSES_A_MINUTE = 8
_SCHOOL_HOURS = "0,15,30,45 7-17 * * 1-5"
_PARTITION_TAG = "dagster/partition"
#: Of runs that have not ended.
LIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def every(minutes: int, *, past: int = 0) -> str:
    """The cron expression of every so many minutes, `past` minutes after the hour; `minutes` divides 60."""
    if past % minutes == 0:
        return "0 * * * *" if minutes == 60 else f"*/{minutes} * * * *"
    return f"{','.join(str(minute) for minute in range(past % minutes, 60, minutes))} * * * *"


def _lists(upstream: Upstream) -> dg.ScheduleDefinition:
    """All of an upstream that is one server: one run."""
    job = JOBS[upstream.name]

    @dg.schedule(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=every(_MINUTES),
        execution_timezone=upstream.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Syncs what is not divided of {upstream.group} every {_MINUTES} minutes.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Tick:
        if missing := _what_misses(upstream):
            return missing
        if is_under_way(context.instance, job.name):
            return dg.SkipReason("the last run is still under way, or waits for its turn")
        return dg.RunRequest()

    return schedule


def _rolling(upstream: Upstream, partitions: Partitions) -> dg.ScheduleDefinition:
    """What costs a request for each: some of them at a time, between the runs of the lists."""
    job = PARTITION_JOBS[partitions.name]
    config = {"older_than_minutes": _MINUTES - 1, "at_most": _COURSES_A_MINUTE * _MINUTES}
    steps = [step_of(flow.stream) for flow in partitioned_flows_of(upstream.name) if flow.partitions == partitions]

    @dg.schedule(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=every(_MINUTES, past=_MINUTES // 3),
        execution_timezone=upstream.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            f"Syncs {partitions.name} in turn, {config['at_most']} at most every {_MINUTES} minutes: new and "
            "changed ones first, then those that were synced the longest ago."
        ),
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Tick:
        if missing := _what_misses(upstream):
            return missing
        if is_under_way(context.instance, job.name):
            return dg.SkipReason("the last run is still under way, or waits for its turn")
        return dg.RunRequest(run_config={"ops": {step: {"config": config} for step in steps}})

    return schedule


def _sites(upstream: Upstream, name: str, cron: str, status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """Servers of their own: a run for each, so that one that is down leaves the others' green.

    dagster.yaml lets some of them run at a time: fifty are not asked at once.
    """
    (flow,) = sites_of(upstream.name)
    sites = flow.partitions

    @dg.schedule(
        name=name,
        job=JOBS[upstream.name],
        cron_schedule=cron,
        execution_timezone=upstream.time_zone,
        default_status=status,
        description=f"Syncs each of {sites.name}, in a run of its own.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Tick:
        if missing := _what_misses(upstream):
            return missing
        keys = keep_in_step(context.instance, sites, Runner(Settings.load()))
        live = _partitions_under_way(context.instance)
        if not (free := [key for key in keys if key not in live]):
            return dg.SkipReason(f"the last run of each of {sites.name} is still under way, or waits for its turn")
        return [_request(upstream, key) for key in free]

    return schedule


def _request(upstream: Upstream, key: str) -> dg.RunRequest:
    return dg.RunRequest(run_key=key, partition_key=key, tags=FLOWS_BY_NAME[upstream.name].queue([key]))


def _what_misses(upstream: Upstream) -> dg.SkipReason | None:
    try:
        upstream.require_settings(Settings.load())
    except SettingsError as error:
        return dg.SkipReason(str(error))
    return None


def is_under_way(instance: dg.DagsterInstance, job: str) -> bool:
    """Whether a run of the job has not ended."""
    return bool(instance.get_runs(dg.RunsFilter(job_name=job, statuses=LIVE), limit=1))


def _partitions_under_way(instance: dg.DagsterInstance) -> set[str]:
    runs = instance.get_runs(dg.RunsFilter(statuses=LIVE))
    return {run.tags[_PARTITION_TAG] for run in runs if _PARTITION_TAG in run.tags}


def _of(upstream: Upstream) -> Iterable[dg.ScheduleDefinition]:
    on, off = dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED
    if sites_of(upstream.name):
        yield _sites(upstream, f"{JOBS[upstream.name].name}_schedule", every(_MINUTES), on)
        yield _sites(upstream, f"{upstream.name}_school_hours", _SCHOOL_HOURS, off)
        return
    yield _lists(upstream)
    divided = [flow.partitions for flow in partitioned_flows_of(upstream.name)]
    for partitions in {p.name: p for p in divided if isinstance(p, Partitions)}.values():
        yield _rolling(upstream, partitions)


SCHEDULES = [schedule for upstream in UPSTREAMS.values() for schedule in _of(upstream)]
