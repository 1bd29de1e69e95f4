"""`dagster dev` as a child of ours."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path
from typing import NoReturn

import httpx

from sync_pipelines.cli.children import Child
from sync_pipelines.errors import SettingsError, SyncError

__all__ = ["DagsterUi", "free_port"]

_HOST = "127.0.0.1"


def free_port(candidates: range) -> int:
    """The first port that nobody listens on. Raises SettingsError."""
    for port in candidates:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((_HOST, port))
            except OSError:
                continue
            return port
    taken = f"port {candidates[0]} is" if len(candidates) == 1 else f"ports {candidates[0]}–{candidates[-1]} are"
    raise SettingsError(f"{taken} taken: choose another with --port")


class DagsterUi(Child):
    """Webserver, daemon and code server, on `port`."""

    def __init__(self, port: int, workspace: Path, log: Path) -> None:
        dev = [sys.executable, "-m", "dagster", "dev", "-w", str(workspace)]
        super().__init__([*dev, "-h", _HOST, "-p", str(port)], log)
        self.url = f"http://{_HOST}:{port}"

    def wait_until_it_answers(self, *, seconds: float = 240) -> None:
        """Wait for the first page. Raises SyncError when Dagster ends instead, or takes longer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.status is not None:
                raise SyncError(f"Dagster ended while starting (status {self.status}): see {self.log}")
            try:
                if httpx.get(f"{self.url}/server_info", timeout=5).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise SyncError(f"Dagster did not start within {seconds:.0f} s: see {self.log}")

    def wait_until_it_ends(self) -> NoReturn:
        """Wait for Dagster to end by itself, which is a failure. Ctrl-C interrupts the wait."""
        while self.status is None:
            time.sleep(0.5)
        raise SyncError(f"Dagster ended by itself (status {self.status}): see {self.log}")
