"""What a run knows of its stream: which versions are written, which keys it has read. A few words a record.

Keys and versions are held as 64-bit hashes (SipHash, keyed anew in each process), so that a million records cost
tens of megabytes and no look-up costs a query.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from sync_pipelines.core.ports import BulkTarget, StateStore
from sync_pipelines.core.records import Binding, ExternalKey

__all__ = ["Known", "KnownSystem"]


class KnownSystem:
    """One system's part: hashes of (key, stored version), and of keys.

    `versions` are written, to a row that is alive and not marked vanished; those `not_written` were read and
    refused. Of the keys, `taken` were read and are well-formed, `refused` were read and are not; `rejects` are
    open from before.
    `confirmed` counts keys read that have a binding which is not vanished, unless `miscounted`; `added` are those
    of them that had none before this run.
    """

    def __init__(self, system: str, store: StateStore) -> None:
        self.system = system
        self._store = store
        self._rejects: set[int] | None = None
        self.versions: set[int] = set()
        self.loaded = False
        self.added = 0
        self.begin_reading()

    def begin_reading(self) -> None:
        """Nothing is read yet, in this reading."""
        self.taken: set[int] = set()
        self.refused: set[int] = set()
        self.not_written: set[int] = set()
        self.confirmed = 0
        self.miscounted = False
        self.never_bound = False

    @property
    def rejects(self) -> set[int]:
        """Keys that a reject is open for."""
        if self._rejects is None:
            self._rejects = {hash(key.key) for key in self._store.open_rejects(self.system)}
        return self._rejects

    def load(self, target: BulkTarget) -> None:
        """Learn every version that is written, before anything of the system is settled."""
        self.loaded = True
        any_written = False
        for rows in self._store.iter_versions(self.system, target):
            any_written = any_written or bool(rows)
            self.versions.update(map(hash, rows))
        # A binding may be of a record that vanished, or of a row that is gone.
        self.never_bound = not any_written and next(self._store.iter_bindings(self.system), None) is None

    def takes_all(self, keys: Sequence[str]) -> bool:
        """Note that these keys were read; False, and nothing noted, where one was before, or comes twice."""
        markers = list(map(hash, keys))
        if not self.taken.isdisjoint(markers) or not self.refused.isdisjoint(markers):
            return False
        before = len(self.taken)
        self.taken.update(markers)
        if len(self.taken) - before < len(markers):
            self.taken.difference_update(markers)
            return False
        return True

    def takes(self, key: str) -> bool:
        """Note that a well-formed record of this key was read; False if one was before."""
        marker = hash(key)
        if marker in self.taken:
            return False
        self.miscounted = self.miscounted or marker in self.refused
        self.taken.add(marker)
        return True

    def refuses(self, key: str) -> None:
        """Note that a malformed record of this key was read: it is there upstream all the same."""
        marker = hash(key)
        self.miscounted = self.miscounted or marker in self.taken or marker in self.refused
        self.refused.add(marker)

    def was_read(self, key: str) -> bool:
        """Whether the upstream gave this key, in good order or not."""
        marker = hash(key)
        return marker in self.taken or marker in self.refused

    def holds(self, key: str, version: str | None) -> bool:
        """Whether there is nothing left to do for just this version of the key's record."""
        marker = hash((key, version))
        return version is not None and (marker in self.versions or marker in self.not_written)


class Known:
    """Everything known of the systems that the stream's keys belong to."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._systems: dict[str, KnownSystem] = {}
        self.stand_ins = 0

    def begin_reading(self) -> None:
        """Nothing is read yet, in this reading."""
        self.stand_ins = 0
        for system in self._systems.values():
            system.begin_reading()

    def of(self, system: str) -> KnownSystem:
        """What is known of one system."""
        if system not in self._systems:
            self._systems[system] = KnownSystem(system, self._store)
        return self._systems[system]

    def was_read(self, key: ExternalKey) -> bool:
        """Whether the upstream gave this key, in good order or not."""
        return self.of(key.system).was_read(key.key)

    @property
    def read_nothing(self) -> bool:
        """Whether not a single key was read."""
        return not any(s.taken or s.refused or s.confirmed for s in self._systems.values())

    def bindings(self, keys: Sequence[ExternalKey]) -> Mapping[ExternalKey, Binding]:
        """The bindings of these keys; no query where the system had none when the run began."""
        never = {name for name, system in self._systems.items() if system.never_bound}
        bound = [key for key in keys if key.system not in never]
        return self._store.get_bindings(bound) if bound else {}

    def with_open_reject(self, keys: Iterable[ExternalKey]) -> list[ExternalKey]:
        """Those of the keys that a reject is open for."""
        if not any(system.rejects for system in self._systems.values()):
            return []
        return [key for key in keys if (rejects := self.of(key.system).rejects) and hash(key.key) in rejects]

    def settled(
        self,
        versions: Mapping[ExternalKey, str | None],
        *,
        before: Mapping[ExternalKey, Binding],
        bound: Collection[ExternalKey],
        refused: AbstractSet[ExternalKey],
    ) -> None:
        """Note what became of a batch.

        `before` is how its keys were bound; `bound` are those that now have a binding which is not vanished.
        """
        for key, binding in before.items():
            if key in versions:
                self.of(key.system).versions.discard(hash((key.key, binding.version)))
        for key, version in versions.items():
            known = self._systems[key.system]
            (known.not_written if key in refused else known.versions).add(hash((key.key, version)))
        living = {key for key, binding in before.items() if binding.remote_deleted_at is None}
        for system, count in Counter(key.system for key in bound).items():
            self.of(system).confirmed += count
        for system, count in Counter(key.system for key in bound if key not in living).items():
            self.of(system).added += count
        for key in refused:
            self.of(key.system).rejects.add(hash(key.key))

    def nothing_is_missing(self, system: str, living: int) -> bool:
        """Whether the records read account for all of a system's `living` bindings, by their number."""
        known = self.of(system)
        return not known.miscounted and known.confirmed == living
