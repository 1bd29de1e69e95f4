"""Learning progress: the rules by which it is merged, and the library with which a device keeps it offline.

For apps on devices: nothing is imported but the standard library and httpx. docs/offline-progress.md is its guide.
"""

from sync_pipelines.progress.errors import (
    NotLoggedIn,
    OtherAccount,
    ProgressError,
    StoreError,
    SyncFailed,
    SyncRefused,
)
from sync_pipelines.progress.merge import Lesson, Progress
from sync_pipelines.progress.schedule import Timing
from sync_pipelines.progress.store import SESSION_CAP_MS, ProgressStore
from sync_pipelines.progress.sync import ProgressSync, Status

__all__ = [
    "SESSION_CAP_MS",
    "Lesson",
    "NotLoggedIn",
    "OtherAccount",
    "Progress",
    "ProgressError",
    "ProgressStore",
    "ProgressSync",
    "Status",
    "StoreError",
    "SyncFailed",
    "SyncRefused",
    "Timing",
]
