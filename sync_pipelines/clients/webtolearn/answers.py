"""What a WebToLearn answer says: by its status first, then as strictly read JSON. Source: contracts/wtl.md A6–A13.

It never takes an error for an empty list, and needs no JSON to know an error.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from sync_pipelines.clients.budget import whole_number
from sync_pipelines.clients.http import Answer, retry_after_seconds
from sync_pipelines.clients.json_bodies import json_of
from sync_pipelines.clients.paging import Page
from sync_pipelines.errors import AccessRefused, NotFound, RateLimited, SourceUnavailable, UnexpectedAnswer

__all__ = ["content_range_total", "page_of", "raise_for_status"]


def page_of(answer: Answer, now: datetime) -> Page:
    """The rows of a list's answer, and their total. Raises SourceError."""
    raise_for_status(answer, now)
    rows = json_of(answer)
    if not isinstance(rows, list):
        raise UnexpectedAnswer(
            f"{answer.path} answered {type(rows).__name__} instead of a list (status {answer.status})"
        )
    return Page(cast("list[Any]", rows), content_range_total(answer.headers.get("content-range")))


def content_range_total(value: str | None) -> int | None:
    """The total of `lessons 0-11/234`; the part before it is not clamped to the total and says nothing (A13)."""
    return whole_number((value or "").rpartition("/")[2])


def raise_for_status(answer: Answer, now: datetime) -> None:
    """Status first. The body is looked into where one status means two things; it need not be JSON (A9, A10)."""
    status, path = answer.status, answer.path
    if 200 <= status < 300:
        return
    if status == 429:
        raise RateLimited(
            "WebToLearn's request limit is used up", retry_after=_rate_limit_wait(answer.headers, now)
        )
    if status >= 500 or status == 408:
        raise SourceUnavailable(f"WebToLearn failed: {path} answered status {status}")
    if status in (401, 403):
        raise AccessRefused(f"WebToLearn refuses the token (status {status}): check WTL_API_TOKEN")
    if status == 402 or (status == 400 and _mentions(answer.body, b"402", b"limit")):
        raise AccessRefused(
            "WebToLearn's licence has expired or its user limit is reached (402): ask the platform's owner"
        )
    if status == 404:
        raise NotFound(f"there is no {path} here (status 404): check WTL_API_URL, it ends in /api/v1")
    if 300 <= status < 400:
        raise UnexpectedAnswer(
            f"{path} redirects elsewhere (status {status}): put the final address into WTL_API_URL"
        )
    raise UnexpectedAnswer(f"{path} answered status {status}")


def _mentions(body: bytes, *words: bytes) -> bool:
    return any(word in body.lower() for word in words)


def _rate_limit_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait: what Retry-After says, else to the next minute; None if the hour is used up."""
    if headers.get("x-ratelimit-remaining-hour", "").strip() == "0":
        return None
    asked = retry_after_seconds(headers.get("retry-after"), now)
    if asked is not None:
        return asked
    return 60 - now.second + random.uniform(0.1, 1.5)  # noqa: S311
