"""One run: reads the source to its end and makes the target hold what it said, batch by batch.

Order within a batch: source.validate → unchanged? → bindings → mapper → target.validate → one transaction for
rows, bindings, rejects and the checkpoint that covers them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from sync_pipelines.core.absence import Absence
from sync_pipelines.core.known import Known
from sync_pipelines.core.one_by_one import as_bulk
from sync_pipelines.core.plan import BatchPlan, plan_batch, stored_version
from sync_pipelines.core.records import (
    Binding,
    Change,
    Coverage,
    ExternalKey,
    Fetch,
    Mark,
    Outcome,
    Payload,
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


@dataclass(slots=True)
class _Batch(Generic[D]):
    """What was read since the last transaction, each key once; `token` is the last mark among it."""

    records: dict[ExternalKey, Payload[D]] = field(default_factory=dict[ExternalKey, "Payload[D]"])
    refused: dict[ExternalKey, tuple[Reject, SyncError]] = field(
        default_factory=dict[ExternalKey, tuple[Reject, SyncError]]
    )
    token: str | None = None

    def __len__(self) -> int:
        return len(self.records) + len(self.refused)


@dataclass(slots=True)
class _Result:
    """What became of a batch."""

    plan: BatchPlan
    bindings: Mapping[ExternalKey, Binding]
    done: list[tuple[Change, Written]] = field(default_factory=list[tuple[Change, Written]])

    def bound(self) -> list[ExternalKey]:
        """The keys that now have a binding which is not vanished."""
        refused = (self.bindings.get(reject.key) for reject, _ in self.plan.refused)
        still = [b.key for b in refused if b is not None and b.remote_deleted_at is None]
        return [*self.plan.unchanged, *(change.key for change, _ in self.done), *still]


class Run(Generic[D]):
    """The state of one run: what was seen, and the batch being gathered."""

    def __init__(self, job: SyncJob[D], tally: Tally) -> None:
        self._job = job
        self._tally = tally
        self._target = as_bulk(job.target)
        self._known = Known(job.store, self._target)
        self._batch = _Batch[D]()

    def to_the_end(self) -> None:
        since = self._since()
        try:
            coverage = self._read(since)
        except CheckpointExpired:
            if since is None:
                raise
            coverage = self._read(None)
        if coverage.complete:
            Absence(self._job, self._target, self._known, self._tally).settle(coverage)
        else:
            reason = coverage.reason or "the source does not prove that this is everything"
            self._tally.ended_by = f"incomplete: {reason}"
        self._job.logger.progress(self._job.report(self._tally))

    # --- reading ------------------------------------------------------------------------------------------

    def _since(self) -> str | None:
        """The checkpoint; none where the mapper has changed since: the upstream would not send all of it again."""
        saved = None if self._job.full else self._job.store.get_checkpoint(self._job.stream)
        prefix = stored_version(self._job.mapper, "") or ""
        return saved.removeprefix(prefix) if saved and saved.startswith(prefix) else None

    def _read(self, since: str | None) -> Coverage:
        self._known.begin_reading()
        try:
            coverage = self._take_all(self._job.source.fetch(since))
        except SourceError:
            # What was read before the read failed is true all the same.
            self._settle(last=True)
            raise
        self._settle(last=True)
        return coverage

    def _take_all(self, fetch: Fetch[D]) -> Coverage:
        """Take every item; a fetch that returns no coverage has proven nothing."""
        items, size = iter(fetch), self._job.batch_size
        while True:
            try:
                item = next(items)
            except StopIteration as end:
                returned = cast("object", end.value)
                return returned if isinstance(returned, Coverage) else Coverage(complete=False)
            if isinstance(item, tuple):
                self._take(*item)
            elif isinstance(item, Mark):
                self._batch.token = item.token
            else:
                self._refuse(item)
            if len(self._batch) >= size:
                self._settle()

    def _take(self, key: ExternalKey, payload: Payload[D]) -> None:
        """Accept one record into the batch, once per run."""
        try:
            self._job.source.validate(key, payload)
        except SyncError as error:
            self._set_aside(key, Stage.SOURCE, error, payload.data)
            return
        if not self._known.takes(key):
            self._take_again(key, payload)
            return
        if key in self._batch.refused:
            self._settle()
        self._batch.records[key] = payload

    def _take_again(self, key: ExternalKey, payload: Payload[D]) -> None:
        """The same record twice is one record; two records under one key are somebody's mistake."""
        if key in self._batch.records:
            self._settle()
        if self._known.holds(key, stored_version(self._job.mapper, payload.version)):
            self._tally.skipped += 1
            self._job.logger.skipped(key)
            return
        error = SourceError(f"{key.key} came twice with different content; the first was taken")
        self._set_aside(key, Stage.SOURCE, error, payload.data)

    def _refuse(self, row: Unreadable) -> None:
        self._set_aside(row.key, Stage.SOURCE, SourceError(row.reason), row.data)

    def _set_aside(self, key: ExternalKey, stage: Stage, error: SyncError, data: object) -> None:
        if error.ends_run:
            raise error
        if key in self._batch.records or key in self._batch.refused:
            self._settle()
        self._known.refuses(key)
        self._batch.refused[key] = (Reject(key, stage, str(error), data), error)

    # --- writing ------------------------------------------------------------------------------------------

    def _settle(self, *, last: bool = False) -> None:
        """Make the batch durable: rows, bindings, rejects and checkpoint in one transaction.

        A stream of one batch has its keys looked up; for a longer one every version is learnt before the first.
        """
        batch, self._batch = self._batch, _Batch[D]()
        if not batch and batch.token is None:
            return
        versions = {
            key: stored_version(self._job.mapper, payload.version) for key, payload in batch.records.items()
        }
        if not last:
            self._known.load({key.system for key in versions})
        unchanged = [key for key, version in versions.items() if self._known.holds(key, version)]
        for key in unchanged:
            del batch.records[key]
        if self._job.plan:
            result = self._preview(batch)
        else:
            result = in_transaction(self._job.store, lambda: self._write(batch, unchanged))
        result.plan.unchanged.extend(unchanged)
        self._known.settled(
            versions,
            before=[b for b in result.bindings.values() if b.key in versions],
            bound=result.bound(),
            refused=[reject.key for reject, _ in result.plan.refused],
        )
        self._count(result)

    def _plan(self, batch: _Batch[D]) -> _Result:
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
        return _Result(plan, bindings)

    def _write(self, batch: _Batch[D], unchanged: Sequence[ExternalKey]) -> _Result:
        store, result = self._job.store, self._plan(batch)
        plan, done = result.plan, result.done
        results: Sequence[Written | TargetError] = self._target.upsert_many(plan.changes) if plan.changes else ()
        for change, written in zip(plan.changes, results, strict=True):
            if isinstance(written, TargetError):
                plan.refuse(change.key, Stage.TARGET, written, batch.records[change.key].data)
            else:
                done.append((change, written))
        made = [Binding(change.key, written.internal_id, change.version) for change, written in done]
        for new in (True, False):
            if some := [binding for binding in made if (binding.key not in result.bindings) is new]:
                store.bind_many(some, new=new)
        if plan.refused:
            store.save_rejects([reject for reject, _ in plan.refused])
        good = [*unchanged, *plan.unchanged, *(change.key for change, _ in done)]
        if settled := self._known.with_open_reject(good):
            store.resolve_rejects(settled)
        if batch.token is not None:
            store.save_checkpoint(self._job.stream, stored_version(self._job.mapper, batch.token) or "")
        return result

    def _preview(self, batch: _Batch[D]) -> _Result:
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
                tally.restored += difference.change == "restored"
                tally.created += difference.change == "created"
                tally.updated += difference.change != "created"
        return result

    def _count(self, result: _Result) -> None:
        tally, logger = self._tally, self._job.logger
        tally.skipped += len(result.plan.unchanged)
        for key in result.plan.unchanged:
            logger.skipped(key)
        for change, written in result.done:
            if change.binding is not None and change.binding.remote_deleted_at is not None:
                tally.restored += 1
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
