"""Rows of a listing as records: each is one, or is refused and kept as it came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sync_pipelines.clients.json_bodies import raise_if_no_objects
from sync_pipelines.clients.paging import Listing
from sync_pipelines.clients.webtolearn.records import Grant, WtlRecord, collapsed
from sync_pipelines.errors import SourceError

__all__ = ["Records", "RefusedRow", "id_or_none", "one_a_user", "records_of"]

R = TypeVar("R", bound=WtlRecord)


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


def records_of(record: type[R], path: str, listing: Listing) -> Records[R]:
    """The rows of a listing as records. Raises UnexpectedAnswer where too many are no records at all."""
    raise_if_no_objects(listing.rows, path)
    items = [_read_row(record, row) for row in listing.rows]
    return Records(items, listing.complete, listing.reason)


def id_or_none(record: type[R], row: object) -> str | None:
    """A raw row's id, where it has a usable one."""
    try:
        return record.id_of(row)
    except SourceError:
        return None


def _read_row(record: type[R], row: object) -> R | RefusedRow:
    try:
        return record.from_row(row)
    except SourceError as error:
        return RefusedRow(id_or_none(record, row), row, str(error))


def one_a_user(items: Iterable[Grant | RefusedRow]) -> list[Grant | RefusedRow]:
    """Grants by user. One that cannot be read hides when access ends, unless another says that it never does."""
    by_user: dict[str | int, list[Grant | RefusedRow]] = {}
    for number, item in enumerate(items):
        by_user.setdefault(number if item.id is None else item.id, []).append(item)
    result: list[Grant | RefusedRow] = []
    for rows in by_user.values():
        grants = [row for row in rows if isinstance(row, Grant)]
        refused = [row for row in rows if isinstance(row, RefusedRow)]
        best = collapsed(grants) if grants else None
        if best is not None and (best.expires_at is None or not refused):
            result.append(best)
        else:
            result.append(refused[0])
    return result
