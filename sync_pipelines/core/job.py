"""The engine: reads a source to its end and makes the target hold what it said, batch by batch.

Order within a batch: source.validate → bindings → unchanged? → mapper → target.validate → one transaction for
rows, bindings, rejects and the checkpoint that covers them.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from sync_pipelines.core.plan import BatchPlan, plan_batch
from sync_pipelines.core.ports import BulkTarget, Mapper, Metered, Source, StateStore, SyncLogger, Target
from sync_pipelines.core.records import (
    Binding,
    Change,
    Coverage,
    ExternalKey,
    Fetch,
    Mark,
    Outcome,
    Payload,
    Projection,
    Record,
    Stage,
    Unreadable,
    Written,
)
from sync_pipelines.core.report import SyncReport, Tally
from sync_pipelines.errors import DatabaseUnavailable, SourceError, SyncError, TargetError

__all__ = ["SilentLogger", "SyncJob"]

D = TypeVar("D")
Item = Record[D] | Unreadable | Mark


class SilentLogger:
    """A SyncLogger that says nothing; a base for one that says only some things."""

    def created(self, key: ExternalKey) -> None: ...
    def updated(self, key: ExternalKey) -> None: ...
    def skipped(self, key: ExternalKey) -> None: ...
    def deleted(self, key: ExternalKey) -> None: ...
    def error(self, key: ExternalKey, stage: Stage, error: SyncError) -> None: ...
    def progress(self, report: SyncReport) -> None: ...


class _OneByOne:
    """Lets the engine treat a simple Target as a bulk one."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def validate(self, key: ExternalKey, projection: Projection) -> None:
        self._target.validate(key, projection)

    def upsert_many(self, changes: Sequence[Change]) -> Sequence[Written | TargetError]:
        return [self._upsert(change) for change in changes]

    def _upsert(self, change: Change) -> Written | TargetError:
        try:
            internal_id = self._target.upsert(change.key, change.projection)
        except TargetError as error:
            return error
        return Written(internal_id, Outcome.UPDATED if change.binding else Outcome.CREATED)

    def alive(self, internal_ids: Collection[str]) -> Collection[str]:
        return internal_ids


@dataclass(slots=True)
class _Batch(Generic[D]):
    """Records read since the last transaction."""

    records: dict[ExternalKey, Payload[D]] = field(default_factory=dict[ExternalKey, "Payload[D]"])
    plan: BatchPlan = field(default_factory=BatchPlan)
    token: str | None = None

    def __len__(self) -> int:
        return len(self.records) + len(self.plan.refused) + len(self.plan.unchanged)


@dataclass
class SyncJob(Generic[D]):
    """One stream, from its source to its target.

    `stream` names it for people ("wtl/courses"). `batch_size` is the number of records per transaction.
    """

    stream: str
    source: Source[D]
    mapper: Mapper[D]
    target: Target | BulkTarget
    store: StateStore
    logger: SyncLogger = field(default_factory=SilentLogger)
    partition: str | None = None
    batch_size: int = 1000

    def run(self) -> SyncReport:
        """Read everything and write what differs.

        Raises the SyncError that ended the run, with the report so far as its `report`: what was written up to
        then is durable and counted. A refused record does not end the run: it is counted and kept.
        """
        tally = Tally(self.stream, self.partition)
        try:
            with self.store.exclusive(self.stream):
                self.store.run_started(self.stream)
                try:
                    _Run(self, tally).to_the_end()
                except DatabaseUnavailable:
                    raise
                except SyncError as error:
                    tally.ended_by = str(error)
                    self.store.run_ended(self.stream, self.report(tally))
                    raise
                self.store.run_ended(self.stream, self.report(tally))
        except SyncError as error:
            tally.ended_by = str(error)
            error.report = self.report(tally)
            raise
        return self.report(tally)

    def report(self, tally: Tally) -> SyncReport:
        """The counters so far, with what the source spent on the network."""
        if isinstance(self.source, Metered):
            return tally.report(requests=self.source.requests, retries=self.source.retries)
        return tally.report()


