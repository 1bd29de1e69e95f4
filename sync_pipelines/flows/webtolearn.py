"""WebToLearn's flows. The platform sends no change marker, so each is a snapshot whose records are compared by
fingerprint (contracts/wtl.md A5); which columns are whose: B10."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
from sync_pipelines.flows.spec import Finding, Flow, OnRead, Upstream, clock_finding
from sync_pipelines.postgres import tables
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.settings import Settings

__all__ = ["COURSES", "LESSON_CATALOG", "USERS", "WEBTOLEARN"]

R = TypeVar("R", Course, Lesson, User)


@dataclass(frozen=True)
class _ListSource(Generic[R]):
    """One of the platform's whole lists as a source."""

    system: str
    client: WebToLearnClient
    read: Callable[[], Records[R]]

    def fetch(self, since: str | None) -> Fetch[R]:
        records = self.read()
        for item in records.items:
            if isinstance(item, RefusedRow):
                yield Unreadable(self._key(item), item.row, item.reason)
            else:
                yield ExternalKey(self.system, item.id), Payload(item, fingerprint(item))
        if records.complete:
            return Coverage.snapshot(self.system)
        return Coverage.partial(records.reason or "the list was not read to its end")

    def _key(self, refused: RefusedRow) -> ExternalKey:
        if refused.id is None:
            return ExternalKey.unidentified(self.system, refused.row)
        return ExternalKey(self.system, refused.id)

    def validate(self, key: ExternalKey, payload: Payload[R]) -> None:
        """The client refused malformed rows already."""

    @property
    def requests(self) -> int:
        return self.client.requests

    @property
    def retries(self) -> int:
        return self.client.retries


@dataclass(frozen=True)
class _RecordMapper(Generic[R]):
    """Columns of a record; `text` names the one that must say something."""

    kind: str
    text: str
    columns: Callable[[R], dict[str, Any]]
    version: str = "1"

    def validate(self, key: ExternalKey, payload: Payload[R]) -> None:
        if not str(getattr(payload.data, self.text)).strip():
            raise MappingError(f"the {self.text} is blank")

    def map(self, key: ExternalKey, payload: Payload[R]) -> Projection:
        return Projection(self.kind, self.columns(payload.data))


def _source(system: str, read: Callable[[WebToLearnClient, OnRead], Records[Any]]):
    @contextmanager
    def opened(settings: Settings, on_read: OnRead) -> Generator[_ListSource[Any], None, None]:
        base_url, token = settings.webtolearn()
        with WebToLearnClient(base_url, token) as client:
            yield _ListSource(system, client, lambda: read(client, on_read))

    return opened


def _lesson_columns(lesson: Lesson) -> dict[str, Any]:
    columns: dict[str, Any] = {"wtl_lesson_id": lesson.id, "title": lesson.title}
    return columns if lesson.order is None else {**columns, "order_number": lesson.order}


def _origin(settings: Settings) -> str:
    base_url, _ = settings.webtolearn()
    return base_url


def _probe(settings: Settings) -> Iterator[Finding]:
    base_url, token = settings.webtolearn()
    with WebToLearnClient(base_url, token) as client:
        probe = client.probe()
    yield Finding("webtolearn", "ok", f"{base_url} accepts the token")
    if probe.remaining_minute is not None and probe.remaining_hour is not None:
        left = f"{probe.remaining_minute} requests left this minute, {probe.remaining_hour} this hour"
        yield Finding("webtolearn budget", "ok" if probe.remaining_hour > 0 else "warning", left)
    if probe.server_time is not None:
        yield clock_finding("webtolearn clock", probe.server_time)


WEBTOLEARN = Upstream("wtl", "webtolearn", "Europe/Warsaw", origin=_origin, probe=_probe)

COURSES = Flow(
    stream="wtl/courses",
    system="wtl:course",
    upstream=WEBTOLEARN,
    description=(
        "Every **course** (*training*) of the WebToLearn platform, by its id.\n\n"
        "The sync owns `title`; `description` and `status` are people's. A course that vanishes upstream is "
        "marked (`remote_deleted_at`), never deleted here."
    ),
    table=TableSpec(tables.courses, natural_key=("wtl_course_id",), owned=("title",), adopt=True),
    view="wtl.courses_current",
    mapper=_RecordMapper[Course](
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
        tables.lessons, natural_key=("wtl_lesson_id",), owned=("title",), initial=("order_number",), adopt=True
    ),
    view="wtl.lessons_current",
    mapper=_RecordMapper[Lesson]("wtl.lessons", "title", _lesson_columns),
    open_source=_source("wtl:lesson", lambda client, on_read: client.lessons(on_read)),
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
    table=TableSpec(tables.users, natural_key=("wtl_user_id",), owned=("email",), adopt=True),
    view="wtl.users_current",
    mapper=_RecordMapper[User]("wtl.users", "email", lambda user: {"wtl_user_id": user.id, "email": user.email}),
    open_source=_source("wtl:user", lambda client, on_read: client.users(on_read)),
)
