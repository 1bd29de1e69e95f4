"""What costs a request a course: who has access to it, and, where the platform shows that, its lessons.

A course is a partition. Its keys have a system of their own, so that a complete read of one course says nothing
of another. Collapsed grants and expiry: contracts/wtl.md A7, A8; the relation: A18.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sync_pipelines.clients.webtolearn import Grant, Lesson, Records, RefusedRow, WebToLearnClient, WtlRecord
from sync_pipelines.core import (
    Coverage,
    ExternalKey,
    Fetch,
    Payload,
    Projection,
    SyncReport,
    Unreadable,
    fingerprint,
)
from sync_pipelines.errors import SourceError
from sync_pipelines.flows.spec import Lookup, OnRead, Part, PartitionedFlow, PartitionRead, Partitions
from sync_pipelines.flows.webtolearn.lists import LESSON_CATALOG, key_of, lesson_version
from sync_pipelines.flows.webtolearn.platform import WEBTOLEARN
from sync_pipelines.postgres import tables
from sync_pipelines.postgres.spec import TableSpec
from sync_pipelines.settings import Settings

__all__ = ["COURSE_LESSONS", "COURSE_USERS", "WTL_COURSES"]

R = TypeVar("R", bound=WtlRecord)
Reading = Iterator[tuple[str, PartitionRead]]

WTL_COURSES = Partitions(name="wtl_courses", stream="wtl/courses", system="wtl:course")

# The lists that run on a schedule must find something left of the hour.
_KEEP_OF_HOUR = 0.10


@dataclass(frozen=True)
class _CourseSource(Generic[R]):
    """One course's list, as read. `whole` says that what is not in it is gone from the course."""

    system: str
    records: Records[R]
    version: Callable[[R], str]
    whole: bool
    requests: int
    retries: int
    facts: Mapping[str, str | int]

    def fetch(self, since: str | None) -> Fetch[R]:
        for item in self.records.items:
            if isinstance(item, RefusedRow):
                yield Unreadable(key_of(self.system, item), item.row, item.reason)
            else:
                yield ExternalKey(self.system, item.id), Payload(item, self.version(item))
        if not self.records.complete:
            return Coverage.partial(self.records.reason or "the list was not read to its end")
        return Coverage.snapshot(self.system) if self.whole else Coverage.changes()

    def validate(self, key: ExternalKey, payload: Payload[R]) -> None:
        """The client refused malformed rows already."""


class _Meter:
    """What a client spent since it was last asked. Requests sent ahead count for the partition at hand."""

    def __init__(self, client: WebToLearnClient) -> None:
        self._client = client
        self._requests = self._retries = 0

    def spent(self) -> dict[str, Any]:
        """For the first of a partition's sources."""
        requests, retries = self._client.requests - self._requests, self._client.retries - self._retries
        self._requests, self._retries = self._client.requests, self._client.retries
        return {"requests": requests, "retries": retries, "facts": self._client.facts}

    def failed(self, stream: str, course: str, error: SourceError) -> SourceError:
        """The error, with the report of a course that could not be read."""
        error.report = SyncReport(stream, course, errors=(str(error),), **self.spent())
        return error


_NOTHING: Mapping[str, Any] = {"requests": 0, "retries": 0, "facts": {}}


@contextmanager
def _client(settings: Settings) -> Generator[WebToLearnClient, None, None]:
    base_url, token = settings.webtolearn()
    with WebToLearnClient(base_url, token, keep_of_hour=_KEEP_OF_HOUR) as client:
        yield client


# --- who has access ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _GrantMapper:
    """`active` is as of this run; the view says it as of now."""

    lookup: Lookup
    course: str
    version: str = "1"

    def validate(self, key: ExternalKey, payload: Payload[Grant]) -> None:
        """The client refused what has no date that can be read."""

    def map(self, key: ExternalKey, payload: Payload[Grant]) -> Projection:
        grant = payload.data
        return Projection(
            "wtl.course_users",
            {
                "course_id": self.lookup.internal_id("wtl:course", self.course),
                "user_id": self.lookup.internal_id("wtl:user", grant.id),
                "expires_at": grant.expires_at,
                "expires_raw": grant.expires_raw,
                "active": grant.is_active(datetime.now(UTC)),
            },
        )


def _grant_version(grant: Grant) -> str:
    return fingerprint((grant.expires_raw, str(grant.is_active(datetime.now(UTC)))))


@contextmanager
def _users_reader(settings: Settings, courses: Sequence[str], on_read: OnRead) -> Generator[Reading, None, None]:
    (part,) = COURSE_USERS.parts

    def read(client: WebToLearnClient) -> Reading:
        meter = _Meter(client)
        for number, (course, records) in enumerate(client.course_users(courses), 1):
            on_read(number, len(courses))
            if isinstance(records, SourceError):
                yield course, meter.failed(part.stream, course, records)
                continue
            system = part.system_of(course)
            yield course, [_CourseSource(system, records, _grant_version, whole=True, **meter.spent())]

    with _client(settings) as client:
        yield read(client)


