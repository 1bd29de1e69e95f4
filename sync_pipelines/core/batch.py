"""What a run gathers before it writes: single records on their way to columns, a batch, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from sync_pipelines.core.plan import BatchPlan
from sync_pipelines.core.records import (
    Binding,
    Change,
    ExternalKey,
    Mark,
    Payload,
    Records,
    Reject,
    Unreadable,
    Written,
)
from sync_pipelines.errors import SourceError, SyncError

__all__ = ["Batch", "Loose", "Part", "Refusal", "Result"]

D = TypeVar("D")


@dataclass(slots=True)
class Refusal:
    """A record or row that is malformed."""

    key: ExternalKey
    error: SyncError
    data: object

    @classmethod
    def of(cls, row: Unreadable) -> Refusal:
        """That of a row which the source could not read."""
        return cls(row.key, SourceError(row.reason), row.data)


@dataclass(slots=True)
class Batch(Generic[D]):
    """What is to be settled by the next transaction, each key once; `token` is the last mark before.

    `good` are unchanged records that a reject is open for.
    """

    records: dict[ExternalKey, Payload[D]] = field(default_factory=dict[ExternalKey, "Payload[D]"])
    refused: dict[ExternalKey, tuple[Reject, SyncError]] = field(
        default_factory=dict[ExternalKey, tuple[Reject, SyncError]]
    )
    good: set[ExternalKey] = field(default_factory=set[ExternalKey])
    token: str | None = None

    def __contains__(self, key: ExternalKey) -> bool:
        return key in self.records or key in self.refused or key in self.good

    def __len__(self) -> int:
        return len(self.records) + len(self.refused) + len(self.good)


@dataclass(slots=True)
class Result:
    """What became of a batch. `fields` has the names of those that differed, of each change a report will show."""

    plan: BatchPlan
    bindings: Mapping[ExternalKey, Binding]
    done: list[tuple[Change, Written]] = field(default_factory=list[tuple[Change, Written]])
    fields: Mapping[ExternalKey, Collection[str]] = field(default_factory=dict[ExternalKey, Collection[str]])

    def bound(self) -> list[ExternalKey]:
        """The keys that now have a binding which is not vanished."""
        refused = (self.bindings.get(reject.key) for reject, _ in self.plan.refused)
        still = [b.key for b in refused if b is not None and b.remote_deleted_at is None]
        return [*self.plan.unchanged, *(change.key for change, _ in self.done), *still]


#: What a source gave, as the run goes on with it.
Part: TypeAlias = Records[D] | Refusal | Mark


class Loose(Generic[D]):
    """Records that came one by one, on their way to being columns."""

    def __init__(self) -> None:
        self.system: str | None = None
        self._keys: list[str] = []
        self._versions: list[str | None] = []
        self._data: list[D] = []

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: ExternalKey, payload: Payload[D]) -> None:
        self.system = key.system
        self._keys.append(key.key)
        self._versions.append(payload.version)
        self._data.append(payload.data)

    def gathered(self) -> Records[D]:
        """All of them; it is empty then."""
        records = Records(self.system or "", self._keys, self._versions, self._data)
        self.__init__()
        return records
