"""WebToLearn's API v1, reading only. Source of every fact: contracts/wtl.md, section A.

It gives whole listings of frozen records, or says why it could not. It never writes, and never takes an error
for an empty list.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from sync_pipelines.clients.http import Answer, Sender, retry_after_seconds
from sync_pipelines.clients.paging import Page, Range, read_all
from sync_pipelines.clients.webtolearn.records import Course, Lesson, User, WtlRecord
from sync_pipelines.errors import (
    AccessRefused,
    RateLimited,
    SourceError,
    SourceUnavailable,
    UnexpectedAnswer,
)

__all__ = ["Probe", "Records", "RefusedRow", "WebToLearnClient"]

R = TypeVar("R", bound=WtlRecord)
OnPage = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that is no record, as it came; `id` where it has a usable one."""

    id: str | None
    row: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Records(Generic[R]):
    """A whole listing: records and refused rows in the platform's order, and whether that is provably all."""

    items: Sequence[R | RefusedRow]
    complete: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """What a single answer tells of the platform; None where it does not say."""

    remaining_minute: int | None
    remaining_hour: int | None
    server_time: datetime | None


@dataclass
class WebToLearnClient:
    """A connection to one platform. `base_url` is https://{platform}.elms.pl/api/v1, `token` its API token.

    A list's pages are read `in_flight` at a time: few, because a platform allows 360 requests a minute (A11).
    """

    base_url: str
    token: str = field(repr=False)
    page_size: int = 1000
    in_flight: int = 5
    sender: Sender | None = None

    def __post_init__(self) -> None:
        self._sender = self.sender or Sender(
            self.base_url, {"X-Auth-Token": self.token, "Accept": "application/json"}
        )

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

    def courses(self, on_page: OnPage | None = None) -> Records[Course]:
        """Every course of the platform. Raises SourceError."""
        return self._list("training/list", Course, on_page)

    def lessons(self, on_page: OnPage | None = None) -> Records[Lesson]:
        """Every lesson of the platform, of whatever course. Raises SourceError."""
        return self._list("lesson/list", Lesson, on_page)

    def users(self, on_page: OnPage | None = None) -> Records[User]:
        """Every user of the platform. Raises SourceError."""
        return self._list("user/list", User, on_page)

    def probe(self) -> Probe:
        """Ask for one course, to see whether address and token are good. Raises SourceError."""

        def read(answer: Answer) -> Probe:
            self._read_page(answer)
            return Probe(
                remaining_minute=_whole_number(answer.headers.get("x-ratelimit-remaining-minute")),
                remaining_hour=_whole_number(answer.headers.get("x-ratelimit-remaining-hour")),
                server_time=_http_date(answer.headers.get("date")),
            )

        return self._sender.get("training/list", {"range": "[0,1]"}, read)

    def _list(self, path: str, record: type[R], on_page: OnPage | None) -> Records[R]:
        listing = read_all(
            lambda ranges: self._pages(path, ranges),
            lambda row: _id_or_none(record, row),
            page_size=self.page_size,
            on_page=on_page or (lambda held, total: None),
        )
        items = [_read_row(record, row) for row in listing.rows]
        return Records(items, listing.complete, listing.reason)

    def _pages(self, path: str, ranges: Iterable[Range]) -> Generator[Page, None, None]:
        asked = ((path, {"range": f"[{a},{b}]", "sort": '["id","ASC"]'}) for a, b in ranges)
        return self._sender.get_many(asked, self._read_page, in_flight=self.in_flight)

    def _read_page(self, answer: Answer) -> Page:
        _raise_for_status(answer, self._sender.now())
        return Page(_json_list(answer), content_range_total(answer.headers.get("content-range")))


def _id_or_none(record: type[R], row: object) -> str | None:
    try:
        return record.id_of(row)
    except SourceError:
        return None


def _read_row(record: type[R], row: object) -> R | RefusedRow:
    try:
        return record.from_row(row)
    except SourceError as error:
        return RefusedRow(_id_or_none(record, row), row, str(error))


def content_range_total(value: str | None) -> int | None:
    """The total of `lessons 0-11/234`; the part before it is not clamped to the total and says nothing (A13)."""
    return _whole_number((value or "").rpartition("/")[2])


def _whole_number(text: str | None) -> int | None:
    digits = (text or "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else None


def _http_date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None


def _json_list(answer: Answer) -> list[Any]:
    if answer.body.lstrip().startswith(b"<") or "html" in answer.headers.get("content-type", "").lower():
        raise SourceUnavailable(f"{answer.path} answered a web page instead of data (status {answer.status})")
    try:
        rows: object = json.loads(
            answer.body.decode("utf-8"), object_pairs_hook=_unambiguous, parse_constant=_no_such_number
        )
    except (ValueError, RecursionError) as error:
        raise SourceUnavailable(
            f"{answer.path} answered {len(answer.body)} bytes that are not whole JSON"
        ) from error
    if not isinstance(rows, list):
        raise UnexpectedAnswer(
            f"{answer.path} answered {type(rows).__name__} instead of a list (status {answer.status})"
        )
    return cast("list[Any]", rows)


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any] | list[tuple[str, Any]]:
    """An object; one that names a field twice stays the list it is, and so is no record."""
    row = dict(pairs)
    return row if len(row) == len(pairs) else pairs


def _no_such_number(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _raise_for_status(answer: Answer, now: datetime) -> None:
    """Status first. The body is looked into where one status means two things; it need not be JSON (A9, A10)."""
    status, path = answer.status, answer.path
    if 200 <= status < 300:
        return
    if status == 429:
        raise RateLimited(
            "WebToLearn's request limit is used up", retry_after=_rate_limit_wait(answer.headers, now)
        )
    if status >= 500 or status == 408:
        raise SourceUnavailable(f"WebToLearn failed: {path} answered status {status}")
    if status in (401, 403):
        raise AccessRefused(f"WebToLearn refuses the token (status {status}): check WTL_API_TOKEN")
    if status == 402 or (status == 400 and _mentions(answer.body, b"402", b"limit")):
        raise AccessRefused(
            "WebToLearn's licence has expired or its user limit is reached (402): ask the platform's owner"
        )
    if status == 404:
        raise UnexpectedAnswer(f"there is no {path} here (status 404): check WTL_API_URL, it ends in /api/v1")
    if 300 <= status < 400:
        raise UnexpectedAnswer(
            f"{path} redirects elsewhere (status {status}): put the final address into WTL_API_URL"
        )
    raise UnexpectedAnswer(f"{path} answered status {status}")


def _mentions(body: bytes, *words: bytes) -> bool:
    return any(word in body.lower() for word in words)


def _rate_limit_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait: what Retry-After says, else to the next minute; None if the hour is used up."""
    if headers.get("x-ratelimit-remaining-hour", "").strip() == "0":
        return None
    asked = retry_after_seconds(headers.get("retry-after"), now)
    if asked is not None:
        return asked
    return 60 - now.second + random.uniform(0.1, 1.5)  # noqa: S311
