"""A device's state file (schema v1 of `pp_progress_v1`) as columns that can land. It knows no folder, no database.

Nearly all files are as our own libraries write them, and are read by columns. Any other is read as the API reads
lessons; what can be read both ways is read alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sync_pipelines.progress import wire
from sync_pipelines.progress.columns import ChangeColumns, columns_of
from sync_pipelines.progress.merge import MAX_TIME_MS, Change
from sync_pipelines.progress.wire import BadPayload, LessonRefused, Refusal

__all__ = ["State", "read_by_columns", "read_by_lessons", "read_state", "user_id_of"]

T = TypeVar("T")

_SCHEMA_VERSION = 1
_USER_ID_LENGTH = 255
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
# Ids and times as we write them, each with a comma after it.
_PLAIN_IDS = re.compile(r"(?:[1-9][0-9]{0,17},)*", re.ASCII)
_PLAIN_TIMES = re.compile(r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:\d{3})?Z,)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class State:
    """What a file says: whose it is, if it says so, its lessons in no order, and those that cannot be read."""

    device_id: str
    user_id: str | None
    changes: ChangeColumns
    refused: Sequence[Refusal] = ()


_Percent = Annotated[int, Meta(ge=0, le=100)]
_Time = Annotated[int, Meta(ge=0, le=MAX_TIME_MS)]


class _Lesson(msgspec.Struct, forbid_unknown_fields=True):
    updated_at: str
    seen: bool | UnsetType = UNSET
    completed: bool | UnsetType = UNSET
    percent: _Percent | UnsetType = UNSET
    time_ms: _Time | UnsetType = UNSET
    score_best: _Percent | UnsetType | None = UNSET
    score_last: _Percent | UnsetType | None = UNSET
    last_seen_at: str | UnsetType | None = UNSET
    own_time_ms: _Time | UnsetType = UNSET
    stamped_at: str | UnsetType = UNSET


class _File(msgspec.Struct, forbid_unknown_fields=True):
    schema_version: int
    lessons: dict[str, _Lesson]
    device_id: str | None = None
    user_id: str | None = None
    account: str | None = None
    locale: str | None = None
    pending: list[str] | None = None
    last_sync_at: str | None = None


_decode = msgspec.json.Decoder(_File).decode


def read_state(body: bytes) -> State:
    """The state in a file. Raises BadPayload where there is none."""
    return read_by_columns(body) or read_by_lessons(body)


def read_by_columns(body: bytes) -> State | None:
    """The state, four times as quickly; None where the file must be read by lessons."""
    try:
        text = body.decode()
        file = _decode(text)
        # Of names that stand more than once only the last is here. Each lesson has this name, spelt so if it needs
        # no escape.
        unique = "\\" not in text and text.count('"updated_at"') == len(file.lessons)
        if file.schema_version != _SCHEMA_VERSION or not unique:
            return None
        return State(wire.device_id(file.device_id), user_id_of(file.user_id), _columns(file.lessons))
    except ValueError:
        return None


def read_by_lessons(body: bytes) -> State:
    """The state, and what is refused of it. Raises BadPayload where there is none."""
    value = wire.parse(body)
    if not isinstance(value, dict):
        raise BadPayload("an object is expected")
    version = value.get("schema_version")
    if type(version) is not int or version != _SCHEMA_VERSION:
        raise BadPayload(f"schema_version: {_SCHEMA_VERSION} is expected, nothing else can be read")
    lessons = value.get("lessons")
    if not isinstance(lessons, dict):
        raise BadPayload("lessons: an object is expected, by lesson id")
    changes, refused = wire.read_lessons(lessons, _change_of)
    return State(
        wire.device_id(value.get("device_id")), user_id_of(value.get("user_id")), columns_of(changes), refused
    )


def _change_of(value: Any) -> Change:
    """A kept lesson: the device's own time is what it sends."""
    if not isinstance(value, dict) or "own_time_ms" not in value:
        return wire.change_of(value)
    try:
        return wire.change_of({**value, "time_ms": value["own_time_ms"]})
    except LessonRefused as error:
        raise LessonRefused("own_time_ms" if error.field == "time_ms" else error.field, error.why) from None


def user_id_of(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _USER_ID_LENGTH or _UNWRITABLE.search(value):
        raise BadPayload(
            f"user_id: a text of 1 to {_USER_ID_LENGTH} characters without control characters is expected"
        )
    return value


def _columns(lessons: dict[str, _Lesson]) -> ChangeColumns:
    """Raises ValueError where an id or a time is not as we write it."""
    if not lessons:
        return columns_of({})
    _match(_PLAIN_IDS, lessons)
    updated_at, seen, completed, percent, time_ms, score_best, score_last, last_seen_at, own_time_ms, _ = zip(
        *map(msgspec.structs.astuple, lessons.values()), strict=True
    )
    return ChangeColumns(
        lesson_id=list(map(int, lessons)),
        seen=_or_none(seen),
        completed=_or_none(completed),
        percent=_or_none(percent),
        time_ms=_or_none(
            [total if own is UNSET else own for own, total in zip(own_time_ms, time_ms, strict=True)]
        ),
        score_best=_or_none(score_best),
        score_last=_or_none(score_last),
        score_last_said=_said(score_last),
        updated_at=_times(updated_at),
        last_seen_at=_times(_or_none(last_seen_at)),
        last_seen_at_said=_said(last_seen_at),
    )


def _or_none(column: Sequence[T | UnsetType]) -> Sequence[T | None]:
    return [None if value is UNSET else value for value in column] if UNSET in column else column  # pyright: ignore


def _said(column: Sequence[object]) -> Sequence[bool]:
    return [value is not UNSET for value in column]


def _times(column: Sequence[str | None]) -> Any:
    _match(_PLAIN_TIMES, [text for text in column if text is not None])
    return [None if text is None else datetime.fromisoformat(text) for text in column]


def _match(plain: re.Pattern[str], texts: Iterable[str]) -> None:
    if not plain.fullmatch(",".join([*texts, ""])):
        raise ValueError(plain.pattern)
