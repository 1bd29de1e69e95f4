"""Whatever a learner does on devices offline, whatever the network loses and the clocks say: nothing is lost, and
nothing is counted twice."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from sync_pipelines.progress import SESSION_CAP_MS, ProgressError, ProgressStore, ProgressSync
from sync_pipelines_tests.progress.world import Clock, Fault, World

LESSONS = st.sampled_from([1, 2, 3])
FAULTS = st.lists(st.sampled_from([None, "lost", "answer lost", "answer cut", "portal", 503]), max_size=3)  # pyright: ignore[reportAssignmentType]
SKEWS = st.sampled_from([timedelta(), timedelta(days=1), timedelta(days=-1), timedelta(hours=1)])


class Device:
    """A store, its sync, and a clock that is wrong by `skew`."""

    def __init__(self, folder: Path, url: str, clock: Clock, client: httpx.Client) -> None:
        self.folder, self.url, self.clock, self.client = folder, url, clock, client
        self.skew = timedelta()
        self.reopen()

    def reopen(self) -> None:
        """What a killed process leaves is the file, and perhaps a draft of another."""
        self.store = ProgressStore(self.folder, clock=lambda: self.clock() + self.skew)
        self.sync = ProgressSync(self.store, self.url, "anna", client=self.client)


class Histories(RuleBasedStateMachine):
    """One learner. What was done is written down beside, as plainly as can be."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.clock, self.model, self.line, self.client = world.clock, world.model, world.line, world.client
        self.url = world.url
        self.model.stored.clear()
        self.model.ledger.clear()
        self.folder = Path(tempfile.mkdtemp())
        self.time: dict[int, int] = defaultdict(int)
        self.best: dict[int, int] = {}
        self.said: dict[int, dict[str, Any]] = defaultdict(dict)

    @initialize(count=st.integers(1, 2))
    def begin(self, count: int) -> None:
        self.devices = [
            Device(self.folder / str(number), self.url, self.clock, self.client) for number in range(count)
        ]

    def device(self, number: int) -> Device:
        return self.devices[number % len(self.devices)]

    @rule(n=st.integers(0, 1), lesson=LESSONS)
    def seen(self, n: int, lesson: int) -> None:
        self.device(n).store.mark_seen(lesson)
        self.said[lesson]["seen"] = True

    @rule(n=st.integers(0, 1), lesson=LESSONS, ms=st.sampled_from([0, 1, 60_000, 2_000_000]))
    def time_spent(self, n: int, lesson: int, ms: int) -> None:
        self.device(n).store.add_time(lesson, ms)
        self.time[lesson] += min(ms, SESSION_CAP_MS)

    @rule(n=st.integers(0, 1), lesson=LESSONS, completed=st.booleans(), percent=st.sampled_from([None, 40]))
    def completed(self, n: int, lesson: int, completed: bool, percent: int | None) -> None:
        self.device(n).store.set_completion(lesson, completed, percent)
        self.said[lesson] |= {"completed": completed, "percent": 100 * completed if percent is None else percent}

    @rule(n=st.integers(0, 1), lesson=LESSONS, score=st.integers(0, 100))
    def scored(self, n: int, lesson: int, score: int) -> None:
        self.device(n).store.set_score(lesson, score)
        self.said[lesson]["score_last"] = score
        self.best[lesson] = max(score, self.best.get(lesson, 0))

    @rule(n=st.integers(0, 1))
    def killed(self, n: int) -> None:
        (self.device(n).folder / "pp_progress_v1.json.tmp").write_bytes(b'{"schema_ver')
        self.device(n).reopen()

    @rule(n=st.integers(0, 1), skew=SKEWS)
    def clock_set(self, n: int, skew: timedelta) -> None:
        self.device(n).skew = skew

    @rule(hours=st.sampled_from([1, 30]))
    def time_passes(self, hours: int) -> None:
        self.clock.now += timedelta(hours=hours)

    @rule(n=st.integers(0, 1), faults=FAULTS)
    def syncs(self, n: int, faults: list[Fault | None]) -> None:
        self.line.will(*faults)
        with suppress(ProgressError):
            self.device(n).sync.sync_now()
        self.line.faults.clear()

    def teardown(self) -> None:
        try:
            if hasattr(self, "devices"):
                self.all_is_there()
        finally:
            shutil.rmtree(self.folder)

    def all_is_there(self) -> None:
        for _ in range(2):
            for device in self.devices:
                device.sync.sync_now()
        server = self.model.lessons("anna")
        assert {identity: one.time_ms for identity, one in server.items() if one.time_ms} == {
            lesson: ms for lesson, ms in self.time.items() if ms
        }
        assert {i: one.row.score_best for i, one in server.items() if one.row.score_best is not None} == self.best
        for device in self.devices:
            assert device.store.pending() == []
            assert device.store.set_aside == []
            for identity, ours in device.store.lessons().items():
                theirs = server[identity]
                assert ours.time_ms == theirs.time_ms
                assert _row(ours) == _row(theirs)
        if len(self.devices) == 1:
            for lesson, said in self.said.items():
                assert {name: getattr(server[lesson].row, name) for name in said} == said


def _row(lesson: Any) -> tuple[Any, ...]:
    row = lesson.row
    return row.seen, row.completed, row.percent, row.score_best, row.score_last


def test_whatever_happens_the_server_ends_with_what_was_done(world: World) -> None:
    begin: Any = partial(Histories, world)
    run_state_machine_as_test(begin, settings=settings(max_examples=60, stateful_step_count=25))
