"""JSON bodies, strictly read: whole, unambiguous UTF-8, and the kind of thing that was asked for.

No error quotes the body, nor has it for a cause: it may hold names and tokens.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sync_pipelines.clients.exchange import Answer
from sync_pipelines.errors import SourceUnavailable, UnexpectedAnswer

__all__ = ["json_of", "kind_of", "raise_if_no_objects"]

# A list may hold so many things that are no records at all, or this share of them; then it is no list of records.
_MOST_ODD_ROWS, _MOST_ODD_SHARE = 20, 0.10
_KINDS: dict[type[object], str] = {
    type(None): "null",
    bool: "true or false",
    str: "text",
    int: "a number",
    float: "a fraction",
    dict: "an object",
    list: "a list",
}


def json_of(answer: Answer) -> object:
    """The body, strictly read: UTF-8, no NaN. Raises SourceUnavailable for a web page, or what is cut short."""
    if answer.body.lstrip().startswith(b"<") or "html" in answer.headers.get("content-type", "").lower():
        raise SourceUnavailable(f"{answer.path} answered a web page instead of data (status {answer.status})")
    try:
        return json.loads(
            answer.body.decode("utf-8"), object_pairs_hook=_unambiguous, parse_constant=_no_such_number
        )
    except (ValueError, RecursionError):
        raise SourceUnavailable(
            f"{answer.path} answered {len(answer.body)} bytes that are not whole JSON"
        ) from None


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any] | list[tuple[str, Any]]:
    """An object; one that names a field twice stays the list it is, and so is no record."""
    row = dict(pairs)
    return row if len(row) == len(pairs) else pairs


def _no_such_number(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def raise_if_no_objects(rows: Sequence[object], path: str) -> None:
    """Raises UnexpectedAnswer where so many rows are no objects that they are no list of records."""
    odd = sum(not isinstance(row, dict) for row in rows)
    if odd > _MOST_ODD_ROWS and odd > _MOST_ODD_SHARE * len(rows):
        raise UnexpectedAnswer(f"{odd} of {len(rows)} rows of {path} are no objects: it is no such list")


def kind_of(value: object) -> str:
    """What a JSON value is, in a word, without the value."""
    return "empty text" if value == "" else _KINDS.get(type(value), type(value).__name__)
