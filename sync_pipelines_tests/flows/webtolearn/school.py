"""A school: its platform on a real socket, the tables it is synced into, and a time of its own in which nobody
waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

import pytest
import sqlalchemy as sa

from sync_pipelines.clients.budget import RateBudget
from sync_pipelines.clients.http import Sender
from sync_pipelines.clients.webtolearn import WebToLearnClient
from sync_pipelines.core import SyncReport
from sync_pipelines.errors import SyncError
from sync_pipelines.flows.partitions import PartitionDone, PartitionRunner
from sync_pipelines.flows.registry import FLOWS
from sync_pipelines.flows.runner import Runner
from sync_pipelines.flows.spec import Flow, PartitionedFlow
from sync_pipelines.flows.webtolearn import COURSE_LESSONS, COURSE_USERS
from sync_pipelines.sandbox.webtolearn import Platform, webtolearn_app
from sync_pipelines.settings import Settings
from sync_pipelines_tests.flows.webtolearn.model import granted
from sync_pipelines_tests.flows.webtolearn.tables import EVERY_TABLE, LISTED, Tables

__all__ = ["Clock", "Door", "Outcome", "School"]

Outcome = SyncReport | SyncError


class Clock:
    """Seconds since 1970, of the platform and of who asks it. To wait is to let time pass."""

    def __init__(self) -> None:
        self.now = 1_795_262_430.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def date(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Door:
    """An address on a real socket, behind which one school comes after the other."""

    url = ""

    def __init__(self) -> None:
        self.school: School | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert self.school is not None
        await self.school(scope, receive, send)


class School(Tables):
    """Serves a platform, and runs flows against it. `asked` are the paths asked for, below /api/v1, `answered` the
    statuses.

    `before` is called with the query of each request, `between` after each answer with its number, counted from 1,
    `alter` with an answer's headers.
    """

    def __init__(self, connection: sa.Connection, database_url: str, door: Door) -> None:
        super().__init__(connection)
        self._database_url = database_url
        self.url = door.url + "/api/v1"
        door.school = self
        self.open(Platform.invented(courses=8, lessons=30, users=40))

    def open(self, platform: Platform) -> None:
        """Begin anew: with this platform, empty tables, and nothing known of limits."""
        self.platform = platform
        platform.limit_minute = platform.limit_hour = 10**9
        self.clock = Clock()
        self.app = webtolearn_app(platform, self.clock)
        self.new_process()
        self.timeout, self.page_size, self.token = 30.0, 1000, "sandbox-token"
        self.asked: list[str] = []
        self.answered: list[int] = []
        self.at_rest()
        self.query(f"TRUNCATE {EVERY_TABLE}")

    def at_rest(self) -> None:
        """Nothing happens but what is asked for."""
        self.before: Callable[[str], object] = lambda query: None
        self.between: Callable[[int], object] = lambda number: None
        self.alter: Callable[[dict[bytes, bytes]], object] = lambda headers: None
        self.platform.churn = 0

    def new_process(self) -> None:
        """Forget what this process heard of the platform's limits."""
        self.budget = RateBudget(clock=self.clock, wall=self.clock)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def altered(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.answered.append(message["status"])
                headers = dict(message["headers"])
                self.alter(headers)
                message = {**message, "headers": list(headers.items())}
            await send(message)

        if scope["type"] == "http":
            self.asked.append(scope["path"].removeprefix("/api/v1"))
            self.before(unquote_plus(scope["query_string"].decode()))
        number = len(self.asked)
        await self.app(scope, receive, altered)
        self.between(number)

    def client(self, base_url: str, token: str, *, keep_of_hour: float = 0.0) -> WebToLearnClient:
        """As the flows make one, but for this school's time, its pages and its patience."""
        sender = Sender(
            base_url,
            {"X-Auth-Token": token, "Accept": "application/json"},
            budget=self.budget,
            keep_of_hour=keep_of_hour,
            timeout=self.timeout,
            sleep=self.clock.sleep,
            now=self.clock.date,
        )
        return WebToLearnClient(base_url, token, page_size=self.page_size, sender=sender)

    @property
    def settings(self) -> Settings:
        given = {"SYNC_DATABASE_URL": self._database_url, "WTL_API_URL": self.url, "WTL_API_TOKEN": self.token}
        return Settings.model_validate(given)

    # --- running ------------------------------------------------------------------------------------------

    def run(self, flow: Flow, **options: bool) -> SyncReport:
        return Runner(self.settings).run(flow, **options)

    def lists(self, **options: bool) -> list[SyncReport]:
        return [self.run(flow, **options) for flow in FLOWS]

    def courses(
        self, *keys: str, flow: PartitionedFlow = COURSE_USERS, **options: Any
    ) -> dict[str, PartitionDone]:
        """These partitions, or all that are there."""
        done, error = self.courses_until(*keys, flow=flow, **options)
        if error is not None:
            raise error
        return done

    def courses_until(
        self, *keys: str, flow: PartitionedFlow = COURSE_USERS, **options: Any
    ) -> tuple[dict[str, PartitionDone], SyncError | None]:
        """Those that were done, and what ended the run before the others."""
        runner = PartitionRunner(self.settings)
        done: dict[str, PartitionDone] = {}
        try:
            for partition in runner.run(flow, keys or runner.stalest_first(flow), **options):
                done[partition.key] = partition
        except SyncError as error:
            return done, error
        return done, None

    def known(self) -> list[str]:
        """The courses that are not known to be gone."""
        return PartitionRunner(self.settings).stalest_first(COURSE_USERS)

    def ended_by(self, flow: Flow | PartitionedFlow) -> SyncError:
        """What ends a run that must fail."""
        with pytest.raises(SyncError) as caught:
            self.run(flow) if isinstance(flow, Flow) else self.courses(flow=flow)
        return caught.value

    def outcomes(self) -> dict[str, Outcome]:
        """What comes of each list, and of each course's users; of all, where that ends the run."""
        found: dict[str, Outcome] = {}
        for flow in FLOWS:
            try:
                found[flow.stream] = self.run(flow)
            except SyncError as error:
                found[flow.stream] = error
        there = set(self.ids("courses"))
        courses, error = self.courses_until(*(key for key in self.known() if key in there))
        for key, done in courses.items():
            found[f"{COURSE_USERS.stream}/{key}"] = done.error or done.report
        if error is not None:
            found[COURSE_USERS.stream] = error
        return found

    def sync(self) -> None:
        """Everything there is to sync, once; all of it must be complete."""
        reports = self.lists()
        for flow in (COURSE_USERS, COURSE_LESSONS)[: 1 if self.platform.relation == "none" else 2]:
            reports += [done.report for done in self.courses(flow=flow).values()]
        assert [report.errors for report in reports if not report.complete] == []

    def mends(self) -> None:
        """Without faults, in an hour, one more run makes the tables equal to the platform."""
        self.platform.faults.clear()
        self.at_rest()
        self.clock.now += 3600
        self.sync()
        assert self.held() == self.listed()
        assert self.grants() == granted(self.platform, self.ids("courses"))
        assert self.query("SELECT count(*) FROM sync.rejects WHERE resolved_at IS NULL") == [0]

    # --- the platform -------------------------------------------------------------------------------------

    def ids(self, resource: str) -> list[str]:
        return [row["id"] for row in self.platform.rows(resource)]

    def listed(self) -> dict[str, dict[str, str]]:
        """What wtl.courses, lessons and users must show."""
        return {
            name: {row["id"]: row[field] for row in self.platform.rows(name)}
            for name, (_, _, field) in LISTED.items()
        }

    def life_goes_on(self) -> None:
        """Of each list a row is renamed, one is gone, and one is new; so it is with a course's users."""
        platform = self.platform
        for name, (_, _, field) in LISTED.items():
            first, *_, last = platform.rows(name)
            platform.put(name, first["id"], {**first, field: f"nowy-{first['id']}@szkola.example"})
            platform.remove(name, last["id"])
            new = str(int(last["id"]) + 7)
            platform.put(name, new, {"id": new, field: f"nowe-{new}@szkola.example"})
        for grants in platform.course_users.values():
            grants.pop()
            listed = {grant["id"] for grant in grants}
            new = next(row for row in platform.users if row["id"] not in listed)
            grants.append({**new, "expired_at": "Forever"})
