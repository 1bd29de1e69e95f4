from collections.abc import Generator

import httpx
import pytest

from sync_pipelines.sandbox.server import serving
from sync_pipelines_tests.progress.world import Clock, Line, Model, World


@pytest.fixture
def world() -> Generator[World]:
    """A model of the service that knows the lessons 1 to 999, on a real socket."""
    clock = Clock()
    model = Model(clock, range(1, 1000))
    line = Line(model)
    with serving(line) as url, httpx.Client(timeout=60) as client:
        yield World(clock, model, line, url, client)
