"""One run: reads the source to its end and makes the target hold what it said, batch by batch.

Order within a batch: source.validate → unchanged? → bindings → mapper → target.validate → one transaction for
rows, bindings, rejects and the checkpoint that covers them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from sync_pipelines.core.absence import Absence
from sync_pipelines.core.batch import Batch, Loose, Part, Refusal, Result
from sync_pipelines.core.first_load import FirstLoad
from sync_pipelines.core.known import Known, KnownSystem
from sync_pipelines.core.logger import SilentLogger
from sync_pipelines.core.one_by_one import as_bulk
from sync_pipelines.core.pages import Pages
from sync_pipelines.core.plan import BatchPlan, plan_batch, stored_version
from sync_pipelines.core.records import (
    Binding,
    Change,
    Coverage,
    ExternalKey,
    Fetch,
    Mark,
    Outcome,
    Page,
    Payload,
    Records,
    Reject,
    Stage,
    Unreadable,
    Written,
)
from sync_pipelines.core.report import Tally
from sync_pipelines.core.transactions import in_transaction
from sync_pipelines.errors import CheckpointExpired, SourceError, SyncError, TargetError

if TYPE_CHECKING:
    from sync_pipelines.core.job import SyncJob

__all__ = ["Run"]

D = TypeVar("D")


class Run(Generic[D]):
    """The state of one run: what was seen, and the batch being gathered."""

    def __init__(self, job: SyncJob[D], tally: Tally) -> None:
        self._job = job
        self._tally = tally
        self._target = as_bulk(job.target)
        self._known = Known(job.store)
        self._prefix = stored_version(job.mapper, "") or ""
        self._first_load = FirstLoad(job, self._target)
        self._loads = self._first_load.possible
        self._hears_created = type(job.logger).created is not SilentLogger.created
        self._hears_skipped = type(job.logger).skipped is not SilentLogger.skipped
        trusted = not job.plan and not job.full and not self._hears_skipped
        self._pages = Pages(job.stream, self._prefix, job.store, self._target, trusted=trusted)

    def to_the_end(self) -> None:
        """Read and write everything. Raises the SyncError that ends the run."""
        try:
            self._go()
        finally:
            self._first_load.close()

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

    # --- reading ------------------------------------------------------------------------------------------

    def _since(self) -> str | None:
        """The checkpoint; none where the mapper has changed since: the upstream would not send all of it again."""
        saved = None if self._job.full else self._job.store.get_checkpoint(self._job.stream)
        return saved.removeprefix(self._prefix) if saved and saved.startswith(self._prefix) else None

    def _read(self, since: str | None) -> Coverage:
        """Read to the end. What was read before a read failed is true all the same, and is kept."""
        self._known.begin_reading()
        self._pages.begin_reading()
        self._batch = Batch[D]()
        self._long = False
        self._waiting: list[Part[D]] = []
        self._waiting_records = 0
        self._loose = Loose[D]()
        try:
            coverage = self._take_all(self._job.source.fetch(since))
        except SourceError:
            self._settle_rest()
            raise
        self._settle_rest()
        return coverage

    def _take_all(self, fetch: Fetch[D]) -> Coverage:
        """Take every item; a fetch that returns no coverage has proven nothing."""
        items, validate, loose, size = iter(fetch), self._job.source.validate, self._loose, self._job.batch_size
        while True:
            try:
                item = next(items)
            except StopIteration as end:
                returned = cast("object", end.value)
                return returned if isinstance(returned, Coverage) else Coverage(complete=False)
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
                    self._take(Refusal(key, error, payload.data))
                    continue
                if key.system != loose.system or len(loose) >= size:
                    self._take_loose()
                loose.add(key, payload)
                continue
            self._take_loose()
            self._take(Refusal.of(item) if isinstance(item, Unreadable) else item)

    def _take_page(self, page: Page[D]) -> None:
        """Read a page, unless it is known that nothing in it changed."""
        if self._pages.remembers(page.digest):
            self._finish_load()
        if unchanged := self._pages.unchanged(page.digest):
            system, count = unchanged
            self._known.of(system).confirmed += count
            self._tally.skipped += count
            return
        items = list(page.read())
        self._pages.read(page.digest, [item for item in items if isinstance(item, Records)])
        for item in items:
            self._take(Refusal.of(item) if isinstance(item, Unreadable) else item)

    def _accounts_for_all(self, coverage: Coverage) -> bool:
        """Whether the pages that were not read leave no doubt about which records are missing."""
        store, known = self._job.store, self._known
        return coverage.within is None and all(
            known.nothing_is_missing(system, store.count_bindings(system)) for system in coverage.snapshot_of
        )

    def _read_keys(self) -> Coverage:
        """Something is missing, and may have been on a page that was not read: read everything, for its keys."""
        items = iter(self._job.source.fetch(None))
        while True:
            try:
                item = next(items)
            except StopIteration as end:
                returned = cast("object", end.value)
                return returned if isinstance(returned, Coverage) else Coverage(complete=False)
            for part in item.read() if isinstance(item, Page) else [item]:
                if isinstance(part, Records):
                    known = self._known.of(part.system)
                    known.taken.update(map(hash, part.keys))
                    known.miscounted = True
                elif not isinstance(part, Mark):
                    key = part.key if isinstance(part, Unreadable) else part[0]
                    self._known.of(key.system).refuses(key.key)
                    self._known.stand_ins += key.is_stand_in

    def _take_loose(self) -> None:
        if self._loose:
            self._take(self._loose.gathered())

    def _take(self, item: Part[D]) -> None:
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

    def _take_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for item in waiting:
            self._sort(item)

    def _settle_rest(self) -> None:
        self._take_loose()
        self._take_waiting()
        self._settle()

    # --- sorting ------------------------------------------------------------------------------------------

    def _sort(self, item: Part[D]) -> None:
        """Records that are written already are done with; the others wait for the next transaction."""
        if isinstance(item, Refusal):
            self._set_aside(item.key, item.error, item.data)
            return
        if isinstance(item, Mark):
            self._batch.token = item.token
            return
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
        self._finish_load()
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
        self._finish_load()
        self._first_load.start(None if self._batch else self._batch.token)
        if wait:
            self._finish_load()

    def _finish_load(self) -> None:
        loaded, well = self._first_load.finish()
        if not well:
            for item in loaded:
                for place in range(len(item.keys)):
                    self._add(item, place)
            return
        for item in loaded:
            known = self._known.of(item.system)
            known.confirmed += len(item.keys)
            known.added += len(item.keys)
            known.versions.update(map(hash, zip(item.keys, self._stored(item.versions), strict=True)))
            self._tally.created += len(item.keys)
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
        records = self._batch.records
        records[ExternalKey(item.system, item.keys[place])] = Payload(item.data[place], item.versions[place])
        if len(records) >= self._job.batch_size:
            self._settle()

    def _sort_one_by_one(self, item: Records[D], known: KnownSystem) -> None:
        """Some key comes twice: the same record twice is one record, two under one key are somebody's mistake."""
        self._pages.forget()
        self._load()
        for place, (key, version) in enumerate(zip(item.keys, item.versions, strict=True)):
            external_key = ExternalKey(item.system, key)
            if external_key in self._batch:
                self._settle()
            first = known.takes(key)
            if known.holds(key, stored_version(self._job.mapper, version)):
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
        self._load()
        if key in self._batch:
            self._settle()
        self._known.of(key.system).refuses(key.key)
        self._known.stand_ins += key.is_stand_in
        self._batch.refused[key] = (Reject(key, Stage.SOURCE, str(error), data), error)

    # --- writing ------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Make the batch durable: rows, bindings, rejects and checkpoint in one transaction."""
        self._load()
        batch, self._batch = self._batch, Batch[D]()
        if not batch and batch.token is None:
            return
        if self._job.plan:
            result = self._preview(batch)
        else:
            result = in_transaction(self._job.store, lambda: self._write(batch))
        prefix = self._prefix
        versions = {k: None if p.version is None else prefix + p.version for k, p in batch.records.items()}
        self._known.settled(
            versions,
            before=result.bindings,
            bound=result.bound(),
            refused=[reject.key for reject, _ in result.plan.refused],
        )
        self._count(result)

    def _plan(self, batch: Batch[D]) -> Result:
        plan = BatchPlan(refused=list(batch.refused.values()))
        bindings = self._known.bindings([*batch.records, *batch.refused])
        ids = {b.internal_id for b in bindings.values() if b.internal_id}
        plan_batch(
            plan,
            batch.records,
            bindings,
            self._target.alive(ids) if ids else ids,
            self._job.mapper,
            validate_binding=self._job.store.validate_binding,
            validate_projection=self._target.validate,
        )
        return Result(plan, bindings)

    def _write(self, batch: Batch[D]) -> Result:
        store, result = self._job.store, self._plan(batch)
        plan, done = result.plan, result.done
        results: Sequence[Written | TargetError] = self._target.upsert_many(plan.changes) if plan.changes else ()
        for change, written in zip(plan.changes, results, strict=True):
            if isinstance(written, TargetError):
                plan.refuse(change.key, Stage.TARGET, written, batch.records[change.key].data)
            else:
                done.append((change, written))
        made = [Binding(change.key, written.internal_id, change.version) for change, written in done]
        if result.bindings:
            store.bind_many([binding for binding in made if binding.key in result.bindings])
            made = [binding for binding in made if binding.key not in result.bindings]
        store.bind_many(made, new=True)
        store.save_rejects([reject for reject, _ in plan.refused])
        good = self._known.with_open_reject([*plan.unchanged, *(change.key for change, _ in done)])
        store.resolve_rejects([*batch.good, *good])
        if batch.token is not None:
            store.save_checkpoint(self._job.stream, stored_version(self._job.mapper, batch.token) or "")
        return result

    def _preview(self, batch: Batch[D]) -> Result:
        """What `_write` would come to, found out by reading."""
        result = self._plan(batch)
        plan, tally = result.plan, self._tally
        for change, difference in zip(plan.changes, self._target.preview(plan.changes), strict=True):
            if isinstance(difference, TargetError):
                plan.refuse(change.key, Stage.TARGET, difference, batch.records[change.key].data)
            elif difference is None:
                plan.unchanged.append(change.key)
            else:
                tally.difference(difference)
                tally.restored += _was_vanished(change)
                tally.created += difference.change == "created"
                tally.updated += difference.change != "created"
        return result

    def _count(self, result: Result) -> None:
        tally, logger = self._tally, self._job.logger
        tally.skipped += len(result.plan.unchanged)
        for key in result.plan.unchanged:
            logger.skipped(key)
        for change, written in result.done:
            tally.restored += _was_vanished(change)
            if written.outcome is Outcome.CREATED:
                tally.created += 1
                logger.created(change.key)
            elif written.outcome is Outcome.UPDATED:
                tally.updated += 1
                logger.updated(change.key)
            else:
                tally.skipped += 1
                logger.skipped(change.key)
        for reject, error in result.plan.refused:
            tally.failed += 1
            tally.error(f"{reject.key.key}: {reject.stage}: {reject.error}")
            logger.error(reject.key, reject.stage, error)
        logger.progress(self._job.report(tally))


def _was_vanished(change: Change) -> bool:
    return change.binding is not None and change.binding.remote_deleted_at is not None
