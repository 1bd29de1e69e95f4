"""WebToLearn as an upstream: whose ids they are, and whether it answers."""

from __future__ import annotations

from collections.abc import Iterator

from sync_pipelines.clients.webtolearn import WebToLearnClient
from sync_pipelines.flows.spec import Finding, Upstream, clock_finding
from sync_pipelines.settings import Settings

__all__ = ["WEBTOLEARN"]


def _origin(settings: Settings) -> str:
    base_url, _ = settings.webtolearn()
    return base_url


def _probe(settings: Settings) -> Iterator[Finding]:
    base_url, token = settings.webtolearn()
    with WebToLearnClient(base_url, token) as client:
        probe = client.probe()
    yield Finding("webtolearn", "ok", f"{base_url} accepts the token")
    if probe.remaining_minute is not None and probe.remaining_hour is not None:
        left = f"{probe.remaining_minute} requests left this minute, {probe.remaining_hour} this hour"
        yield Finding("webtolearn budget", "ok" if probe.remaining_hour > 0 else "warning", left)
    if probe.server_time is not None:
        yield clock_finding("webtolearn clock", probe.server_time)


WEBTOLEARN = Upstream("wtl", "webtolearn", "Europe/Warsaw", origin=_origin, probe=_probe)
