"""A service on a real socket that answers as it is told, in the trigger API's words."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["FAILED", "RUN", "RUNNING", "UNDER_WAY", "WRONG", "Answer", "Service", "run"]

RUN = "5f0c3c0e-4f6b-4a1e-9a53-0d5a6a1f2b3c"
WRONG = {"detail": "No.", "code": "no", "requestId": "r"}
UNDER_WAY = (409, {**WRONG, "code": "under_way", "runId": RUN, "location": f"/api/sync/runs/{RUN}"})

Answer = tuple[int, Any] | tuple[int, Any, Mapping[str, str]]


def run(success: bool | None = True, status: str = "succeeded", **more: Any) -> dict[str, Any]:
    """A run as the service tells of it."""
    counts = {"classesCreated": 2, "classesUpdated": 1, "classesSkipped": 5, "courseUsersCreated": 15}
    said = {"success": success, "runId": RUN, "status": status, "durationMs": 12_300 if success else None}
    return {**said, "result": counts if success else {}, "errors": [], "requestId": "r", **more}


FAILED = run(
    False, "failed", durationMs=4000, errors=[{"code": "guard_tripped", "stream": "wtl/users", "count": 1}]
)
RUNNING = run(None, "running")


class Service:
    """Answers with the next of `answers`, and with the last for ever. None: it hangs up without one."""

    def __init__(self, *answers: Answer | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.then: Callable[[], None] = lambda: None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Service:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                service.asked.append((self.command, self.path, headers, json.loads(body) if body else None))
                one = service.answers.pop(0) if len(service.answers) > 1 else service.answers[0]
                if one is None:
                    self.close_connection = True
                    return
                status, said, more = one if len(one) == 3 else (*one, {})
                page = isinstance(said, str)
                content = (said if page else json.dumps(said)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8" if page else "application/json")
                self.send_header("Content-Length", str(len(content)))
                for name, value in more.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
                service.then()

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nobody reads it."""

        return Handler
