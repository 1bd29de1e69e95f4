"""Where the rooms come from: a CSV file that the school's building software exports every night.

    code,name,floor,seats,updated_at
    1.01,Physics laboratory,1,24,2026-11-20T02:00:00+01:00
    # 1 rooms

One line a room; the last line says how many there are. Knows nothing of where the rooms go.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from sync_pipelines.core import Coverage, ExternalKey, Fetch, Payload, Record, SourceError, Unreadable, fingerprint
from sync_pipelines.errors import SourceUnavailable, UnexpectedAnswer

__all__ = ["SYSTEM", "RoomsFile", "Row", "read_line", "time_of", "version_of"]

#: A line as it came: every value is text, by its column's name.
Row: TypeAlias = dict[str, str]

# Whose ids these are, and of what: room 1.01 of another school is another room.
SYSTEM = "hradec:room"
COLUMNS: tuple[str, ...] = ("code", "name", "floor", "seats", "updated_at")
LAST_LINE = re.compile(r"# (\d+) rooms")


@dataclass(frozen=True)
class RoomsFile:
    """The file as a source: each read is a snapshot of all rooms."""

    path: Path

    def fetch(self, since: str | None) -> Fetch[Row]:
        """Every room; the file holds no less, so `since` says nothing."""
        rooms = 0
        with self._lines() as lines:
            if next(lines, "") != ",".join(COLUMNS):
                raise UnexpectedAnswer(f"{self.path.name}: the first line is not {','.join(COLUMNS)}")
            for line in lines:
                if last := LAST_LINE.fullmatch(line):
                    if int(last[1]) != rooms or next(lines, None) is not None:
                        raise UnexpectedAnswer(f"{self.path.name}: it says {last[1]} rooms, which is not so")
                    return Coverage.snapshot(SYSTEM)
                rooms += 1
                yield read_line(line)
        raise SourceUnavailable(f"{self.path.name}: it ends after {rooms} rooms without saying so: still written?")

    def validate(self, key: ExternalKey, payload: Payload[Row]) -> None:
        """Raise SourceError for a value that is not of its column's kind."""
        row = payload.data
        for column in ("floor", "seats"):
            if not re.fullmatch(r"-?\d{1,4}", row[column]):
                raise SourceError(f"{column} is not a whole number")
        if time_of(row) is None:
            raise SourceError("updated_at is not a time with its zone")

    @contextmanager
    def _lines(self) -> Iterator[Iterator[str]]:
        """The lines, without their ends; a last one that has no end is cut off, and none."""
        try:
            # A byte that is no UTF-8 spoils its own line and not the file: the target refuses such a text.
            with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                yield (line.rstrip("\r\n") for line in file if line.endswith("\n"))
        except OSError as error:
            raise SourceUnavailable(f"{self.path.name} cannot be read: {error.strerror}") from error


def read_line(line: str) -> Record[Row] | Unreadable:
    """The room of a line, or why it is none."""
    try:
        values = next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        return Unreadable(ExternalKey.unidentified(SYSTEM, line), line, str(error))
    if not values or not values[0]:
        return Unreadable(ExternalKey.unidentified(SYSTEM, line), line, "it has no code")
    key = ExternalKey(SYSTEM, values[0])
    if len(values) != len(COLUMNS):
        return Unreadable(key, line, f"it has {len(values)} columns, and not {len(COLUMNS)}")
    row = dict(zip(COLUMNS, values, strict=True))
    return key, Payload(row, version_of(row))


def version_of(row: Row) -> str:
    """Changes when what we map does. `updated_at` is left out: the export touches it every night."""
    return fingerprint({column: value for column, value in row.items() if column != "updated_at"})


def time_of(row: Row) -> datetime | None:
    """When the room changed; None for what is no time, or no certain one."""
    try:
        when = datetime.fromisoformat(row["updated_at"])
    except ValueError:
        return None
    return None if when.tzinfo is None else when
