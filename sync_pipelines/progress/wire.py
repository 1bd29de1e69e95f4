"""Learning progress as JSON: what a device sends, what the server answers, and why a lesson is refused.

One bad lesson is refused by itself; a payload is refused whole only where it is no payload at all.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar

from sync_pipelines.progress.merge import MAX_TIME_MS, UNSAID, Change, Lesson, Unsaid

__all__ = [
    "DEVICE_ID_LENGTH",
    "LESSONS_AT_ONCE",
    "BadPayload",
    "Import",
    "LessonRefused",
    "Refusal",
    "TooMuch",
    "change_of",
    "device_id",
    "lesson_id",
    "parse",
    "read_import",
    "read_lessons",
    "row_of",
    "server_time",
    "shown",
    "stamp",
]

#: The most lessons of one import; who has more sends several.
LESSONS_AT_ONCE: Final = 1000
DEVICE_ID_LENGTH: Final = 255
_SHOWN_OF_A_KEY = 40
_TOO_DEEP = "the JSON is nested too deeply"
_LESSON_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.,]\d+)?)?([Zz]|[+-]\d\d(:?[0-5]\d)?)?", re.ASCII)
# Other digits and letters than these cannot be kept by the database, or not be told apart by people.
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

Code = Literal["invalid", "unknown_lesson", "duplicate"]
T = TypeVar("T")


class BadPayload(ValueError):
    """The whole payload cannot be read; the message says why, without its values."""


class TooMuch(BadPayload):
    """There are more lessons in it than are taken at once."""


class LessonRefused(ValueError):
    """A lesson cannot be read; `field` names what is wrong with it."""

    def __init__(self, field: str | None, why: str) -> None:
        super().__init__(f"{field}: {why}" if field else why)
        self.field = field
        self.why = why


@dataclass(frozen=True, slots=True)
class Refusal:
    """One lesson that was not taken. `key` is its id as it was sent, cut where it is long."""

    key: str
    code: Code
    reason: str
    field: str | None = None

    def to_json(self) -> dict[str, str | None]:
        return {"lesson_id": self.key, "code": self.code, "field": self.field, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Import:
    """A device's lessons, by id in ascending order; `sha256` is that of the payload in its canonical form."""

    device_id: str
    changes: Mapping[int, Change]
    refused: Sequence[Refusal]
    sha256: str


class _Repeating(dict[str, Any]):
    """An object in which names stand more than once, of which JSON readers keep the last."""

    repeated: frozenset[str] = frozenset()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) == len(pairs):
        return values
    repeating = _Repeating(values)
    names = [name for name, _ in pairs]
    repeating.repeated = frozenset(name for name in names if names.count(name) > 1)
    return repeating


def parse(body: bytes | str) -> Any:
    """The JSON value. Raises BadPayload where it is none; NaN is read, so that only its lesson is refused."""
    try:
        return json.loads(body, object_pairs_hook=_object)
    except RecursionError:
        raise BadPayload(_TOO_DEEP) from None
    except ValueError:
        raise BadPayload("no JSON can be read from it") from None


def read_import(payload: Any) -> Import:
    """What `POST …/import/` takes: {"device_id"?: text, "lessons": {id: lesson}}. Raises BadPayload."""
    if not isinstance(payload, dict):
        raise BadPayload("an object is expected")
    lessons = payload.get("lessons")
    if not isinstance(lessons, dict):
        raise BadPayload("lessons: an object is expected, by lesson id")
    if len(lessons) > LESSONS_AT_ONCE:
        raise TooMuch(f"lessons: {len(lessons)} are too many, send {LESSONS_AT_ONCE} at a time")
    device = device_id(payload.get("device_id"))
    changes, refused = read_lessons(lessons, change_of)
    return Import(device, changes, refused, _sha256({"device_id": device, "lessons": lessons}))


def read_lessons(lessons: Mapping[str, Any], read: Callable[[Any], T]) -> tuple[dict[int, T], list[Refusal]]:
    """The lessons that can be read, by id in ascending order, and the others."""
    repeated = lessons.repeated if isinstance(lessons, _Repeating) else frozenset[str]()
    changes: dict[int, T] = {}
    refused: list[Refusal] = []
    for key, value in lessons.items():
        if key in repeated:
            refused.append(Refusal(shown(key), "duplicate", "the lesson stands there more than once"))
            continue
        try:
            changes[lesson_id(key)] = read(value)
        except LessonRefused as error:
            refused.append(Refusal(shown(key), "invalid", error.why, error.field))
    return dict(sorted(changes.items())), refused


