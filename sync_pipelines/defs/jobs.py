"""One job an upstream: all its flows, in the order of their dependencies, in one process."""

import dagster as dg

from sync_pipelines.defs.assets import asset_key
from sync_pipelines.flows.registry import UPSTREAMS, flows_of

__all__ = ["JOBS", "UPSTREAM_TAG", "job_name"]

#: dagster.yaml lets one run a value of this tag go on at a time.
UPSTREAM_TAG = "sync/upstream"
_MAX_RUNTIME_SECONDS = 900


def job_name(upstream: str) -> str:
    """The job that syncs one upstream."""
    return f"{upstream}_sync"


JOBS = {
    upstream: dg.define_asset_job(
        job_name(upstream),
        selection=dg.AssetSelection.assets(*(asset_key(flow.stream) for flow in flows_of(upstream))),
        description=f"Sync everything of {upstream}: " + ", ".join(flow.stream for flow in flows_of(upstream)),
        # A run whose process died with its parent would stay "started" for ever without it.
        tags={"dagster/max_runtime": str(_MAX_RUNTIME_SECONDS), UPSTREAM_TAG: upstream},
    )
    for upstream in UPSTREAMS
}
