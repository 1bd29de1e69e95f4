"""What an app does with `sync_pipelines.progress`: keep what a learner reads, and sync it when it can.

docs/offline-progress.md explains it. `python -m examples.offline_reader FOLDER 12 13 --sync https://…` reads two
lessons and syncs with the token in READER_TOKEN.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence

from sync_pipelines.progress import ProgressError, ProgressStore, ProgressSync

__all__ = ["Page", "debug_view", "main"]


class Page:
    """A screen with one lesson."""

    def __init__(
        self, store: ProgressStore, lesson_id: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._lesson_id = lesson_id
        self._monotonic = monotonic
        self._opened_at = monotonic()
        store.mark_seen(lesson_id)

    def leave(self, *, finished: bool) -> None:
        self._store.add_time(self._lesson_id, round((self._monotonic() - self._opened_at) * 1000))
        if finished:
            self._store.set_completion(self._lesson_id, True)


def debug_view(sync: ProgressSync) -> str:
    status = sync.status()
    lines = [f"last sync: {status.last_sync_at or 'never'}", f"last error: {status.last_error or 'none'}"]
    for lesson_id, lesson in sorted(status.lessons.items()):
        state = status.refused.get(lesson_id) or ("pending" if lesson_id in status.pending else "synced")
        lines.append(f"lesson {lesson_id}: {lesson.row.percent} %, {lesson.time_ms / 1000:.0f} s, {state}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="offline_reader")
    parser.add_argument("folder")
    parser.add_argument("lessons", nargs="*", type=int)
    parser.add_argument("--sync", metavar="URL", default=None)
    options = parser.parse_args(arguments)
    store = ProgressStore(options.folder, locale="cs-CZ")
    for lesson_id in options.lessons:
        Page(store, lesson_id).leave(finished=True)
    sync = ProgressSync(store, options.sync or "http://127.0.0.1:9")
    failed = options.sync and not _sync(sync)
    print(debug_view(sync))
    sync.close()
    return 1 if failed else 0


def _sync(sync: ProgressSync) -> bool:
    try:
        sync.login(os.environ["READER_TOKEN"])
        sync.sync_now()
    except ProgressError as error:
        print(f"not now: {error}")
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main())
