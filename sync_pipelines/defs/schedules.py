"""One schedule an upstream, every 15 minutes, on from the start. Without settings it skips and says which miss.

Where the settings name several servers each has a run of its own: one that is down leaves the others' green.
"""

import dagster as dg

from sync_pipelines.defs.jobs import JOBS, QUEUE_TAG
from sync_pipelines.defs.partitions import keep_in_step
from sync_pipelines.errors import SettingsError
from sync_pipelines.flows.registry import UPSTREAMS, sites_of
from sync_pipelines.flows.runner import Runner
from sync_pipelines.flows.spec import Upstream
from sync_pipelines.settings import Settings

__all__ = ["SCHEDULES"]


def _every_15_minutes(upstream: Upstream) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{upstream.name}_every_15_minutes",
        job=JOBS[upstream.name],
        cron_schedule="*/15 * * * *",
        execution_timezone=upstream.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Sync everything of {upstream.group} every 15 minutes.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason | list[dg.RunRequest]:
        settings = Settings.load()
        try:
            upstream.require_settings(settings)
        except SettingsError as error:
            return dg.SkipReason(str(error))
        sites = sites_of(upstream.name)
        if not sites:
            return dg.RunRequest()
        keys = keep_in_step(context.instance, sites[0].partitions, Runner(settings))
        return [
            dg.RunRequest(run_key=key, partition_key=key, tags={QUEUE_TAG: f"{upstream.name}/{key}"})
            for key in keys
        ]

    return schedule


SCHEDULES = [_every_15_minutes(upstream) for upstream in UPSTREAMS.values()]
