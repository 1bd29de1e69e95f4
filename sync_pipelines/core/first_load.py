"""The first load of a stream: records that nothing is known of, written in columns.

All or nothing, a batch at a time: where a single record of it is refused by anyone, the batch goes the usual way,
which finds out which. One batch is written, in a thread of its own, while the next is read and mapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from sync_pipelines.core.plan import version_prefix
from sync_pipelines.core.ports import Annotating, BulkMapper, BulkTarget, LoadingStore, LoadingTarget
from sync_pipelines.core.records import Projections, Records
from sync_pipelines.core.transactions import in_transaction
from sync_pipelines.errors import MappingError, TargetError

if TYPE_CHECKING:
    from sync_pipelines.core.job import SyncJob

__all__ = ["FirstLoad"]


class FirstLoad:
    """What waits to be loaded, and what is under way: records of one system, of which none is bound.

    While a batch is under way nobody else may use the store.
    """

    def __init__(self, job: SyncJob[Any], target: BulkTarget) -> None:
        self._job = job
        self._target = target
        self._waiting: list[Records[Any]] = []
        self._count = 0
        self._under_way: tuple[list[Records[Any]], Future[None]] | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="first load")

    @property
    def possible(self) -> bool:
        """Whether mapper, target and store can all do it."""
        job = self._job
        return (
            not job.plan
            and isinstance(job.mapper, BulkMapper)
            and not isinstance(job.mapper, Annotating)
            and isinstance(self._target, LoadingTarget)
            and isinstance(job.store, LoadingStore)
        )

    @property
    def system(self) -> str | None:
        """The system of the records that wait, if any do."""
        return self._waiting[0].system if self._waiting else None

    def __len__(self) -> int:
        return self._count

    def add(self, records: Records[Any]) -> None:
        """Let some more wait."""
        self._waiting.append(records)
        self._count += len(records.keys)

    def start(self, token: str | None) -> None:
        """Begin to write what waits, and the checkpoint that covers it, in one transaction."""
        waiting, self._waiting, self._count = self._waiting, [], 0
        if not waiting:
            return
        assert self._under_way is None
        try:
            write = self._mapped(waiting, token)
        except MappingError as error:
            refused: Future[None] = Future()
            refused.set_exception(error)
            self._under_way = waiting, refused
        else:
            self._under_way = waiting, self._writer.submit(in_transaction, self._job.store, write)

    def finish(self) -> tuple[list[Records[Any]], bool]:
        """Wait for what is under way: the records, and whether they are written. False: one of them is refused."""
        if self._under_way is None:
            return [], True
        (waiting, written), self._under_way = self._under_way, None
        try:
            written.result()
        except (MappingError, TargetError):
            return waiting, False
        return waiting, True

    def close(self) -> None:
        """Wait for what is under way, whatever becomes of it: the store is not to be used by two."""
        self._writer.shutdown()

    def _mapped(self, waiting: Sequence[Records[Any]], token: str | None) -> partial[None]:
        mapper, prefix = self._job.mapper, version_prefix(self._job.mapper)
        assert isinstance(mapper, BulkMapper)
        keys = list(chain.from_iterable(records.keys for records in waiting))
        data = list(chain.from_iterable(records.data for records in waiting))
        versions = [v if v is None else prefix + v for records in waiting for v in records.versions]
        # An index that is filled in its order grows at one place.
        order = sorted(range(len(keys)), key=keys.__getitem__)
        keys, data, versions = [keys[i] for i in order], [data[i] for i in order], [versions[i] for i in order]
        rows: Projections = mapper.map_many(keys, data)  # pyright: ignore[reportUnknownMemberType]
        saved = None if token is None else prefix + token
        return partial(self._write, waiting[0].system, keys, versions, rows, saved)

    def _write(
        self,
        system: str,
        keys: Sequence[str],
        versions: Sequence[str | None],
        rows: Projections,
        token: str | None,
    ) -> None:
        store, target = self._job.store, self._target
        assert isinstance(target, LoadingTarget)
        assert isinstance(store, LoadingStore)
        store.load_bindings(system, keys, target.load_rows(rows), versions)
        if token is not None:
            self._job.store.save_checkpoint(self._job.name, token)
