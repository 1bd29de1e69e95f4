"""The device library against the service as it is: a day offline, killed on the way, then online."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.postgres.api_tokens import create_token
from sync_pipelines.postgres.engine import Database
from sync_pipelines.progress import ProgressStore, ProgressSync, SyncFailed, SyncRefused
from sync_pipelines.service.app import make_app
from sync_pipelines.settings import Settings
from sync_pipelines_tests.progress.world import Line

Query = Callable[..., list[Any]]
Deed = tuple[str, int, int]
NOTHING = {"seen": False, "completed": False, "percent": 0, "time_ms": 0, "score_best": None, "score_last": None}
LESSONS = range(1, 7)
DEEDS = 150
FRESH = multiprocessing.get_context("spawn")


@pytest.fixture
def token(database: Database) -> str:
    with database.session() as session:
        return create_token(session, "anna's phone", {"learner"}, "anna")[0]


@pytest.fixture
def line(database_url: str, monkeypatch: pytest.MonkeyPatch, query: Query) -> Iterator[Line]:
    """The service, and the network before it."""
    monkeypatch.setenv("SYNC_DATABASE_URL", database_url)
    for lesson in LESSONS:
        query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES (:id, 'Zlomky')", id=str(lesson))
    app = make_app(Settings.load())
    yield Line(app)
    app.state.database.engine.dispose()


@pytest.fixture
def url(line: Line, serve: Callable[..., str]) -> str:
    return serve(line)


def a_day(seed: int) -> list[Deed]:
    """What a learner does, in order."""
    chance = random.Random(seed)
    kinds = ("seen", "time", "time", "completed", "open again", "score")
    return [(chance.choice(kinds), chance.choice(LESSONS), chance.randint(0, 100)) for _ in range(DEEDS)]


def do(store: ProgressStore, deed: Deed) -> None:
    kind, lesson, number = deed
    if kind == "seen":
        store.mark_seen(lesson)
    elif kind == "time":
        store.add_time(lesson, 1000 + number)
    elif kind == "score":
        store.set_score(lesson, number)
    else:
        store.set_completion(lesson, kind == "completed", number)


def after(deeds: list[Deed]) -> dict[int, dict[str, Any]]:
    """What is to be known after them, as plainly as can be."""
    rows: dict[int, dict[str, Any]] = {}
    for kind, lesson, number in deeds:
        row = rows.setdefault(lesson, {**NOTHING})
        if kind == "seen":
            row["seen"] = True
        elif kind == "time":
            row["time_ms"] += 1000 + number
        elif kind == "score":
            row |= {"score_last": number, "score_best": max(number, row["score_best"] or 0)}
        else:
            row |= {"completed": kind == "completed", "percent": number}
    return rows


def kept(store: ProgressStore) -> dict[int, dict[str, Any]]:
    return {
        identity: {name: one.time_ms if name == "time_ms" else getattr(one.row, name) for name in NOTHING}
        for identity, one in store.lessons().items()
    }


def on_the_server(query: Query) -> dict[int, dict[str, Any]]:
    rows = query(f"SELECT lesson_id, {', '.join(NOTHING)} FROM learning.lesson_progress WHERE user_id = 'anna'")
    return {lesson: dict(zip(NOTHING, values, strict=True)) for lesson, *values in rows}


def read_on(folder: Path, deeds: list[Deed], first: int, told: Connection) -> None:
    """The app in a process of its own: it says of each deed that it is done."""
    morning = datetime.now(UTC) - timedelta(days=1)
    times = iter(morning + timedelta(days=1) * number / DEEDS for number in range(first, 2 * DEEDS))
    store = ProgressStore(folder, clock=lambda: next(times))
    for number in range(first, len(deeds)):
        do(store, deeds[number])
        told.send(number)
    told.close()


def sync_once(folder: Path, url: str, token: str) -> None:
    ProgressSync(ProgressStore(folder), url, token).sync_now()


def started(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    process = FRESH.Process(target=target, args=arguments)
    process.start()
    return process


def test_a_day_offline_killed_twice_and_once_more_while_it_syncs_loses_nothing_and_counts_nothing_twice(
    line: Line, url: str, token: str, query: Query, tmp_path: Path
) -> None:
    deeds, done = a_day(7), 0
    for stop in (40, 90, DEEDS):
        ours, theirs = FRESH.Pipe(duplex=False)
        app = started(read_on, tmp_path, deeds, done, theirs)
        theirs.close()
        with suppress(EOFError):
            while True:
                done = ours.recv() + 1
                if done == stop < DEEDS:
                    app.kill()
        app.join()
        store = ProgressStore(tmp_path)
        if kept(store) != after(deeds[:done]):
            done += 1  # done, and killed before it could be said
        assert kept(store) == after(deeds[:done])
    assert done == DEEDS
    assert set(store.pending()) == after(deeds).keys()

    apps: list[BaseProcess] = []
    line.before_answer = lambda: apps[0].kill()
    apps.append(started(sync_once, tmp_path, url, token))
    apps[0].join()
    assert apps[0].exitcode == -9
    assert on_the_server(query) == after(deeds), "the service took it"
    assert set(store.pending()) == after(deeds).keys(), "and the device does not know"

    line.before_answer = None
    deeds.append(("time", 1, 30))
    do(store, deeds[-1])
    sync = ProgressSync(store, url, token)
    line.will("lost", "answer lost", "answer cut", None, "answer lost")
    for _ in range(4):
        with pytest.raises(SyncFailed):
            sync.sync_now()
    status = sync.sync_now()
    assert (status.pending, status.refused) == ([], {})
    assert on_the_server(query) == after(deeds) == kept(store)
    sync.close()


def test_two_devices_a_day_apart_end_with_the_servers_rows(
    line: Line, url: str, token: str, query: Query, tmp_path: Path
) -> None:
    skews = {"ahead": timedelta(days=1), "behind": timedelta(days=-1)}
    stores = {
        name: ProgressStore(tmp_path / name, clock=lambda skew=skew: datetime.now(UTC) + skew)
        for name, skew in skews.items()
    }
    syncs = {name: ProgressSync(store, url, token) for name, store in stores.items()}
    chance, deeds = random.Random(5), a_day(5)[:60]
    for deed in deeds:
        name = chance.choice(list(stores))
        do(stores[name], deed)
        if chance.random() < 0.3:
            line.will(chance.choice([None, "lost", "answer lost", "answer cut"]))
            with suppress(SyncFailed):
                syncs[name].sync_now()
            line.faults.clear()
    for name in [*syncs, *syncs]:
        assert syncs[name].sync_now().pending == []
    server, done = on_the_server(query), after(deeds)
    assert kept(stores["ahead"]) == kept(stores["behind"]) == server
    for lesson, row in done.items():
        assert (server[lesson]["time_ms"], server[lesson]["score_best"]) == (row["time_ms"], row["score_best"])
    for sync in syncs.values():
        sync.close()


def test_a_lesson_that_is_unknown_stays_pending_and_is_taken_once_it_is_known(
    line: Line, url: str, token: str, query: Query, tmp_path: Path
) -> None:
    store = ProgressStore(tmp_path)
    sync = ProgressSync(store, url, token)
    store.mark_seen(1)
    store.mark_seen(77)
    for _ in range(2):
        status = sync.sync_now()
        assert (status.pending, list(status.refused)) == ([77], [77])
    query("INSERT INTO wtl.lessons (wtl_lesson_id, title) VALUES ('77', 'Procenta')")
    status = sync.sync_now()
    assert (status.pending, status.refused) == ([], {})
    assert on_the_server(query).keys() == {1, 77}
    sync.close()


def test_a_token_of_nobody_stops_it(url: str, tmp_path: Path) -> None:
    store = ProgressStore(tmp_path)
    sync = ProgressSync(store, url, "spl_nobody")
    store.mark_seen(1)
    with pytest.raises(SyncRefused, match="log in again"):
        sync.sync_now()
    assert (sync.status().stopped, store.pending()) == (True, [1])
    sync.close()
