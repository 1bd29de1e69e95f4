"""The one-way sync engine: Source → Mapper → Target + StateStore. Standard library only; knows no upstream,
no database and no orchestrator."""

from sync_pipelines.core.checkpoints import Cursor, MonotonicId, UpdatedAt
from sync_pipelines.core.fingerprint import fingerprint
from sync_pipelines.core.job import SyncJob
from sync_pipelines.core.logger import SilentLogger
from sync_pipelines.core.memory import MemoryStateStore, MemoryTarget
from sync_pipelines.core.ports import BulkTarget, Deleting, Mapper, Metered, Source, StateStore, SyncLogger, Target
from sync_pipelines.core.records import (
    Binding,
    Change,
    Coverage,
    Difference,
    ExternalKey,
    Fetch,
    Mark,
    Outcome,
    Payload,
    Projection,
    Record,
    Records,
    Reject,
    Stage,
    Unreadable,
    Written,
)
from sync_pipelines.core.report import SyncReport
from sync_pipelines.errors import MappingError, SourceError, StateError, SyncError, TargetError

__all__ = [
    "Binding",
    "BulkTarget",
    "Change",
    "Coverage",
    "Cursor",
    "Deleting",
    "Difference",
    "ExternalKey",
    "Fetch",
    "Mapper",
    "MappingError",
    "Mark",
    "MemoryStateStore",
    "MemoryTarget",
    "Metered",
    "MonotonicId",
    "Outcome",
    "Payload",
    "Projection",
    "Record",
    "Records",
    "Reject",
    "SilentLogger",
    "Source",
    "SourceError",
    "Stage",
    "StateError",
    "StateStore",
    "SyncError",
    "SyncJob",
    "SyncLogger",
    "SyncReport",
    "Target",
    "TargetError",
    "Unreadable",
    "UpdatedAt",
    "Written",
    "fingerprint",
]
