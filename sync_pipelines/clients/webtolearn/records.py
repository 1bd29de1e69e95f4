"""WebToLearn's rows as frozen records. Source: contracts/wtl.md A2, A4; tolerated aliases: contradictions H3.

A row that cannot be one raises SourceError, naming the field and never its value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any, ClassVar, Self, cast

from sync_pipelines.clients.json_bodies import kind_of
from sync_pipelines.errors import SourceError

__all__ = ["Course", "Grant", "Lesson", "User", "WtlRecord", "collapsed", "wtl_id"]

_DIGITS = re.compile(r"[0-9]{1,255}\Z")


def wtl_id(value: object) -> str:
    """The canonical id: a string of decimal digits, kept as it is; an int is written as one."""
    if type(value) is int and value >= 0:
        value = str(value)
    if type(value) is not str or not _DIGITS.match(value):
        raise SourceError(f"the id is not a whole number ({kind_of(value)})")
    return value


def _row(row: object) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise SourceError(f"the row is not an object ({kind_of(row)})")
    return cast("Mapping[str, Any]", row)


def _one_of(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The value of the first name present. Names present together must agree: we would not know which is right."""
    present = [(name, row[name]) for name in names if row.get(name) is not None]
    if not present:
        raise SourceError(f"{names[0]} is missing")
    first_name, first = present[0]
    for name, value in present[1:]:
        if str(value) != str(first):
            raise SourceError(f"{first_name} and {name} disagree")
    return first


def _text(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    value = _one_of(row, names)
    if type(value) is not str:
        raise SourceError(f"{names[0]} is not text ({kind_of(value)})")
    return value


class WtlRecord:
    """What all records share: the names an id may come under."""

    id_names: ClassVar[tuple[str, ...]] = ("id",)
    id: str

    @classmethod
    def id_of(cls, row: object) -> str:
        """The id of a raw row. Raises SourceError."""
        return wtl_id(_one_of(_row(row), cls.id_names))

    @classmethod
    def from_row(cls, row: object) -> Self:
        """The record of a raw row. Raises SourceError."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Course(WtlRecord):
    """A training: /training/list."""

    id_names: ClassVar[tuple[str, ...]] = ("id", "training_id", "trainingId")
    id: str
    title: str

    @classmethod
    def from_row(cls, row: object) -> Self:
        fields = _row(row)
        return cls(cls.id_of(fields), _text(fields, ("title", "name", "training_name")))


@dataclass(frozen=True, slots=True)
class Lesson(WtlRecord):
    """A lesson: /lesson/list. `order` is what some platforms may send; none was recorded doing so."""

    id_names: ClassVar[tuple[str, ...]] = ("id", "lesson_id", "lessonId")
    title_names: ClassVar[tuple[str, ...]] = ("title", "name", "lesson_name")
    order_names: ClassVar[tuple[str, ...]] = ("order", "order_number", "position", "sequence")
    id: str
    title: str
    order: int | None

    @classmethod
    def from_row(cls, row: object) -> Self:
        fields = _row(row)
        return cls(
            cls.id_of(fields),
            _text(fields, cls.title_names),
            _order(fields, cls.order_names),
        )


def _order(row: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    if all(row.get(name) is None for name in names):
        return None
    value = _one_of(row, names)
    if type(value) is str and re.fullmatch(r"-?[0-9]{1,9}", value):
        value = int(value)
    if type(value) is not int or abs(value) > 2**31 - 1:
        raise SourceError(f"{names[0]} is not a whole number ({kind_of(value)})")
    return value


@dataclass(frozen=True, slots=True)
class User(WtlRecord):
    """A user: /user/list. The platform gives no name, role or date."""

    id_names: ClassVar[tuple[str, ...]] = ("id", "user_id", "userId")
    id: str
    email: str

    @classmethod
    def from_row(cls, row: object) -> Self:
        fields = _row(row)
        return cls(cls.id_of(fields), _text(fields, ("email",)))


_FOREVER = "Forever"
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)
_EXPIRY = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})\s*(?P<zone>[A-Z]{1,5})\s*(?P<hour>\d{2}):(?P<minute>\d{2}):(?P<second>\d{2})"
    r"(\.\d{1,2})?",
    re.ASCII,
)
_ZONES = {
    "UTC": UTC,
    "GMT": UTC,
    "Z": UTC,
    "CET": timezone(timedelta(hours=1), "CET"),
    "CEST": timezone(timedelta(hours=2), "CEST"),
}


@dataclass(frozen=True, slots=True)
class Grant(WtlRecord):
    """A user's access to a course: /training/{id}/user/list; `id` is the user's.

    `expires_at` is None where access is for ever. `expires_raw` is what the platform wrote.
    """

    id_names: ClassVar[tuple[str, ...]] = ("id", "user_id", "userId")
    id: str
    expires_at: datetime | None
    expires_raw: str

    @classmethod
    def from_row(cls, row: object) -> Self:
        fields = _row(row)
        raw = _text(fields, ("expired_at",))
        return cls(cls.id_of(fields), _expiry(raw), raw)

    def is_active(self, now: datetime) -> bool:
        """Whether it still gives access."""
        return self.expires_at is None or self.expires_at > now


def _expiry(raw: str) -> datetime | None:
    """When access ends, at the latest (A7): None for Forever.

    The hour comes from a 12-hour clock that lacks its AM or PM, and the tail is the month, not a fraction. So an
    hour up to 12 is taken for the later one: nobody loses half a day.
    """
    if raw.strip() == _FOREVER:
        return None
    match = _EXPIRY.fullmatch(raw.strip())
    if match is None or match["zone"] not in _ZONES:
        raise SourceError("expired_at is neither Forever nor a date as the platform writes it")
    hour = int(match["hour"])
    if 1 <= hour <= 12:
        hour = hour % 12 + 12
    try:
        day, at = date.fromisoformat(match["date"]), time(hour, int(match["minute"]), int(match["second"]))
        return datetime.combine(day, at, _ZONES[match["zone"]]).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise SourceError("expired_at is no date that exists") from error


def collapsed(grants: Iterable[Grant]) -> Grant:
    """The one that counts of a user's several grants of one course: for ever, else the latest (A8)."""
    return max(grants, key=lambda grant: (grant.expires_at or _END_OF_TIME, grant.expires_raw))
