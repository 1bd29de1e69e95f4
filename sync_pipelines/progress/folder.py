"""The state's file in the app's folder: used by one at a time, written whole, set aside and never overwritten."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO, Final

from sync_pipelines.progress.errors import StoreError

__all__ = ["NAME", "Folder"]

NAME: Final = "pp_progress_v1"


class Folder:
    """A folder with one learner's progress on this device. It is made where it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path / f"{NAME}.json"
        with _said("folder for the progress"):
            path.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def alone(self) -> Generator[None, None, None]:
        """No other store of this folder, in any process, reads or writes meanwhile. A killed one lets go."""
        with _said(f"{NAME}.lock"):
            lock = (self._path / f"{NAME}.lock").open("ab")
        with lock:
            with _said(f"{NAME}.lock"):
                _lock(lock)
            yield

    def read(self) -> bytes | None:
        """What the file holds; None where there is none."""
        with _said(self._file.name):
            try:
                return self._file.read_bytes()
            except FileNotFoundError:
                return None

    def write(self, body: bytes) -> None:
        """Write the file: durable when this returns, and whole whenever anything is killed. Only when alone."""
        draft = self._path / f"{NAME}.json.tmp"  # one name: what a killed writer left is written over
        with _said(self._file.name):
            with draft.open("wb") as out:
                _write_down(out, body)
            draft.replace(self._file)
            self._write_down_names()

    def set_aside(self, body: bytes, reason: str) -> Path:
        """Keep what the file held, durably, under a name that nothing has yet. Only when alone."""
        with _said(f"{NAME}.{reason}-….json"):
            path, out = self._new(reason)
            try:
                with out:
                    _write_down(out, body)
            except OSError:
                path.unlink()  # cut short, it would be taken for the whole
                raise
            self._write_down_names()
            return path

    def _new(self, reason: str) -> tuple[Path, IO[bytes]]:
        for number in count(1):
            path = self._path / f"{NAME}.{reason}-{number}.json"
            with suppress(FileExistsError):
                return path, path.open("xb")
        raise AssertionError("there is always a next number")

    def all_set_aside(self) -> list[Path]:
        """Every file that was ever set aside here."""
        return sorted(self._path.glob(f"{NAME}.*-*.json"))

    def _write_down_names(self) -> None:
        if sys.platform == "win32":  # where a folder cannot be opened, and need not be
            return
        folder = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _write_down(out: IO[bytes], body: bytes) -> None:
    out.write(body)
    out.flush()
    os.fsync(out.fileno())


@contextmanager
def _said(name: str) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{name} cannot be used: {error.strerror or type(error).__name__}") from error


if sys.platform == "win32":
    import errno
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        while True:
            file.seek(0)
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            except OSError as error:
                if error.errno != errno.EDEADLK:  # it gave up after ten seconds; the holder may be suspended
                    raise
            else:
                return
else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
