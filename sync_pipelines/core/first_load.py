"""The first load of a stream: records that nothing is known of, written in columns.

All or nothing, a batch at a time: where a single record of it is refused by anyone, the batch goes the usual way,
which finds out which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from sync_pipelines.core.plan import stored_version
from sync_pipelines.core.ports import BulkMapper, BulkTarget, LoadingStore, LoadingTarget
from sync_pipelines.core.records import Projections, Records
from sync_pipelines.core.transactions import in_transaction
from sync_pipelines.errors import MappingError, TargetError

if TYPE_CHECKING:
    from sync_pipelines.core.job import SyncJob

__all__ = ["FirstLoad"]


@dataclass(slots=True)
class FirstLoad:
    """What waits to be loaded: records of one system, of which none is bound."""

    job: SyncJob[Any]
    target: BulkTarget
    waiting: list[Records[Any]] = field(default_factory=list[Records[Any]])
    _count: int = 0

    @property
    def possible(self) -> bool:
        """Whether mapper, target and store can all do it."""
        job = self.job
        return (
            not job.plan
            and isinstance(job.mapper, BulkMapper)
            and isinstance(self.target, LoadingTarget)
            and isinstance(job.store, LoadingStore)
        )

    def __len__(self) -> int:
        return self._count

    def add(self, records: Records[Any]) -> None:
        """Let some more wait."""
        self.waiting.append(records)
        self._count += len(records.keys)

    def taken(self) -> list[Records[Any]]:
        """All that waited; nothing waits then."""
        waiting, self.waiting, self._count = self.waiting, [], 0
        return waiting

    def load(self, waiting: Sequence[Records[Any]], token: str | None) -> bool:
        """Write them, and the checkpoint that covers them, in one transaction; False where any is refused."""
        try:
            in_transaction(self.job.store, lambda: self._load(waiting, token))
        except (MappingError, TargetError):
            return False
        return True

    def _load(self, waiting: Sequence[Records[Any]], token: str | None) -> None:
        job, store = self.job, self.job.store
        assert isinstance(job.mapper, BulkMapper)
        assert isinstance(self.target, LoadingTarget)
        assert isinstance(store, LoadingStore)
        keys = list(chain.from_iterable(records.keys for records in waiting))
        data = list(chain.from_iterable(records.data for records in waiting))
        prefix = stored_version(job.mapper, "") or ""
        versions = [v if v is None else prefix + v for records in waiting for v in records.versions]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        keys, data, versions = [keys[i] for i in order], [data[i] for i in order], [versions[i] for i in order]
        rows: Projections = job.mapper.map_many(keys, data)  # pyright: ignore[reportUnknownMemberType]
        internal_ids = self.target.load_rows(rows)
        store.load_bindings(waiting[0].system, keys, internal_ids, versions)
        if token is not None:
            job.store.save_checkpoint(job.stream, prefix + token)
