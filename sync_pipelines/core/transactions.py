"""Repeating a transaction that the server took back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sync_pipelines.core.ports import StateStore
from sync_pipelines.errors import TransactionConflict

__all__ = ["in_transaction"]

T = TypeVar("T")

_ATTEMPTS = 4


def in_transaction(store: StateStore, write: Callable[[], T]) -> T:
    """Do it in one transaction of the store; again where the server gave way to somebody else's.

    `write` changes nothing outside of the store and the target. Raises the last TransactionConflict.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with store.transaction():
                return write()
        except TransactionConflict:
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")
