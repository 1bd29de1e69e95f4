"""The folder into which devices' state files are dropped: claimed, then archived, or set aside with a reason.

A file is only ever moved, never changed or deleted, and at each moment lies in just one place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sync_pipelines.errors import SettingsError, SourceError, SourceUnavailable
from sync_pipelines.settings import Settings

__all__ = ["Inbox", "StateFile"]

# A writer that cannot move a whole file into the inbox calls it by one of these until it is whole.
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", "~")
_CLAIMED, _ARCHIVE, _SET_ASIDE = "_claimed", "_archive", "_set_aside"
_REASON = ".reason.txt"


@dataclass(frozen=True)
class StateFile:
    """A file. `folder` is the one it was dropped into, below the inbox: its learner's user_id, or none.

    `size` is in bytes, as of when it was seen.
    """

    path: Path
    folder: str | None
    size: int = 0

    @property
    def within(self) -> Path:
        """Where it lies in the inbox, or lay."""
        return Path(self.folder or "", self.path.name)


class Inbox:
    """SYNC_HOME/inbox, and in it folders by learner. Its own folders begin with "_"; so may no learner's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, settings: Settings) -> Inbox:
        """That of the settings, whether it is there or not."""
        return cls(settings.home.expanduser() / "inbox")

    def make(self) -> None:
        """Make the folder, where it is missing. Raises SettingsError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"SYNC_HOME: the inbox {self.folder} cannot be made: {error.strerror}") from error

    def waiting(self) -> Iterator[StateFile]:
        """The files that were dropped and are whole, in the order of their names. Raises SourceUnavailable."""
        return self._files(self.folder)

    def claimed(self) -> Iterator[StateFile]:
        """Those that a run has claimed and not got rid of: it was ended meanwhile."""
        return self._files(self.folder / _CLAIMED)

    def archived(self) -> Iterator[StateFile]:
        """Those that were imported, the first day's first."""
        for day in _entries(self.folder / _ARCHIVE):
            yield from self._files(Path(day.path))

    def set_aside_count(self) -> int:
        """How many files wait for a person."""
        files = self._files(self.folder / _SET_ASIDE)
        return sum(not file.path.name.endswith(_REASON) for file in files)

    def claim(self, file: StateFile) -> StateFile | None:
        """Take a waiting file, so that it is nobody else's; None where it is gone.

        Raises SourceError where this one cannot be moved, SourceUnavailable where none can.
        """
        return self._move(file, self.folder / _CLAIMED)

    def archive(self, file: StateFile) -> None:
        """Put a file away that was imported; what lies in the archive already stays where it is."""
        if file.path.is_relative_to(self.folder / _ARCHIVE):
            return
        self._move(file, self.folder / _ARCHIVE / f"{datetime.now(UTC):%Y-%m-%d}")

    def set_aside(self, file: StateFile, reason: str) -> None:
        """Put a file away that a person must look at, and the reason beside it."""
        if moved := self._move(file, self.folder / _SET_ASIDE):
            beside = moved.path.with_name(moved.path.name + _REASON)
            beside.write_text(
                f"{reason}\nOnce it is mended, move the file back into the inbox.\n", encoding="utf-8"
            )

    def _files(self, folder: Path) -> Iterator[StateFile]:
        for entry in _entries(folder):
            if entry.is_dir(follow_symlinks=False):
                files = [e for e in _entries(Path(entry.path)) if e.is_file(follow_symlinks=False)]
                yield from (StateFile(Path(file.path), entry.name, _size(file)) for file in files)
            elif entry.is_file(follow_symlinks=False):
                yield StateFile(Path(entry.path), None, _size(entry))

    def _move(self, file: StateFile, into: Path) -> StateFile | None:
        """A file of the same name is not overwritten: this one is given a number."""
        place = into / (file.folder or "")
        try:
            place.mkdir(parents=True, exist_ok=True)
            for name in _names(file.path):
                if not (place / name).exists():
                    os.rename(file.path, place / name)  # noqa: PTH104
                    return StateFile(place / name, file.folder, file.size)
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise SourceError("a file of the inbox is not ours to move, nor is its folder") from error
        except OSError as error:
            raise SourceUnavailable(f"a file of the inbox cannot be moved: {error.strerror}") from error
        return None


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0  # somebody has taken it back, and so will nobody read it


def _names(path: Path) -> Iterator[str]:
    yield path.name
    number = 1
    while True:
        yield f"{path.stem}-{number}{path.suffix}"
        number += 1


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies there and is somebody's: neither ours, nor hidden, nor still being written."""
    try:
        with os.scandir(folder) as entries:
            found = [e for e in entries if not e.name.startswith(("_", ".")) and not e.name.endswith(_UNFINISHED)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise SourceUnavailable(f"the inbox {folder} cannot be read: {error.strerror}") from error
    return sorted(found, key=lambda entry: entry.name)
