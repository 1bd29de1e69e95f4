"""The thread that syncs by itself: triggers, one at a time, and what it does after a failure.

Tests wait for what it does, and never for a time.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from sync_pipelines.progress import (
    ProgressError,
    ProgressStore,
    ProgressSync,
    StoreError,
    SyncFailed,
    SyncRefused,
    Timing,
)
from sync_pipelines.sandbox.server import serving
from sync_pipelines_tests.progress.world import World

AT_ONCE = Timing(debounce=0, every=3600, first_wait=0, longest_wait=0)
PATIENCE = 60
Ends = SimpleQueue[ProgressError | None]


@pytest.fixture
def store(world: World, tmp_path: Path) -> ProgressStore:
    return ProgressStore(tmp_path, clock=world.clock)


@pytest.fixture
def ends() -> Ends:
    """How each attempt ended."""
    return SimpleQueue()


@pytest.fixture
def start(world: World, store: ProgressStore, ends: Ends) -> Generator[Callable[..., ProgressSync]]:
    with ExitStack() as stack:

        def make(timing: Timing = AT_ONCE, url: str = world.url, token: str | None = "anna") -> ProgressSync:
            sync = ProgressSync(store, url, token, client=world.client, timing=timing, after_sync=ends.put)
            return stack.enter_context(sync)

        yield make


def test_it_syncs_when_it_starts_and_whenever_something_is_a_reason(
    start: Callable[..., ProgressSync], store: ProgressStore, ends: Ends
) -> None:
    store.mark_seen(1)
    sync = start()
    assert ends.get(timeout=PATIENCE) is None
    assert store.pending() == []
    for lesson, trigger in enumerate((sync.visible, sync.online, lambda: sync.login("anna")), 2):
        store.mark_seen(lesson)
        trigger()
        while store.pending():
            assert ends.get(timeout=PATIENCE) is None


def test_the_timer_syncs_what_is_pending_without_any_trigger(
    start: Callable[..., ProgressSync], store: ProgressStore, ends: Ends
) -> None:
    start(Timing(debounce=0, every=0.01))
    assert ends.get(timeout=PATIENCE) is None
    store.mark_seen(1)
    assert ends.get(timeout=PATIENCE) is None
    assert store.pending() == []


def test_after_failures_it_tries_again_by_itself_and_nothing_is_lost(
    world: World, start: Callable[..., ProgressSync], store: ProgressStore, ends: Ends
) -> None:
    store.add_time(1, 5)
    world.line.will("lost", "answer lost", None, "answer cut", 503)
    start()
    failures = [ends.get(timeout=PATIENCE) for _ in range(4)]
    assert [type(failure) for failure in failures] == [SyncFailed] * 4
    assert ends.get(timeout=PATIENCE) is None
    assert (store.pending(), world.model.lessons("anna")[1].time_ms) == ([], 5)


def test_a_refusal_ends_the_attempts_and_a_login_begins_them(
    world: World, start: Callable[..., ProgressSync], store: ProgressStore, ends: Ends
) -> None:
    store.mark_seen(1)
    world.line.will(403)
    sync = start()
    assert isinstance(ends.get(timeout=PATIENCE), SyncRefused)
    sync.visible()
    sync.online()
    assert sync.status().next_attempt_at is None
    sync.login("anna")
    assert ends.get(timeout=PATIENCE) is None
    assert len(world.line.requests) == 3


def test_nothing_is_tried_offline_or_for_nobody(
    world: World, start: Callable[..., ProgressSync], store: ProgressStore, ends: Ends
) -> None:
    sync = start(token=None)
    sync.visible()
    assert sync.status().next_attempt_at is None
    sync.offline()
    sync.login("anna")
    assert (sync.status().online, sync.status().next_attempt_at) == (False, None)
    assert world.line.requests == []
    sync.online()
    assert ends.get(timeout=PATIENCE) is None
    sync.logout()
    sync.visible()
    assert sync.status().next_attempt_at is None


def test_a_file_that_cannot_be_used_for_a_while_is_used_again(
    start: Callable[..., ProgressSync], store: ProgressStore, ends: Ends, tmp_path: Path
) -> None:
    store.mark_seen(1)
    lock = tmp_path / "pp_progress_v1.lock"
    lock.unlink()
    lock.mkdir()
    start(Timing(debounce=0, first_wait=0.01))
    assert isinstance(ends.get(timeout=PATIENCE), StoreError)
    lock.rmdir()
    while ends.get(timeout=PATIENCE) is not None:
        pass
    assert store.pending() == []


def test_one_sync_is_under_way_at_a_time(
    world: World, start: Callable[..., ProgressSync], store: ProgressStore
) -> None:
    under_way = most = 0

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.to_thread(store.add_time, 1, 1)  # meanwhile others could come
        under_way -= 1
        await world.line(scope, receive, send)

    with serving(counting) as url:
        sync = start(url=url)

        def by_hand() -> None:
            for _ in range(5):
                sync.visible()
                sync.sync_now()

        threads = [threading.Thread(target=by_hand) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        sync.close()
    assert most == 1
    assert len(world.line.requests) >= 20


def test_it_ends_when_it_is_closed(start: Callable[..., ProgressSync]) -> None:
    sync = start(token=None)
    sync.close()
    assert "progress-sync" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(RuntimeError, match="closed"):
        sync.start()


def test_without_a_client_it_has_one_of_its_own(world: World, store: ProgressStore) -> None:
    store.mark_seen(1)
    sync = ProgressSync(store, world.url, "anna")
    assert sync.sync_now().pending == []
    sync.close()
    with pytest.raises(RuntimeError):
        sync.sync_now()
