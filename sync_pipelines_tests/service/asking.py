"""How the tests ask the service as a learner's devices do."""

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
    """One who has a token."""

    client: httpx.Client
    user: str

    def rows(self, **parameters: str) -> list[dict[str, Any]]:
        answer = self.client.get(PROGRESS, params=parameters)
        assert answer.status_code == 200
        return answer.json()

    def patch(self, identity: int | str, body: Any) -> httpx.Response:
        return self.client.patch(f"{PROGRESS}{identity}/", json=body)

    def send(
        self, lessons: Mapping[str, Any], device: str | None = "tablet", key: str | None = None
    ) -> httpx.Response:
        """Import these."""
        headers = {"Idempotency-Key": key} if key else {}
        payload = {"device_id": device, "lessons": lessons}
        return self.client.post(f"{PROGRESS}import/", json=payload, headers=headers)
