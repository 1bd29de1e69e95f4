"""The platform's whole lists. It sends no change marker, so each is a snapshot whose records are compared by
fingerprint (contracts/wtl.md A5); which columns are whose: B10."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from sync_pipelines.clients.webtolearn import Course, Lesson, Records, RefusedRow, User, WebToLearnClient
from sync_pipelines.core import (
    Coverage,
    ExternalKey,
    Fetch,
    MappingError,
    Payload,
    Projection,
    Unreadable,
    fingerprint,
)
from sync_pipelines.flows.spec import Flow, OnRead
from sync_pipelines.flows.webtolearn.platform import WEBTOLEARN
from sync_pipelines.postgres import tables
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.settings import Settings

__all__ = ["COURSES", "LESSON_CATALOG", "USERS", "RecordMapper", "key_of", "lesson_version"]

R = TypeVar("R", Course, Lesson, User)


@dataclass(frozen=True)
class _ListSource(Generic[R]):
    """One of the platform's whole lists as a source."""

    system: str
    client: WebToLearnClient
    read: Callable[[], Records[R]]
    version: Callable[[R], str]

    def fetch(self, since: str | None) -> Fetch[R]:
        records = self.read()
        first: dict[str, R] = {}
        in_doubt = False
        for item in records.items:
            if isinstance(item, RefusedRow):
                yield Unreadable(key_of(self.system, item), item.row, item.reason)
            else:
                in_doubt = in_doubt or first.setdefault(item.id, item) != item
                yield ExternalKey(self.system, item.id), Payload(item, self.version(item))
        if records.complete:
            # Of two rows with one id, one may be any that seems to be missing.
            return Coverage.changes() if in_doubt else Coverage.snapshot(self.system)
        return Coverage.partial(records.reason or "the list was not read to its end")

    def validate(self, key: ExternalKey, payload: Payload[R]) -> None:
        """The client refused malformed rows already."""

    @property
    def requests(self) -> int:
        return self.client.requests

    @property
    def retries(self) -> int:
        return self.client.retries

    @property
    def facts(self) -> Mapping[str, str | int]:
        return self.client.facts


def key_of(system: str, refused: RefusedRow) -> ExternalKey:
    """The key that a refused row is kept under."""
    if refused.id is None:
        return ExternalKey.unidentified(system, refused.row)
    return ExternalKey(system, refused.id)


@dataclass(frozen=True)
class RecordMapper(Generic[R]):
    """Columns of a record; `text` names the field that must say something."""

    kind: str
    text: str
    columns: Callable[[R], dict[str, Any]]
    version: str = "1"

    def validate(self, key: ExternalKey, payload: Payload[R]) -> None:
        if not str(getattr(payload.data, self.text)).strip():
            raise MappingError(f"the {self.text} is blank")

    def map(self, key: ExternalKey, payload: Payload[R]) -> Projection:
        return Projection(self.kind, self.columns(payload.data))


def _source(
    system: str,
    read: Callable[[WebToLearnClient, OnRead], Records[Any]],
    version: Callable[[Any], str] = fingerprint,
):
    @contextmanager
    def opened(settings: Settings, on_read: OnRead) -> Generator[_ListSource[Any], None, None]:
        base_url, token = settings.webtolearn()
        with WebToLearnClient(base_url, token) as client:
            yield _ListSource(system, client, lambda: read(client, on_read), version)

    return opened


def _one_an_address(users: Records[User]) -> Records[User]:
    """Of users with one e-mail address only the first: whom the others are is not for a sync to guess."""
    owners: dict[str, str] = {}

    def judged(user: User | RefusedRow) -> User | RefusedRow:
        if isinstance(user, RefusedRow) or not _same(user.email):
            return user
        owner = owners.setdefault(_same(user.email), user.id)
        if owner == user.id:
            return user
        said = f"users {owner} and {user.id} have one e-mail address: which is right is for people to say"
        return RefusedRow(user.id, {"id": user.id, "email": user.email}, said)

    return Records([judged(user) for user in users.items], users.complete, users.reason)


def _same(email: str) -> str:
    return email.strip().casefold()


def lesson_version(lesson: Lesson) -> str:
    """Without its order, which a sync writes only once, and which not every list sends."""
    return fingerprint(replace(lesson, order=None))


def _lesson_columns(lesson: Lesson) -> dict[str, Any]:
    """The fields of wtl.lessons that a lesson gives."""
    columns: dict[str, Any] = {"wtl_lesson_id": lesson.id, "title": lesson.title}
    return columns if lesson.order is None else {**columns, "order_number": lesson.order}


COURSES = Flow(
    stream="wtl/courses",
    system="wtl:course",
    upstream=WEBTOLEARN,
    description=(
        "Every **course** (*training*) of the WebToLearn platform, by its id.\n\n"
        "The sync owns `title`; `description` and `status` are people's. A course that vanishes upstream is "
        "marked (`remote_deleted_at`), never deleted here."
    ),
    table=TableSpec(tables.wtl.courses, natural_key=("wtl_course_id",), owned=("title",), adopt=True),
    view="wtl.courses_current",
    mapper=RecordMapper[Course](
        "wtl.courses", "title", lambda course: {"wtl_course_id": course.id, "title": course.title}
    ),
    open_source=_source("wtl:course", lambda client, on_read: client.courses(on_read)),
)

LESSON_CATALOG = Flow(
    stream="wtl/lesson_catalog",
    system="wtl:lesson",
    upstream=WEBTOLEARN,
    description=(
        "Every **lesson** of the WebToLearn platform, from its global list: one request a thousand lessons.\n\n"
        "The sync owns `title`. Which lesson belongs to which course is people's own mapping "
        "(`wtl.course_lessons`); no sync writes it."
    ),
    table=TableSpec(
        tables.wtl.lessons, natural_key=("wtl_lesson_id",), owned=("title",), initial=("order_number",), adopt=True
    ),
    view="wtl.lessons_current",
    mapper=RecordMapper[Lesson]("wtl.lessons", "title", _lesson_columns),
    open_source=_source("wtl:lesson", lambda client, on_read: client.lessons(on_read), lesson_version),
    after=("wtl/courses",),
)

USERS = Flow(
    stream="wtl/users",
    system="wtl:user",
    upstream=WEBTOLEARN,
    description=(
        "Every **user** of the WebToLearn platform: id and e-mail address, which is all the platform gives.\n\n"
        "Matched by the platform's id, so a changed address stays the same person."
    ),
    table=TableSpec(tables.wtl.users, natural_key=("wtl_user_id",), owned=("email",), adopt=True),
    view="wtl.users_current",
    mapper=RecordMapper[User]("wtl.users", "email", lambda user: {"wtl_user_id": user.id, "email": user.email}),
    open_source=_source("wtl:user", lambda client, on_read: _one_an_address(client.users(on_read))),
)
