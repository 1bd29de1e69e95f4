"""How the tests ask the service as a learner's devices do."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

__all__ = ["PROGRESS", "Learner", "lesson"]

PROGRESS = "/api/v1/learning/progress/"


def lesson(**fields: Any) -> dict[str, Any]:
    """What a device says of a lesson."""
    return {"updated_at": "2026-01-12T10:20:30.000Z", **fields}


@dataclass(frozen=True)
class Learner:
    """One who has a token. Several share a client."""

    client: httpx.Client
    user: str
    token: str

    def ask(
        self, method: str, path: str = "", *, headers: Mapping[str, Any] | None = None, **what: Any
    ) -> httpx.Response:
        """Ask at an address below the progress."""
        sent = httpx.Headers({"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        sent.update(headers)
        return self.client.request(method, PROGRESS + path, headers=sent, **what)

    def rows(self, **parameters: str) -> list[dict[str, Any]]:
        answer = self.ask("GET", params=parameters)
        assert answer.status_code == 200
        return answer.json()

    def patch(self, identity: int | str, body: Any) -> httpx.Response:
        return self.ask("PATCH", f"{identity}/", content=json.dumps(body))

    def post(self, payload: Any, **options: Any) -> httpx.Response:
        """Import this, whatever it is."""
        return self.ask("POST", "import/", content=json.dumps(payload), **options)

    def send(
        self, lessons: Mapping[str, Any], device: str | None = "tablet", key: str | None = None
    ) -> httpx.Response:
        """Import these lessons."""
        headers = {"Idempotency-Key": key} if key else {}
        return self.post({"device_id": device, "lessons": lessons}, headers=headers)
