"""A sync, step by step: what is sent, acknowledged and pulled, and what stays when something goes wrong."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sync_pipelines.progress import (
    NotLoggedIn,
    OtherAccount,
    ProgressStore,
    ProgressSync,
    SyncFailed,
    SyncRefused,
)
from sync_pipelines.sandbox.server import serving
from sync_pipelines_tests.progress.world import World

TOKEN = "anna-her-token"
IMPORT, READ = ("POST", "/api/v1/learning/progress/import/"), ("GET", "/api/v1/learning/progress/")
Device = tuple[ProgressStore, ProgressSync]


@pytest.fixture
def device(world: World, tmp_path: Path) -> Callable[..., Device]:
    """Makes devices of the learner, each with a clock that is wrong by `skew`."""

    def make(name: str = "phone", skew: timedelta = timedelta(), url: str | None = None, **options: Any) -> Device:
        store = ProgressStore(tmp_path / name, clock=lambda: world.clock() + skew)
        return store, ProgressSync(store, url or world.url, TOKEN, client=world.client, **options)

    return make


@pytest.fixture
def meanwhile(world: World) -> Generator[Callable[[Callable[[], object]], str]]:
    """The address of a server that does something, once, before it answers."""
    with ExitStack() as stack:

        def serve(do: Callable[[], object]) -> str:
            todo = [do]

            async def app(scope: Any, receive: Any, send: Any) -> None:
                if todo:
                    todo.pop()()
                await world.line(scope, receive, send)

            return stack.enter_context(serving(app))

        yield serve


def file_of(folder: Path, **state: Any) -> None:
    """A state file that another app wrote."""
    folder.mkdir()
    whole = {"schema_version": 1, "device_id": "theirs", **state}
    (folder / "pp_progress_v1.json").write_text(json.dumps(whole))


def server_time(world: World, lesson: int = 1) -> int:
    return world.model.lessons(TOKEN)[lesson].time_ms


def test_what_is_pending_is_sent_and_what_others_did_is_there_afterwards(
    world: World, device: Callable[..., Device]
) -> None:
    (phone, phone_sync), (desk, desk_sync) = device("phone"), device("desk")
    phone.mark_seen(1)
    phone.add_time(1, 60_000)
    phone_sync.sync_now()
    desk.set_completion(2, True)
    desk.add_time(1, 30_000)
    status = desk_sync.sync_now()
    assert (status.pending, status.refused, status.last_error) == ([], {}, None)
    assert status.last_sync_at == desk.last_sync_at
    assert desk.lessons() == world.model.lessons(TOKEN, desk.device_id)
    assert (desk.lessons()[1].time_ms, desk.lessons()[1].own_time_ms) == (90_000, 30_000)
    phone_sync.sync_now()
    assert phone.lessons() == world.model.lessons(TOKEN, phone.device_id)


def test_nothing_pending_is_nothing_sent(world: World, device: Callable[..., Device]) -> None:
    device()[1].sync_now()
    assert world.line.requests == [READ]


@pytest.mark.parametrize("devices", [1, 2])
def test_twenty_sessions_of_a_minute_are_twenty_minutes_however_often_they_are_synced(
    world: World, device: Callable[..., Device], devices: int
) -> None:
    all_devices = [device(str(number)) for number in range(devices)]
    for session in range(20):
        store, sync = all_devices[session % devices]
        store.add_time(1, 60_000)
        sync.sync_now()
        sync.sync_now()
    assert server_time(world) == 1_200_000


def test_a_chunk_is_acknowledged_at_once_and_one_whose_answer_was_lost_is_answered_from_the_ledger(
    world: World, device: Callable[..., Device], tmp_path: Path
) -> None:
    lessons = {str(lesson): {"time_ms": 1} for lesson in range(1, 451)}
    file_of(tmp_path / "phone", lessons=lessons, pending=list(lessons))
    store, sync = device()
    world.line.will(None, "answer lost")
    with pytest.raises(SyncFailed):
        sync.sync_now()
    assert ProgressStore(tmp_path / "phone").pending() == list(range(201, 451))
    assert store.last_sync_at is None
    device()[1].sync_now()
    assert world.line.requests == [IMPORT, IMPORT, IMPORT, IMPORT, READ]
    assert (world.model.replays, store.pending()) == (1, [])
    assert sum(one.time_ms for one in world.model.lessons(TOKEN).values()) == 450


def test_a_refused_lesson_stays_pending_with_its_reason_and_is_taken_once_it_is_known(
    world: World, device: Callable[..., Device]
) -> None:
    store, sync = device()
    store.mark_seen(1000)
    store.mark_seen(1)
    for _ in range(2):
        status = sync.sync_now()
        assert (status.pending, status.refused) == ([1000], {1000: "unknown_lesson: none"})
        assert status.lessons[1000].row.seen
    world.model.known.add(1000)
    status = sync.sync_now()
    assert (status.pending, status.refused) == ([], {})
    assert 1000 in world.model.lessons(TOKEN)


def test_what_is_done_during_a_sync_stays_pending(
    device: Callable[..., Device], meanwhile: Callable[..., str]
) -> None:
    store, _ = device()
    store.set_score(1, 50)
    store.add_time(2, 10)
    store.mark_seen(3)

    def read_on() -> None:
        store.set_score(1, 70)
        store.add_time(2, 10)

    _, sync = device(url=meanwhile(read_on))
    assert sync.sync_now().pending == [1, 2]
    assert sync.sync_now().pending == []


@pytest.mark.parametrize("skew", [timedelta(days=1), timedelta(days=-1)], ids=["ahead", "behind"])
def test_a_clock_that_is_a_day_wrong_loses_nothing_and_wins_for_no_day(
    world: World, device: Callable[..., Device], skew: timedelta
) -> None:
    (wrong, wrong_sync), (right, right_sync) = device("wrong", skew), device("right")
    wrong.set_completion(1, True)
    wrong_sync.sync_now()
    wrong.set_score(1, 60)
    wrong_sync.sync_now()
    right_sync.sync_now()
    world.clock.now += timedelta(seconds=1)
    right.set_completion(1, False)
    for sync in (right_sync, wrong_sync):
        sync.sync_now()
    row = world.model.lessons(TOKEN)[1].row
    assert (row.completed, row.score_last) == (False, 60)
    assert row.updated_at <= world.clock.now
    assert wrong.lessons() == world.model.lessons(TOKEN, wrong.device_id)


def test_a_change_after_the_clock_was_put_right_is_not_taken_for_one_that_came_before(
    world: World, tmp_path: Path
) -> None:
    skew = [timedelta(days=1)]
    store = ProgressStore(tmp_path, clock=lambda: world.clock() + skew[0])
    sync = ProgressSync(store, world.url, TOKEN, client=world.client)
    store.set_completion(1, True)
    sync.sync_now()
    skew[0] = timedelta(hours=1)
    again = ProgressStore(tmp_path, clock=lambda: world.clock() + skew[0])
    again.set_completion(1, False)
    ProgressSync(again, world.url, TOKEN, client=world.client).sync_now()
    assert not world.model.lessons(TOKEN)[1].row.completed


def test_a_file_of_another_app_counts_its_time_once(
    world: World, device: Callable[..., Device], tmp_path: Path
) -> None:
    lesson = {"seen": True, "time_ms": 120_000, "updated_at": "2026-01-12T10:20:30.000Z", "colour": "red"}
    file_of(tmp_path / "phone", lessons={"1": lesson}, pending=["1"], theme="dark")
    store, sync = device()
    for _ in range(2):
        sync.sync_now()
        store.add_time(1, 1)
    sync.sync_now()
    assert server_time(world) == 120_002
    exported = json.loads(store.export())
    assert (exported["theme"], exported["lessons"]["1"]["colour"]) == ("dark", "red")


def test_what_was_told_of_the_device_that_this_was_is_not_counted_for_the_one_that_it_is(
    world: World, device: Callable[..., Device], meanwhile: Callable[..., str], tmp_path: Path
) -> None:
    store, _ = device()
    store.add_time(1, 60_000)
    _, sync = device(url=meanwhile(lambda: (tmp_path / "phone" / "pp_progress_v1.json").write_bytes(b"broken")))
    sync.sync_now()
    assert (store.lessons(), len(store.set_aside)) == ({}, 1)
    for _ in range(2):
        store.add_time(1, 1000)
        sync.sync_now()
    assert server_time(world) == 62_000
    kept = store.lesson(1)
    assert kept
    assert (kept.own_time_ms, kept.time_ms) == (2000, 62_000)


# Who is logged in.


def test_progress_is_synced_for_no_other_account(world: World, device: Callable[..., Device]) -> None:
    store, sync = device(account="anna")
    store.mark_seen(1)
    sync.sync_now()
    store.mark_seen(2)
    world.line.requests.clear()
    for account in ("ben", None):
        sync.login("token-of-ben", account=account)
        with pytest.raises(OtherAccount):
            sync.sync_now()
        assert sync.status().stopped
    assert world.line.requests == []
    sync.login(TOKEN, account="anna")
    assert sync.sync_now().pending == []
    assert world.model.stored.keys() == {TOKEN}


def test_what_was_done_before_anybody_logged_in_is_theirs_who_does_first(
    world: World, tmp_path: Path, device: Callable[..., Device]
) -> None:
    store = ProgressStore(tmp_path / "phone")
    sync = ProgressSync(store, world.url, client=world.client)
    store.mark_seen(1)
    with pytest.raises(NotLoggedIn):
        sync.sync_now()
    assert (sync.status().logged_in, sync.status().next_attempt_at) == (False, None)
    sync.login(TOKEN, account="anna")
    assert sync.sync_now().pending == []


def test_what_is_answered_after_a_logout_is_not_written(
    device: Callable[..., Device], meanwhile: Callable[..., str]
) -> None:
    store, _ = device()
    store.mark_seen(1)
    before = store.export()
    _, sync = device(url=meanwhile(lambda: sync.logout()))
    with pytest.raises(NotLoggedIn):
        sync.sync_now()
    assert store.export() == before
    assert (sync.status().logged_in, sync.status().syncing, sync.status().last_error) == (False, False, None)


def test_a_refused_token_stops_it_until_a_login(world: World, device: Callable[..., Device]) -> None:
    store, sync = device()
    store.mark_seen(1)
    world.line.will(401)
    with pytest.raises(SyncRefused, match="log in again"):
        sync.sync_now()
    status = sync.status()
    assert (status.stopped, status.pending, status.next_attempt_at) == (True, [1], None)
    assert "status 401" in (status.last_error or "")
    sync.login(TOKEN)
    assert (sync.status().stopped, sync.status().last_error) == (False, None)
    assert sync.sync_now().pending == []


def test_after_a_failure_the_next_attempt_and_the_reason_are_known(
    world: World, device: Callable[..., Device]
) -> None:
    store, sync = device()
    store.mark_seen(1)
    for fault in ("lost", "answer lost", "answer cut", "portal", 503, 429):
        world.line.will(fault)
        with pytest.raises(SyncFailed):
            sync.sync_now()
        status = sync.status()
        assert status.pending == [1]
        assert status.last_error
        assert status.next_attempt_at
        assert not status.stopped
    assert sync.sync_now().last_error is None


def test_a_defect_stops_it_and_is_not_swallowed(world: World, device: Callable[..., Device]) -> None:
    _, sync = device()
    world.client.close()
    with pytest.raises(RuntimeError):
        sync.sync_now()
    assert sync.status().stopped
    assert "RuntimeError" in (sync.status().last_error or "")


# What is told, and what is taken along.


def test_the_token_and_the_account_are_told_nowhere(
    world: World, device: Callable[..., Device], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        store, sync = device(account="Anna Nováková")
        store.mark_seen(1)
        world.line.will(401, 503, 400)
        told = [repr(sync), repr(store)]
        for _ in range(3):
            with pytest.raises((SyncRefused, SyncFailed)) as caught:
                sync.sync_now()
            told += [repr(caught.value), repr(sync.status())]
        sync.sync_now()
    told += [record.getMessage() for record in caplog.records]
    assert any("was not synced" in text for text in told)
    assert [text for text in told if TOKEN in text or "Nováková" in text] == []


def test_an_app_takes_along_nothing_but_httpx() -> None:
    code = "import sys, sync_pipelines.progress; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    ours = {name for name in loaded if name.startswith("sync_pipelines.")}
    assert {name.split(".")[1] for name in ours} == {"progress"}
    heavy = {
        "aiohttp",
        "alembic",
        "dagster",
        "fastapi",
        "msgspec",
        "pydantic",
        "psycopg",
        "sqlalchemy",
        "starlette",
    }
    assert not heavy & loaded
