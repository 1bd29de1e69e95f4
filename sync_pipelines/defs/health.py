"""What looks after the syncs: a job that reports and checks between their runs, and a daily one that tidies up."""

import dagster as dg

from sync_pipelines.defs.checks import CHECKS
from sync_pipelines.defs.housekeeping import HEALTH_QUEUE, HOUSEKEEPING_JOB
from sync_pipelines.defs.report import REPORT_ASSETS
from sync_pipelines.defs.schedules import every
from sync_pipelines.errors import SettingsError
from sync_pipelines.flows.database import open_database
from sync_pipelines.flows.naming import QUEUE_TAG
from sync_pipelines.settings import Pace, Settings

__all__ = ["HEALTH_JOBS", "HEALTH_SCHEDULES", "cron_between"]

_MINUTES = Pace.load().every_minutes
_MAX_RUNTIME_SECONDS = 600


def cron_between(minutes: int) -> str:
    """When most runs of a round that begins every so many minutes have ended, and the next has not begun."""
    return every(minutes, past=minutes * 3 // 5)


HEALTH_JOB = dg.define_asset_job(
    "health_sync",
    selection=dg.AssetSelection.assets(*REPORT_ASSETS) | dg.AssetSelection.checks(*CHECKS),
    description="How the syncs went, and whether the rows fit together. Asks no upstream, and stops nothing.",
    tags={"dagster/max_runtime": str(_MAX_RUNTIME_SECONDS), QUEUE_TAG: HEALTH_QUEUE},
)


@dg.schedule(
    name="health_sync_schedule",
    job=HEALTH_JOB,
    cron_schedule=cron_between(_MINUTES),
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=f"Reports and checks every {_MINUTES} minutes, between the syncs.",
)
def health_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    try:
        open_database(Settings.load())
    except SettingsError as error:
        return dg.SkipReason(str(error))
    return dg.RunRequest()


@dg.schedule(
    name="housekeeping_schedule",
    job=HOUSEKEEPING_JOB,
    cron_schedule="20 3 * * *",
    execution_timezone="Europe/Prague",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Tidies up at night.",
)
def housekeeping_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    return dg.RunRequest()


HEALTH_JOBS = [HEALTH_JOB, HOUSEKEEPING_JOB]
HEALTH_SCHEDULES = [health_schedule, housekeeping_schedule]
