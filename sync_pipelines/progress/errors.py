"""What can go wrong on a device. Messages name no learner, no token and no folder.

ProgressError
├── StoreError      the file cannot be read, written or set aside; nothing of it was changed
├── OtherAccount    the progress in the folder is another learner's: open a store in a folder of their own
├── NotLoggedIn     there is nobody to sync for
├── SyncFailed      the server was not reached, or did not answer as itself: later it may
└── SyncRefused     the server says no, and will again: until a login
"""

from __future__ import annotations

__all__ = ["NotLoggedIn", "OtherAccount", "ProgressError", "StoreError", "SyncFailed", "SyncRefused"]


class ProgressError(Exception):
    """Base of the tree."""


class StoreError(ProgressError):
    """The state's file cannot be used as it must be."""


class OtherAccount(ProgressError):
    """The store was synced for another account."""


class NotLoggedIn(ProgressError):
    """There is no token."""


class SyncFailed(ProgressError):
    """Trying again may help; `retry_after` is how long the server asked to be left alone, in seconds."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SyncRefused(ProgressError):
    """Trying again does not help: the token is not good, or what was sent breaks the server's contract."""
