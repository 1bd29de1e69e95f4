"""The only list of flows. Everything that runs, shows or checks flows reads it."""

from sync_pipelines.flows import webtolearn
from sync_pipelines.flows.spec import Flow, Upstream

__all__ = ["FLOWS", "UPSTREAMS", "flows_of"]

#: In an order in which they can run one after the other.
FLOWS: tuple[Flow, ...] = (webtolearn.COURSES, webtolearn.LESSON_CATALOG, webtolearn.USERS)

#: By the names that `sync-pipelines run` takes.
UPSTREAMS: dict[str, Upstream] = {flow.upstream.name: flow.upstream for flow in FLOWS}


def flows_of(upstream: str) -> tuple[Flow, ...]:
    """The flows of one upstream, or of all ("all")."""
    return tuple(flow for flow in FLOWS if upstream in ("all", flow.upstream.name))
