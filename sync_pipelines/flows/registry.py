"""The only list of flows, and where the settings put their rows.

Everything that runs, shows or checks flows reads it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sync_pipelines.core import Annotating, ExternalKey, Mapper, Payload, Projection, fingerprint
from sync_pipelines.errors import SettingsError
from sync_pipelines.flows import bakalari, progress, webtolearn
from sync_pipelines.flows.spec import (
    AnyFlow,
    Flow,
    LocalFlow,
    Part,
    PartitionedFlow,
    Partitions,
    Sites,
    Upstream,
    WholeFlow,
)
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.settings import Settings

__all__ = [
    "FLOWS",
    "LOCAL_FLOWS",
    "PARTITIONED_FLOWS",
    "PARTITIONS",
    "UPSTREAMS",
    "Owner",
    "flows_of",
    "owner_of",
    "partitioned_flows_of",
    "placed",
    "placed_part",
    "require_settings",
    "sharing",
    "sites_of",
    "streams_by_system",
]

#: In an order in which they can run one after the other.
FLOWS: tuple[Flow, ...] = (webtolearn.COURSES, webtolearn.LESSON_CATALOG, webtolearn.USERS)

#: What is read a partition at a time, after those.
PARTITIONED_FLOWS: tuple[PartitionedFlow, ...] = (
    webtolearn.COURSE_LESSONS,
    webtolearn.COURSE_USERS,
    bakalari.ROSTERS,
)

#: What is made here, of files and of what those brought; after them.
LOCAL_FLOWS: tuple[LocalFlow, ...] = (progress.IMPORTS, progress.LESSON_PROGRESS, progress.COURSE_SUMMARY)

#: Where partitions are the records of a stream: by that stream.
PARTITIONS: dict[str, Partitions] = {
    flow.partitions.stream: flow.partitions
    for flow in PARTITIONED_FLOWS
    if isinstance(flow.partitions, Partitions)
}

#: By the names that `sync-pipelines run` takes.
UPSTREAMS: dict[str, Upstream] = {
    flow.upstream.name: flow.upstream for flow in (*FLOWS, *PARTITIONED_FLOWS, *LOCAL_FLOWS)
}


def flows_of(upstream: str) -> tuple[WholeFlow, ...]:
    """The flows of one upstream, or of all ("all"), that are not divided."""
    return tuple(flow for flow in (*FLOWS, *LOCAL_FLOWS) if upstream in ("all", flow.upstream.name))


def partitioned_flows_of(upstream: str) -> tuple[PartitionedFlow, ...]:
    """The flows of one upstream, or of all ("all"), that are divided by the records of another."""
    return tuple(f for f in _partitioned(upstream) if isinstance(f.partitions, Partitions))


def sites_of(upstream: str) -> tuple[PartitionedFlow, ...]:
    """The flows of one upstream, or of all ("all"), that are divided by the servers that the settings name."""
    return tuple(f for f in _partitioned(upstream) if isinstance(f.partitions, Sites))


def _partitioned(upstream: str) -> tuple[PartitionedFlow, ...]:
    return tuple(flow for flow in PARTITIONED_FLOWS if upstream in ("all", flow.upstream.name))


def streams_by_system() -> dict[str, str]:
    """The stream whose records have keys of a system; {} in the system stands for a partition."""
    parts = {part.system: part.stream for flow in PARTITIONED_FLOWS for part in flow.parts}
    local = {flow.system: flow.stream for flow in LOCAL_FLOWS if flow.system}
    return {**parts, **{flow.system: flow.stream for flow in FLOWS}, **local}


@dataclass(frozen=True)
class Owner:
    """The flow that brings some records; the stream they are called by, and the partition they belong to."""

    flow: AnyFlow
    stream: str
    partition: str | None = None

    def __str__(self) -> str:
        return self.stream if self.partition is None else f"{self.stream}/{self.partition}"


def owner_of(system: str) -> Owner | None:
    """Who brings the records whose keys are of this system; None where nobody does."""
    for flow in (*FLOWS, *LOCAL_FLOWS):
        if flow.system == system:
            return Owner(flow, flow.stream)
    for partitioned in PARTITIONED_FLOWS:
        for part in partitioned.parts:
            if (partition := part.partition_of(system)) is not None:
                return Owner(partitioned, part.stream, partition)
    return None


def require_settings(flows: Iterable[AnyFlow], settings: Settings) -> None:
    """Raise SettingsError where a flow's upstream is not set up, or its table is not declared as one can be."""
    for flow in flows:
        flow.upstream.require_settings(settings)
        if isinstance(flow, Flow):
            placed(flow, settings)
        elif isinstance(flow, PartitionedFlow):
            for part in flow.parts:
                placed_part(part, settings)


def placed(flow: Flow, settings: Settings) -> Flow:
    """The flow with the table that SYNC_TABLES_FILE declares for it, or as it is. Raises SettingsError."""
    table = _declared(flow.stream, flow.table, settings)
    return flow if table is None else replace(flow, table=table, mapper=_Into(flow.mapper, table))


def placed_part(part: Part, settings: Settings) -> Part:
    """As `placed`, for a part of a partitioned flow; one without an entry lies where its system's flow does."""
    stream = next(iter(sharing(part)), part.stream)
    table = _declared(stream, part.table, settings)
    if table is None:
        return part
    return replace(
        part, table=table, mapper=lambda lookup, partition: _Into(part.mapper(lookup, partition), table)
    )


def sharing(part: Part) -> list[str]:
    """The streams that bring records of this part's system, too."""
    return [flow.stream for flow in FLOWS if flow.system == part.system]


def _declared(stream: str, own: TableSpec, settings: Settings) -> TableSpec | None:
    declared = settings.tables()
    try:
        _refuse_others("stream", declared, _placeable())
        if stream not in declared:
            return None
        table = TableSpec.from_dict(declared[stream])
        _refuse_others(f"field of {stream}", table.fields, own.fields)
    except SettingsError as error:
        raise SettingsError(f"SYNC_TABLES_FILE ({settings.tables_file}): {error}") from error
    return table


def _placeable() -> list[str]:
    """Streams that a table may be declared for; records that two streams bring lie in one place."""
    systems = {flow.system for flow in FLOWS}
    parts = (part for flow in PARTITIONED_FLOWS for part in flow.parts)
    return [*(flow.stream for flow in FLOWS), *(part.stream for part in parts if part.system not in systems)]


def _refuse_others(what: str, named: Iterable[str], known: Collection[str]) -> None:
    if strange := [name for name in named if name not in known]:
        raise SettingsError(f"{strange[0]} is no {what}: there are {', '.join(known)}")


@dataclass(frozen=True)
class _Into:
    """A flow's mapper for another table than the flow's own: those of its fields that the table declares."""

    mapper: Mapper[Any]
    table: TableSpec

    @property
    def version(self) -> str:
        """Another one where the declaration changed: its columns may lack what is known to be written."""
        return f"{getattr(self.mapper, 'version', '1')}@{fingerprint(asdict(self.table))[:12]}"

    def validate(self, key: ExternalKey, payload: Payload[Any]) -> None:
        self.mapper.validate(key, payload)

    def map(self, key: ExternalKey, payload: Payload[Any]) -> Projection:
        fields = self.mapper.map(key, payload).fields
        return Projection(self.table.kind, {name: fields[name] for name in self.table.fields if name in fields})

    def metadata(self, key: ExternalKey, payload: Payload[Any]) -> Mapping[str, Any] | None:
        return self.mapper.metadata(key, payload) if isinstance(self.mapper, Annotating) else None
