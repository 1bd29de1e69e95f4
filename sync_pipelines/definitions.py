"""The one Definitions, assembled. Loading it reads no setting, no network and no database."""

import dagster as dg

from sync_pipelines.defs.assets import FLOW_ASSETS, PARTITIONED_ASSETS
from sync_pipelines.defs.jobs import JOBS, PARTITION_JOBS
from sync_pipelines.defs.resources import RESOURCES
from sync_pipelines.defs.schedules import SCHEDULES
from sync_pipelines.defs.sensors import SENSORS

__all__ = ["defs"]

defs = dg.Definitions(
    assets=[*FLOW_ASSETS, *PARTITIONED_ASSETS],
    jobs=list({job.name: job for job in (*JOBS.values(), *PARTITION_JOBS.values())}.values()),
    schedules=SCHEDULES,
    sensors=SENSORS,
    resources=RESOURCES,
    # A sync waits for the network; a process a step would cost seconds and win nothing.
    executor=dg.in_process_executor,
)
