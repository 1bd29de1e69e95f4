"""What every command that syncs needs around it: a database at this version's revision, and Dagster's home."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from importlib import resources
from pathlib import Path

from sync_pipelines.flows.database import open_database
from sync_pipelines.postgres import migrate
from sync_pipelines.postgres.embedded import embedded_postgres
from sync_pipelines.settings import Settings

__all__ = ["database_at_hand", "project_file", "workplace"]


def project_file(name: str) -> Path:
    """dagster.yaml or workspace.yaml: of the clone, or as the wheel carries them."""
    package = Path(str(resources.files("sync_pipelines")))
    beside = package.parent / name
    return beside if beside.exists() else package / "project" / name


@contextmanager
def database_at_hand(settings: Settings) -> Generator[Settings, None, None]:
    """The settings with a database in them: the one they name, or the embedded one, running meanwhile.

    The environment says so too: Dagster and the processes started from here read it there.
    """
    with ExitStack() as stack:
        if settings.database_url is None:
            url = stack.enter_context(embedded_postgres(settings.home / "postgres"))
            stack.enter_context(_environment(SYNC_DATABASE_URL=url))
            settings = Settings.load()
        yield settings


@contextmanager
def workplace(settings: Settings) -> Generator[Settings, None, None]:
    """A database that answers, migrated, and DAGSTER_HOME with its dagster.yaml. Raises SyncError."""
    with database_at_hand(settings) as settings:
        migrate.upgrade(open_database(settings))
        with _environment(DAGSTER_HOME=str(_dagster_home(settings))):
            yield settings


def _dagster_home(settings: Settings) -> Path:
    """The person's own, given our dagster.yaml if it has none; or one under SYNC_HOME, always with ours."""
    home = (settings.dagster_home or settings.home / "dagster").expanduser().resolve()
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    if settings.dagster_home is None or not config.exists():
        shutil.copyfile(project_file("dagster.yaml"), config)
    return home


@contextmanager
def _environment(**variables: str) -> Generator[None, None, None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
