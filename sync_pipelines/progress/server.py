"""What a device asks the service: two requests, and what their answers mean (contracts/progress.md E3).

It knows HTTP, and neither the store nor when to ask.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from sync_pipelines.progress import wire
from sync_pipelines.progress.errors import SyncFailed, SyncRefused
from sync_pipelines.progress.merge import Lesson
from sync_pipelines.progress.state import encode, lesson_of, parts_of

__all__ = ["PATH", "Server", "Taken"]

PATH: Final = "/api/v1/learning/progress/"
_LONGEST_WAIT = 3600.0
_SHOWN_OF_AN_ANSWER = 200
_LATER_MAY_HELP = frozenset((408, 421, 425, 429))


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an import: the server's time, and why lessons were refused, by id."""

    received_at: datetime
    refused: Mapping[int, str]


class Server:
    """The service, as one learner's token sees it. Methods raise SyncFailed and SyncRefused."""

    def __init__(self, client: httpx.Client, url: str, token: str) -> None:
        # httpx would quote the token in its error.
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError("the token has characters that no token has, or none")
        if not _is_address(url):
            raise ValueError("url: an address is expected, as in https://sync.school.example")
        self._client = client
        self._url = url.rstrip("/") + PATH
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def send(self, device_id: str, lessons: Mapping[int, Lesson], last_sync_at: datetime | None) -> Taken:
        """Import these lessons. If the answer is lost, the same again is answered, and not done, again."""
        sent = {str(identity): _sent(lesson) for identity, lesson in lessons.items()}
        body = encode({"device_id": device_id, "lessons": sent})
        # Of this sync: a lesson that was refused is sent again as it was, and is not to get the old answer.
        key = hashlib.sha256(body + (wire.stamp(last_sync_at).encode() if last_sync_at else b"")).hexdigest()
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        answer, said = self._ask("POST", self._url + "import/", headers, body)
        try:
            refused = {int(each["lesson_id"]): _reason(each) for each in answer["rejected"]}
            return Taken(wire.server_time(said["X-Received-At"]), refused)
        except (ValueError, TypeError, KeyError):
            raise _not_the_server() from None

    def fetch(self, device_id: str) -> dict[int, Lesson]:
        """What the server knows of each lesson, and of this device's own time in it."""
        answer, _ = self._ask("GET", str(httpx.URL(self._url, params={"device_id": device_id})), {}, None)
        if not isinstance(answer, list):
            raise _not_the_server()
        try:
            return dict(_said(row) for row in answer)
        except (ValueError, TypeError, KeyError):
            raise _not_the_server() from None

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[Any, httpx.Headers]:
        """The answer's JSON, and its headers."""
        try:
            answer = self._client.request(
                method, url, headers={**self._headers, **headers}, content=body, follow_redirects=False
            )
        except httpx.HTTPError as error:
            raise SyncFailed(f"the server cannot be reached ({type(error).__name__})") from error
        if answer.status_code == httpx.codes.OK:
            try:
                return wire.parse(answer.content), answer.headers
            except wire.BadPayload:
                raise _not_the_server() from None
        raise _failure(answer)


def _is_address(url: str) -> bool:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return parsed.scheme in ("http", "https") and bool(parsed.host)


def _sent(lesson: Lesson) -> dict[str, Any]:
    """A lesson as it is sent: whole, with the time of this device alone."""
    return {**parts_of(lesson), "time_ms": lesson.own_time_ms}


def _said(row: Any) -> tuple[int, Lesson]:
    identity = row["lesson_id"]
    if type(identity) is not int or "device_time_ms" not in row:
        raise ValueError("no lesson of ours")
    return identity, lesson_of(row, "device_time_ms")


def _reason(rejected: Mapping[str, Any]) -> str:
    said = f"{rejected['code']}: {rejected['reason']}"
    return f"{said} ({rejected['field']})" if rejected.get("field") else said


def _not_the_server() -> SyncFailed:
    """A café's network says 200 to everything."""
    return SyncFailed("the answer is not the server's: another may stand between, asking for a login")


def _failure(answer: httpx.Response) -> SyncFailed | SyncRefused:
    status = answer.status_code
    if status in (401, 403):
        return SyncRefused(f"the server refuses the token (status {status}): log in again")
    if 400 <= status < 500 and status not in _LATER_MAY_HELP:
        return SyncRefused(f"the server refuses what it was sent (status {status}){_detail(answer)}")
    if status >= 500 or status in _LATER_MAY_HELP:
        wait = _retry_after(answer.headers.get("Retry-After"), datetime.now(UTC))
        return SyncFailed(f"the server cannot answer now (status {status})", retry_after=wait)
    return _not_the_server()


def _detail(answer: httpx.Response) -> str:
    try:
        detail = wire.parse(answer.content)["detail"]
    except (wire.BadPayload, TypeError, KeyError):
        return ""
    return f": {detail[:_SHOWN_OF_AN_ANSWER]}" if isinstance(detail, str) else ""


def _retry_after(value: str | None, now: datetime) -> float | None:
    """The header's wait, in seconds or as a date, as 1 s to an hour; None where there is none that can be read."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 1.0), _LONGEST_WAIT) if seconds == seconds else None
