"""dlt as its documentation says: rest_api source, postgres destination, merge with the upsert strategy.

A script of its own, run by the Python of benchmarks/.venv: `dlt_rest_api.py BASE_URL STATE_FOLDER`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

DATASET = "dlt_bench"


def credentials(url: str) -> dict[str, Any]:
    """The address in dlt's terms; dlt insists on a host, a socket's folder in the query outdoes it."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return {
        "drivername": "postgresql",
        "username": unquote(parts.username or "postgres"),
        "password": unquote(parts.password or ""),
        "host": parts.hostname or "localhost",
        "port": parts.port or int(query.get("port", ["5432"])[0]),
        "database": parts.path.strip("/"),
        "query": {name: values[0] for name, values in query.items()},
    }


def main() -> None:
    """Extract, normalize and load once; prints the seconds of each."""
    base_url, state = sys.argv[1:3]
    os.environ.update(RUNTIME__LOG_LEVEL="ERROR", RUNTIME__DLTHUB_TELEMETRY="false", DLT_DATA_DIR=state)
    # Read at import, so it comes after the settings.
    import dlt  # pyright: ignore[reportMissingImports]
    from dlt.sources.rest_api import rest_api_source  # pyright: ignore[reportMissingImports]

    source = rest_api_source(
        {
            "client": {
                "base_url": f"{base_url}/",
                "paginator": {"type": "offset", "limit": 1000, "total_path": None},
            },
            "resources": [
                {
                    "name": "enrollments",
                    "primary_key": "id",
                    "write_disposition": {"disposition": "merge", "strategy": "upsert"},
                    "endpoint": {"path": "enrollments"},
                }
            ],
        }
    )
    pipeline = dlt.pipeline(
        "enrollments",
        destination=dlt.destinations.postgres(credentials=credentials(os.environ["BENCH_DATABASE_URL"])),
        dataset_name=DATASET,
        pipelines_dir=state,
    )
    started, seconds = time.perf_counter(), {}
    for step, run in (
        ("extract", lambda: pipeline.extract(source)),
        ("normalize", pipeline.normalize),
        ("load", pipeline.load),
    ):
        step_started = time.perf_counter()
        run()
        seconds[step] = round(time.perf_counter() - step_started, 3)
    wall = time.perf_counter() - started
    print(json.dumps({"wall": wall, "report": seconds, "version": dlt.__version__}))


if __name__ == "__main__":
    main()
