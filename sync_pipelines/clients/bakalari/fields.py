"""Single fields of Bakalari's JSON, strictly read: a bad one raises SourceError that names it, never its value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, cast

from sync_pipelines.clients.bakalari.records import Item
from sync_pipelines.clients.json_bodies import kind_of
from sync_pipelines.errors import SourceError

__all__ = ["Row", "boolean", "day", "exact_id", "inner", "item", "row_of", "text", "year_of_study"]

Row = Mapping[str, Any]
_LONGEST_ID = 255


def row_of(value: object) -> Row:
    """The object that a row must be."""
    if not isinstance(value, dict):
        raise SourceError(f"the row is not an object ({kind_of(value)})")
    return cast("Row", value)


def inner(row: Row, name: str) -> Row | None:
    """An object within the row; None where it is missing or null."""
    value = row.get(name)
    if value is not None and not isinstance(value, dict):
        raise SourceError(f"{name} is not an object ({kind_of(value)})")
    return cast("Row | None", value)


def exact_id(row: Row, name: str) -> str | None:
    """An id as it was sent, with its blanks (C12); None where it is missing, null or nothing but blanks."""
    value = row.get(name)
    if value is None:
        return None
    if type(value) is not str:
        raise SourceError(f"{name} is not text ({kind_of(value)})")
    if len(value) > _LONGEST_ID or not _is_storable(value):
        raise SourceError(f"{name} is longer than {_LONGEST_ID} characters, or has some that no text has")
    return value if value.strip() else None


def text(row: Row, name: str) -> str | None:
    """A text for people: trimmed, on one line; None where it is missing, null or empty."""
    value = row.get(name)
    if value is None:
        return None
    if type(value) is not str:
        raise SourceError(f"{name} is not text ({kind_of(value)})")
    if not _is_storable(value):
        raise SourceError(f"{name} has characters that no text has")
    return " ".join(value.split()) or None


def _is_storable(value: str) -> bool:
    """Without NUL, and without halves of characters."""
    return "\0" not in value and not re.search("[\ud800-\udfff]", value)


def item(row: Row, id_name: str = "Id", abbrev_name: str = "Abbrev", name_name: str = "Name") -> Item | None:
    """What a row names by id; None where the id is empty, as in rows of summer and of what was deleted (C14)."""
    item_id = exact_id(row, id_name)
    return None if item_id is None else Item(item_id, text(row, abbrev_name), text(row, name_name))


def boolean(row: Row, name: str) -> bool:
    """False where it is missing or null."""
    value = row.get(name)
    if value is None:
        return False
    if type(value) is not bool:
        raise SourceError(f"{name} is neither true nor false ({kind_of(value)})")
    return value


def year_of_study(row: Row, name: str) -> int | None:
    """1 to 99, perhaps as text. None for anything else, as teachers have it: it is no more than a hint."""
    value = row.get(name)
    if type(value) is str and re.fullmatch(r"[0-9]{1,2}", value):
        value = int(value)
    return value if type(value) is int and 0 < value < 100 else None


def day(row: Row, name: str) -> date | None:
    """The day of a timestamp, as the server wrote it; None where there is none, or the year 1 instead."""
    value = row.get(name)
    try:
        found = date.fromisoformat(value[:10]) if type(value) is str else None
    except ValueError:
        return None
    return found if found and found.year > 1 else None
