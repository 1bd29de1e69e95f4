"""The limits of this machine: what fetching and decoding cost alone, and what COPY of prepared lines costs alone.

`copy_narrow` fills the two smallest tables that could do (as design measurements did), `copy_real` the very
tables the sync fills. Both are sorted by external id, which spares the indexes; nothing is checked.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import LiteralString
from urllib.parse import urlsplit

import msgspec
import psycopg

from benchmarks.enrollments import PAGE_SIZE, Enrollment, make_tables
from sync_pipelines.core import fingerprint

__all__ = ["FLOORS"]

_NARROW: LiteralString = """
CREATE SCHEMA app;
CREATE TABLE app.enrollment (id bigint PRIMARY KEY, user_id text, subject_id text, class_id text,
  updated_at timestamptz);
CREATE TABLE app.external_ref (type text, external_id text COLLATE "C", internal_id bigint, hash bigint,
  PRIMARY KEY (type, external_id));
"""

_COPY_ENTITIES: LiteralString = (
    "COPY bench.enrollments (id, external_id, user_id, subject_id, class_id, source_updated_at, last_sync_at) "
    "FROM STDIN"
)
_COPY_BINDINGS: LiteralString = (
    "COPY sync.external_refs (system, type, external_id, internal_id, version) FROM STDIN"
)


def fetch_and_decode(base_url: str, rows: int, database_url: str) -> float:
    """Seconds for every page over HTTP, some at a time, into msgspec's structs."""
    started = time.perf_counter()
    if sum(map(len, _pages(base_url, rows))) != rows:
        raise ValueError(f"{base_url} does not have {rows} rows")
    return time.perf_counter() - started


def copy_narrow(base_url: str, rows: int, database_url: str) -> float:
    """Seconds for COPY and commit into an entity table and a binding table with 64-bit ids and hashes."""
    records = _sorted_records(base_url, rows)
    entities = [f"{i}\t{r.user_id}\t{r.subject_id}\t{r.class_id}\t{r.updated_at}\n" for i, r in enumerate(records)]
    bindings = [f"enrollment\t{r.id}\t{i}\t{hash(r)}\n" for i, r in enumerate(records)]
    with psycopg.connect(database_url) as connection:
        connection.execute(_NARROW)
    return _timed_copies(
        database_url, ("COPY app.enrollment FROM STDIN", entities), ("COPY app.external_ref FROM STDIN", bindings)
    )


def copy_real(base_url: str, rows: int, database_url: str) -> float:
    """Seconds for COPY and commit into bench.enrollments and sync.external_refs, with ascending ids."""
    records = _sorted_records(base_url, rows)
    # As version 7 would number them: the time first, then a counter.
    start = time.time_ns() // 1_000_000 << 80 | 7 << 76 | 2 << 62
    ids = [str(uuid.UUID(int=start + number)) for number in range(rows)]
    time_of_sync = "2026-11-21T00:00:00Z"
    entities = [
        f"{i}\t{r.id}\t{r.user_id}\t{r.subject_id}\t{r.class_id}\t{r.updated_at}\t{time_of_sync}\n"
        for i, r in zip(ids, records, strict=True)
    ]
    bindings = [
        f"bench\tenrollment\t{r.id}\t{i}\t{fingerprint(r.id)}\n" for i, r in zip(ids, records, strict=True)
    ]
    make_tables(database_url)
    return _timed_copies(
        database_url,
        (_COPY_ENTITIES, entities),
        (_COPY_BINDINGS, bindings),
    )


FLOORS: dict[str, Callable[[str, int, str], float]] = {
    "fetch_and_decode": fetch_and_decode,
    "copy_narrow": copy_narrow,
    "copy_real": copy_real,
}


def _pages(base_url: str, rows: int) -> Iterator[list[Enrollment]]:
    decode = msgspec.json.Decoder(list[Enrollment]).decode
    url, local = urlsplit(base_url), threading.local()

    def get(offset: int) -> bytes:
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection(url.netloc)
        local.connection.request("GET", f"{url.path}/enrollments?offset={offset}&limit={PAGE_SIZE}")
        return local.connection.getresponse().read()

    offsets = iter(range(0, rows, PAGE_SIZE))
    with ThreadPoolExecutor(4) as threads:
        # A window, so that memory does not hold every page.
        waiting = [threads.submit(get, offset) for offset in islice(offsets, 8)]
        while waiting:
            page = waiting.pop(0).result()
            waiting += [threads.submit(get, offset) for offset in islice(offsets, 1)]
            yield decode(page)


def _sorted_records(base_url: str, rows: int) -> list[Enrollment]:
    return sorted((record for page in _pages(base_url, rows) for record in page), key=lambda record: record.id)


def _timed_copies(database_url: str, *copies: tuple[LiteralString, list[str]]) -> float:
    prepared: list[tuple[LiteralString, list[bytes]]] = [
        (statement, ["".join(lines[i : i + 1000]).encode() for i in range(0, len(lines), 1000)])
        for statement, lines in copies
    ]
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        started = time.perf_counter()
        for statement, blocks in prepared:
            with cursor.copy(statement) as copy:
                for block in blocks:
                    copy.write(block)
        connection.commit()
        return time.perf_counter() - started


def main() -> None:
    """Measure one limit, in BENCH_DATABASE_URL where it needs one, and print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floors", description=__doc__)
    parser.add_argument("floor", choices=FLOORS)
    parser.add_argument("base_url", help="http://127.0.0.1:PORT/ROWS/base")
    parser.add_argument("rows", type=int)
    arguments = parser.parse_args()
    database_url = os.environ.get("BENCH_DATABASE_URL", "")
    print(json.dumps({"wall": FLOORS[arguments.floor](arguments.base_url, arguments.rows, database_url)}))


if __name__ == "__main__":
    main()
