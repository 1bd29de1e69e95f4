"""The jobs: an upstream's own, and one for any partitions of each name.

Each runs its flows in the order of their dependencies, in one process.
"""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from sync_pipelines.defs.config import asset_key
from sync_pipelines.defs.gates import gates
from sync_pipelines.defs.partitions import PARTITIONS_DEFS
from sync_pipelines.flows.naming import QUEUE_TAG, job_name, name_of
from sync_pipelines.flows.registry import PARTITIONED_FLOWS, UPSTREAMS, flows_of, sites_of

__all__ = ["JOBS", "PARTITION_JOBS", "UPSTREAM_TAG", "partition_job_name"]

UPSTREAM_TAG = "sync/upstream"
_MAX_RUNTIME_SECONDS = 900
# A platform's requests of an hour, and then it has ended by itself.
_MAX_PARTITIONS_RUNTIME_SECONDS = 5400


def partition_job_name(partitions: str) -> str:
    """The job that syncs any partitions of that name. Where they are all there is, it is the upstream's own."""
    flow = next(flow for flow in PARTITIONED_FLOWS if flow.partitions.name == partitions)
    return job_name(name_of(flow))


def _lists_job(upstream: str) -> UnresolvedAssetJobDefinition:
    streams = [flow.stream for flow in flows_of(upstream)]
    return dg.define_asset_job(
        job_name(upstream),
        selection=dg.AssetSelection.assets(*map(asset_key, streams)),
        description=f"Sync everything of {upstream}: " + ", ".join(streams),
        # A run whose process died with its parent would stay "started" for ever without it.
        tags={
            "dagster/max_runtime": str(_MAX_RUNTIME_SECONDS),
            UPSTREAM_TAG: upstream,
            QUEUE_TAG: upstream,
        },
    )


def _partition_job(partitions: str) -> UnresolvedAssetJobDefinition:
    flows = [flow for flow in PARTITIONED_FLOWS if flow.partitions.name == partitions]
    streams = [stream for flow in flows for stream in flow.streams]
    return dg.define_asset_job(
        partition_job_name(partitions),
        # The checks that warn are of all partitions, and not each run's to ask: they run with the report.
        selection=dg.AssetSelection.assets(*map(asset_key, streams)).without_checks()
        | dg.AssetSelection.checks(*(spec.key for flow in flows for spec in gates(flow))),
        description=(
            f"Sync partitions of {' and '.join(flow.stream for flow in flows)}: any of them as one run. Where "
            "they are no unbroken range, Dagster queues a run for each; the first does the work of the others and "
            "removes them."
        ),
        tags={
            "dagster/max_runtime": str(_MAX_PARTITIONS_RUNTIME_SECONDS),
            UPSTREAM_TAG: flows[0].upstream.name,
            QUEUE_TAG: partitions,
        },
    )


PARTITION_JOBS = {name: _partition_job(name) for name in PARTITIONS_DEFS}

#: By upstream: what its schedule runs.
JOBS = {
    upstream: _lists_job(upstream) if flows_of(upstream) else PARTITION_JOBS[sites_of(upstream)[0].partitions.name]
    for upstream in UPSTREAMS
}
