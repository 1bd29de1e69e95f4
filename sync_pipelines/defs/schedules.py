"""One schedule a job, every 15 minutes, on from the start. Without settings it skips and says which is missing."""

import dagster as dg

from sync_pipelines.defs.jobs import JOBS
from sync_pipelines.errors import SettingsError
from sync_pipelines.flows.registry import flows_of
from sync_pipelines.settings import Settings

__all__ = ["SCHEDULES"]

_TIME_ZONES = {"wtl": "Europe/Warsaw"}


def _every_15_minutes(upstream: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{upstream}_every_15_minutes",
        job=JOBS[upstream],
        cron_schedule="*/15 * * * *",
        execution_timezone=_TIME_ZONES.get(upstream, "UTC"),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Sync everything of {upstream} every 15 minutes.",
    )
    def schedule() -> dg.RunRequest | dg.SkipReason:
        try:
            settings = Settings.load()
            for flow in flows_of(upstream):
                flow.check_settings(settings)
        except SettingsError as error:
            return dg.SkipReason(str(error))
        return dg.RunRequest()

    return schedule


SCHEDULES = [_every_15_minutes(upstream) for upstream in JOBS]
