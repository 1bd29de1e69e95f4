"""A school with rooms, and its building software, which exports them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from examples.rooms.source import SYSTEM
from sync_pipelines.core import ExternalKey

HEADER = "code,name,floor,seats,updated_at"
NIGHT = "2025-11-20T02:00:00+01:00"


@dataclass
class School:
    """Its lines by code, and the file they are exported to."""

    path: Path
    lines: dict[str, str] = field(default_factory=dict[str, str])

    def room(self, code: str, name: str = "Room", floor: int = 1, seats: int = 24, at: str = NIGHT) -> None:
        """Open a room, or change one."""
        self.lines[code] = f"{code},{name},{floor},{seats},{at}"

    def close(self, code: str) -> None:
        """The room is there no more."""
        del self.lines[code]

    def text(self) -> str:
        """The file as it should be."""
        return "\n".join([HEADER, *self.lines.values(), f"# {len(self.lines)} rooms", ""])

    def export(self, text: str | None = None) -> Path:
        """Write the file, or something else in its place."""
        self.path.write_text(self.text() if text is None else text, "utf-8", newline="")
        return self.path

    def change_one_and_open_one(self) -> Collection[ExternalKey]:
        """For the laws of sources: change some records upstream, and say which."""
        self.room("1.01", "Physics lecture hall", at="2025-11-21T02:00:00+01:00")
        self.room("3.01", "Attic", floor=3, at="2025-11-21T02:00:00+01:00")
        self.export()
        return [ExternalKey(SYSTEM, "1.01"), ExternalKey(SYSTEM, "3.01")]


def two_rooms(path: Path) -> School:
    """A school of two rooms, exported."""
    school = School(path)
    school.room("1.01", "Physics laboratory")
    school.room("2.07", "Aula", floor=2, seats=180)
    school.export()
    return school
