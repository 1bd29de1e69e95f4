"""How the tests ask the sandbox: httpx, and no client of ours."""

import json
from typing import Any

import httpx

__all__ = ["BY_ID", "EVERYTHING", "ids", "total", "training"]

BY_ID = '["id","ASC"]'
EVERYTHING = "[0,100000]"


def ids(answer: httpx.Response) -> list[str]:
    return [row["id"] for row in answer.json()]


def total(answer: httpx.Response) -> int:
    return int(answer.headers["Content-Range"].split("/")[1])


def training(value: Any) -> str:
    """The filter for a course's lessons."""
    return json.dumps([{"field": "training_id", "type": "equals", "value": value}])
