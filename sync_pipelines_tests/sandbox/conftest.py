"""One server for a file of tests: it begins anew, as /control/reset does, after each of them."""

import time
from collections.abc import Callable, Generator, Iterator

import httpx
import pytest

from sync_pipelines.sandbox.server import serving
from sync_pipelines.sandbox.webtolearn import Platform, webtolearn_app


@pytest.fixture(scope="module")
def platform() -> Platform:
    return Platform.invented(courses=30, lessons=1200, users=60)


@pytest.fixture(scope="module")
def clock() -> Callable[[], float]:
    return time.time


@pytest.fixture(scope="module")
def server(platform: Platform, clock: Callable[[], float]) -> Generator[str, None, None]:
    """The address of the file's platform, at its top."""
    with serving(webtolearn_app(platform, clock)) as url:
        yield url


@pytest.fixture
def control(server: str) -> Iterator[httpx.Client]:
    """Asks the server at its top, without a token."""
    with httpx.Client(base_url=server) as client:
        yield client
        client.post("/control/reset").raise_for_status()


@pytest.fixture
def api(server: str, control: httpx.Client, platform: Platform) -> Iterator[httpx.Client]:
    """Asks /api/v1 with the token."""
    headers = {"X-Auth-Token": platform.token}
    with httpx.Client(base_url=f"{server}/api/v1", headers=headers, timeout=20) as client:
        yield client
