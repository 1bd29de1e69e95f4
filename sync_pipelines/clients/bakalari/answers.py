"""What a Bakalari answer says: status first, then strictly read JSON. Source: contracts/bakalari.md C6."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from sync_pipelines.clients.http import Answer, retry_after_seconds
from sync_pipelines.clients.json_bodies import json_of, kind_of
from sync_pipelines.errors import AccessRefused, NotFound, RateLimited, SourceUnavailable, UnexpectedAnswer

__all__ = ["TokenRefused", "object_of", "raise_for_status"]

_WAIT_SECONDS = 60.0


class TokenRefused(AccessRefused):
    """The access token is not good (401): the session renews it. No caller of the client sees this."""


def object_of(answer: Answer, now: datetime) -> Mapping[str, Any]:
    """The object that an answer of the API is. Raises SourceError."""
    raise_for_status(answer, now)
    body = json_of(answer)
    if not isinstance(body, dict):
        raise UnexpectedAnswer(
            f"{answer.path} answered {kind_of(body)} instead of an object (status {answer.status})"
        )
    return cast("Mapping[str, Any]", body)


def raise_for_status(answer: Answer, now: datetime) -> None:
    """Status alone: error bodies are in Czech, empty, or web pages."""
    status, path = answer.status, answer.path
    if 200 <= status < 300:
        return
    if status == 429:
        wait = retry_after_seconds(answer.headers.get("retry-after"), now)
        raise RateLimited("the school's server limits requests", retry_after=wait or _WAIT_SECONDS)
    if status >= 500 or status == 408:
        raise SourceUnavailable(f"the school's server failed: {path} answered status {status}")
    if status == 401:
        raise TokenRefused(f"{path} wants another access token (status 401)")
    if status == 403:
        raise AccessRefused(f"the account has no right to {path} (status 403): the school gives such rights")
    if status == 404:
        raise NotFound(f"there is no {path} here (status 404): check the school's address")
    if 300 <= status < 400:
        raise UnexpectedAnswer(
            f"{path} redirects elsewhere (status {status}): check the school's address, it is its final one"
        )
    raise UnexpectedAnswer(f"{path} answered status {status}")
