"""The rooms as a flow of the product: with a line in flows/registry.py it is asset, command and schedule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from examples.rooms.room import RoomMapper
from examples.rooms.source import SYSTEM, RoomsFile
from examples.rooms.table import ROOMS
from sync_pipelines.errors import SourceUnavailable
from sync_pipelines.flows.spec import Finding, Flow, Upstream
from sync_pipelines.settings import Settings

__all__ = ["rooms_flow"]


def rooms_flow(path: Path) -> Flow:
    """The flow of the file at `path`; in the product the path is a setting."""

    def probe(settings: Settings) -> Iterator[Finding]:
        if not path.is_file():
            raise SourceUnavailable(f"there is no file {path}")
        yield Finding("rooms", "ok", f"{path} is there")

    return Flow(
        stream="hradec/rooms",
        system=SYSTEM,
        upstream=Upstream("hradec", "hradec", "Europe/Prague", origin=lambda _: "rooms of Hradec", probe=probe),
        description="Every **room** of the school, from the export of its building software.",
        table=ROOMS,
        view="rooms.rooms_current",
        mapper=RoomMapper(),
        open_source=lambda settings, on_read: nullcontext(RoomsFile(path)),
    )
