"""Serves the service on a socket until it is told to stop."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn

from sync_pipelines.errors import SettingsError

__all__ = ["listen", "serve"]

_LONGEST_GOODBYE_SECONDS = 10


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises SettingsError where there is none to be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise SettingsError(f"{host} port {port} cannot be listened on: {error.strerror}") from error


def serve(app: Any, sock: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, which is then passed on; what is being answered is answered first."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # the envelope has one, which names neither tokens nor people
        server_header=False,
        timeout_graceful_shutdown=_LONGEST_GOODBYE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[sock])
