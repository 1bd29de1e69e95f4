"""The simple Target, which takes a record at a time, made to look like the bulk one that the engine works with."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sync_pipelines.core.ports import BulkTarget, Deleting, Target
from sync_pipelines.core.records import Binding, Change, Difference, ExternalKey, Outcome, Projection, Written
from sync_pipelines.errors import TargetError

__all__ = ["as_bulk"]


class _OneByOne:
    """Lets the engine treat a simple Target as a bulk one."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def validate(self, key: ExternalKey, projection: Projection) -> None:
        self._target.validate(key, projection)

    def upsert_many(self, changes: Sequence[Change]) -> Sequence[Written | TargetError]:
        return [self._upsert(change) for change in changes]

    def _upsert(self, change: Change) -> Written | TargetError:
        try:
            internal_id = self._target.upsert(change.key, change.projection)
        except TargetError as error:
            return error
        if not internal_id:
            return TargetError("the target gave the row no id")
        return Written(internal_id, Outcome.UPDATED if change.binding else Outcome.CREATED)

    def alive(self, internal_ids: Collection[str]) -> Collection[str]:
        return internal_ids

    def vanish_many(self, bindings: Sequence[Binding]) -> Sequence[TargetError | None]:
        return [self._vanish(binding) for binding in bindings]

    def _vanish(self, binding: Binding) -> TargetError | None:
        if isinstance(self._target, Deleting):
            try:
                self._target.delete(binding.key, binding)
            except TargetError as error:
                return error
        return None

    def preview(self, changes: Sequence[Change]) -> Sequence[Difference]:
        return [
            Difference(
                change.key,
                "updated" if change.binding else "created",
                {name: (None, value) for name, value in change.projection.fields.items()},
            )
            for change in changes
        ]


def as_bulk(target: Target | BulkTarget) -> BulkTarget:
    """The target itself where it is a bulk one, or the simple one behind an adapter."""
    if hasattr(target, "upsert_many"):
        return target  # pyright: ignore[reportReturnType]
    return _OneByOne(target)  # pyright: ignore[reportArgumentType]
