"""A job: one stream, from its source to its target. What a run does with it is in `core.run`."""

from __future__ import annotations

import gc
import threading
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sync_pipelines.core.logger import SilentLogger
from sync_pipelines.core.ports import (
    BulkTarget,
    Informed,
    Mapper,
    Metered,
    Source,
    StateStore,
    SyncLogger,
    Target,
)
from sync_pipelines.core.report import SyncReport, Tally
from sync_pipelines.core.run import Run
from sync_pipelines.errors import DatabaseUnavailable, SyncError

__all__ = ["SyncJob"]

D = TypeVar("D")


@dataclass
class SyncJob(Generic[D]):
    """One stream, from its source to its target.

    `stream` names it for people ("wtl/courses"); `partition` is the part of it that `source` reads, where it reads
    a part: what is remembered of a run is remembered by both. `shares_with` names other streams that bring records
    of the same system: none of their runs goes on meanwhile, for what one has just bound is missing from what the
    other read before. `batch_size` is the number of records per transaction. `plan` reads everything and writes
    nothing. `full` ignores the checkpoint and reads from the beginning.

    A complete snapshot that lacks more than `max_vanish_ratio` of the stream's rows and more than 20, or that is
    empty where it was not and `may_be_empty` does not say that this is normal, raises GuardTripped and marks
    nothing, unless `allow_mass_vanish` approves it.
    """

    stream: str
    source: Source[D]
    mapper: Mapper[D]
    target: Target | BulkTarget
    store: StateStore
    logger: SyncLogger = field(default_factory=SilentLogger)
    partition: str | None = None
    shares_with: Sequence[str] = ()
    batch_size: int = 10_000
    plan: bool = False
    full: bool = False
    allow_mass_vanish: bool = False
    max_vanish_ratio: float = 0.10
    may_be_empty: bool = False

    @property
    def name(self) -> str:
        """What the store remembers the job by: its stream, and its partition where it has one."""
        return self.stream if self.partition is None else f"{self.stream}/{self.partition}"

    def run(self) -> SyncReport:
        """Read everything and write what differs.

        Raises the SyncError that ended the run, with the report so far as its `report`: what was written up to
        then is durable and counted. A refused record does not end the run: it is counted and kept.
        """
        tally = Tally(self.stream, self.partition)
        try:
            with _few_collections(), ExitStack() as stack:
                for stream in () if self.plan else (self.name, *self.shares_with):
                    stack.enter_context(self.store.exclusive(stream))
                self._run(tally)
        except SyncError as error:
            tally.ended_by = str(error)
            error.report = self.report(tally)
            raise
        return self.report(tally)

    def _run(self, tally: Tally) -> None:
        if self.plan:
            Run(self, tally).to_the_end()
            return
        self.store.run_started(self.name)
        try:
            Run(self, tally).to_the_end()
        except DatabaseUnavailable:
            raise
        except SyncError as error:
            tally.ended_by = str(error)
            self.store.run_ended(self.name, self.report(tally))
            raise
        self.store.run_ended(self.name, self.report(tally))

    def report(self, tally: Tally) -> SyncReport:
        """The counters so far, with what the source spent on the network and learnt there."""
        source = self.source
        requests, retries = (source.requests, source.retries) if isinstance(source, Metered) else (0, 0)
        facts = source.facts if isinstance(source, Informed) else None
        return tally.report(requests=requests, retries=retries, facts=facts)


_collections = threading.Lock()
_runs = 0
_thresholds = gc.get_threshold()


@contextmanager
def _few_collections() -> Generator[None, None, None]:
    """Look for garbage cycles a hundred times less often while runs go on.

    A batch's objects go by their reference counts; looking for cycles among them took 40 % of a first load.
    """
    global _runs, _thresholds
    with _collections:
        _runs += 1
        if _runs == 1:
            _thresholds = gc.get_threshold()
            gc.set_threshold(max(_thresholds[0], 100_000) if _thresholds[0] else 0, *_thresholds[1:])
    try:
        yield
    finally:
        with _collections:
            _runs -= 1
            if _runs == 0:
                gc.set_threshold(*_thresholds)
