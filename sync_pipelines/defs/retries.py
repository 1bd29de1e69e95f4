"""Whether a step is tried again: by the error's own verdict, a bounded number of times, each after a longer wait.

What an upstream refuses for having been asked too often is not: the next scheduled run goes on from there.
"""

import random

import dagster as dg

from sync_pipelines.errors import RateLimited, SyncError
from sync_pipelines.settings import Settings

__all__ = ["is_worth_retrying", "retry"]


def is_worth_retrying(error: SyncError) -> bool:
    """Whether the same request may succeed within a minute."""
    return error.transient and not isinstance(error, RateLimited)


def retry(tried: int, error: SyncError, settings: Settings) -> dg.RetryRequested | None:
    """What to raise to have the step tried again, after `tried` retries; None where the error is to stand.

    The wait is `retry_seconds` at first and doubles, each time by half more or less: servers that come back are
    not met by all at once.
    """
    if tried >= settings.retries or not is_worth_retrying(error):
        return None
    seconds = settings.retry_seconds * 2**tried * random.uniform(0.5, 1.5)  # noqa: S311
    return dg.RetryRequested(max_retries=settings.retries, seconds_to_wait=seconds)