COURSE_USERS = PartitionedFlow(
    stream="wtl/course_users",
    upstream=WEBTOLEARN,
    description=(
        "**Who has access** to a course of the WebToLearn platform, and until when. One partition a course.\n\n"
        "The platform lists a user once for each grant, and grants that have ended too: here is one row a user, "
        "of several grants the one that lasts longest. `expires_at` is empty where access is for ever; "
        "`expires_raw` is what the platform wrote. Someone who is no longer listed is marked "
        "(`remote_deleted_at`)."
    ),
    partitions=WTL_COURSES,
    parts=(
        Part(
            stream="wtl/course_users",
            system="wtl:course/{}:user",
            table=TableSpec(
                tables.wtl.course_users,
                natural_key=("course_id", "user_id"),
                owned=("expires_at", "expires_raw", "active"),
                adopt=True,
            ),
            view="wtl.course_users_current",
            mapper=_GrantMapper,
        ),
    ),
    open_reader=_users_reader,
    after=("wtl/courses", "wtl/users"),
)


# --- its lessons ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _PlaceMapper:
    """A lesson's place in a course, as the platform shows it."""

    lookup: Lookup
    course: str
    version: str = "1"

    def validate(self, key: ExternalKey, payload: Payload[Lesson]) -> None:
        """A place has nothing that could break a rule."""

    def map(self, key: ExternalKey, payload: Payload[Lesson]) -> Projection:
        return Projection(
            "wtl.remote_course_lessons",
            {
                "course_id": self.lookup.internal_id("wtl:course", self.course),
                "lesson_id": self.lookup.internal_id("wtl:lesson", key.key),
                "position": payload.data.order,
            },
        )


def _place_version(lesson: Lesson) -> str:
    return fingerprint(lesson.order)


@contextmanager
def _lessons_reader(settings: Settings, courses: Sequence[str], on_read: OnRead) -> Generator[Reading, None, None]:
    lessons, places = COURSE_LESSONS.parts

    def sources(course: str, records: Records[Lesson], meter: _Meter, *, shown: bool) -> PartitionRead:
        well_formed = [item for item in records.items if not isinstance(item, RefusedRow)]
        # A refused lesson has a place all the same: nothing is known of it, so nothing is concluded.
        whole = shown and len(well_formed) == len(records.items)
        held = Records(well_formed, records.complete, records.reason)
        return [
            _CourseSource(lessons.system, records, lesson_version, whole=False, **meter.spent()),
            _CourseSource(places.system_of(course), held, _place_version, whole=whole, **_NOTHING),
        ]

    def read(client: WebToLearnClient) -> Reading:
        meter = _Meter(client)
        relation = client.lesson_relation(courses)
        if relation.way is None:
            nothing: Records[Lesson] = Records((), complete=relation.known, reason=relation.said)
            for number, course in enumerate(courses, 1):
                on_read(number, len(courses))
                yield course, sources(course, nothing, meter, shown=False)
            return
        for number, (course, records) in enumerate(client.course_lessons(courses, relation), 1):
            on_read(number, len(courses))
            if isinstance(records, SourceError):
                yield course, meter.failed(lessons.stream, course, records)
            else:
                yield course, sources(course, records, meter, shown=True)

    with _client(settings) as client:
        yield read(client)


COURSE_LESSONS = PartitionedFlow(
    stream="wtl/lessons",
    upstream=WEBTOLEARN,
    description=(
        "The **lessons of a course**, where the WebToLearn platform shows them. One partition a course.\n\n"
        "No documented endpoint does. Each way of asking is first tried with a course that cannot be, and "
        "believed only if it shows that one nothing and a real course some of the lessons; `course_lessons` in "
        "the metadata says what was found. Where it is believed, a run refreshes the course's lessons and "
        "`wtl.remote_course_lessons`; where not, it touches nothing. The mapping that people made "
        "(`wtl.course_lessons`) is never written."
    ),
    partitions=WTL_COURSES,
    parts=(
        Part(
            stream="wtl/lessons",
            system=LESSON_CATALOG.system,
            table=LESSON_CATALOG.table,
            view=LESSON_CATALOG.view,
            mapper=lambda lookup, course: LESSON_CATALOG.mapper,
        ),
        Part(
            stream="wtl/remote_course_lessons",
            system="wtl:course/{}:lesson",
            table=TableSpec(
                tables.wtl.remote_course_lessons,
                natural_key=("course_id", "lesson_id"),
                owned=("position",),
                adopt=True,
            ),
            view="wtl.remote_course_lessons_current",
            mapper=_PlaceMapper,
        ),
    ),
    open_reader=_lessons_reader,
    after=("wtl/courses", "wtl/lesson_catalog"),
)
