"""`dagster dev` as a child of ours."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from sync_pipelines.cli.children import WebChild
from sync_pipelines.errors import SettingsError

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


class DagsterUi(WebChild):
    """Webserver, daemon and code server, on `port`."""

    def __init__(self, port: int, workspace: Path, log: Path) -> None:
        dev = [sys.executable, "-m", "dagster", "dev", "-w", str(workspace)]
        url = f"http://{_HOST}:{port}"
        super().__init__("Dagster", [*dev, "-h", _HOST, "-p", str(port)], log, url, "/server_info")
