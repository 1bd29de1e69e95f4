"""A learner's progress on this device, there without a network. It knows the file, and nothing of any server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sync_pipelines.progress import merge, wire
from sync_pipelines.progress.errors import OtherAccount
from sync_pipelines.progress.folder import Folder
from sync_pipelines.progress.merge import MAX_TIME_MS, NEVER, Lesson, Progress
from sync_pipelines.progress.state import Kept, State, Unreadable, encode, fresh, read, to_json

__all__ = ["SESSION_CAP_MS", "ProgressStore"]

#: No reading is longer: the rest is a device that was left lying open.
SESSION_CAP_MS: Final = 30 * 60 * 1000
_STEP = timedelta(milliseconds=1)  # what a browser can tell apart
_LATEST = datetime.max.replace(tzinfo=UTC) - _STEP

_log = logging.getLogger(__name__)


def _clock() -> datetime:
    return datetime.now(UTC)


class ProgressStore:
    """The progress that is kept in a folder, `pp_progress_v1.json`.

    What a method did is durable when it returns; one that is killed did it or did not. Any number of threads,
    stores and processes may use a folder at once. A folder is one learner's, on one device: give each learner
    their own, and never copy it to another device, whose time would not count beside this one's.

    A file that cannot be read is copied to `pp_progress_v1.<reason>-<n>.json` before another takes its place
    (`set_aside`). Lesson ids are whole numbers, or such as text. Methods raise StoreError where the file cannot
    be used, and ValueError for a value that no lesson can have.
    """

    def __init__(
        self, folder: Path | str, *, locale: str | None = None, clock: Callable[[], datetime] = _clock
    ) -> None:
        """`locale` is noted in the file. `clock` gives the time, aware."""
        self._folder = Folder(Path(folder))
        self._clock = clock
        self._one = threading.Lock()
        self._last: tuple[bytes, State] | None = None
        self._change(lambda state: state if locale is None else replace(state, locale=locale))

    # What the learner does.

    def mark_seen(self, lesson_id: int | str) -> None:
        """The learner has opened the lesson."""
        self._do(lesson_id, lambda row, stamp: replace(row, seen=True, last_seen_at=stamp))

    def add_time(self, lesson_id: int | str, ms: int) -> None:
        """The learner has spent so many milliseconds more. Of one call at most SESSION_CAP_MS count."""
        if type(ms) is not int or ms < 0:
            raise ValueError("ms: a whole number is expected, 0 or more")
        identity = wire.lesson_id(str(lesson_id))
        if ms == 0:
            return

        def spent(state: State) -> State:
            # Without a stamp: time is merged whatever it is, and a new one would undo what another device did.
            kept = state.lessons.get(identity) or Kept(Lesson(Progress(NEVER)))
            own = min(kept.lesson.own_time_ms + min(ms, SESSION_CAP_MS), MAX_TIME_MS)
            return _with(state, {identity: (replace(kept, lesson=replace(kept.lesson, own_time_ms=own)), True)})

        self._change(spent)

    def set_completion(self, lesson_id: int | str, completed: bool, percent: int | None = None) -> None:
        """The lesson is completed, or is not; `percent` is 100 or 0 where it is not said."""
        done = _percent("percent", (100 if completed else 0) if percent is None else percent)
        self._do(lesson_id, lambda row, stamp: replace(row, completed=bool(completed), percent=done))

    def set_score(self, lesson_id: int | str, score: int) -> None:
        """The learner has reached so many percent; the best is kept beside the last."""
        score = _percent("score", score)

        def scored(row: Progress, stamp: datetime) -> Progress:
            return replace(row, score_last=score, score_best=max(score, row.score_best or 0))

        self._do(lesson_id, scored)

    # What is known.

    def lesson(self, lesson_id: int | str) -> Lesson | None:
        """What is known of a lesson; None where that is nothing."""
        kept = self._state().lessons.get(wire.lesson_id(str(lesson_id)))
        return kept and kept.lesson

    def lessons(self) -> dict[int, Lesson]:
        """What is known of every lesson."""
        return {identity: kept.lesson for identity, kept in self._state().lessons.items()}

    def pending(self) -> list[int]:
        """The lessons of which something is still to be sent, those that wait longest first."""
        return list(self._state().pending)

    @property
    def device_id(self) -> str:
        """What tells this device's time from that of others; made with the file."""
        return self._state().device_id

    @property
    def last_sync_at(self) -> datetime | None:
        """When all was last sent and fetched, by the device's clock."""
        return self._state().last_sync_at

    @property
    def set_aside(self) -> list[Path]:
        """The files that were set aside in this folder, ever: for a person, or for the service's inbox."""
        return self._folder.all_set_aside()

    def export(self, user_id: str | None = None) -> bytes:
        """The state as JSON, as the service's inbox takes it; `user_id` says there whose it is."""
        values = to_json(replace(self._state(), account=None))
        return encode(values if user_id is None else {**values, "user_id": user_id})

    # What a sync does: `ProgressSync` calls these.

    def claim(self, account: str | None) -> None:
        """Keep the progress for this account from now on. Raises OtherAccount where it is another's.

        None is nobody in particular: as good as any as long as the progress is nobody's.
        """

        def claimed(state: State) -> State:
            if state.account == account:
                return state
            if state.account is not None:
                raise OtherAccount("the progress in this folder is another account's: give each learner a folder")
            return replace(state, account=account)

        self._change(claimed)

    def unsent(self) -> tuple[str, datetime | None, dict[int, Lesson]]:
        """The device's id, the last sync, and the pending lessons, as of one moment."""
        state = self._state()
        return (
            state.device_id,
            state.last_sync_at,
            {identity: state.lessons[identity].lesson for identity in state.pending},
        )

    def acknowledge(self, device_id: str, sent: Mapping[int, Lesson], received_at: datetime) -> None:
        """The server has taken what was sent; `received_at` is its time."""

        def acknowledged(state: State) -> State:
            changes: dict[int, tuple[Kept, bool]] = {}
            for identity, before in sent.items():
                if kept := state.lessons.get(identity):
                    lesson, pending = merge.acknowledge(kept.lesson, before, received_at)
                    stamped_at = max(kept.stamped_at, kept.lesson.row.updated_at)
                    changes[identity] = replace(kept, lesson=lesson, stamped_at=stamped_at), pending
            return _with(state, changes)

        self._change_of(device_id, acknowledged)

    def pull(self, device_id: str, said: Mapping[int, Lesson]) -> None:
        """The server has said what it knows, all of it, and that is the end of a sync."""

        def pulled(state: State) -> State:
            waiting = frozenset(state.pending)
            changes: dict[int, tuple[Kept, bool]] = {}
            for identity, theirs in said.items():
                kept = state.lessons.get(identity)
                lesson, pending = merge.pull(kept and kept.lesson, identity in waiting, theirs)
                changes[identity] = replace(kept or Kept(lesson), lesson=lesson), pending
            return replace(_with(state, changes), last_sync_at=self._clock().astimezone(UTC))

        self._change_of(device_id, pulled)

    # The file.

    def _do(self, lesson_id: int | str, change: Callable[[Progress, datetime], Progress]) -> None:
        """A change that has a stamp: later than every stamp that the lesson had or was given."""
        identity = wire.lesson_id(str(lesson_id))

        def done(state: State) -> State:
            kept = state.lessons.get(identity) or Kept(Lesson(Progress(NEVER)))
            last = max(kept.lesson.row.updated_at, kept.stamped_at)
            stamp = max(self._clock().astimezone(UTC), min(last, _LATEST) + _STEP)
            row = replace(change(kept.lesson.row, stamp), updated_at=stamp)
            after = replace(kept, lesson=replace(kept.lesson, row=row), stamped_at=stamp)
            return _with(state, {identity: (after, True)})

        self._change(done)

    def _change_of(self, device_id: str, change: Callable[[State], State]) -> None:
        """As `_change`; but what was said of a device that this is no longer would be counted twice."""
        self._change(lambda state: change(state) if state.device_id == device_id else state)

    def _change(self, change: Callable[[State], State]) -> None:
        with self._alone():
            before = self._load()
            after = change(before)
            if after is not before:
                self._write(after)

    def _state(self) -> State:
        with self._alone():
            return self._load()

    @contextmanager
    def _alone(self) -> Generator[None, None, None]:
        with self._one, self._folder.alone():
            yield

    def _load(self) -> State:
        body = self._folder.read()
        if body is None:
            return self._write(fresh())
        if self._last and body == self._last[0]:
            return self._last[1]
        try:
            state, refused = read(body)
        except Unreadable as unreadable:
            self._set_aside(body, unreadable.reason, str(unreadable))
            return self._write(fresh())
        if refused:
            self._set_aside(body, "lessons", f"{len(refused)} of its lessons cannot be read")
            return self._write(state)
        self._last = body, state
        return state

    def _write(self, state: State) -> State:
        body = encode(to_json(state))
        self._folder.write(body)
        self._last = body, state
        return state

    def _set_aside(self, body: bytes, reason: str, why: str) -> None:
        path = self._folder.set_aside(body, reason)
        _log.warning("the file with the progress cannot be used (%s); it was kept as %s", why, path.name)


def _with(state: State, changes: Mapping[int, tuple[Kept, bool]]) -> State:
    """The state with these lessons so, and each of them pending or not."""
    waiting = dict.fromkeys(state.pending)
    for identity, (_, pending) in changes.items():
        if pending:
            waiting.setdefault(identity)
        else:
            waiting.pop(identity, None)
    lessons = {**state.lessons, **{identity: kept for identity, (kept, _) in changes.items()}}
    return replace(state, lessons=lessons, pending=tuple(waiting))


def _percent(name: str, value: int) -> int:
    if type(value) is not int or not 0 <= value <= 100:
        raise ValueError(f"{name}: a whole number from 0 to 100 is expected")
    return value
