"""What to do with a batch of records, decided from what is remembered of them. Reads and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sync_pipelines.core.ports import Mapper
from sync_pipelines.core.records import Binding, Change, ExternalKey, Payload, Projection, Reject, Stage
from sync_pipelines.errors import SyncError

__all__ = ["BatchPlan", "plan_batch", "version_prefix"]

D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """What a batch comes to: keys to leave alone, changes to write, records refused and why."""

    unchanged: list[ExternalKey] = field(default_factory=list[ExternalKey])
    changes: list[Change] = field(default_factory=list[Change])
    refused: list[tuple[Reject, SyncError]] = field(default_factory=list[tuple[Reject, SyncError]])

    def refuse(self, key: ExternalKey, stage: Stage, error: SyncError, data: object) -> None:
        """Set one record aside, or let an error that concerns the whole run go on up."""
        if error.ends_run:
            raise error
        self.refused.append((Reject(key, stage, str(error), data), error))


def version_prefix(mapper: Mapper[Any]) -> str:
    """What a version or token begins with as it is kept: the mapper's, so that a new one looks at all again."""
    return f"{getattr(mapper, 'version', '1')}:"


def plan_batch(
    plan: BatchPlan,
    records: Mapping[ExternalKey, Payload[D]],
    bindings: Mapping[ExternalKey, Binding],
    living: Collection[str],
    mapper: Mapper[D],
    *,
    validate_binding: Callable[[Binding], None],
    validate_projection: Callable[[ExternalKey, Projection], None],
) -> None:
    """Sort `records` into `plan`.

    A record is left alone when its version equals its binding's, its row is among the `living` ids, and it is
    not marked vanished. A binding whose row is gone counts as none, so that the record gets a row again.
    """
    prefix, binding = version_prefix(mapper), None
    for key, payload in records.items():
        stage = Stage.STATE
        try:
            version = None if payload.version is None else prefix + payload.version
            if bindings:
                binding = _living(bindings.get(key), living, validate_binding)
                if binding and binding.version == version is not None and binding.remote_deleted_at is None:
                    plan.unchanged.append(key)
                    continue
            stage = Stage.MAPPING
            mapper.validate(key, payload)
            projection = mapper.map(key, payload)
            stage = Stage.TARGET
            validate_projection(key, projection)
        except SyncError as error:
            plan.refuse(key, stage, error, payload.data)
        else:
            plan.changes.append(Change(key, projection, version, binding))


def _living(
    binding: Binding | None, living: Collection[str], validate: Callable[[Binding], None]
) -> Binding | None:
    if binding is None:
        return None
    validate(binding)
    return binding if binding.internal_id in living else None
