"""What need not wait for its schedule: a school that the settings name anew, a file that was dropped."""

import hashlib

import dagster as dg

from sync_pipelines.defs.jobs import JOBS
from sync_pipelines.defs.partitions import PARTITIONS_DEFS, steps_towards
from sync_pipelines.defs.schedules import is_under_way
from sync_pipelines.errors import SettingsError, SyncError
from sync_pipelines.flows.partitions import PartitionRunner
from sync_pipelines.flows.progress import PROGRESS
from sync_pipelines.flows.progress.inbox import Inbox
from sync_pipelines.flows.registry import UPSTREAMS, sites_of
from sync_pipelines.flows.spec import Sites
from sync_pipelines.log import redact
from sync_pipelines.settings import Settings

__all__ = ["SENSORS"]


def _in_step(sites: Sites) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{sites.name}_in_step",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Makes the partitions {sites.name} those that the settings name.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            there = PartitionRunner(Settings.load()).keys(sites)
        except SettingsError as error:
            return dg.SkipReason(str(error))
        new, old = steps_towards(there, context.instance.get_dynamic_partitions(sites.name))
        definition = PARTITIONS_DEFS[sites.name]
        if not new and not old:
            return dg.SkipReason("the partitions are those that the settings name")
        requests = [
            *([definition.build_add_request(new)] if new else []),
            *([definition.build_delete_request(old)] if old else []),
        ]
        return dg.SensorResult(dynamic_partitions_requests=requests)

    return sensor


@dg.sensor(
    name="progress_inbox",
    job=JOBS[PROGRESS.name],
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs the progress flows as soon as there are new files in SYNC_HOME/inbox.",
)
def progress_inbox(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Files are asked for once: those of a run that failed wait for the schedule, and are not tried every 15 s."""
    try:
        PROGRESS.require_settings(settings := Settings.load())
        files = [(str(file.within), file.path.stat().st_mtime_ns) for file in Inbox.of(settings).waiting()]
    except FileNotFoundError:
        return dg.SkipReason("a run is just taking the files")
    except SyncError as error:
        return dg.SkipReason(redact(str(error)))
    if not files:
        return dg.SkipReason("the inbox is empty")
    seen = hashlib.sha256(repr(files).encode()).hexdigest()
    if seen == context.cursor:
        return dg.SkipReason("a run was asked for when these files came")
    if is_under_way(context.instance, JOBS[PROGRESS.name].name):
        return dg.SkipReason("the last run is still under way, or waits for its turn")
    context.update_cursor(seen)
    return dg.RunRequest()


SENSORS: list[dg.SensorDefinition] = [
    *(
        _in_step(flow.partitions)
        for upstream in UPSTREAMS
        for flow in sites_of(upstream)
        if isinstance(flow.partitions, Sites)
    ),
    progress_inbox,
]
