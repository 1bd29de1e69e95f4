"""WebToLearn's API v1, reading only. Source of every fact: contracts/wtl.md, section A.

It gives whole listings of frozen records, or says why it could not. It sends GETs alone: there is no way to call
an endpoint that writes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import islice, tee
from types import TracebackType
from typing import Self, TypeVar

from sync_pipelines.clients.budget import shared_budget, whole_number
from sync_pipelines.clients.http import Answer, Request, Sender
from sync_pipelines.clients.paging import GetPages, Page, Range, read_all
from sync_pipelines.clients.short_lists import read_short
from sync_pipelines.clients.webtolearn.answers import page_of, raise_for_status
from sync_pipelines.clients.webtolearn.records import Course, Grant, Lesson, User, WtlRecord
from sync_pipelines.clients.webtolearn.relation import (
    IMPOSSIBLE_ID,
    WAYS,
    Attempt,
    Relation,
    Way,
    attempt_of,
    judge,
    no_answer,
)
from sync_pipelines.clients.webtolearn.rows import Records, id_or_none, one_a_user, records_of
from sync_pipelines.errors import NotFound, RateLimited, SourceError, UnexpectedAnswer

__all__ = ["Probe", "WebToLearnClient"]

R = TypeVar("R", bound=WtlRecord)
OnPage = Callable[[int, int | None], None]
_BY_ID = {"sort": '["id","ASC"]'}
_BRIEF = {**_BY_ID, "range": "[0,1]"}
_PROBE_SECONDS = 5.0
# So many courses are looked at for one that shows lessons.
_SAMPLE = 5


@dataclass(frozen=True, slots=True)
class Probe:
    """What a single answer tells of the platform; None where it does not say."""

    remaining_minute: int | None
    remaining_hour: int | None
    server_time: datetime | None


@dataclass
class WebToLearnClient:
    """A connection to one platform. `base_url` is https://{platform}.elms.pl/api/v1, `token` its API token.

    At most `in_flight` requests are under way: few, because a platform allows 360 a minute (A11). All clients of
    a process share one budget a token; `keep_of_hour` is the share of the hour that this one leaves to others.
    """

    base_url: str
    token: str = field(repr=False)
    page_size: int = 1000
    in_flight: int = 5
    keep_of_hour: float = 0.0
    sender: Sender | None = None

    def __post_init__(self) -> None:
        self._sender = self.sender or Sender(
            self.base_url,
            {"X-Auth-Token": self.token, "Accept": "application/json"},
            budget=shared_budget(self.base_url, self.token),
            keep_of_hour=self.keep_of_hour,
        )
        self._relation: Relation | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sender.close()

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self._sender.requests

    @property
    def retries(self) -> int:
        """How many of them were repetitions."""
        return self._sender.retries

    @property
    def facts(self) -> Mapping[str, str | int]:
        """What is left of the platform's limits, and what was found out about it."""
        minute, hour = self._sender.budget.left
        known = {"requests_left_minute": minute, "requests_left_hour": hour}
        facts: dict[str, str | int] = {name: left for name, left in known.items() if left is not None}
        return {**facts, "course_lessons": self._relation.said} if self._relation else facts

    # --- whole lists ------------------------------------------------------------------------------------------

    def courses(self, on_page: OnPage | None = None) -> Records[Course]:
        """Every course of the platform. Raises SourceError."""
        return self._list("training/list", Course, on_page)

    def lessons(self, on_page: OnPage | None = None) -> Records[Lesson]:
        """Every lesson of the platform, of whatever course. Raises SourceError."""
        return self._list("lesson/list", Lesson, on_page)

    def users(self, on_page: OnPage | None = None) -> Records[User]:
        """Every user of the platform. Raises SourceError."""
        return self._list("user/list", User, on_page)

    def _list(self, path: str, record: type[R], on_page: OnPage | None) -> Records[R]:
        listing = read_all(
            self._pages(path, {}),
            lambda row: id_or_none(record, row),
            page_size=self.page_size,
            on_page=on_page or (lambda held, total: None),
        )
        return records_of(record, path, listing)

    def _pages(self, path: str, params: Mapping[str, str]) -> GetPages:
        def get_pages(ranges: Iterable[Range]) -> Generator[Page, None, None]:
            asked = ((path, {**params, **_BY_ID, "range": f"[{a},{b}]"}) for a, b in ranges)
            return self._sender.get_many(asked, self._read_page, in_flight=self.in_flight)

        return get_pages

    def _read_page(self, answer: Answer) -> Page:
        return page_of(answer, self._sender.now())

    # --- lists of one course ----------------------------------------------------------------------------------

    def course_users(
        self, course_ids: Iterable[str]
    ) -> Generator[tuple[str, Records[Grant] | SourceError], None, None]:
        """Who has access to each course, in the order asked: one grant a user, of several the one that counts.

        A course that cannot be read comes with its SourceError, and the others go on. A list that was not read to
        its end holds nobody.
        """
        way = Way("users", "training/{id}/user/list")
        for course_id, listing in self._short_lists(way, course_ids, Grant, ids_repeat=True):
            if isinstance(listing, SourceError):
                yield course_id, listing
            elif listing.complete:
                yield course_id, Records(one_a_user(listing.items), complete=True)
            else:
                # Of the grants that a user has, the one that counts may be among those that did not come.
                yield course_id, Records((), complete=False, reason=listing.reason)

    def course_lessons(
        self, course_ids: Iterable[str], relation: Relation
    ) -> Generator[tuple[str, Records[Lesson] | SourceError], None, None]:
        """The lessons of each course, in the order asked, where `relation` has a way to ask for them."""
        if relation.way is None:
            raise ValueError("there is no way to ask for a course's lessons")
        for course_id, listing in self._short_lists(relation.way, course_ids, Lesson, ids_repeat=False):
            if not isinstance(listing, SourceError) and _are_all(len(listing.items), relation):
                listing = UnexpectedAnswer(f"course {course_id} shows every lesson of the platform: not believed")
            yield course_id, listing

    def _short_lists(
        self, way: Way, course_ids: Iterable[str], record: type[R], *, ids_repeat: bool
    ) -> Generator[tuple[str, Records[R] | SourceError], None, None]:
        ids, asked = tee(course_ids)
        first = {**_BY_ID, "range": f"[0,{self.page_size}]"}
        requests: Iterable[Request] = (way.request(course_id, first) for course_id in asked)
        for course_id, page in zip(ids, self._get_each(requests), strict=False):
            path, params = way.request(course_id, {})
            try:
                if isinstance(page, SourceError):
                    raise page
                listing = read_short(
                    self._pages(path, params),
                    page,
                    lambda row: id_or_none(record, row),
                    page_size=self.page_size,
                    ids_repeat=ids_repeat,
                )
                result = records_of(record, path, listing)
            except NotFound:
                yield course_id, NotFound(f"the platform has no course {course_id} (404): it may be gone by now")
            except SourceError as error:
                yield course_id, error
            else:
                yield course_id, result

    def _get_each(self, requests: Iterable[Request]) -> Generator[Page | SourceError, None, None]:
        return self._sender.get_each(requests, self._read_page, in_flight=self.in_flight)

    # --- what the platform can do -----------------------------------------------------------------------------

    def probe(self) -> Probe:
        """Ask for one course, to see whether address and token are good. Raises SourceError."""

        def read(answer: Answer) -> Probe:
            self._read_page(answer)
            return Probe(
                remaining_minute=whole_number(answer.headers.get("x-ratelimit-remaining-minute")),
                remaining_hour=whole_number(answer.headers.get("x-ratelimit-remaining-hour")),
                server_time=_http_date(answer.headers.get("date")),
            )

        return self._sender.get("training/list", {"range": "[0,1]"}, read)

    def attempt(self, path: str, params: Mapping[str, str]) -> Attempt:
        """Ask briefly, and say what came, whatever it is. Raises RateLimited."""

        def read(answer: Answer) -> Attempt:
            if answer.status == 429:
                raise_for_status(answer, self._sender.now())
            return attempt_of(answer)

        try:
            return self._sender.get(path, params, read, attempts=2, timeout=_PROBE_SECONDS)
        except RateLimited:
            raise
        except SourceError as error:
            return no_answer(error)

    def lesson_relation(self, course_ids: Sequence[str]) -> Relation:
        """Whether, and how, the platform shows a course's lessons; some of `course_ids` are asked for the proof.

        Those that come first; of the platform's own courses some more, where that are few. Found out once;
        remembered as long as the client lives. Raises RateLimited.
        """
        if self._relation is None:
            self._relation = self._find_relation(course_ids)
        return self._relation

    def _find_relation(self, course_ids: Sequence[str]) -> Relation:
        said: list[str] = []
        known = True
        for way in WAYS:
            verdict, why = judge(self.attempt(*way.request(IMPOSSIBLE_ID, _BRIEF)))
            if verdict == "plausible":
                proof = self._proof(way, course_ids)
                if isinstance(proof, Relation):
                    return replace(proof, said=f"{proof.said}, and {why}")
                verdict, why = proof
            said.append(f"{way.name} {verdict}: {why}")
            known = known and verdict != "unclear"
        return Relation(None, ("not available; " if known else "not clear; ") + "; ".join(said), known=known)

    def _proof(self, way: Way, course_ids: Sequence[str]) -> Relation | tuple[str, str]:
        """Shown by a course with some lessons, and not all there are; else a word for what came, and why."""
        every = self.attempt("lesson/list", _BRIEF).total
        if every is None:
            return "unclear", "the platform does not say how many lessons there are"
        looked_at = unanswered = 0
        for course_id in islice(self._to_look_at(course_ids), _SAMPLE):
            came = self.attempt(*way.request(course_id, _BRIEF))
            looked_at, unanswered = looked_at + 1, unanswered + came.is_no_answer
            if came.is_list and came.rows and came.total and came.total < every:
                return Relation(way, f"shown by {way.name}: course {course_id} has lessons", every)
        if unanswered:
            return "unclear", f"of {looked_at} courses {unanswered} gave no answer"
        return "not proven", f"no course of {looked_at} has lessons of its own"

    def _to_look_at(self, course_ids: Sequence[str]) -> Iterator[str]:
        yield from course_ids
        for row in self.attempt("training/list", {**_BY_ID, "range": f"[0,{_SAMPLE}]"}).rows or ():
            course_id = id_or_none(Course, row)
            if course_id is not None and course_id not in course_ids:
                yield course_id


def _are_all(count: int, relation: Relation) -> bool:
    return relation.all_lessons is not None and count >= relation.all_lessons > 0


def _http_date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
