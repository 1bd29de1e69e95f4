"""One run: reads the source to its end; what it gives is sorted into batches, and what it lacks has vanished.

Order within a batch: source.validate → unchanged? → bindings → mapper → target.validate → one transaction for
rows, bindings, rejects and the checkpoint that covers them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from sync_pipelines.core.absence import Absence
from sync_pipelines.core.batch import Loose, Refusal
from sync_pipelines.core.known import Known
from sync_pipelines.core.logger import hears
from sync_pipelines.core.one_by_one import as_bulk
from sync_pipelines.core.pages import Pages
from sync_pipelines.core.plan import version_prefix
from sync_pipelines.core.reading import Reading
from sync_pipelines.core.records import Coverage, Fetch, Mark, Page, Records, Unreadable
from sync_pipelines.core.report import Tally
from sync_pipelines.core.sorting import Sorter
from sync_pipelines.errors import CheckpointExpired, SourceError, SyncError

if TYPE_CHECKING:
    from sync_pipelines.core.job import SyncJob

__all__ = ["Run"]

D = TypeVar("D")


class Run(Generic[D]):
    """Reads a job's source, once, and hands what it gives to the sorter."""

    def __init__(self, job: SyncJob[D], tally: Tally) -> None:
        self._job = job
        self._tally = tally
        self._target = as_bulk(job.target)
        self._known = Known(job.store)
        self._prefix = version_prefix(job.mapper)
        trusted = not job.plan and not job.full and not hears(job.logger, "skipped")
        self._pages = Pages(job.name, self._prefix, job.store, self._target, trusted=trusted)
        self._sorter = Sorter(job, self._target, self._known, self._pages, tally)

    def to_the_end(self) -> None:
        """Read and write everything. Raises the SyncError that ends the run."""
        try:
            self._go()
        finally:
            self._sorter.close()

    def _go(self) -> None:
        since = self._since()
        try:
            coverage = self._read(since)
        except CheckpointExpired:
            if since is None:
                raise
            coverage = self._read(None)
        if coverage.complete and self._pages.skipped and not self._accounts_for_all(coverage):
            coverage = self._read_keys()
        if coverage.complete:
            Absence(self._job, self._target, self._known, self._tally).settle(coverage)
        else:
            reason = coverage.reason or "the source does not prove that this is everything"
            self._tally.ended_by = f"incomplete: {reason}"
        if self._tally.complete and not self._job.plan:
            self._pages.remember(self._known)
        self._job.logger.progress(self._job.report(self._tally))

    def _since(self) -> str | None:
        """The checkpoint; none where the mapper has changed since: the upstream would not send all of it again."""
        saved = None if self._job.full else self._job.store.get_checkpoint(self._job.name)
        return saved.removeprefix(self._prefix) if saved and saved.startswith(self._prefix) else None

    def _read(self, since: str | None) -> Coverage:
        """Read to the end. What was read before a read failed is true all the same, and is kept."""
        self._known.begin_reading()
        self._pages.begin_reading()
        self._sorter.begin_reading()
        self._loose = Loose[D]()
        try:
            coverage = self._take_all(self._job.source.fetch(since))
        except SourceError:
            self._settle_rest()
            raise
        self._settle_rest()
        return coverage

    def _settle_rest(self) -> None:
        self._take_loose()
        self._sorter.settle()

    def _take_all(self, fetch: Fetch[D]) -> Coverage:
        validate, loose, size = self._job.source.validate, self._loose, self._job.batch_size
        reading = Reading(fetch)
        for item in reading:
            if isinstance(item, Page):
                self._take_page(item)
                continue
            self._pages.forget()
            if isinstance(item, tuple):
                key, payload = item
                try:
                    validate(key, payload)
                except SyncError as error:
                    self._take_loose()
                    self._sorter.take(Refusal(key, error, payload.data))
                    continue
                if key.system != loose.system or len(loose) >= size:
                    self._take_loose()
                loose.add(key, payload)
                continue
            self._take_loose()
            self._sorter.take(Refusal.of(item) if isinstance(item, Unreadable) else item)
        return reading.coverage

    def _take_page(self, page: Page[D]) -> None:
        """Read a page, unless it is known that nothing in it changed."""
        if self._pages.remembers(page.digest):
            self._sorter.finish_load()
        if unchanged := self._pages.unchanged(page.digest):
            system, count = unchanged
            self._known.of(system).confirmed += count
            self._tally.skipped += count
            return
        items = list(page.read())
        self._pages.read(page.digest, [item for item in items if isinstance(item, Records)])
        for item in items:
            self._sorter.take(Refusal.of(item) if isinstance(item, Unreadable) else item)

    def _accounts_for_all(self, coverage: Coverage) -> bool:
        """Whether the pages that were not read leave no doubt about which records are missing."""
        store, known = self._job.store, self._known
        return coverage.within is None and all(
            known.nothing_is_missing(system, store.count_bindings(system)) for system in coverage.snapshot_of
        )

    def _read_keys(self) -> Coverage:
        """Something is missing, and may have been on a page that was not read: read everything, for its keys."""
        reading = Reading(self._job.source.fetch(None))
        for item in reading:
            for part in item.read() if isinstance(item, Page) else [item]:
                if isinstance(part, Records):
                    known = self._known.of(part.system)
                    known.taken.update(map(hash, part.keys))
                    known.miscounted = True
                elif not isinstance(part, Mark):
                    key = part.key if isinstance(part, Unreadable) else part[0]
                    self._known.of(key.system).refuses(key.key)
                    self._known.stand_ins += key.is_stand_in
        return reading.coverage

    def _take_loose(self) -> None:
        if self._loose:
            self._sorter.take(self._loose.gathered())
