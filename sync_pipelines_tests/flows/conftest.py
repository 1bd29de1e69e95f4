from collections.abc import Callable
from typing import Any

import pytest

from sync_pipelines.core import SyncReport
from sync_pipelines.flows.registry import FLOWS
from sync_pipelines.flows.runner import Runner
from sync_pipelines.sandbox.webtolearn import Platform
from sync_pipelines.settings import Settings


@pytest.fixture
def sync(serve: Callable[[Any], str], sync_settings: Callable[..., Settings]) -> Callable[..., list[SyncReport]]:
    """Serves a platform and runs all flows, or those named, against it."""
    served: dict[int, str] = {}

    def run(platform: Platform, *flows: Any, **options: bool) -> list[SyncReport]:
        platform.limit_minute = platform.limit_hour = 10**9
        url = served.get(id(platform)) or served.setdefault(id(platform), serve(platform))
        runner = Runner(sync_settings(url))
        return [runner.run(flow, **options) for flow in flows or FLOWS]

    return run
