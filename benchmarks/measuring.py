"""One run of a loader as a process of its own, and what it cost: time, memory, and what the database wrote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.scratch import Scratch, Usage

__all__ = ["Measured", "RunFailed", "measure"]

_LAUNCHER = Path(__file__).with_name("launch.py")
_ROOT = Path(__file__).parent.parent
_LONGEST_RUN = 3600.0


class RunFailed(Exception):
    """A loader ended with an error, or loaded something else than it should; `output` is what it said last."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


@dataclass(frozen=True)
class Measured:
    """One run. Seconds, bytes and rows; the database's numbers are None where none was used.

    `wall` is what the loader says of itself, imports excluded; `process` is the whole process. `written` has
    inserted, updated and deleted rows by table. `scaled_from` is the number of rows that were really loaded.
    """

    loader: str
    phase: str
    rows: int
    wall: float
    process: float | None
    cpu: float | None
    peak_mib: float | None
    wal_bytes: int | None = None
    inserted: int | None = None
    updated: int | None = None
    deleted: int | None = None
    dead: int | None = None
    written: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)
    scaled_from: int | None = None
    walls: tuple[float, ...] = ()

    @property
    def rows_per_second(self) -> float:
        """By the loader's own clock."""
        return self.rows / self.wall

    @property
    def rows_written(self) -> int | None:
        """Of every table together."""
        if self.inserted is None or self.updated is None or self.deleted is None:
            return None
        return self.inserted + self.updated + self.deleted

    def scaled_to(self, rows: int) -> Measured:
        """The same work on more rows, if it grew in step; memory stays as it was measured."""
        factor = rows / self.rows

        def times(value: int | None) -> int | None:
            return None if value is None else round(value * factor)

        return replace(
            self,
            rows=rows,
            wall=self.wall * factor,
            process=self.process and self.process * factor,
            cpu=self.cpu and self.cpu * factor,
            wal_bytes=times(self.wal_bytes),
            inserted=times(self.inserted),
            updated=times(self.updated),
            deleted=times(self.deleted),
            dead=times(self.dead),
            scaled_from=self.rows,
        )


def measure(
    command: Sequence[str], *, loader: str, phase: str, rows: int, scratch: Scratch | None, whole: bool = True
) -> Measured:
    """Run the command, whose last line of output is JSON with its `wall`, and read the counters around it.

    `whole` is False for a command that does more than what its `wall` measures. Raises RunFailed.
    """
    before = scratch.usage() if scratch else None
    cost, said = _run(command, {"BENCH_DATABASE_URL": scratch.url} if scratch else {})
    measured = Measured(
        loader=loader,
        phase=phase,
        rows=rows,
        wall=said.pop("wall"),
        process=cost["process"] if whole else None,
        cpu=cost["cpu"] if whole else None,
        peak_mib=cost["peak_mib"] if whole else None,
        said=said,
    )
    return measured if scratch is None or before is None else _with_writes(measured, before, scratch.usage())


def _with_writes(measured: Measured, before: Usage, after: Usage) -> Measured:
    written: dict[str, tuple[int, int, int]] = {}
    for table, (inserted, updated, deleted) in after.written.items():
        was = before.written.get(table, (0, 0, 0))
        grown = (inserted - was[0], updated - was[1], deleted - was[2])
        if any(grown):
            written[table] = grown
    return replace(
        measured,
        wal_bytes=after.lsn - before.lsn,
        inserted=sum(row[0] for row in written.values()),
        updated=sum(row[1] for row in written.values()),
        deleted=sum(row[2] for row in written.values()),
        dead=after.dead,
        written=written,
    )


def _run(command: Sequence[str], environment: Mapping[str, str]) -> tuple[dict[str, float], dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        result = Path(folder) / "cost.json"
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCHER), str(result), *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=_LONGEST_RUN)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        if process.returncode:
            raise RunFailed(f"exit status {process.returncode}", err[-3000:])
        return json.loads(result.read_text()), json.loads(out.strip().splitlines()[-1])