class _Run(Generic[D]):
    """The state of one run: what was seen, and the batch being gathered."""

    def __init__(self, job: SyncJob[D], tally: Tally) -> None:
        self._job = job
        self._tally = tally
        self._target: BulkTarget = _bulk(job.target)
        self._seen: dict[ExternalKey, str | None] = {}
        self._batch = _Batch[D]()

    def to_the_end(self) -> None:
        since = self._job.store.get_checkpoint(self._job.stream)
        fetch = _with_coverage(self._job.source.fetch(since))
        try:
            coverage = self._read(fetch)
        except SourceError:
            # What was read before the read failed is true all the same.
            self._write()
            raise
        self._write()
        self._tally.complete = coverage.complete
        if not coverage.complete:
            reason = coverage.reason or "the source does not prove that this is everything"
            self._tally.ended_by = f"incomplete: {reason}"
        self._job.logger.progress(self._job.report(self._tally))

    def _read(self, fetch: Generator[Item[D], None, Coverage]) -> Coverage:
        while True:
            try:
                item = next(fetch)
            except StopIteration as end:
                return end.value
            if isinstance(item, Mark):
                self._batch.token = item.token
                self._write()
                continue
            if isinstance(item, Unreadable):
                self._batch.plan.refuse(item.key, Stage.SOURCE, SourceError(item.reason), item.data)
            else:
                self._take(*item)
            if len(self._batch) >= self._job.batch_size:
                self._write()

    def _take(self, key: ExternalKey, payload: Payload[D]) -> None:
        """Accept one record into the batch, once per run."""
        plan = self._batch.plan
        try:
            self._job.source.validate(key, payload)
            if key in self._seen:
                self._accept_repeated(key, payload)
                return
        except SyncError as error:
            plan.refuse(key, Stage.SOURCE, error, payload.data)
            return
        self._seen[key] = payload.version
        self._batch.records[key] = payload

    def _accept_repeated(self, key: ExternalKey, payload: Payload[D]) -> None:
        """The same record twice is one record; two records under one key are somebody's mistake."""
        if payload.version is None or payload.version != self._seen[key]:
            raise SourceError(f"{key.key} came twice with different content; the first was taken")
        self._batch.plan.unchanged.append(key)

    def _write(self) -> None:
        """Make the batch durable: rows, bindings, rejects and checkpoint in one transaction."""
        batch, self._batch = self._batch, _Batch[D]()
        job, plan = self._job, batch.plan
        with job.store.transaction():
            self._plan(batch)
            results: Sequence[Written | TargetError] = ()
            if plan.changes:
                results = self._target.upsert_many(plan.changes)
            written: list[tuple[Change, Written]] = []
            for change, result in zip(plan.changes, results, strict=True):
                if isinstance(result, TargetError):
                    plan.refuse(change.key, Stage.TARGET, result, batch.records[change.key].data)
                else:
                    written.append((change, result))
            job.store.bind_many([Binding(c.key, w.internal_id, c.version) for c, w in written])
            refused = {reject.key for reject, _ in plan.refused}
            job.store.save_rejects([reject for reject, _ in plan.refused])
            job.store.resolve_rejects([key for key in batch.records if key not in refused])
            if batch.token is not None:
                job.store.save_checkpoint(job.stream, batch.token)
        self._count(plan, written)

    def _plan(self, batch: _Batch[D]) -> None:
        bindings = self._job.store.get_bindings(list(batch.records))
        plan_batch(
            batch.plan,
            batch.records,
            bindings,
            self._target.alive({b.internal_id for b in bindings.values() if b.internal_id}),
            self._job.mapper,
            validate_binding=self._job.store.validate_binding,
            validate_projection=self._target.validate,
        )

    def _count(self, plan: BatchPlan, written: Sequence[tuple[Change, Written]]) -> None:
        tally, logger = self._tally, self._job.logger
        for key in plan.unchanged:
            tally.skipped += 1
            logger.skipped(key)
        for change, result in written:
            if change.binding is not None and change.binding.remote_deleted_at is not None:
                tally.restored += 1
            if result.outcome is Outcome.CREATED:
                tally.created += 1
                logger.created(change.key)
            elif result.outcome is Outcome.UPDATED:
                tally.updated += 1
                logger.updated(change.key)
            else:
                tally.skipped += 1
                logger.skipped(change.key)
        for reject, error in plan.refused:
            tally.failed += 1
            tally.error(f"{reject.key.key}: {reject.stage}: {reject.error}")
            logger.error(reject.key, reject.stage, error)
        logger.progress(self._job.report(tally))


def _bulk(target: Target | BulkTarget) -> BulkTarget:
    if hasattr(target, "upsert_many"):
        return target  # pyright: ignore[reportReturnType]
    return _OneByOne(target)  # pyright: ignore[reportArgumentType]


def _with_coverage(fetch: Fetch[D]) -> Generator[Item[D], None, Coverage]:
    """Any fetch as a generator that returns its coverage; one that returns none has proven nothing."""
    returned = cast("object", (yield from fetch))
    return returned if isinstance(returned, Coverage) else Coverage(complete=False)
