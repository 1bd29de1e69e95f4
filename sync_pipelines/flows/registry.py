"""The only list of flows, and where the settings put their rows.

Everything that runs, shows or checks flows reads it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from sync_pipelines.core import ExternalKey, Mapper, Payload, Projection, fingerprint
from sync_pipelines.errors import SettingsError
from sync_pipelines.flows import webtolearn
from sync_pipelines.flows.spec import Flow, Upstream
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.settings import Settings

__all__ = ["FLOWS", "UPSTREAMS", "flows_of", "placed", "require_settings"]

#: In an order in which they can run one after the other.
FLOWS: tuple[Flow, ...] = (webtolearn.COURSES, webtolearn.LESSON_CATALOG, webtolearn.USERS)

#: By the names that `sync-pipelines run` takes.
UPSTREAMS: dict[str, Upstream] = {flow.upstream.name: flow.upstream for flow in FLOWS}


def flows_of(upstream: str) -> tuple[Flow, ...]:
    """The flows of one upstream, or of all ("all")."""
    return tuple(flow for flow in FLOWS if upstream in ("all", flow.upstream.name))


def require_settings(flows: Iterable[Flow], settings: Settings) -> None:
    """Raise SettingsError where a flow's upstream is not set up, or its table is not declared as one can be."""
    for flow in flows:
        flow.upstream.require_settings(settings)
        placed(flow, settings)


def placed(flow: Flow, settings: Settings) -> Flow:
    """The flow with the table that SYNC_TABLES_FILE declares for it, or as it is. Raises SettingsError."""
    declared = settings.tables()
    streams = dict.fromkeys([*(known.stream for known in FLOWS), flow.stream])
    try:
        _refuse_others("stream", declared, streams)
        if flow.stream not in declared:
            return flow
        table = TableSpec.from_dict(declared[flow.stream])
        _refuse_others(f"field of {flow.stream}", table.fields, flow.table.fields)
    except SettingsError as error:
        raise SettingsError(f"SYNC_TABLES_FILE ({settings.tables_file}): {error}") from error
    return replace(flow, table=table, mapper=_Into(flow.mapper, table))


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
