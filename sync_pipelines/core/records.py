"""What flows through a sync: keys, payloads, projections, bindings, and what became of them.

Plain frozen data. Nothing here knows an upstream, a database or an orchestrator. What there is one of for each
record is a named tuple, which is made three times as quickly as a frozen dataclass.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, NamedTuple, Self, TypeAlias, TypeVar

from sync_pipelines.core.fingerprint import fingerprint

__all__ = [
    "Binding",
    "Change",
    "Coverage",
    "Difference",
    "ExternalKey",
    "Fetch",
    "Item",
    "Mark",
    "Outcome",
    "Page",
    "Payload",
    "Projection",
    "Projections",
    "Record",
    "Records",
    "Reject",
    "Stage",
    "Unreadable",
    "Written",
]

D = TypeVar("D")

_STAND_IN = "unidentified:"
_MASKED = ("•••", "•••")


class _Pair(NamedTuple):
    system: str
    key: str


class ExternalKey(_Pair):
    """A record's identity upstream.

    `system` names the source instance and the entity, joined by a colon ("wtl:course",
    "bakalari:gymnazium-hradec:class"). `key` is the upstream's id exactly as sent: "6" and " 6" differ.
    """

    __slots__ = ()

    def __new__(cls, system: str, key: str) -> Self:
        if type(system) is not str or type(key) is not str or not system or not key:
            raise ValueError(f"an external key is two non-empty strings, not {system!r} and {key!r}")
        if system.endswith(":"):
            raise ValueError(f"the system {system!r} names no entity after its colon")
        return tuple.__new__(cls, (system, key))  # pyright: ignore[reportUnknownMemberType]

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


class Payload(NamedTuple, Generic[D]):
    """One record as its source gives it.

    `version` changes when the record does: upstream's `updated_at` or revision, or a fingerprint of the
    fields that are mapped. None means "not known": the record is written at every run.
    """

    data: D
    version: str | None


class Projection(NamedTuple):
    """The record in the target's terms: what kind of row, and the value of each field."""

    kind: str
    fields: Mapping[str, Any]


class Projections(NamedTuple):
    """Many records in the target's terms: the values of each field, in columns of one length."""

    kind: str
    columns: Mapping[str, Sequence[Any]]


class Binding(NamedTuple):
    """Which row of the target a key stands for, and the version last written to it.

    `version` is None where nothing is known about what was written. `remote_deleted_at` is set while the
    key is missing upstream. `metadata` is for people: a store keeps it, and need not give it back.
    """

    key: ExternalKey
    internal_id: str
    version: str | None
    remote_deleted_at: datetime | None = None
    metadata: Mapping[str, Any] | None = None


Record: TypeAlias = tuple[ExternalKey, Payload[D]]


@dataclass(frozen=True, slots=True)
class Records(Generic[D]):
    """Many records of one system at once, as columns of one length: what a fast source yields instead of pairs.

    The source vouches for their shape: `Source.validate` is not asked.
    """

    system: str
    keys: Sequence[str]
    versions: Sequence[str | None]
    data: Sequence[D]

    def __post_init__(self) -> None:
        if not len(self.keys) == len(self.versions) == len(self.data):
            raise ValueError(f"{len(self.keys)} keys, {len(self.versions)} versions and {len(self.data)} records")


@dataclass(frozen=True, slots=True)
class Page(Generic[D]):
    """A part of a snapshot as it came: not even decoded, where neither it nor anything here has changed.

    `digest` must differ wherever what `read` gives would: a hash of the bytes. A fetch yields all its records in
    pages, or none.
    """

    digest: str
    read: Callable[[], Iterable[Records[D] | Unreadable]]


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
Item: TypeAlias = "Record[D] | Records[D] | Page[D] | Unreadable | Mark"
Fetch: TypeAlias = Generator["Item[D]", None, "Coverage | None"] | Iterable["Item[D]"]


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


class Change(NamedTuple):
    """A record to be written. `binding` is None for a key that has no living row yet."""

    key: ExternalKey
    projection: Projection
    version: str | None
    binding: Binding | None


class Written(NamedTuple):
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
    """What a write would do to one row, or did: "created", "updated", "restored" or "vanished".

    Of a plan, `fields` has old and new value of each field that would change; a new row's old values are None. Of
    a run it has the names alone, where they are known, and none of a new row.
    """

    key: ExternalKey
    change: str
    fields: Mapping[str, tuple[Any, Any]]

    @classmethod
    def masked(cls, key: ExternalKey, change: str, names: Iterable[str] = ()) -> Difference:
        """What was done, without the values: these are nobody's to keep who only wants to know what happened."""
        return cls(key, change, dict.fromkeys(names, _MASKED))
