"""The bench as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.goals import Goal, Results, goals, ratios
from benchmarks.measuring import Measured

__all__ = ["machine_facts", "show", "write_json"]

_MIB = 1 << 20


def machine_facts(postgres: dict[str, str], runs: list[Measured]) -> dict[str, Any]:
    """What the numbers depend on; nothing that says whose machine it is."""
    dlt = next((run.said["version"] for run in runs if run.loader == "dlt upsert"), None)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MIB,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgresql": postgres,
        "dlt": dlt,
        **{name: version(name) for name in ("sync-pipelines", "psycopg", "httpx", "msgspec")},
    }


def write_json(path: Path, results: Results, machine: dict[str, Any], failures: list[str]) -> None:
    """Everything measured, the ratios, and the goals with whether they are met."""
    document = {
        "machine": machine,
        "rows": results.rows,
        "runs": [_as_json(run) for run in results.runs],
        "ratios": ratios(results),
        "goals": [asdict(goal) for goal in goals(results)],
        "failures": failures,
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def show(console: Console, results: Results, machine: dict[str, Any]) -> None:
    """The runs, then the goals, the missed ones last and by name."""
    console.print(
        f"{machine['cores']} cores, {machine['memory_mib'] / 1024:.0f} GiB · Python {machine['python']} · "
        f"PostgreSQL {machine['postgresql']['server_version']} · dlt {machine['dlt'] or 'not run'} · "
        f"{machine['date']}",
        highlight=False,
    )
    console.print(_runs(results))
    judged = goals(results)
    if judged:
        console.print(_goals(judged))
        missed = [goal.name for goal in judged if not goal.met]
        console.print(f"Missed: {'; '.join(missed)}" if missed else f"All {len(judged)} goals are met.")


def _runs(results: Results) -> Table:
    table = Table(title=f"Ratios are to dlt at {results.rows:,} rows; ~ is scaled from fewer rows")
    for heading in ("loader", "phase"):
        table.add_column(heading, no_wrap=True)
    numbers = "rows|wall s|process s|CPU s|rows/s|WAL MiB|rows written|dead|peak MiB|× dlt"
    for heading in numbers.split("|"):
        table.add_column(heading, justify="right", no_wrap=True)
    before = None
    for run in results.runs:
        if before is not None and (before.loader, before.rows) != (run.loader, run.rows):
            table.add_section()
        before = run
        table.add_row(run.loader, run.phase, *_figures(run, results))
    return table


def _figures(run: Measured, results: Results) -> list[str]:
    about = "~" if run.scaled_from else ""
    dlt = results.get("dlt upsert", run.phase)
    compared = run.loader in ("ours", "dlt upsert", "row at a time") and run.rows == results.rows
    return [
        f"{run.rows:,}",
        f"{about}{run.wall:.2f}",
        _or_dash(run.process, f"{about}%.2f"),
        _or_dash(run.cpu, f"{about}%.2f"),
        f"{run.rows_per_second:,.0f}",
        _or_dash(None if run.wal_bytes is None else run.wal_bytes / _MIB, f"{about}%.2f"),
        "–" if run.rows_written is None else f"{about}{run.rows_written:,}",
        "–" if run.dead is None else f"{about}{run.dead:,}",
        _or_dash(run.peak_mib, "%.0f"),
        f"{dlt.wall / run.wall:.1f}" if dlt and compared else "",
    ]


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else form % value


def _goals(judged: list[Goal]) -> Table:
    table = Table(title="Goals")
    for heading in ("goal", "wanted", "measured", "met"):
        table.add_column(heading)
    for goal in judged:
        table.add_row(goal.name, goal.wanted, goal.measured, "yes" if goal.met else "[bold red]MISSED[/]")
    return table


def _as_json(run: Measured) -> dict[str, Any]:
    return {
        **asdict(run),
        "rows_per_second": round(run.rows_per_second, 1),
        "rows_written": run.rows_written,
        "scaled": run.scaled_from is not None,
    }
