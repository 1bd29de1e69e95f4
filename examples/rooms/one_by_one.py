"""The simple kind of target: a record at a time, into a JSON file. Bulk is an option, not a duty."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sync_pipelines.core import Binding, ExternalKey, Projection, TargetError

__all__ = ["JsonFile"]


@dataclass(frozen=True)
class JsonFile:
    """Rooms by their ids. The id follows from the key, so that a run that is repeated makes no second room."""

    path: Path

    def validate(self, key: ExternalKey, projection: Projection) -> None:
        if "name" not in projection.fields:
            raise TargetError("name is missing")

    def upsert(self, key: ExternalKey, projection: Projection) -> str:
        internal_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{key.system}/{key.key}"))
        self._save({**self.rooms(), internal_id: dict(projection.fields)})
        return internal_id

    def delete(self, key: ExternalKey, binding: Binding) -> None:
        """Optional: called for a room that vanished. One that is gone already is fine."""
        self._save({i: room for i, room in self.rooms().items() if i != binding.internal_id})

    def rooms(self) -> dict[str, dict[str, Any]]:
        """What the file holds."""
        return json.loads(self.path.read_text("utf-8")) if self.path.exists() else {}

    def _save(self, rooms: dict[str, dict[str, Any]]) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(rooms, ensure_ascii=False, indent=1), "utf-8")
        new.replace(self.path)  # at once, so that nobody ever sees half a file
