"""python -m examples.rooms rooms.csv: syncs the file into the database of SYNC_DATABASE_URL."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from examples.rooms.job import rooms_job
from examples.rooms.table import create_table
from sync_pipelines import log
from sync_pipelines.core import SyncReport
from sync_pipelines.errors import SyncError
from sync_pipelines.flows.database import open_database
from sync_pipelines.postgres import migrate
from sync_pipelines.settings import Settings


def sync(path: Path, *, allow_mass_vanish: bool = False) -> SyncReport:
    """Sync the file once. Raises the SyncError that ended the run."""
    database = open_database(Settings.load(), "rooms")
    migrate.upgrade(database)
    with database.session() as session:
        create_table(session)
        return rooms_job(path, session, allow_mass_vanish=allow_mass_vanish).run()


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 the whole file was read (refused rooms are reported) · 1 it was not."""
    parser = argparse.ArgumentParser(prog="python -m examples.rooms", description=__doc__)
    parser.add_argument("file", type=Path, help="the CSV file of rooms")
    parser.add_argument("--allow-mass-vanish", action="store_true", help="approve what the guard stopped")
    options = parser.parse_args(arguments)
    log.configure()
    try:
        report = sync(options.file, allow_mass_vanish=options.allow_mass_vanish)
    except SyncError as error:
        print(log.redact(str(error)), file=sys.stderr)
        return 1
    print(json.dumps(report.to_dict(), ensure_ascii=False))
    return 0 if report.complete else 1


if __name__ == "__main__":
    sys.exit(main())
