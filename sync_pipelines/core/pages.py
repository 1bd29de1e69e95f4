"""Pages that came byte for byte as in the last complete read: what is in them need not even be decoded.

They are trusted only if nothing has changed here either: no binding since, no row gone. What a read was made of
is remembered only if all of it was read, nothing of it was refused, and nothing came twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sync_pipelines.core.known import Known
from sync_pipelines.core.ports import BulkTarget, RememberingStore, StateStore
from sync_pipelines.core.records import Records

__all__ = ["Pages"]


class Pages:
    """The pages of one run. `skipped` counts those that were not read, because nothing changed."""

    def __init__(self, stream: str, prefix: str, store: StateStore, target: BulkTarget, *, trusted: bool) -> None:
        self._stream = stream
        self._prefix = prefix
        self._store = store if isinstance(store, RememberingStore) else None
        self._target = target
        self._trusted = trusted
        self.begin_reading()

    def begin_reading(self) -> None:
        """No page is read yet, in this reading."""
        self._remembered: dict[str, tuple[str, int]] | None = None
        self._alive: dict[str, bool] = {}
        self._read: dict[str, tuple[str, int]] = {}
        self._worth_remembering = True
        self.skipped = 0

    def unchanged(self, digest: str) -> tuple[str, int] | None:
        """The system of a page that need not be read, and how many records it has. Each page once."""
        if not self.remembers(digest):
            return None
        assert self._remembered is not None
        page = self._remembered.pop(self._prefix + digest)
        if not self._all_alive(page[0]):
            return None
        self.skipped += 1
        return page

    def remembers(self, digest: str) -> bool:
        """Whether the last complete read had this page, and no binding has changed since."""
        if self._store is None or not self._trusted:
            return False
        if self._remembered is None:
            self._remembered = dict(self._store.remembered_pages(self._stream))
        return self._prefix + digest in self._remembered

    def _all_alive(self, system: str) -> bool:
        assert self._store is not None
        if system not in self._alive:
            self._alive[system] = self._store.all_alive(system, self._target)
        return self._alive[system]

    def read(self, digest: str, records: Sequence[Records[Any]]) -> None:
        """Note what a page held that was read."""
        systems = {r.system for r in records}
        if len(systems) != 1 or self._prefix + digest in self._read:
            self.forget()
            return
        self._read[self._prefix + digest] = systems.pop(), sum(len(r.keys) for r in records)

    def forget(self) -> None:
        """Something in this read speaks against trusting its pages the next time."""
        self._worth_remembering = False

    def remember(self, known: Known) -> None:
        """Keep what a complete read was made of, where that is worth it."""
        if self._store is None or self.skipped or not self._read:
            return
        good = self._worth_remembering and not any(known.of(system).rejects for system, _ in self._read.values())
        self._store.remember_pages(self._stream, self._read if good else {})
