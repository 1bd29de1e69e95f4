"""What a run knows of its stream: which versions are written, which keys it has read. A few words a record.

Keys and versions are held as 64-bit hashes (SipHash, keyed anew in each process), so that a million records cost
tens of megabytes and no look-up costs a query.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from sync_pipelines.core.ports import BulkTarget, StateStore
from sync_pipelines.core.records import Binding, ExternalKey

__all__ = ["Known"]


class Known:
    """Empty until `load` is called, before anything of a system is settled; what is settled is added."""

    def __init__(self, store: StateStore, target: BulkTarget) -> None:
        self._store = store
        self._target = target
        self._versions: defaultdict[str, set[int]] = defaultdict(set)
        self._loaded: set[str] = set()
        self._open_rejects: dict[str, set[int]] = {}
        self.begin_reading()

    def begin_reading(self) -> None:
        """Nothing is read yet, in this reading."""
        self._never_bound: set[str] = set()
        self._taken: set[int] = set()
        self._refused: set[int] = set()
        self._confirmed: Counter[str] = Counter()
        self._counts_are_exact = True
        self.stand_ins = 0

    # --- keys read ------------------------------------------------------------------------------------------

    def takes(self, key: ExternalKey) -> bool:
        """Note that a record of this key was read and is well-formed; False if one was before."""
        marker = hash(key)
        if marker in self._taken:
            return False
        if marker in self._refused:
            self._counts_are_exact = False
        self._taken.add(marker)
        return True

    def refuses(self, key: ExternalKey) -> None:
        """Note that a malformed record of this key was read: it is there upstream all the same."""
        marker = hash(key)
        if marker in self._taken or marker in self._refused:
            self._counts_are_exact = False
        self._refused.add(marker)
        self.stand_ins += key.is_stand_in

    def was_read(self, key: ExternalKey) -> bool:
        """Whether the upstream gave this key, in good order or not."""
        marker = hash(key)
        return marker in self._taken or marker in self._refused

    @property
    def read(self) -> int:
        """How many different keys were read."""
        return len(self._taken | self._refused) if self._refused else len(self._taken)

    # --- versions written -----------------------------------------------------------------------------------

    def load(self, systems: Collection[str]) -> None:
        """Learn every version that is written for these systems, once."""
        for system in systems:
            if system in self._loaded:
                continue
            self._loaded.add(system)
            if next(self._store.iter_bindings(system), None) is None:
                self._never_bound.add(system)
                continue
            for rows in self._store.iter_versions(system, self._target):
                self._versions[system].update(map(hash, rows))

    def holds(self, key: ExternalKey, version: str | None) -> bool:
        """Whether just this version is written, to a row that is alive and not marked vanished."""
        return version is not None and hash((key.key, version)) in self._versions[key.system]

    def bindings(self, keys: Sequence[ExternalKey]) -> Mapping[ExternalKey, Binding]:
        """The bindings of these keys; no query where the system had none when the run began."""
        if self._never_bound:
            keys = [key for key in keys if key.system not in self._never_bound]
        return self._store.get_bindings(keys) if keys else {}

    def settled(
        self,
        versions: Mapping[ExternalKey, str | None],
        *,
        before: Iterable[Binding],
        bound: Collection[ExternalKey],
        refused: Collection[ExternalKey],
    ) -> None:
        """Note what became of a batch.

        `before` is how its keys were bound; `bound` are those that now have a binding which is not vanished.
        """
        for binding in before:
            self._versions[binding.key.system].discard(hash((binding.key.key, binding.version)))
        for key, version in versions.items():
            self._versions[key.system].add(hash((key.key, version)))
        self._confirmed.update(key.system for key in bound)
        for key in refused:
            self._rejects_of(key.system).add(hash(key))

    def nothing_is_missing(self, system: str, living: int) -> bool:
        """Whether the records read account for all of a system's `living` bindings, by their number."""
        return self._counts_are_exact and self._confirmed[system] == living

    # --- rejects that are open ------------------------------------------------------------------------------

    def with_open_reject(self, keys: Sequence[ExternalKey]) -> list[ExternalKey]:
        """Those of the keys that a reject is open for."""
        rejects = {system: self._rejects_of(system) for system in {key.system for key in keys}}
        if not any(rejects.values()):
            return []
        return [key for key in keys if hash(key) in rejects[key.system]]

    def _rejects_of(self, system: str) -> set[int]:
        if system not in self._open_rejects:
            self._open_rejects[system] = set(map(hash, self._store.open_rejects(system)))
        return self._open_rejects[system]
