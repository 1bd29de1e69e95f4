"""Whose ids an upstream's are: two number their records alike, and one's must not become the other's rows."""

from __future__ import annotations

from urllib.parse import urlsplit

from sync_pipelines.flows.spec import Upstream
from sync_pipelines.settings import Settings

__all__ = ["host_of", "origin_of"]


def origin_of(upstream: Upstream, settings: Settings) -> str:
    """Whose ids an upstream's are."""
    return host_of(upstream.origin(settings))


def host_of(address: str) -> str:
    """Whose an address is: its host, whatever the port; this machine under one name."""
    host = urlsplit(address).hostname or address
    return "localhost" if host == "localhost" or host.startswith("127.") or host == "::1" else host
