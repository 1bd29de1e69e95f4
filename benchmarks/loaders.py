"""What is measured: each loader's command, its tables, and where its rows are found afterwards."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import enrollments
from benchmarks.dataset import Variant, read_manifest
from benchmarks.measuring import Measured, RunFailed, measure
from benchmarks.peers import row_at_a_time
from benchmarks.peers_venv import peers_python
from benchmarks.progress import LESSONS_OF_A_DEVICE
from benchmarks.scratch import Scratch, scratch_database

__all__ = [
    "PHASES",
    "PROGRESS_BULK",
    "PROGRESS_PATCH",
    "_PROGRESS_FLOOR",
    "Bench",
    "Loader",
    "dlt",
    "ours",
    "row_by_row",
]

#: Name, and the variant that is served: into empty tables, the same again, 1 % of it changed.
PHASES: tuple[tuple[str, Variant], ...] = (("initial", "base"), ("unchanged", "base"), ("changed", "chg"))

PROGRESS_BULK = "progress, state files in bulk"
_PROGRESS_FLOOR = "floor: progress, COPY and INSERT … SELECT"
PROGRESS_PATCH = "progress, a PATCH a lesson"
#: Devices whose lessons go over HTTP, and connections.
_PROGRESS_REQUESTS = (
    (PROGRESS_PATCH, "patch", 40, 1),
    (f"{PROGRESS_PATCH}, 8 connections", "patch", 80, 8),
    ("progress, an import a device", "import", 400, 1),
    ("progress, an import a device, 8 connections", "import", 400, 8),
)

_OURS = """
SELECT r.external_id, e.user_id, e.subject_id, e.class_id, e.source_updated_at FROM bench.enrollments e
JOIN sync.external_refs r ON r.system = 'bench' AND r.type = 'enrollment' AND r.internal_id = e.id
WHERE e.external_id = r.external_id AND e.remote_deleted_at IS NULL AND r.remote_deleted_at IS NULL
"""
_ROW_BY_ROW = """
SELECT r.external_id, e.user_id, e.subject_id, e.class_id, e.updated_at AS source_updated_at
FROM app.enrollment e JOIN app.external_ref r ON r.type = 'enrollment' AND r.internal_id = e.id
"""
_DLT = """
SELECT id AS external_id, user_id, subject_id, class_id, updated_at AS source_updated_at FROM dlt_bench.enrollments
"""


@dataclass(frozen=True)
class Loader:
    """`command` takes the base address of the records and a folder for the loader's own state.

    `base` is the variant that is loaded first.
    """

    name: str
    command: Callable[[str, Path], list[str]]
    make_tables: Callable[[Scratch], None]
    relation: str
    base: Variant = "base"


def ours(name: str = "ours", *options: str, base: Variant = "base") -> Loader:
    """This project, with options of benchmarks.enrollments."""
    return Loader(
        name,
        lambda base_url, _: [sys.executable, "-m", "benchmarks.enrollments", base_url, *options],
        lambda scratch: enrollments.make_tables(scratch.url),
        _OURS,
        base,
    )


def dlt() -> Loader:
    """dlt, which makes its tables itself."""
    python, script = peers_python(), Path(row_at_a_time.__file__).with_name("dlt_rest_api.py")
    return Loader(
        "dlt upsert",
        lambda base_url, folder: [python, str(script), base_url, str(folder / "dlt")],
        lambda scratch: None,
        _DLT,
    )


def row_by_row() -> Loader:
    """The earlier application's design."""
    return Loader(
        "row at a time",
        lambda base_url, _: [sys.executable, "-m", "benchmarks.peers.row_at_a_time", base_url],
        lambda scratch: scratch.execute(row_at_a_time.TABLES),
        _ROW_BY_ROW,
    )


@dataclass(frozen=True)
class Bench:
    """Where everything is, and who hears of each run."""

    server_url: str
    pages_url: str
    folder: Path
    on_run: Callable[[Measured], None]

    def loads(self, loader: Loader, rows: int, *, phases: tuple[str, ...] = ()) -> list[Measured]:
        """The phases one after the other in one database. Raises RunFailed, also where the rows are wrong."""
        done: list[Measured] = []
        with scratch_database(self.server_url) as scratch:
            loader.make_tables(scratch)
            folder = Path(tempfile.mkdtemp(dir=self.folder))
            for phase, variant in PHASES:
                if phases and phase not in phases:
                    continue
                variant = loader.base if variant == "base" else variant
                scratch.settle(vacuum=bool(done))
                command = loader.command(f"{self.pages_url}/{rows}/{variant}", folder)
                run = measure(command, loader=loader.name, phase=phase, rows=rows, scratch=scratch)
                manifest = read_manifest(rows, variant)
                if (found := scratch.content(loader.relation)) != (rows, manifest.digest):
                    raise RunFailed(
                        f"after {phase} the table holds {found[0]} rows with digest {found[1]}, not {rows} with "
                        f"{manifest.digest}",
                        f"{run.said}",
                    )
                self.on_run(run)
                done.append(run)
        return done

    def progress(self, devices: int) -> Iterator[Measured]:
        """Learning progress in bulk, and what the database alone needs; by requests, of fewer devices."""

        def run(scratch: Scratch, loader: str, phase: str, devices: int, *arguments: str) -> Measured:
            measured = measure(
                [sys.executable, "-m", "benchmarks.progress", *arguments, "--devices", str(devices)],
                loader=loader,
                phase=phase,
                rows=devices * LESSONS_OF_A_DEVICE,
                scratch=scratch,
                whole=False,
            )
            self.on_run(measured)
            return measured

        with scratch_database(self.server_url) as scratch:
            yield run(scratch, PROGRESS_BULK, "initial", devices, "bulk", "--make-tables")
            scratch.settle(vacuum=True)
            yield run(scratch, PROGRESS_BULK, "unchanged", devices, "bulk")
            yield run(scratch, _PROGRESS_FLOOR, "initial", devices, "floors")
        for loader, what, few, connections in _PROGRESS_REQUESTS:
            with scratch_database(self.server_url) as scratch:
                options = ("--make-tables", "--connections", str(connections))
                yield run(scratch, loader, "initial", min(few, devices), what, *options)

    def floor(self, name: str, floor: str, rows: int) -> Measured:
        """One limit of `floors`, in a database of its own."""
        command = [sys.executable, "-m", "benchmarks.floors", floor, f"{self.pages_url}/{rows}/base", str(rows)]
        if floor == "fetch_and_decode":
            run = measure(command, loader=name, phase="initial", rows=rows, scratch=None)
        else:
            with scratch_database(self.server_url) as scratch:
                run = measure(command, loader=name, phase="initial", rows=rows, scratch=scratch, whole=False)
        self.on_run(run)
        return run
