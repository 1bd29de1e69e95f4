"""Sorting what was read: written already, to be loaded with a first load, or to be settled with the next batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from sync_pipelines.core.batch import Batch, Part, Refusal
from sync_pipelines.core.first_load import FirstLoad
from sync_pipelines.core.known import Known, KnownSystem
from sync_pipelines.core.logger import hears
from sync_pipelines.core.pages import Pages
from sync_pipelines.core.plan import version_prefix
from sync_pipelines.core.ports import BulkTarget
from sync_pipelines.core.records import Difference, ExternalKey, Mark, Payload, Records, Reject, Stage
from sync_pipelines.core.report import Tally
from sync_pipelines.core.writing import Writer
from sync_pipelines.errors import SourceError, SyncError

if TYPE_CHECKING:
    from sync_pipelines.core.job import SyncJob

__all__ = ["Sorter"]

D = TypeVar("D")


class Sorter(Generic[D]):
    """Takes what is read, part by part, and gathers what is not written yet until it is time to write it."""

    def __init__(self, job: SyncJob[D], target: BulkTarget, known: Known, pages: Pages, tally: Tally) -> None:
        self._job = job
        self._target = target
        self._known = known
        self._pages = pages
        self._tally = tally
        self._prefix = version_prefix(job.mapper)
        self._writer = Writer(job, target, known, tally)
        self._first_load = FirstLoad(job, target)
        self._loads = self._first_load.possible
        self._hears_created = hears(job.logger, "created")
        self._hears_skipped = hears(job.logger, "skipped")
        self._batch = Batch[D]()
        self.begin_reading()

    def begin_reading(self) -> None:
        """Nothing is taken yet, of this reading; what was taken of the one before is settled."""
        self._long = False
        self._waiting: list[Part[D]] = []
        self._waiting_records = 0

    def close(self) -> None:
        """Wait for what is being written."""
        self._first_load.close()

    def take(self, item: Part[D]) -> None:
        """A stream of one batch has its keys looked up; for a longer one every version is learnt first."""
        if not self._long:
            self._waiting.append(item)
            self._waiting_records += len(item.keys) if isinstance(item, Records) else 1
            if self._waiting_records < self._job.batch_size:
                return
            self._long = True
            self._take_waiting()
        else:
            self._sort(item)

    def settle(self) -> None:
        """Make everything durable that was taken."""
        self._take_waiting()
        self._settle()

    def _take_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for item in waiting:
            self._sort(item)

    def _sort(self, item: Part[D]) -> None:
        """Records that are written already are done with; the others wait for the next transaction."""
        if isinstance(item, Refusal):
            self._set_aside(item.key, item.error, item.data)
        elif isinstance(item, Mark):
            self._batch.token = item.token
        else:
            self._sort_records(item)
            self._settle_if_full()

    def _sort_records(self, item: Records[D]) -> None:
        known = self._known.of(item.system)
        if self._long and not known.loaded:
            self._load()
            known.load(self._target)
        if not known.takes_all(item.keys):
            self._sort_one_by_one(item, known)
            return
        if known.never_bound and self._loads:
            self._wait_for_load(item)
            return
        self.finish_load()
        written = known.versions
        pairs = map(hash, zip(item.keys, self._stored(item.versions), strict=True))
        fresh = [place for place, pair in enumerate(pairs) if pair not in written]
        if None in item.versions:
            # What has no version is never known to be written.
            fresh = sorted({*fresh, *(place for place, version in enumerate(item.versions) if version is None)})
        self._skip(item, known, fresh)
        for place in fresh:
            self._add(item, place)

    def _wait_for_load(self, item: Records[D]) -> None:
        if self._first_load.system not in (None, item.system):
            self._load()
        self._first_load.add(item)
        if len(self._first_load) >= self._job.batch_size:
            self._load(wait=False)

    def _load(self, *, wait: bool = True) -> None:
        """Write the records of a first load that wait, at once if nothing speaks against it."""
        self.finish_load()
        self._first_load.start(None if self._batch else self._batch.token)
        if wait:
            self.finish_load()

    def finish_load(self) -> None:
        """Wait for what is being written: nobody else may use the store meanwhile."""
        loaded, well = self._first_load.finish()
        if not well:
            # A mark that came since covers all of them: it goes with the last, and not with the first batch.
            token, self._batch.token = self._batch.token, None
            for item in loaded:
                for place in range(len(item.keys)):
                    self._add(item, place)
            self._batch.token = token
            return
        for item in loaded:
            known = self._known.of(item.system)
            known.confirmed += len(item.keys)
            known.added += len(item.keys)
            known.versions.update(map(hash, zip(item.keys, self._stored(item.versions), strict=True)))
            self._tally.created += len(item.keys)
            for key in item.keys[: self._tally.room]:
                self._tally.difference(Difference.masked(ExternalKey(item.system, key), "created"))
            if self._hears_created or known.rejects:
                keys = [ExternalKey(item.system, key) for key in item.keys]
                for key in keys:
                    self._job.logger.created(key)
                self._batch.good.update(self._known.with_open_reject(keys))
        if loaded:
            self._job.logger.progress(self._job.report(self._tally))

    def _stored(self, versions: Sequence[str | None]) -> list[str | None]:
        prefix = self._prefix
        return [None if version is None else prefix + version for version in versions]

    def _skip(self, item: Records[D], known: KnownSystem, fresh: Sequence[int]) -> None:
        """Count all but the `fresh` ones, which nothing else need be done for."""
        skipped = len(item.keys) - len(fresh)
        if not skipped:
            return
        known.confirmed += skipped
        self._tally.skipped += skipped
        if self._hears_skipped or known.rejects:
            changed = set(fresh)
            keys = [ExternalKey(item.system, key) for n, key in enumerate(item.keys) if n not in changed]
            for key in keys:
                self._job.logger.skipped(key)
            self._batch.good.update(self._known.with_open_reject(keys))

    def _add(self, item: Records[D], place: int) -> None:
        key = ExternalKey(item.system, item.keys[place])
        self._batch.records[key] = Payload(item.data[place], item.versions[place])
        self._settle_if_full()

    def _sort_one_by_one(self, item: Records[D], known: KnownSystem) -> None:
        """Some key comes twice: the same record twice is one record, two under one key are somebody's mistake."""
        self._pages.forget()
        self._load()
        for place, (key, version) in enumerate(zip(item.keys, self._stored(item.versions), strict=True)):
            external_key = ExternalKey(item.system, key)
            if external_key in self._batch:
                self._settle()
            first = known.takes(key)
            if known.holds(key, version):
                known.confirmed += first
                self._tally.skipped += 1
                self._job.logger.skipped(external_key)
                self._batch.good.update(self._known.with_open_reject([external_key]) if first else ())
            elif first:
                self._add(item, place)
            else:
                error = SourceError(f"{key} came twice with different content; the first was taken")
                self._set_aside(external_key, error, item.data[place])

    def _set_aside(self, key: ExternalKey, error: SyncError, data: object) -> None:
        if error.ends_run:
            raise error
        if self._known.was_read(key):
            # Its record may wait to be loaded, and comes first.
            self._load()
        if key in self._batch:
            self._settle()
        self._known.of(key.system).refuses(key.key)
        self._known.stand_ins += key.is_stand_in
        self._batch.refused[key] = (Reject(key, Stage.SOURCE, str(error), data), error)
        self._settle_if_full()

    def _settle_if_full(self) -> None:
        """Refused records and those that are good again count too: a batch stays small whatever comes."""
        if len(self._batch) >= self._job.batch_size:
            self._settle()

    def _settle(self) -> None:
        """Make the batch durable, after the first load, which holds what came before."""
        self._load()
        batch, self._batch = self._batch, Batch[D]()
        self._writer.settle(batch)
