"""After a complete snapshot: what is bound and was not read has vanished upstream. Nothing else ever has.

Rows are marked, never deleted, and only as many at once as is believable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sync_pipelines.core.known import Known
from sync_pipelines.core.ports import BulkTarget
from sync_pipelines.core.records import Binding, Coverage, Difference, ExternalKey, Stage
from sync_pipelines.core.report import Tally
from sync_pipelines.core.transactions import in_transaction
from sync_pipelines.errors import GuardTripped, TargetError

if TYPE_CHECKING:
    from sync_pipelines.core.job import SyncJob

__all__ = ["NOT_MARKED", "Absence"]

#: What a report says of rows that seem to be missing where that is in doubt.
NOT_MARKED = "were not marked as vanished"

# So many rows may vanish at once whatever share of the stream they are.
_ALWAYS_BELIEVED = 20


def _everywhere(_: ExternalKey) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Absence:
    """Settles what a run's complete read did not hold."""

    job: SyncJob[Any]
    target: BulkTarget
    known: Known
    tally: Tally

    def settle(self, coverage: Coverage) -> None:
        """Mark what vanished and settle the rejects of records that are gone. Raises GuardTripped."""
        within = coverage.within or _everywhere
        missing, living, bound = self._missing(coverage, within)
        if missing and self.known.stand_ins:
            self.tally.error(
                f"{len(missing)} rows are missing upstream and {NOT_MARKED}: "
                f"{self.known.stand_ins} of the rows read have no id, and could be they"
            )
        elif missing:
            self._check(len(missing), living)
            for start in range(0, len(missing), self.job.batch_size):
                self._vanish(missing[start : start + self.job.batch_size])
        if not self.job.plan:
            self._settle_rejects(coverage.snapshot_of, within)
            # What is a snapshot of nothing counts nothing.
            self.tally.rows = bound - self.tally.deleted if coverage.snapshot_of else None
        self.tally.complete = self.tally.ended_by is None

    def _missing(
        self, coverage: Coverage, within: Callable[[ExternalKey], bool]
    ) -> tuple[list[Binding], int, int]:
        """What is bound within the coverage and was not read; how much was bound there before the run; and all."""
        store = self.job.store
        missing: list[Binding] = []
        living = in_all = 0
        for system in coverage.snapshot_of:
            bound = store.count_bindings(system)
            in_all += bound
            living -= self.known.of(system).added
            if coverage.within is None and not self.job.plan and self.known.nothing_is_missing(system, bound):
                living += bound
                continue
            for binding in store.iter_bindings(system):
                if binding.remote_deleted_at is None and within(binding.key):
                    living += 1
                    if not self.known.was_read(binding.key):
                        missing.append(binding)
        return missing, living, in_all

    def _check(self, missing: int, living: int) -> None:
        """Raise GuardTripped where too many of the `living` rows are missing to have really vanished.

        An empty list where there was something is an upstream's commonest way to fail, so it is one case.
        """
        job = self.job
        empty = self.known.read_nothing and not job.may_be_empty
        too_many = missing > _ALWAYS_BELIEVED and missing > job.max_vanish_ratio * living
        if job.allow_mass_vanish or not (empty or too_many):
            return
        said = "the upstream gave no record at all" if empty else f"the limit is {job.max_vanish_ratio:.0%}"
        raise GuardTripped(
            f"{job.name}: {missing} of {living} rows are missing upstream, and {said}: none was marked as "
            "vanished. Look at the upstream; if they are really gone, approve it for one run with "
            "--allow-mass-vanish"
        )

    def _vanish(self, bindings: Sequence[Binding]) -> None:
        job, tally = self.job, self.tally
        if job.plan:
            for binding in bindings:
                tally.difference(Difference(binding.key, "vanished", {}))
            tally.deleted += len(bindings)
            return

        def mark() -> Sequence[TargetError | None]:
            errors = self.target.vanish_many(bindings)
            pairs = zip(bindings, errors, strict=True)
            job.store.mark_vanished([binding.key for binding, error in pairs if error is None])
            return errors

        for binding, error in zip(bindings, in_transaction(job.store, mark), strict=True):
            if error is None:
                tally.deleted += 1
                tally.difference(Difference.masked(binding.key, "vanished"))
                job.logger.deleted(binding.key)
            else:
                # It stays bound and unmarked, so that the next run tries again.
                tally.ended_by = f"incomplete: {binding.key.key} vanished upstream and cannot be marked: {error}"
                job.logger.error(binding.key, Stage.TARGET, error)

    def _settle_rejects(self, systems: Sequence[str], within: Callable[[ExternalKey], bool]) -> None:
        store = self.job.store
        for system in systems:
            gone = [key for key in store.open_rejects(system) if within(key) and not self.known.was_read(key)]
            if gone:
                in_transaction(store, lambda gone=gone: store.resolve_rejects(gone))
