"""What a device keeps, and its JSON: schema v1 of `pp_progress_v1` (contracts/progress.md E1).

Two keys more, which others may leave out: a lesson's `own_time_ms` (this device's part of `time_ms`) and
`stamped_at`. Keys that are not known here stay as they are.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from sync_pipelines.progress import wire
from sync_pipelines.progress.merge import NEVER, UNSAID, Lesson, Progress
from sync_pipelines.progress.wire import BadPayload, LessonRefused, Refusal

__all__ = [
    "SCHEMA_VERSION",
    "Kept",
    "State",
    "Unreadable",
    "encode",
    "fresh",
    "lesson_of",
    "parts_of",
    "read",
    "to_json",
]

SCHEMA_VERSION: Final = 1
_DEEPEST = 50
_KNOWN = {"schema_version", "device_id", "locale", "account", "lessons", "pending", "last_sync_at"}
_KNOWN_OF_A_LESSON = {
    *("seen", "completed", "percent", "time_ms", "own_time_ms", "score_best", "score_last"),
    *("updated_at", "last_seen_at", "stamped_at"),
}


class Unreadable(ValueError):
    """No state can be read; `reason` is a word for the name under which the file is kept."""

    def __init__(self, reason: Literal["broken", "schema"], why: str) -> None:
        super().__init__(why)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Kept:
    """A lesson as it is kept.

    `stamped_at` is the last stamp that this device gave it. The server pulls one in the future down to its own
    time, but remembers it too: a later change with an earlier stamp would count as told before.
    """

    lesson: Lesson
    stamped_at: datetime = NEVER
    unknown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """All that a device keeps. `pending` are lessons to be sent, those that wait longest first."""

    device_id: str
    locale: str | None = None
    account: str | None = None
    lessons: Mapping[int, Kept] = field(default_factory=dict)
    pending: tuple[int, ...] = ()
    last_sync_at: datetime | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)


def fresh() -> State:
    """The state of a device that nobody has heard of yet."""
    return State(str(uuid.uuid4()))


def read(body: bytes) -> tuple[State, Sequence[Refusal]]:
    """The state, and the lessons that cannot be read and are not in it. Raises Unreadable."""
    try:
        return _state_of(wire.parse(body))
    except BadPayload as error:
        raise Unreadable("broken", str(error)) from None


def _state_of(value: Any) -> tuple[State, Sequence[Refusal]]:
    if not isinstance(value, dict):
        raise BadPayload("an object is expected")
    version = value.get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise Unreadable("schema", f"its schema_version is not {SCHEMA_VERSION}")
    lessons, pending = value.get("lessons"), value.get("pending")
    if not isinstance(lessons, dict):
        raise BadPayload("lessons: an object is expected, by lesson id")
    if not isinstance(pending, list):
        raise BadPayload("pending: a list is expected")
    device_id = wire.device_id(value.get("device_id"))
    if not device_id:
        raise BadPayload("device_id: is missing")
    last_sync_at = value.get("last_sync_at")
    kept, refused = wire.read_lessons(lessons, _kept_of)
    return State(
        device_id=device_id,
        locale=_text("locale", value),
        account=_text("account", value),
        lessons=kept,
        pending=_pending_of(pending, kept),
        last_sync_at=None if last_sync_at is None else wire.server_time(last_sync_at),
        unknown=_unknown(value, _KNOWN),
    ), refused


def _text(name: str, value: Mapping[str, Any]) -> str | None:
    text = value.get(name)
    if text is not None and not isinstance(text, str):
        raise BadPayload(f"{name}: a text is expected")
    return text


def _pending_of(values: Sequence[Any], lessons: Mapping[int, Kept]) -> tuple[int, ...]:
    """Each once. What is no lesson of the state has nothing to be sent."""
    names = {str(identity): identity for identity in lessons}
    return tuple(dict.fromkeys(names[value] for value in values if isinstance(value, str) and value in names))


def _kept_of(value: Any) -> Kept:
    lesson = lesson_of(value, "own_time_ms")
    stamped_at = wire.change_of({"updated_at": value["stamped_at"]}).updated_at if "stamped_at" in value else NEVER
    try:
        return Kept(lesson, stamped_at, _unknown(value, _KNOWN_OF_A_LESSON))
    except BadPayload as error:
        raise LessonRefused(None, str(error)) from None


def _unknown(value: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    unknown = {key: value[key] for key in value if key not in known}
    if not _is_shallow(unknown, _DEEPEST):
        raise BadPayload("a key that is not known is nested too deeply")
    return unknown


def _is_shallow(value: Any, levels: int) -> bool:
    """What is read with the whole stack could not be written from the middle of it."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_shallow(each, levels - 1) for each in inner)


def lesson_of(value: Any, own: str) -> Lesson:
    """A lesson of the file or of an answer. `own` names its part of `time_ms`: all of it, where it is missing.

    One that nobody dated is as old as can be: it must not win over what is dated. Raises LessonRefused.
    """
    if isinstance(value, dict) and value.get("updated_at") is None:
        value = {**value, "updated_at": wire.stamp(NEVER)}
    change = wire.change_of(value)
    time_ms = change.time_ms or 0
    own_time_ms = wire.change_of({**value, "time_ms": value[own]}).time_ms or 0 if own in value else time_ms
    row = Progress(
        updated_at=change.updated_at,
        seen=change.seen or False,
        completed=change.completed or False,
        percent=change.percent or 0,
        score_best=change.score_best,
        score_last=None if change.score_last is UNSAID else change.score_last,
        last_seen_at=None if change.last_seen_at is UNSAID else change.last_seen_at,
    )
    return Lesson(row, own_time_ms, max(time_ms - own_time_ms, 0))


def parts_of(lesson: Lesson) -> dict[str, Any]:
    """A lesson's values as JSON, without its id."""
    values = wire.row_of(0, lesson)
    del values["lesson_id"]
    return values


def to_json(state: State) -> dict[str, Any]:
    """The state as `read` takes it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "device_id": state.device_id,
        "locale": state.locale,
        **({} if state.account is None else {"account": state.account}),
        "lessons": {str(identity): _kept_json(kept) for identity, kept in state.lessons.items()},
        "pending": [str(identity) for identity in state.pending],
        "last_sync_at": None if state.last_sync_at is None else wire.stamp(state.last_sync_at),
        **state.unknown,
    }


def _kept_json(kept: Kept) -> dict[str, Any]:
    values = {**parts_of(kept.lesson), "own_time_ms": kept.lesson.own_time_ms}
    if kept.stamped_at > kept.lesson.row.updated_at:
        values["stamped_at"] = wire.stamp(kept.stamped_at)
    return {**values, **kept.unknown}


def encode(values: Mapping[str, Any]) -> bytes:
    """JSON in ASCII."""
    return json.dumps(values, separators=(",", ":")).encode("ascii")
