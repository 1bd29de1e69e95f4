"""Serves an ASGI application on a real socket: in this thread until told to stop, or in one of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

import uvicorn

__all__ = ["TRANSPORT", "listen", "serve", "serving"]

# Where an application finds its connection in scope["extensions"], to drop it as a broken network would.
TRANSPORT = "sandbox.transport"


def listen(port: int = 0, host: str = "127.0.0.1") -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises OSError where the port is taken.

    A request sent before the server is up waits, and is not refused.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(128)
    except OSError:
        sock.close()
        raise
    return sock


def _with_connection(app: Any) -> Any:
    """The application, told its connection, and with a Date in answers that have none."""

    async def served(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        # uvicorn's `send` is a method of the object that holds the connection.
        scope.setdefault("extensions", {})[TRANSPORT] = send.__self__.transport

        async def dated(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if all(name.lower() != b"date" for name, _ in headers):
                    message = {**message, "headers": [*headers, (b"date", formatdate(usegmt=True).encode())]}
            await send(message)

        await app(scope, receive, dated)

    return served


class _Server(uvicorn.Server):
    """Waits a second for what it is answering when it is told to stop: an answer may be one that never comes."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(1, self._drop_connections)
        await super().shutdown(sockets)

    def _drop_connections(self) -> None:
        for connection in [*self.server_state.connections]:
            connection.transport.abort()


def _server(app: Any, *, lifespan: bool = False) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            _with_connection(app),
            log_config=None,
            access_log=False,
            lifespan="on" if lifespan else "off",
            date_header=False,  # the application may have a clock of its own
        )
    )


def serve(app: Any, sock: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    _server(app).run(sockets=[sock])


@contextmanager
def serving(app: Any, port: int = 0, *, lifespan: bool = False) -> Generator[str, None, None]:
    """Serve in a thread meanwhile; gives the server's address, http://127.0.0.1:port.

    `lifespan`: the application has something to do before its first request and after its last.
    """
    sock = listen(port)
    server = _server(app, lifespan=lifespan)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True, name="sandbox")
    thread.start()
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        sock.close()
