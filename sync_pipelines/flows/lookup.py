"""The rows that other flows made, by their upstream's ids."""

from __future__ import annotations

import uuid

from sync_pipelines.core import ExternalKey, MappingError, StateStore

__all__ = ["StoredIds"]


class StoredIds:
    """A Lookup in what the store has bound. A system is read whole when it is first asked for."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._systems: dict[str, dict[str, str]] = {}

    def expect(self, key: ExternalKey) -> None:
        """Let a record have a row that a plan would make, if it has none."""
        if self._ids(key.system).get(key.key) is None:
            self._ids(key.system)[key.key] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{key.system} {key.key}"))

    def internal_id(self, system: str, key: str) -> str:
        """The id of the row that `key` stands for, vanished upstream or not. Raises MappingError."""
        ids = self._ids(system)
        if key not in ids:
            binding = self._store.get_binding(ExternalKey(system, key))
            if binding is None:
                raise MappingError(f"{system} {key} is not known here yet: it is taken once that is")
            ids[key] = binding.internal_id
        return ids[key]

    def _ids(self, system: str) -> dict[str, str]:
        if system not in self._systems:
            self._systems[system] = {b.key.key: b.internal_id for b in self._store.iter_bindings(system)}
        return self._systems[system]
