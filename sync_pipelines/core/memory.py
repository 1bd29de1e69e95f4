"""A target and a state store that live in dictionaries: for tests, for trying a flow out, and as the plain model
that the PostgreSQL ones are compared with."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sync_pipelines.core.ports import BulkTarget
from sync_pipelines.core.records import (
    Binding,
    Change,
    Difference,
    ExternalKey,
    Outcome,
    Projection,
    Projections,
    Reject,
    Written,
)
from sync_pipelines.core.report import SyncReport
from sync_pipelines.errors import StateError, StreamBusy, TargetError

__all__ = ["MemoryStateStore", "MemoryTarget"]


class MemoryTarget:
    """Rows by id in `rows`, and which of them are `vanished`.

    With a `store`, both change together inside the store's transactions.
    """

    def __init__(self, store: MemoryStateStore | None = None) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.vanished: set[str] = set()
        self._ids = itertools.count(1)
        if store is not None:
            store.enlist(self)

    def validate(self, key: ExternalKey, projection: Projection) -> None:
        if not projection.fields:
            raise TargetError("there is no field to write")

    def upsert_many(self, changes: Sequence[Change]) -> Sequence[Written | TargetError]:
        return [self._upsert(change) for change in changes]

    def _upsert(self, change: Change) -> Written:
        fields = dict(change.projection.fields)
        if change.binding is None:
            internal_id = str(next(self._ids))
            self.rows[internal_id] = fields
            return Written(internal_id, Outcome.CREATED)
        internal_id = change.binding.internal_id
        row = self.rows[internal_id]
        same = row == {**row, **fields} and internal_id not in self.vanished
        row.update(fields)
        self.vanished.discard(internal_id)
        return Written(internal_id, Outcome.UNCHANGED if same else Outcome.UPDATED)

    def load_rows(self, rows: Projections) -> Sequence[str]:
        names, columns = list(rows.columns), list(rows.columns.values())
        made = {str(next(self._ids)): dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)}
        self.rows.update(made)
        return list(made)

    def alive(self, internal_ids: Collection[str]) -> Collection[str]:
        return self.rows.keys() & set(internal_ids)

    def vanish_many(self, bindings: Sequence[Binding]) -> Sequence[TargetError | None]:
        self.vanished.update(b.internal_id for b in bindings if b.internal_id in self.rows)
        return [None] * len(bindings)

    def preview(self, changes: Sequence[Change]) -> Sequence[Difference | None]:
        return [self._preview(change) for change in changes]

    def _preview(self, change: Change) -> Difference | None:
        row = self.rows[change.binding.internal_id] if change.binding else {}
        fields = {n: (row.get(n), v) for n, v in change.projection.fields.items() if row.get(n) != v}
        if change.binding is None:
            return Difference(change.key, "created", fields)
        if change.binding.internal_id in self.vanished:
            return Difference(change.key, "restored", fields)
        return Difference(change.key, "updated", fields) if fields else None


class MemoryStateStore:
    """Bindings, checkpoints, rejects and reports in dictionaries; a transaction is a copy to go back to."""

    def __init__(self) -> None:
        self.bindings: dict[ExternalKey, Binding] = {}
        self.checkpoints: dict[str, str] = {}
        self.pages: dict[str, tuple[dict[ExternalKey, Binding], Mapping[str, tuple[str, int]]]] = {}
        self.rejects: dict[ExternalKey, Reject] = {}
        self.occurrences: dict[ExternalKey, int] = {}
        self.reports: dict[str, SyncReport] = {}
        self.last_complete_at: dict[str, datetime] = {}
        self._targets: list[MemoryTarget] = []
        self._locks: dict[str, threading.Lock] = {}

    def enlist(self, target: MemoryTarget) -> None:
        """Make a target's rows part of this store's transactions."""
        self._targets.append(target)

    @contextmanager
    def exclusive(self, stream: str) -> Generator[None, None, None]:
        lock = self._locks.setdefault(stream, threading.Lock())
        if not lock.acquire(blocking=False):
            raise StreamBusy(f"{stream} is being synced by another run of this process")
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        rows = [(copy.deepcopy(t.rows), set(t.vanished)) for t in self._targets]
        before = dict(self.bindings), dict(self.checkpoints), dict(self.rejects), dict(self.occurrences)
        try:
            yield
        except BaseException:
            self.bindings, self.checkpoints, self.rejects, self.occurrences = before
            for target, (old, vanished) in zip(self._targets, rows, strict=True):
                target.rows, target.vanished = old, vanished
            raise

    def get_binding(self, key: ExternalKey) -> Binding | None:
        return self.bindings.get(key)

    def get_bindings(self, keys: Sequence[ExternalKey]) -> Mapping[ExternalKey, Binding]:
        return {key: self.bindings[key] for key in keys if key in self.bindings}

    def iter_bindings(self, system: str) -> Iterator[Binding]:
        return iter([binding for key, binding in self.bindings.items() if key.system == system])

    def iter_versions(self, system: str, target: BulkTarget) -> Iterator[Sequence[tuple[str, str | None]]]:
        known = [b for b in self.iter_bindings(system) if b.remote_deleted_at is None]
        alive = target.alive({b.internal_id for b in known})
        yield [(b.key.key, b.version) for b in known if b.internal_id in alive]

    def all_alive(self, system: str, target: BulkTarget) -> bool:
        ids = {b.internal_id for b in self.iter_bindings(system) if b.remote_deleted_at is None}
        return ids <= set(target.alive(ids))

    def remembered_pages(self, stream: str) -> Mapping[str, tuple[str, int]]:
        bindings, pages = self.pages.get(stream, ({}, {}))
        return pages if bindings == self.bindings else {}

    def remember_pages(self, stream: str, pages: Mapping[str, tuple[str, int]]) -> None:
        self.pages[stream] = dict(self.bindings), dict(pages)

    def count_bindings(self, system: str) -> int:
        return sum(b.remote_deleted_at is None for b in self.iter_bindings(system))

    def validate_binding(self, binding: Binding) -> None:
        if not binding.internal_id:
            raise StateError("the binding has no internal id")

    def bind(self, key: ExternalKey, internal_id: str, version: str | None) -> None:
        self.bind_many([Binding(key, internal_id, version)])

    def bind_many(self, bindings: Sequence[Binding], *, new: bool = False) -> None:
        for binding in bindings:
            old = self.bindings.get(binding.key)
            if binding.metadata is None and old is not None:
                binding = binding._replace(metadata=old.metadata)
            self.bindings[binding.key] = binding

    def load_bindings(
        self, system: str, keys: Sequence[str], internal_ids: Sequence[str], versions: Sequence[str | None]
    ) -> None:
        columns = zip(keys, internal_ids, versions, strict=True)
        bindings = [Binding(ExternalKey(system, key), i, version) for key, i, version in columns]
        if any(binding.key in self.bindings for binding in bindings):
            raise TargetError("one of the keys is bound already")
        self.bind_many(bindings)

    def mark_vanished(self, keys: Sequence[ExternalKey]) -> None:
        now = datetime.now(UTC)
        self.bindings.update({key: self.bindings[key]._replace(remote_deleted_at=now) for key in keys})

    def get_checkpoint(self, stream: str) -> str | None:
        return self.checkpoints.get(stream)

    def save_checkpoint(self, stream: str, token: str) -> None:
        self.checkpoints[stream] = token

    def save_rejects(self, rejects: Sequence[Reject]) -> None:
        for reject in rejects:
            self.rejects[reject.key] = reject
            self.occurrences[reject.key] = self.occurrences.get(reject.key, 0) + 1

    def resolve_rejects(self, keys: Sequence[ExternalKey]) -> None:
        for key in keys:
            self.rejects.pop(key, None)

    def open_rejects(self, system: str) -> Iterator[ExternalKey]:
        return iter([key for key in self.rejects if key.system == system])

    def run_started(self, stream: str) -> None:
        self.reports.pop(stream, None)

    def run_ended(self, stream: str, report: SyncReport) -> None:
        self.reports[stream] = report
        if report.complete:
            self.last_complete_at[stream] = datetime.now(UTC)
