"""A school's own export of classes, subjects, users and enrollments (contracts/bakalari.md C17.6).

Bakalari has no such thing: it is an address that somebody configured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from sync_pipelines.clients.bakalari.answers import object_of
from sync_pipelines.clients.bakalari.fields import Row, exact_id, item, text, year_of_study
from sync_pipelines.clients.bakalari.readers import read_rows, rows_of
from sync_pipelines.clients.bakalari.records import Item, Refused, Rows
from sync_pipelines.clients.http import Answer, Sender
from sync_pipelines.errors import AccessRefused, SourceError, UnexpectedAnswer

__all__ = ["BulkClass", "BulkEnrollment", "BulkSnapshot", "BulkUser", "read_bulk"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class BulkClass:
    """A class, and the year of study that it is in."""

    id: str
    abbrev: str | None
    name: str | None
    study_year: int | None


@dataclass(frozen=True, slots=True)
class BulkUser:
    """A user; `type` as sent."""

    id: str
    type: str | None
    full_name: str | None = field(repr=False)
    class_id: str | None
    email: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class BulkEnrollment:
    """Who is taught what, and in which class."""

    user_id: str
    subject_id: str
    class_id: str | None


@dataclass(frozen=True, slots=True)
class BulkSnapshot:
    """The export. A list that is missing is None: it says nothing. `complete` only if the export says so."""

    complete: bool
    classes: tuple[BulkClass, ...] | None
    subjects: tuple[Item, ...] | None
    users: tuple[BulkUser, ...] | None
    enrollments: tuple[BulkEnrollment, ...] | None
    refused: tuple[Refused, ...] = ()


def read_bulk(url: str, token: str | None = None, *, sender: Sender | None = None) -> BulkSnapshot:
    """GET the export. `sender` is for its own root, the address without its path. Raises SourceError."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise UnexpectedAnswer("the export's address is none: check its setting") from None
    headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    own = sender or Sender(urlunsplit((parts.scheme, parts.netloc, "", "", "")), {})
    # The query is no part of the path, which errors quote: it may hold a key.
    path, params = quote(parts.path, safe="/%"), dict(parse_qsl(parts.query, keep_blank_values=True))

    def read(answer: Answer) -> BulkSnapshot:
        if answer.status in (401, 403):
            raise AccessRefused(f"the export refuses the token (status {answer.status}): check its setting")
        return snapshot_of(object_of(answer, own.now()))

    try:
        return own.get(path, params, read, headers=headers)
    finally:
        if sender is None:
            own.close()


def snapshot_of(body: Row) -> BulkSnapshot:
    """The body of an export. Raises UnexpectedAnswer where a list is none."""
    refused: list[Refused] = []

    def rows(name: str, what: str, read: Callable[[Row], R | None]) -> tuple[R, ...] | None:
        if body.get(name) is None:
            return None
        found: Rows[R] = read_rows(rows_of(body, name), what, read, "id")
        refused.extend(found.refused)
        return found.items

    return BulkSnapshot(
        complete=body.get("complete") is True,
        classes=rows("classes", "class", _class),
        subjects=rows("subjects", "subject", lambda row: item(row, "id", "abbrev", "name")),
        users=rows("users", "user", _user),
        enrollments=rows("enrollments", "enrollment", _enrollment),
        refused=tuple(refused),
    )


def _class(row: Row) -> BulkClass | None:
    found = item(row, "id", "abbrev", "name")
    return found and BulkClass(found.id, found.abbrev, found.name, year_of_study(row, "study_year"))


def _user(row: Row) -> BulkUser | None:
    user_id = exact_id(row, "id")
    if user_id is None:
        return None
    return BulkUser(
        user_id, text(row, "type"), text(row, "full_name"), exact_id(row, "class_id"), text(row, "email")
    )


def _enrollment(row: Row) -> BulkEnrollment:
    user_id, subject_id = exact_id(row, "user_id"), exact_id(row, "subject_id")
    if user_id is None or subject_id is None:
        raise SourceError("user_id or subject_id is missing")
    return BulkEnrollment(user_id, subject_id, exact_id(row, "class_id"))
