"""What flows through a sync: keys, payloads, projections, bindings, and what became of them.

Plain frozen data. Nothing here knows an upstream, a database or an orchestrator.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeAlias, TypeVar

from sync_pipelines.core.fingerprint import fingerprint

__all__ = [
    "Binding",
    "Change",
    "Coverage",
    "Difference",
    "ExternalKey",
    "Fetch",
    "Mark",
    "Outcome",
    "Payload",
    "Projection",
    "Record",
    "Reject",
    "Stage",
    "Unreadable",
    "Written",
]

D = TypeVar("D")

_STAND_IN = "unidentified:"


@dataclass(frozen=True, slots=True)
class ExternalKey:
    """A record's identity upstream.

    `system` names the source instance and the entity, joined by a colon ("wtl:course",
    "bakalari:gymnazium-hradec:class"). `key` is the upstream's id exactly as sent: "6" and " 6" differ.
    """

    system: str
    key: str

    def __post_init__(self) -> None:
        if type(self.system) is not str or type(self.key) is not str or not self.system or not self.key:
            raise ValueError(f"an external key is two non-empty strings, not {self.system!r} and {self.key!r}")

    @classmethod
    def unidentified(cls, system: str, data: object) -> ExternalKey:
        """The stable stand-in for a row that carries no usable id, so that it can be kept and counted."""
        return cls(system, f"{_STAND_IN}{fingerprint(data)}")

    @classmethod
    def composite(cls, system: str, *parts: str) -> ExternalKey:
        """A key of several parts, as a JSON array: ("a-b", "c") and ("a", "b-c") stay apart."""
        return cls(system, json.dumps(parts, ensure_ascii=False, separators=(",", ":")))

    @property
    def is_stand_in(self) -> bool:
        """Whether it was made by `unidentified`."""
        return self.key.startswith(_STAND_IN)


@dataclass(frozen=True, slots=True)
class Payload(Generic[D]):
    """One record as its source gives it.

    `version` changes when the record does: upstream's `updated_at` or revision, or a fingerprint of the
    fields that are mapped. None means "not known": the record is written at every run.
    """

    data: D
    version: str | None


@dataclass(frozen=True, slots=True)
class Projection:
    """The record in the target's terms: what kind of row, and the value of each field."""

    kind: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Binding:
    """Which row of the target a key stands for, and the version last written to it.

    `version` is None where nothing is known about what was written. `remote_deleted_at` is set while the
    key is missing upstream.
    """

    key: ExternalKey
    internal_id: str
    version: str | None
    remote_deleted_at: datetime | None = None


Record: TypeAlias = tuple[ExternalKey, Payload[D]]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that the source could not turn into a record: counted, and kept whole."""

    key: ExternalKey
    data: object
    reason: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Yielded between records: everything before it is covered by the checkpoint `token`."""

    token: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a fetch returns at its end: whether it provably gave everything it was asked for, or why not.

    Absence means something only after a complete read of everything: `snapshot_of` names the systems whose
    every record was read, so that what is bound and was not among them has vanished. `within` narrows that to
    a part of the keys (one course's, one school class's). A read of changes leaves both empty.
    """

    complete: bool
    reason: str | None = None
    snapshot_of: tuple[str, ...] = ()
    within: Callable[[ExternalKey], bool] | None = None

    @classmethod
    def snapshot(cls, *systems: str, within: Callable[[ExternalKey], bool] | None = None) -> Coverage:
        """A complete read of everything these systems hold."""
        return cls(complete=True, snapshot_of=systems, within=within)

    @classmethod
    def changes(cls) -> Coverage:
        """A complete read of what changed: what was not in it says nothing."""
        return cls(complete=True)

    @classmethod
    def partial(cls, reason: str) -> Coverage:
        """A read that may have missed something."""
        return cls(complete=False, reason=reason)


#: What `Source.fetch` gives: a generator whose return value is its `Coverage`, or any iterable of
#: records, which proves nothing and so never counts as complete.
Fetch: TypeAlias = (
    Generator["Record[D] | Unreadable | Mark", None, "Coverage | None"] | Iterable["Record[D] | Unreadable | Mark"]
)


class Outcome(StrEnum):
    """What writing a change did to the target's row."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


class Stage(StrEnum):
    """Where a record was refused."""

    SOURCE = "source"
    MAPPING = "mapping"
    TARGET = "target"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Change:
    """A record to be written. `binding` is None for a key that has no living row yet."""

    key: ExternalKey
    projection: Projection
    version: str | None
    binding: Binding | None


@dataclass(frozen=True, slots=True)
class Written:
    """The row that now stands for a change, and what happened to it."""

    internal_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that was refused, kept whole. `error` says why, without the record's values."""

    key: ExternalKey
    stage: Stage
    error: str
    payload: object


@dataclass(frozen=True, slots=True)
class Difference:
    """What a planned write would do to one row: "created", "updated", "restored" or "vanished".

    `fields` has old and new value of each field that would change; a new row's old values are None.
    """

    key: ExternalKey
    change: str
    fields: Mapping[str, tuple[Any, Any]]
