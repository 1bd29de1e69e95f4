"""Every error the project raises, each answering one question: would trying again help?

SyncError
├── SettingsError             a person must change a setting
│   └── NotSetUp              · nothing at all is set of what it takes
├── SourceError               the upstream, or one record of it
│   ├── SourceUnavailable     · transient: unreachable, timed out, 5xx, half an answer
│   ├── RateLimited           · transient: the upstream's quota is used up
│   ├── AccessRefused         · a person must look at the credentials or the licence
│   │   └── NeedsLogin        · an account's login or token is no longer good: a person must renew it
│   ├── CheckpointExpired     · the upstream no longer knows the checkpoint: everything is read again
│   └── UnexpectedAnswer      · the upstream does not keep its contract
│       └── NotFound          · it does not know what it was asked for
├── MappingError              one record breaks a business rule
├── TargetError               one record the target cannot hold
├── StateError                one record's binding contradicts itself
│   ├── GuardTripped          · more rows vanished at once than is believable: a person must approve
│   ├── StreamBusy            · transient: another run of the stream is under way
│   ├── KeyReused             · an idempotency key came again with another payload
│   └── OriginChanged         · the stream's rows came from another upstream than the one now set
├── DagsterUnavailable        transient: who runs the syncs does not answer
└── DatabaseError             the database cannot do its work
    ├── DatabaseUnavailable   · transient: unreachable or restarting
    ├── TransactionConflict   · transient: the server took back a transaction in favour of another's
    └── SchemaError           · its tables are not the ones this version knows

`transient` says whether a rerun may help; unknown means no. `ends_run` says whether the run stops
(True) or only the record at hand is set aside (False).
"""

from typing import Any, ClassVar

__all__ = [
    "AccessRefused",
    "CheckpointExpired",
    "DagsterUnavailable",
    "DatabaseError",
    "DatabaseUnavailable",
    "GuardTripped",
    "KeyReused",
    "MappingError",
    "NeedsLogin",
    "NotFound",
    "NotSetUp",
    "OriginChanged",
    "RateLimited",
    "SchemaError",
    "SettingsError",
    "SourceError",
    "SourceUnavailable",
    "StateError",
    "StreamBusy",
    "SyncError",
    "TargetError",
    "TransactionConflict",
    "UnexpectedAnswer",
]


class SyncError(Exception):
    """Base of the tree. The message names what was wrong, where, and what to do, without personal data.

    `report` is the `SyncReport` of the run that the error ended, where one had begun.
    """

    transient: ClassVar[bool] = False
    ends_run: ClassVar[bool] = True
    report: Any = None


class SettingsError(SyncError):
    """A setting is missing or malformed."""


class NotSetUp(SettingsError):
    """None of the settings of an upstream is set: nobody means to use it."""


class SourceError(SyncError):
    """Raised by `validate`: this record is malformed. Raised by `fetch`: the read failed, and the run ends."""

    ends_run = False


class SourceUnavailable(SourceError):
    """The upstream could not be reached or did not finish its answer."""

    transient = True
    ends_run = True


class RateLimited(SourceError):
    """The upstream's quota is used up; `retry_after` is the wait it asked for, in seconds, if it did."""

    transient = True
    ends_run = True

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AccessRefused(SourceError):
    """The upstream knows the request and refuses it: token, role or licence."""

    ends_run = True


class NeedsLogin(AccessRefused):
    """An account's login or token is no longer good; the other accounts are not concerned."""


class UnexpectedAnswer(SourceError):
    """The upstream answered something its contract does not allow."""

    ends_run = True


class NotFound(UnexpectedAnswer):
    """The upstream has no such endpoint, or no such record."""


class CheckpointExpired(SourceError):
    """Raised by `fetch` for a `since` that the upstream refuses; the run then reads from the beginning."""

    ends_run = True


class MappingError(SyncError):
    """A record is well-formed and still not acceptable by our business rules."""

    ends_run = False


class TargetError(SyncError):
    """The target cannot hold this record."""

    ends_run = False


class StateError(SyncError):
    """What is remembered about this record is inconsistent; it is left as it is for a person to look at."""

    ends_run = False


class GuardTripped(StateError):
    """A complete read lacks so many rows that the upstream is more likely wrong; none of them was marked."""

    ends_run = True


class StreamBusy(StateError):
    """Another run of the same stream did not finish within the time to wait."""

    transient = True
    ends_run = True


class KeyReused(StateError):
    """An idempotency key came with another payload than before: the caller must take a new one."""

    ends_run = True


class OriginChanged(StateError):
    """The stream was filled from another upstream: its ids would be taken for those of this one."""

    ends_run = True


class DagsterUnavailable(SyncError):
    """Dagster's webserver does not answer, or not as it should: no run can be asked for, and none looked at."""

    transient = True


class DatabaseError(SyncError):
    """The database refused a whole statement: privileges, missing objects, disk."""


class DatabaseUnavailable(DatabaseError):
    """No connection, or the connection was lost."""

    transient = True


class TransactionConflict(DatabaseError):
    """A deadlock or serialization failure: nothing of the transaction was kept, and it may simply be repeated."""

    transient = True


class SchemaError(DatabaseError):
    """The tables are at a revision that this version does not know."""
