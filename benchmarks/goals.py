"""Ratios between the runs, and which of the project's goals they meet. Ratios are of one bench on one machine.

Speeds compare the loaders' own clocks, imports excluded; the whole processes stand beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from statistics import median_low

from benchmarks.loaders import PROGRESS_BULK, PROGRESS_PATCH
from benchmarks.measuring import Measured

__all__ = ["LATENCY", "Goal", "Results", "goals", "latency_name", "medians", "ratios"]

LATENCY = 100
_MIB = 1 << 20

#: Rows of bookkeeping (the stream's row, its report) that an unchanged sync may write.
_BOOKKEEPING = 10
_RECORD_TABLES = ("bench.enrollments", "sync.external_refs", "sync.rejects")


@dataclass(frozen=True)
class Goal:
    """What was wanted, what it is, and whether that is enough."""

    name: str
    wanted: str
    measured: str
    met: bool


class Results:
    """The runs of a bench, by loader, phase and number of rows."""

    def __init__(self, runs: Iterable[Measured], rows: int) -> None:
        self.runs = list(runs)
        self.rows = rows
        self._by_name = {(run.loader, run.phase, run.rows): run for run in self.runs}

    def get(self, loader: str, phase: str, rows: int | None = None) -> Measured | None:
        """The run, if it was made."""
        return self._by_name.get((loader, phase, rows or self.rows))

    def times_faster(self, slower: str, faster: str, phase: str) -> tuple[float, float] | None:
        """By their own clocks, and as whole processes."""
        a, b = self.get(slower, phase), self.get(faster, phase)
        if a is None or b is None or a.process is None or b.process is None:
            return None
        return a.wall / b.wall, a.process / b.process

    def floor(self, copy: str) -> float | None:
        """Seconds that fetching, decoding and the given COPY take, one after the other."""
        fetch, copied = self.get("floor: fetch + decode", "initial"), self.get(copy, "initial")
        return fetch.wall + copied.wall if fetch and copied else None


def latency_name(in_flight: int) -> str:
    """What the runs with a slow upstream are called."""
    return f"ours, {LATENCY} ms a page, {in_flight} at a time"


def medians(rounds: Iterable[Measured]) -> list[Measured]:
    """Of each loader, phase and size the run whose wall is the median, with the walls of all."""

    groups: dict[tuple[str, int, str], list[Measured]] = {}
    for run in rounds:
        groups.setdefault((run.loader, run.rows, run.phase), []).append(run)
    chosen: list[Measured] = []
    for group in groups.values():
        walls = [run.wall for run in group]
        chosen.append(replace(group[walls.index(median_low(walls))], walls=tuple(walls)))
    return chosen


def ratios(results: Results) -> dict[str, dict[str, float]]:
    """How many times faster ours is, by what it is compared with and by phase."""
    found: dict[str, dict[str, float]] = {}
    for peer in ("dlt upsert", "row at a time"):
        for phase in ("initial", "unchanged", "changed"):
            if times := results.times_faster(peer, "ours", phase):
                found.setdefault(peer, {})[phase] = round(times[0], 2)
                found.setdefault(f"{peer}, whole process", {})[phase] = round(times[1], 2)
    ours = results.get("ours", "initial")
    for floor in ("floor: COPY, narrow tables", "floor: COPY, real tables"):
        if ours and (seconds := results.floor(floor)):
            found[f"fetch + decode + {floor.removeprefix('floor: ')}"] = {"initial": round(seconds / ours.wall, 3)}
    found |= _progress_ratios(results)
    return found


def _progress_ratios(results: Results) -> dict[str, dict[str, float]]:
    """Rows a second in bulk, by those of everything else that was measured of progress."""
    runs = {run.loader: run for run in results.runs if run.phase == "initial" and "progress" in run.loader}
    bulk = runs.pop(PROGRESS_BULK, None)
    if bulk is None:
        return {}
    return {name: {"initial": round(bulk.rows_per_second / run.rows_per_second, 3)} for name, run in runs.items()}


def goals(results: Results) -> list[Goal]:
    """Every goal whose runs were made."""
    return [
        *_against_dlt(results),
        *_against_the_floor(results),
        *_unchanged(results),
        *_memory(results),
        *_growth(results),
        *_latency(results),
        *_progress(results),
    ]


def _against_dlt(results: Results) -> Iterator[Goal]:
    for phase, wanted in (("initial", 8), ("unchanged", 25), ("changed", 15)):
        if times := results.times_faster("dlt upsert", "ours", phase):
            measured = f"{times[0]:.1f} × (whole process {times[1]:.1f} ×)"
            yield Goal(f"{phase}, against dlt upsert", f"≥ {wanted} ×", measured, times[0] >= wanted)


def _against_the_floor(results: Results) -> Iterator[Goal]:
    ours, real = results.get("ours", "initial"), results.floor("floor: COPY, real tables")
    if ours is None or real is None:
        return
    narrow = results.floor("floor: COPY, narrow tables")
    beside = f" (two narrow tables: {narrow / ours.wall:.0%})" if narrow else ""
    reached = real / ours.wall
    yield Goal("initial, against the sorted COPY floor", "≥ 50 %", f"{reached:.0%}{beside}", reached >= 0.5)


def _unchanged(results: Results) -> Iterator[Goal]:
    run = results.get("ours", "unchanged")
    if run is None or run.wal_bytes is None or run.rows_written is None:
        return
    records = sum(sum(run.written.get(table, ())) for table in _RECORD_TABLES)
    yield Goal(
        "unchanged: rows written",
        f"0 of records, ≤ {_BOOKKEEPING} of bookkeeping",
        f"{records} and {run.rows_written - records}",
        records == 0 and run.rows_written <= _BOOKKEEPING,
    )
    yield Goal("unchanged: WAL", "≤ 1 MiB", f"{run.wal_bytes / _MIB:.2f} MiB", run.wal_bytes <= _MIB)


def _memory(results: Results) -> Iterator[Goal]:
    for rows, limit in ((200_000, 150), (1_000_000, 300)):
        peaks = [r.peak_mib for r in results.runs if r.loader == "ours" and r.rows == rows and r.peak_mib]
        if peaks:
            peak = max(peaks)
            yield Goal(f"peak memory, {rows:,} rows", f"≤ {limit} MiB", f"{peak:.0f} MiB", peak <= limit)


def _growth(results: Results) -> Iterator[Goal]:
    sizes = sorted({run.rows for run in results.runs if run.loader == "ours"})
    if len(sizes) < 2:
        return
    few, many = (100_000, 1_000_000) if {100_000, 1_000_000} <= set(sizes) else (sizes[0], sizes[-1])
    for phase in ("initial", "unchanged", "changed"):
        small, large = results.get("ours", phase, few), results.get("ours", phase, many)
        if small and large:
            grown = small.rows_per_second / large.rows_per_second
            yield Goal(f"{phase}: time per row, {few:,} → {many:,}", "≤ 1.3 ×", f"{grown:.2f} ×", grown <= 1.3)


def _latency(results: Results) -> Iterator[Goal]:
    for phase in ("initial", "unchanged"):
        if times := results.times_faster(latency_name(1), latency_name(8), phase):
            yield Goal(
                f"{phase}: {LATENCY} ms a page, 8 at a time against 1", "≥ 4 ×", f"{times[0]:.1f} ×", times[0] >= 4
            )


def _progress(results: Results) -> Iterator[Goal]:
    bulk = next((run for run in results.runs if (run.loader, run.phase) == (PROGRESS_BULK, "initial")), None)
    patched = [run.rows_per_second for run in results.runs if run.loader.startswith(PROGRESS_PATCH)]
    if bulk is None or not patched:
        return
    shares = ", ".join(f"{name} {bulk.said[name] / bulk.wall:.0%}" for name in ("parse", "land", "merge"))
    times = bulk.rows_per_second / max(patched)
    name = f"progress: {bulk.rows:,} rows in bulk, against a PATCH each (at its fastest)"
    yield Goal(name, "≥ 30 ×", f"{times:.0f} × ({shares})", times >= 30)
