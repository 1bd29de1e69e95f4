"""What people call what is synced: a flow ("wtl", "wtl_courses", "bakalari"), or a school ("bakalari/<id>").

Made of the registry: a new upstream needs no line here. Who starts a flow from outside of Dagster knows by these
names what to ask it for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sync_pipelines.flows.registry import FLOWS, LOCAL_FLOWS, PARTITIONED_FLOWS
from sync_pipelines.flows.spec import AnyFlow, PartitionedFlow, Partitions, Sites, Upstream

__all__ = [
    "FLOWS_BY_NAME",
    "QUEUE_TAG",
    "NamedFlow",
    "flow_of",
    "flow_of_stream",
    "job_name",
    "name_of",
    "step_of",
]

#: The tag of a Dagster run that says what it syncs ("wtl", "bakalari/<school>"). dagster.yaml lets one run of each
#: value go on at a time; a backfill of hours does not hold up the lists.
QUEUE_TAG = "sync/queue"


@dataclass(frozen=True)
class NamedFlow:
    """What runs together and is told of together.

    `streams` are all that its runs sync, `settled` those of which each must have been complete for it to be so. Of
    `partitions`, Sites are subjects of their own; any of Partitions stands for the flow.
    """

    name: str
    upstream: Upstream
    streams: frozenset[str]
    settled: frozenset[str]
    partitions: Partitions | Sites | None = None

    @property
    def job(self) -> str:
        """The Dagster job that syncs it, and that its schedules run."""
        return job_name(self.name)

    def queue(self, keys: Sequence[str]) -> Mapping[str, str]:
        """The tag of a run of these partitions, in place of its job's: a site alone has a queue of its own."""
        alone = len(keys) == 1 and isinstance(self.partitions, Sites)
        return {QUEUE_TAG: self.subject(keys[0])} if alone else {}

    def subject(self, partition: str | None) -> str:
        """Whom a run of this partition concerns; of Sites without one: all."""
        return f"{self.name}/{partition}" if partition and isinstance(self.partitions, Sites) else self.name


def job_name(flow: str) -> str:
    """The Dagster job of a flow, by the flow's name."""
    return f"{flow}_sync"


def step_of(stream: str) -> str:
    """What Dagster calls a stream's step, in a run's config and in its events."""
    return stream.replace("/", "__").replace("-", "_").replace(".", "_")


def flow_of(subject: str) -> str:
    """The flow that a subject is, or is one of."""
    return subject.partition("/")[0]


def name_of(flow: AnyFlow) -> str:
    """What people call the flow that this is, or is a part of."""
    if isinstance(flow, PartitionedFlow) and isinstance(flow.partitions, Partitions):
        return flow.partitions.name
    return flow.upstream.name


def _settled(flow: AnyFlow) -> Iterable[str]:
    """A landing that is incomplete is no failure: what was read is synced."""
    return (part.stream for part in flow.parts) if isinstance(flow, PartitionedFlow) else (flow.stream,)


def _named(flows: Iterable[AnyFlow]) -> Mapping[str, NamedFlow]:
    together: dict[str, list[AnyFlow]] = {}
    for flow in flows:
        together.setdefault(name_of(flow), []).append(flow)
    return {
        name: NamedFlow(
            name,
            members[0].upstream,
            frozenset(s for f in members for s in (f.streams if isinstance(f, PartitionedFlow) else (f.stream,))),
            frozenset(stream for f in members for stream in _settled(f)),
            members[0].partitions if isinstance(members[0], PartitionedFlow) else None,
        )
        for name, members in together.items()
    }


FLOWS_BY_NAME: Mapping[str, NamedFlow] = _named((*FLOWS, *PARTITIONED_FLOWS, *LOCAL_FLOWS))


def flow_of_stream(stream: str) -> NamedFlow | None:
    """The flow whose runs sync this stream."""
    return next((flow for flow in FLOWS_BY_NAME.values() if stream in flow.streams), None)
