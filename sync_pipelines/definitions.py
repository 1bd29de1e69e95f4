"""The one Definitions, assembled. Loading it asks no network and no database, and reads SYNC_EVERY_MINUTES."""

import dagster as dg

from sync_pipelines.defs.alerts import ALERTS_SENSOR
from sync_pipelines.defs.assets import FLOW_ASSETS, LOCAL_ASSETS, PARTITIONED_ASSETS
from sync_pipelines.defs.checks import CHECKS
from sync_pipelines.defs.health import HEALTH_JOBS, HEALTH_SCHEDULES
from sync_pipelines.defs.jobs import JOBS, PARTITION_JOBS
from sync_pipelines.defs.report import REPORT_ASSETS
from sync_pipelines.defs.resources import RESOURCES
from sync_pipelines.defs.schedules import SCHEDULES
from sync_pipelines.defs.sensors import SENSORS
from sync_pipelines.defs.webhooks import WEBHOOKS_SENSOR

__all__ = ["defs"]

defs = dg.Definitions(
    assets=[*FLOW_ASSETS, *PARTITIONED_ASSETS, *LOCAL_ASSETS, *REPORT_ASSETS],
    asset_checks=CHECKS,
    jobs=list({job.name: job for job in (*JOBS.values(), *PARTITION_JOBS.values(), *HEALTH_JOBS)}.values()),
    schedules=[*SCHEDULES, *HEALTH_SCHEDULES],
    sensors=[*SENSORS, ALERTS_SENSOR, WEBHOOKS_SENSOR],
    resources=RESOURCES,
    # A sync waits for the network; a process a step would cost seconds and win nothing.
    executor=dg.in_process_executor,
)
