"""`python -m benchmarks`: runs every loader, prints one table, writes it as JSON. A missed goal is no error."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from benchmarks import dataset, loaders
from benchmarks.goals import LATENCY, Results, latency_name, medians
from benchmarks.loaders import Bench
from benchmarks.measuring import Measured, RunFailed
from benchmarks.report import machine_facts, show, write_json
from benchmarks.scratch import scratch_server, server_facts

PARTS = ("ours", "dlt", "row", "floors", "growth", "latency", "progress")
PEERS = ("dlt", "row")
ROW_AT_A_TIME_ROWS = 20_000
FLOORS = {
    "floor: fetch + decode": "fetch_and_decode",
    "floor: COPY, narrow tables": "copy_narrow",
    "floor: COPY, real tables": "copy_real",
}

Part = Callable[[], list[Measured]]


def _numbers(text: str) -> list[int]:
    return [int(part.replace("_", "")) for part in text.split(",") if part]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--growth", type=_numbers, default=[100_000, 1_000_000], metavar="ROWS,ROWS")
    parser.add_argument("--devices", type=int, default=20_000, help="of progress, 50 lessons each")
    parser.add_argument("--only", type=lambda text: text.split(","), metavar=",".join(PARTS))
    parser.add_argument("--skip-peers", action="store_true", help=f"the same as without {' and '.join(PEERS)}")
    parser.add_argument("--rounds", type=int, default=1, help="the median run of each is shown")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_name("latest.json"), metavar="PATH")
    arguments = parser.parse_args()
    chosen = arguments.only or list(PARTS)
    if unknown := sorted(set(chosen) - set(PARTS)):
        parser.error(f"--only: {', '.join(unknown)} is none of {', '.join(PARTS)}")
    if arguments.rows < 1000 or arguments.rounds < 1 or arguments.devices < 8:
        parser.error("--rows begins at 1000, --rounds at 1, --devices at 8")
    arguments.parts = [part for part in PARTS if part in chosen and not (arguments.skip_peers and part in PEERS)]
    return arguments


@contextmanager
def _pages_server() -> Generator[str, None, None]:
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent) as server:
        try:
            yield server.stdout.readline().strip() if server.stdout else ""
        finally:
            server.terminate()


def _parts(bench: Bench, arguments: argparse.Namespace) -> Iterator[tuple[str, Part]]:
    """What each part runs, in the order of the table."""
    chosen, rows, growth = arguments.parts, arguments.rows, arguments.growth
    if "ours" in chosen:
        yield "ours", lambda: bench.loads(loaders.ours(), rows)
        hard = loaders.ours("ours, fingerprints, no pages", "--decode-every-page", "--version-by", "fingerprint")
        yield "ours", lambda: bench.loads(hard, rows)
        shuffled = loaders.ours("ours, ids in no order", base="shuffled")
        yield "ours", lambda: bench.loads(shuffled, rows, phases=("initial", "unchanged"))
    if "dlt" in chosen:
        yield "dlt", lambda: bench.loads(loaders.dlt(), rows)
    if "row" in chosen:
        few = min(rows, ROW_AT_A_TIME_ROWS)
        yield "row", lambda: [run.scaled_to(rows) for run in bench.loads(loaders.row_by_row(), few)]
    if "floors" in chosen:
        for name, floor in FLOORS.items():
            yield name, lambda name=name, floor=floor: [bench.floor(name, floor, rows)]
    if "growth" in chosen:
        for size in growth:
            if size != rows or "ours" not in chosen:
                yield "growth", lambda size=size: bench.loads(loaders.ours(), size)
    if "latency" in chosen:
        for in_flight in (8, 1):
            options = ("--delay", str(LATENCY), "--in-flight", str(in_flight))
            slow = loaders.ours(latency_name(in_flight), *options)
            yield "latency", lambda slow=slow: bench.loads(slow, rows, phases=("initial", "unchanged"))
    if "progress" in chosen:
        yield "progress", lambda: list(bench.progress(arguments.devices))


def _sizes(chosen: list[str], rows: int, growth: list[int]) -> list[int]:
    if chosen == ["progress"]:
        return []
    few = [min(rows, ROW_AT_A_TIME_ROWS)] if "row" in chosen else []
    return sorted({rows, *few, *(growth if "growth" in chosen else [])})


def main() -> int:
    """Exit status 1 where a loader failed."""
    arguments, console = _arguments(), Console(stderr=True)
    runs: list[Measured] = []
    failures: list[str] = []

    def on_run(run: Measured) -> None:
        console.print(f"{run.loader}, {run.phase}, {run.rows:,} rows: {run.wall:.2f} s", highlight=False)

    sizes = _sizes(arguments.parts, arguments.rows, arguments.growth)
    if sizes:
        console.print(f"making the pages of {', '.join(f'{size:,}' for size in sizes)} rows, where missing")
    for size in sizes:
        dataset.make(size)
    with ExitStack() as stack:
        server_url = stack.enter_context(scratch_server())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        bench = Bench(server_url, stack.enter_context(_pages_server()), folder, on_run)
        for _ in range(arguments.rounds):
            for name, part in _parts(bench, arguments):
                try:
                    runs += part()
                except RunFailed as error:
                    failures.append(f"{name}: {error}")
                    sys.stderr.write(f"FAILED {failures[-1]}\n{error.output}\n")
        machine = machine_facts(server_facts(server_url), runs)
    results = Results(medians(runs), arguments.rows)
    write_json(arguments.json, results, machine, failures)
    # A table that is piped into a file keeps its width.
    out = Console() if sys.stdout.isatty() else Console(width=160)
    show(out, results, machine)
    for failure in failures:
        out.print(f"FAILED {failure}", markup=False)
    out.print(f"Written to {arguments.json}", highlight=False, markup=False)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
