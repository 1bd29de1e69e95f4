"""Clients of a simulated school on a real socket, whose waits take no time."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from sync_pipelines.clients.bakalari import Account, SchoolClient
from sync_pipelines.clients.bakalari.client import HEADERS
from sync_pipelines.clients.budget import RateBudget
from sync_pipelines.clients.http import Sender
from sync_pipelines.sandbox.bakalari import Account as SchoolAccount
from sync_pipelines.sandbox.bakalari import School

Serve = Callable[[Any], str]


@contextmanager
def client_at(url: str) -> Generator[SchoolClient, None, None]:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await asyncio.sleep(0)

    budget = RateBudget(in_flight=64, clock=lambda: sum(waited))
    with SchoolClient(url, sender=Sender(url, HEADERS, sleep=sleep, budget=budget)) as client:
        yield client


def account_of(account: SchoolAccount, password: str | None = None) -> Account:
    return Account(account.username, password or account.password, None, "#1")


def small_school(**changed: Any) -> School:
    school = School.invented(classes=3, students=12, teachers=5)
    for name, value in changed.items():
        setattr(school, name, value)
    return school
