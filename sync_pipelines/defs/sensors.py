"""Keeps the partitions that the settings name in step with them: a school that is added can be run at once."""

import dagster as dg

from sync_pipelines.defs.partitions import PARTITIONS_DEFS, steps_towards
from sync_pipelines.errors import SettingsError
from sync_pipelines.flows.partitions import PartitionRunner
from sync_pipelines.flows.registry import UPSTREAMS, sites_of
from sync_pipelines.flows.spec import Sites
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


SENSORS = [
    _in_step(flow.partitions)
    for upstream in UPSTREAMS
    for flow in sites_of(upstream)
    if isinstance(flow.partitions, Sites)
]
