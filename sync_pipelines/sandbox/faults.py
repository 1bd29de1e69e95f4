"""What can go wrong with any server's answers: acts to make faults of, and the faults that need no more."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable

from sync_pipelines.sandbox.answer import Answer
from sync_pipelines.sandbox.switching import Act, Fault, SwitchedOn

__all__ = ["CONNECTIONS", "ENCODINGS", "SERVER_ERRORS", "becomes", "from_elsewhere", "rewrites", "says"]

_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


def says(status: int, text: str, media_type: str = "application/json", **headers: str) -> Act:
    """Another status and text; the headers stay, and these are added (an underscore is a hyphen)."""

    def act(answer: Answer, on: SwitchedOn) -> None:
        answer.say(status, text, media_type)
        answer.headers |= {name.replace("_", "-"): value for name, value in headers.items()}

    return act


def from_elsewhere(status: int, text: str, **headers: str) -> Act:
    """An HTML page of some other server: without the API's headers."""

    def act(answer: Answer, on: SwitchedOn) -> None:
        answer.say(status, text, "text/html", bare=True)
        answer.headers |= headers

    return act


def becomes(**fields: object) -> Act:
    """The answer is as it was, apart from these of its fields."""

    def act(answer: Answer, on: SwitchedOn) -> None:
        for name, value in fields.items():
            setattr(answer, name, value)

    return act


def rewrites(rewrite: Callable[[bytes], bytes]) -> Act:
    """The body's bytes are changed."""
    return lambda answer, on: answer.rewrites.append(rewrite)


def _slow(answer: Answer, on: SwitchedOn) -> None:
    answer.delay = max(on.seconds, 0)


def _bad_gzip(answer: Answer, on: SwitchedOn) -> None:
    answer.headers["Content-Encoding"] = "gzip"
    # Its checksum and length, the last eight bytes, belong to something else.
    answer.rewrites.append(lambda body: gzip.compress(body, mtime=0)[:-8] + b"\xff" * 8)


SERVER_ERRORS = {
    "server-error": Fault("500 with a line of text.", says(500, "Internal Server Error", "text/plain")),
    "bad-gateway": Fault("502 with a proxy's HTML page.", from_elsewhere(502, _GATEWAY)),
}
CONNECTIONS = {
    "slow": Fault("The answer comes after `seconds`.", _slow),
    "hang": Fault("The answer never comes.", becomes(delay=math.inf)),
    "reset": Fault("The connection is reset in place of an answer.", becomes(connection="reset")),
    "truncated": Fault(
        "Half of the body comes, then the connection ends: Content-Length is that of the whole.",
        becomes(connection="cut"),
    ),
    "cut-json": Fault(
        "Half of the body comes, and Content-Length agrees.", rewrites(lambda body: body[: len(body) // 2])
    ),
    "huge": Fault("The body is streamed, with 40 MB of white space in it.", becomes(padding=40_000_000)),
}
ENCODINGS = {
    "bom": Fault("A byte order mark before the body.", rewrites(lambda body: b"\xef\xbb\xbf" + body)),
    "bad-gzip": Fault("Content-Encoding is gzip, and the checksum is wrong.", _bad_gzip),
}
