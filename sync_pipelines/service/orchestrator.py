"""Dagster as the service sees it: over HTTP, through the GraphQL API of its webserver, as anybody else would."""

from __future__ import annotations

from typing import Self

__all__ = ["Orchestrator"]


class Orchestrator:
    """A client of the webserver at `url`. Making one connects to nothing."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None: ...
