from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from sync_pipelines.alerts.history import Tick
from sync_pipelines.alerts.problems import EndedRun
from sync_pipelines.settings import Settings
from sync_pipelines_tests.alerts.listening import Listener


@dataclass
class Clock:
    """A time that passes when the test says so."""

    time: datetime = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def pass_by(self, **span: float) -> None:
        self.time += timedelta(**span)


@dataclass
class WrittenHistory:
    """A History that the test writes: runs in the order of their positions, ticks by flow."""

    clock: Clock
    runs: list[EndedRun] = field(default_factory=list)
    turns: dict[str, list[Tick]] = field(default_factory=dict)
    under_way: frozenset[str] = frozenset()
    silent: Sequence[tuple[str, datetime]] = ()

    def newest(self) -> int:
        return self.runs[-1].position if self.runs else 0

    def ended_after(self, position: int, until: datetime) -> tuple[Sequence[EndedRun], int]:
        found = [run for run in self.runs if run.position > position and run.at <= until]
        return found, found[-1].position if found else position

    def ticks(self, flow: str, since: datetime | None) -> Sequence[Tick]:
        return [tick for tick in self.turns.get(flow, []) if since is None or tick.at > since]

    def busy(self) -> frozenset[str]:
        return self.under_way

    def silent_daemons(self, before: datetime) -> Sequence[tuple[str, datetime]]:
        return self.silent


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def history(clock: Clock) -> WrittenHistory:
    return WrittenHistory(clock)


@pytest.fixture
def listen() -> Generator[Callable[..., Listener], None, None]:
    """Starts receivers, which listen until the test ends."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(Listener(*args, **options))


@pytest.fixture
def alert_settings(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Settings for the test's database, a platform that nobody asks, and these receivers."""

    def make(*urls: str, **environment: str) -> Settings:
        named = {
            "SYNC_DATABASE_URL": database_url,
            "WTL_API_URL": "https://a.elms.pl/api/v1",
            "WTL_API_TOKEN": "hunter22",
            "SYNC_ALERT_URLS": " ".join(urls),
            **environment,
        }
        for name, value in named.items():
            monkeypatch.setenv(name, value)
        return Settings.load()

    return make