def device_id(value: Any) -> str:
    """A device's id; "" stands for the one anonymous device. Raises BadPayload."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadPayload("device_id: a text is expected")
    if len(value) > DEVICE_ID_LENGTH or _UNWRITABLE.search(value):
        raise BadPayload(f"device_id: at most {DEVICE_ID_LENGTH} characters, none of them a control character")
    return value if value.strip() else ""


def lesson_id(key: str) -> int:
    """A lesson's id as it is written: one text for one lesson, so no sign, blank or leading zero.

    Raises LessonRefused.
    """
    if not _LESSON_ID.fullmatch(key) or int(key) > MAX_TIME_MS:
        raise LessonRefused("lesson_id", "no lesson has such an id: digits are expected, without a leading zero")
    return int(key)


def change_of(value: Any) -> Change:
    """What is said of a lesson: fields may be left out, all but updated_at. Raises LessonRefused."""
    if not isinstance(value, dict):
        raise LessonRefused(None, "an object is expected")
    if value.get("updated_at") is None:
        raise LessonRefused("updated_at", "is missing")
    return Change(
        updated_at=_time("updated_at", value["updated_at"]),
        seen=_boolean("seen", value),
        completed=_boolean("completed", value),
        percent=_number("percent", value, 100),
        time_ms=_number("time_ms", value, MAX_TIME_MS),
        score_best=_score("score_best", value) if "score_best" in value else None,
        score_last=_score("score_last", value) if "score_last" in value else UNSAID,
        last_seen_at=_last_seen_at(value),
    )


def _boolean(name: str, value: Mapping[str, Any]) -> bool | None:
    if name not in value:
        return None
    if not isinstance(value[name], bool):
        raise LessonRefused(name, "true or false is expected")
    return value[name]


def _number(name: str, value: Mapping[str, Any], most: int) -> int | None:
    if name not in value:
        return None
    number = value[name]
    if type(number) is not int or not 0 <= number <= most:
        raise LessonRefused(name, f"a whole number from 0 to {most} is expected")
    return number


def _score(name: str, value: Mapping[str, Any]) -> int | None:
    return None if value[name] is None else _number(name, value, 100)


def _last_seen_at(value: Mapping[str, Any]) -> datetime | Unsaid | None:
    if "last_seen_at" not in value:
        return UNSAID
    return None if value["last_seen_at"] is None else _time("last_seen_at", value["last_seen_at"])


def _time(name: str, value: Any) -> datetime:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise LessonRefused(name, "a time is expected, as in 2026-01-12T10:20:30.000Z")
    try:
        time = datetime.fromisoformat(value.upper())
        aware = time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise LessonRefused(name, "there is no such time") from None
    if time.tzinfo is None:
        raise LessonRefused(name, "has no time zone")
    return aware


def server_time(text: str) -> datetime:
    """A time that a server said. Raises BadPayload."""
    try:
        return _time("time", text)
    except LessonRefused as error:
        raise BadPayload(str(error)) from None


def stamp(time: datetime) -> str:
    """A time as we write it: of one length, so that texts compare as their times do."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def row_of(identity: int, lesson: Lesson) -> dict[str, Any]:
    """A lesson as the server answers it."""
    row = lesson.row
    return {
        "lesson_id": identity,
        "seen": row.seen,
        "completed": row.completed,
        "percent": row.percent,
        "time_ms": lesson.time_ms,
        "score_best": row.score_best,
        "score_last": row.score_last,
        "updated_at": stamp(row.updated_at),
        "last_seen_at": None if row.last_seen_at is None else stamp(row.last_seen_at),
    }


def _sha256(payload: Mapping[str, Any]) -> str:
    try:
        canonical = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    except RecursionError:
        # To write it takes a little more of the stack than it took to read it.
        raise BadPayload(_TOO_DEEP) from None
    return hashlib.sha256(canonical.encode()).hexdigest()


def shown(key: str) -> str:
    """A key as it is named to people: cut where it is long, and without what is no letter."""
    writable = _UNWRITABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), key)
    return writable if len(writable) <= _SHOWN_OF_A_KEY else writable[: _SHOWN_OF_A_KEY - 1] + "…"
