"""What a user of the core implements: where records come from, how they map, where they go, what is remembered.

Only protocols: nothing here does anything. `core.memory` and `postgres` implement them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar, runtime_checkable

from sync_pipelines.core.records import (
    Binding,
    Change,
    Difference,
    ExternalKey,
    Fetch,
    Payload,
    Projection,
    Projections,
    Reject,
    Stage,
    Written,
)
from sync_pipelines.core.report import Fact, SyncReport
from sync_pipelines.errors import SyncError, TargetError

__all__ = [
    "Annotating",
    "BulkMapper",
    "BulkTarget",
    "Deleting",
    "Informed",
    "LoadingStore",
    "LoadingTarget",
    "Mapper",
    "Metered",
    "RememberingStore",
    "Source",
    "StateStore",
    "SyncLogger",
    "Target",
]

D = TypeVar("D")
D_contra = TypeVar("D_contra", contravariant=True)


class Source(Protocol[D]):
    """Reads one stream of records from the upstream."""

    def fetch(self, since: str | None) -> Fetch[D]:
        """Yield `(ExternalKey, Payload)` for every record changed after the checkpoint `since`.

        A source without change markers ignores `since` and yields everything. Between records it may yield
        `Unreadable` rows and `Mark`s; a generator returns its `Coverage`. Raises SourceError when the read
        fails: a read that failed is not a read that found nothing. Raises CheckpointExpired where the upstream
        no longer knows `since`: the engine then asks for everything.
        """
        ...

    def validate(self, key: ExternalKey, payload: Payload[D]) -> None:
        """Raise SourceError when this record lacks what the upstream always sends."""
        ...


@runtime_checkable
class Metered(Protocol):
    """A source that talks to a network counts what it costs."""

    @property
    def requests(self) -> int:
        """Requests sent so far, refused and repeated ones included."""
        ...

    @property
    def retries(self) -> int:
        """How many of them were repetitions."""
        ...


@runtime_checkable
class Informed(Protocol):
    """A source that learns something of its upstream on the way."""

    @property
    def facts(self) -> Mapping[str, Fact]:
        """What it knows so far ("requests left today": 120): no personal data; shown in the report."""
        ...


class Mapper(Protocol[D]):
    """Says in the target's terms what a record means. No network; look-ups only read.

    A mapper may have a `version: str`. Raise it when the mapping changes: every record is then written again.
    """

    def validate(self, key: ExternalKey, payload: Payload[D]) -> None:
        """Raise MappingError when the record breaks a business rule."""
        ...

    def map(self, key: ExternalKey, payload: Payload[D]) -> Projection:
        """The row this record stands for."""
        ...


@runtime_checkable
class Annotating(Protocol):
    """What a Mapper may also say: what else people should find beside a record's binding."""

    def metadata(self, key: ExternalKey, payload: Payload[Any]) -> Mapping[str, Any] | None:
        """As JSON can hold it; kept when the record is written. The version must change where this does."""
        ...


@runtime_checkable
class BulkMapper(Protocol[D_contra]):
    """A Mapper that can also do a whole batch at once: what a first load of very many records is quick by."""

    def map_many(self, keys: Sequence[str], data: Sequence[D_contra]) -> Projections:
        """What `validate` and `map` do, for records of one system in columns of one length.

        Called while the batch before is being written: it must not use the store's connection.
        Raises MappingError if any record is not acceptable: they are then mapped one by one.
        """
        ...


class Target(Protocol):
    """Holds the rows; the simple kind, which takes one record at a time."""

    def validate(self, key: ExternalKey, projection: Projection) -> None:
        """Raise TargetError when no row can hold this projection."""
        ...

    def upsert(self, key: ExternalKey, projection: Projection) -> str:
        """Create or update the row and return its id, which is not empty."""
        ...


@runtime_checkable
class Deleting(Protocol):
    """What a simple Target may also do: act on a record that vanished upstream."""

    def delete(self, key: ExternalKey, binding: Binding) -> None:
        """Archive or delete the row; one that is gone already is fine. Raises TargetError: it stays bound."""
        ...


class BulkTarget(Protocol):
    """Holds the rows; the fast kind, which takes a batch at a time. A batch holds a key once."""

    def validate(self, key: ExternalKey, projection: Projection) -> None:
        """Raise TargetError when no row can hold this projection."""
        ...

    def upsert_many(self, changes: Sequence[Change]) -> Sequence[Written | TargetError]:
        """Write a batch and say for each change, in order, what became of it.

        A change that cannot be written is its TargetError in the result; the others are written all the same.
        """
        ...

    def alive(self, internal_ids: Collection[str]) -> Collection[str]:
        """Which of these rows still exist."""
        ...

    def vanish_many(self, bindings: Sequence[Binding]) -> Sequence[TargetError | None]:
        """Mark the rows of records that vanished upstream, and say for each, in order, why not where it failed.

        The row and everything that refers to it stay. One that is gone already is fine.
        """
        ...

    def preview(self, changes: Sequence[Change]) -> Sequence[Difference | TargetError | None]:
        """What `upsert_many` would do to each row, writing nothing; None where it would touch nothing."""
        ...


