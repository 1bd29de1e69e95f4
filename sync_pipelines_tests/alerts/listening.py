"""Real sockets that can fail: a receiver, as apprise's json:// speaks to it, and the way to a database."""

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import sqlalchemy as sa

__all__ = ["Forward", "Listener", "free_port"]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Listener:
    """Keeps what it is told. `status` is what it answers; None: nothing, until it is released."""

    def __init__(self, port: int = 0, status: int | None = 200) -> None:
        self.status = status
        self.messages: list[dict[str, Any]] = []
        self.asked = 0
        self.then: Callable[[], None] = lambda: None
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> "Listener":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its address; a client waits for an answer for half a second."""
        return f"json://watch:s3cret-word@127.0.0.1:{self._server.server_port}/?rto=0.5"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]

    def release(self) -> None:
        """Answer those who wait."""
        self._released.set()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                listener.asked += 1
                status = listener.status
                if status is None:
                    listener._released.wait()
                    return
                if status == 200:
                    listener.messages.append(body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                listener.then()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nobody reads it."""

        return Handler


class Forward:
    """The way to a PostgreSQL server, by a port of this machine: it can be cut, and mended."""

    def __init__(self, url: sa.URL) -> None:
        self.port = free_port()
        folder = url.query.get("host")
        self._target = f"{folder}/.s.PGSQL.{url.port or 5432}" if folder else (url.host, url.port or 5432)
        self._listening: socket.socket | None = None
        self._open: list[socket.socket] = []
        self.url = url.set(drivername="postgresql", host="127.0.0.1", port=self.port, query={}).render_as_string(
            hide_password=False
        )

    def __enter__(self) -> "Forward":
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def mend(self) -> None:
        listening = socket.create_server(("127.0.0.1", self.port))
        self._listening = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def cut(self) -> None:
        if self._listening is not None:
            self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            self._listening = None
        for sock in self._open:
            sock.close()
        self._open.clear()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                here, _ = listening.accept()
            except OSError:
                return
            there = socket.socket(socket.AF_UNIX if isinstance(self._target, str) else socket.AF_INET)
            there.connect(self._target)
            self._open += [here, there]
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=_relay, args=(one, other), daemon=True).start()


def _relay(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
