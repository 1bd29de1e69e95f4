"""What a source gives, item by item, and what it says at the end of how much of everything that was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar, cast

from sync_pipelines.core.records import Coverage, Fetch, Item

__all__ = ["Reading"]

D = TypeVar("D")


class Reading(Generic[D]):
    """The items of a fetch, once; after them `coverage` is what it returned. None returned proves nothing."""

    def __init__(self, fetch: Fetch[D]) -> None:
        self._fetch = fetch
        self.coverage = Coverage(complete=False)

    def __iter__(self) -> Iterator[Item[D]]:
        returned = cast("object", (yield from self._fetch))
        if isinstance(returned, Coverage):
            self.coverage = returned