@runtime_checkable
class LoadingTarget(Protocol):
    """A BulkTarget that can also take very many new rows at once."""

    def load_rows(self, rows: Projections) -> Sequence[str]:
        """Make a row of each, and give their ids in order.

        Raises TargetError, and keeps nothing, if any cannot be made or is there already: they are then written
        one batch after the other.
        """
        ...


class StateStore(Protocol):
    """Remembers bindings, checkpoints, rejects and runs, in the same transaction as the rows where it can.

    What is called a `stream` here is a `SyncJob.name`: two partitions of a stream are two streams to the store.
    """

    def exclusive(self, stream: str) -> AbstractContextManager[None]:
        """Keep every other run of this stream out meanwhile. Raises StreamBusy, naming the holder."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """All that target and store do inside becomes durable together, or not at all."""
        ...

    def get_binding(self, key: ExternalKey) -> Binding | None:
        """The binding of one key."""
        ...

    def get_bindings(self, keys: Sequence[ExternalKey]) -> Mapping[ExternalKey, Binding]:
        """The bindings of those keys that have one."""
        ...

    def iter_bindings(self, system: str) -> Iterator[Binding]:
        """Every binding of a system, those of vanished records included."""
        ...

    def iter_versions(self, system: str, target: BulkTarget) -> Iterator[Sequence[tuple[str, str | None]]]:
        """Key and version of the records that are bound, not vanished, and whose row is alive in `target`.

        Many at a time: it is what a run of a million records begins with.
        """
        ...

    def count_bindings(self, system: str) -> int:
        """How many of a system's bindings are not vanished."""
        ...

    def validate_binding(self, binding: Binding) -> None:
        """Raise StateError when the binding contradicts itself."""
        ...

    def bind(self, key: ExternalKey, internal_id: str, version: str | None) -> None:
        """Remember that `key` is the row `internal_id`, which now holds `version`."""
        ...

    def bind_many(self, bindings: Sequence[Binding], *, new: bool = False) -> None:
        """`bind` for a batch, each key once. A vanished key that is bound again is no longer vanished.

        `new` is a hint: none of these keys had a binding when the run looked.
        """
        ...

    def mark_vanished(self, keys: Sequence[ExternalKey]) -> None:
        """These keys are missing upstream since now. Their bindings stay."""
        ...

    def get_checkpoint(self, stream: str) -> str | None:
        """The last saved token of a stream."""
        ...

    def save_checkpoint(self, stream: str, token: str) -> None:
        """Replace the token; call it in the transaction of the last row it covers."""
        ...

    def save_rejects(self, rejects: Sequence[Reject]) -> None:
        """Keep refused records whole; one seen before counts one occurrence more."""
        ...

    def resolve_rejects(self, keys: Sequence[ExternalKey]) -> None:
        """These keys were written well, or are gone upstream: their open rejects are settled."""
        ...

    def open_rejects(self, system: str) -> Iterator[ExternalKey]:
        """The keys of a system's refused records that are not settled yet."""
        ...

    def run_started(self, stream: str) -> None:
        """Note that a run of the stream began now."""
        ...

    def run_ended(self, stream: str, report: SyncReport) -> None:
        """Keep the report of the stream's last run, and the time if it was complete."""
        ...


@runtime_checkable
class LoadingStore(Protocol):
    """A StateStore that can also bind very many new keys at once."""

    def load_bindings(
        self, system: str, keys: Sequence[str], internal_ids: Sequence[str], versions: Sequence[str | None]
    ) -> None:
        """Bind keys of one system. Raises TargetError, and keeps nothing, if any is bound already."""
        ...


@runtime_checkable
class RememberingStore(Protocol):
    """A StateStore that can also remember what a stream's last complete read was made of."""

    def remembered_pages(self, stream: str) -> Mapping[str, tuple[str, int]]:
        """By digest, the system and the number of records of each page; none if any binding changed since."""
        ...

    def remember_pages(self, stream: str, pages: Mapping[str, tuple[str, int]]) -> None:
        """Replace them."""
        ...

    def all_alive(self, system: str, target: BulkTarget) -> bool:
        """Whether every binding of the system that is not vanished has its row in `target`."""
        ...


class SyncLogger(Protocol):
    """Hears what happens to each record, and after each batch how far the run is."""

    def created(self, key: ExternalKey) -> None: ...
    def updated(self, key: ExternalKey) -> None: ...
    def skipped(self, key: ExternalKey) -> None: ...
    def deleted(self, key: ExternalKey) -> None: ...
    def error(self, key: ExternalKey, stage: Stage, error: SyncError) -> None: ...
    def progress(self, report: SyncReport) -> None: ...
