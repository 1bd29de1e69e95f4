"""What a room is, by our rules, and which row of the table it stands for."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from examples.rooms.source import Row
from sync_pipelines.core import ExternalKey, MappingError, Payload, Projection

__all__ = ["Room", "RoomMapper"]


@dataclass(frozen=True, slots=True)
class Room:
    """A room that lessons can be held in."""

    code: str
    name: str
    floor: int
    seats: int

    @classmethod
    def from_payload(cls, row: Row) -> Room:
        """Raises MappingError for a room that no lesson can be held in."""
        room = cls(row["code"], row["name"], int(row["floor"]), int(row["seats"]))
        if not room.name.strip():
            raise MappingError("the name is blank")
        if room.seats < 1:
            raise MappingError("a room has at least one seat")
        return room


class RoomMapper:
    """Raise `version` when the mapping changes: every room is then looked at again."""

    version = "1"

    def validate(self, key: ExternalKey, payload: Payload[Row]) -> None:
        Room.from_payload(payload.data)

    def map(self, key: ExternalKey, payload: Payload[Row]) -> Projection:
        return Projection("rooms.rooms", asdict(Room.from_payload(payload.data)))
