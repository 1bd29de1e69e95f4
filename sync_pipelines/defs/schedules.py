"""One schedule a job, every 15 minutes, on from the start. Without settings it skips and says which is missing."""

import dagster as dg

from sync_pipelines.defs.jobs import JOBS
from sync_pipelines.errors import SettingsError
from sync_pipelines.flows.registry import UPSTREAMS
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
    def schedule() -> dg.RunRequest | dg.SkipReason:
        try:
            upstream.require_settings(Settings.load())
        except SettingsError as error:
            return dg.SkipReason(str(error))
        return dg.RunRequest()

    return schedule


SCHEDULES = [_every_15_minutes(upstream) for upstream in UPSTREAMS.values()]
