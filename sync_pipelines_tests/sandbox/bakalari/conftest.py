"""One server for a file of tests: its school begins anew after each of them."""

import copy
from collections.abc import Generator, Iterator
from datetime import UTC, datetime

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from sync_pipelines.sandbox.bakalari import Account, School, bakalari_app
from sync_pipelines.sandbox.server import serving


class Clock:
    """Stands still until it is moved; seconds since 1970."""

    beginning = datetime(2026, 10, 14, 8, tzinfo=UTC).timestamp()  # a Wednesday
    now = beginning

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def served() -> School:
    return School.invented("gym-01", classes=4, students=24, teachers=6)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def server(served: School, clock: Clock) -> Generator[str, None, None]:
    """The address of the application, mounted below another's."""
    app = bakalari_app([served, School("empty")], clock)
    with serving(Starlette(routes=[Mount("/bakalari", app)])) as url:
        yield f"{url}/bakalari"


@pytest.fixture
def school(served: School, clock: Clock) -> Iterator[School]:
    began = copy.deepcopy(vars(served))
    yield served
    vars(served).update(began)
    clock.now = clock.beginning


@pytest.fixture
def url(server: str, school: School) -> str:
    return f"{server}/{school.id}"


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    """Asks the school."""
    with httpx.Client(base_url=url, headers={"Accept-Language": "cs"}, timeout=20) as client:
        yield client


@pytest.fixture
def control(server: str, school: School) -> Iterator[httpx.Client]:
    """Asks the application at its top."""
    with httpx.Client(base_url=server, timeout=20) as client:
        yield client


@pytest.fixture
def pupil(school: School) -> Account:
    return school.account_of(school.pupils[0])


@pytest.fixture
def parent(school: School) -> Account:
    return school.account_of(school.pupils[0], "parent")


@pytest.fixture
def teacher(school: School) -> Account:
    return school.account_of(school.teacher(school.atoms[0].teacher_id))


@pytest.fixture
def superuser(school: School) -> Account:
    return school.accounts["spravce"]
