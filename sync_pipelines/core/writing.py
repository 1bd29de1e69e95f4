"""Writing a batch: rows, bindings, rejects and the checkpoint that covers them, in one transaction.

For a plan it is only found out what that would come to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from sync_pipelines.core.batch import Batch, Result
from sync_pipelines.core.known import Known
from sync_pipelines.core.plan import BatchPlan, plan_batch, version_prefix
from sync_pipelines.core.ports import Annotating, BulkTarget
from sync_pipelines.core.records import Binding, Change, Difference, ExternalKey, Outcome, Stage, Written
from sync_pipelines.core.report import Tally
from sync_pipelines.core.transactions import in_transaction
from sync_pipelines.errors import TargetError

if TYPE_CHECKING:
    from sync_pipelines.core.job import SyncJob

__all__ = ["Writer"]

D = TypeVar("D")


class Writer(Generic[D]):
    """Writes a run's batches, and counts and tells what became of them."""

    def __init__(self, job: SyncJob[D], target: BulkTarget, known: Known, tally: Tally) -> None:
        self._job = job
        self._target = target
        self._known = known
        self._tally = tally
        self._prefix = version_prefix(job.mapper)

    def settle(self, batch: Batch[D]) -> None:
        """Make the batch durable, all of it or nothing. Raises the SyncError that ends the run."""
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
            refused={reject.key for reject, _ in result.plan.refused},
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
        result.fields = self._fields_of_the_first(plan.changes)
        results: Sequence[Written | TargetError] = self._target.upsert_many(plan.changes) if plan.changes else ()
        for change, written in zip(plan.changes, results, strict=True):
            if isinstance(written, TargetError):
                plan.refuse(change.key, Stage.TARGET, written, batch.records[change.key].data)
            else:
                done.append((change, written))
        made = [Binding(change.key, written.internal_id, change.version) for change, written in done]
        if isinstance(self._job.mapper, Annotating):
            annotate, records = self._job.mapper.metadata, batch.records
            made = [binding._replace(metadata=annotate(binding.key, records[binding.key])) for binding in made]
        if result.bindings:
            store.bind_many([binding for binding in made if binding.key in result.bindings])
            made = [binding for binding in made if binding.key not in result.bindings]
        store.bind_many(made, new=True)
        store.save_rejects([reject for reject, _ in plan.refused])
        good = self._known.with_open_reject([*plan.unchanged, *(change.key for change, _ in done)])
        store.resolve_rejects([*batch.good, *good])
        if batch.token is not None:
            store.save_checkpoint(self._job.name, self._prefix + batch.token)
        return result

    def _fields_of_the_first(self, changes: Sequence[Change]) -> Mapping[ExternalKey, Collection[str]]:
        """Which fields differ, of so many changes as the report still shows: looked at while they still do."""
        first = changes[: self._tally.room]
        bound = [change for change in first if change.binding]
        found = self._target.preview(bound) if bound and hasattr(self._job.target, "preview") else ()
        names = {d.key: tuple(d.fields) for d in found if isinstance(d, Difference)}
        return {change.key: names.get(change.key, ()) for change in first}

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
            if written.outcome is not Outcome.UNCHANGED and change.key in result.fields:
                did = "restored" if _was_vanished(change) else written.outcome.value
                tally.difference(Difference.masked(change.key, did, result.fields[change.key]))
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
