"""Values as the text that COPY reads. Column by column, because a batch's columns are alike."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from typing import Any, cast

__all__ = ["copy_in", "to_text"]

# What stands for NULL. It needs no escape, unlike the usual \N, so that most batches need none at all.
_NULL = "\x01"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", _NULL: "\\x01"})
_ROWS_AT_A_TIME = 1000

# For columns whose values are all of one of these types.
_QUICK: dict[type, Callable[[Any], str]] = {datetime: datetime.isoformat, int: str, float: str, uuid.UUID: str}


def to_text(value: object) -> str | None:
    """A value as PostgreSQL reads it from text, for a column of whatever type; None stays None."""
    if value is None or type(value) is str:
        return value
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return _array(value)
    return str(value)


def _array(values: Sequence[Any]) -> str:
    """An array literal, of arrays too. JSON in a jsonb column is a dict, or text already."""

    def element(value: object) -> str:
        if isinstance(value, (list, tuple)):
            return _array(cast("Sequence[Any]", value))
        text = to_text(value)
        return "NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    return "{" + ",".join(map(element, values)) + "}"


def copy_in(cursor: Any, into: str, columns: Sequence[Sequence[Any]]) -> None:
    """COPY rows, given as their columns, all of one length, into `into` ("table (column, …)").

    The server takes in one portion while the next is written. Raises psycopg.Error.
    """
    with cursor.copy(f"COPY {into} FROM STDIN (NULL '{_NULL}')") as copy:
        for start in range(0, len(columns[0]), _ROWS_AT_A_TIME):
            copy.write(_portion([column[start : start + _ROWS_AT_A_TIME] for column in columns]))


def _portion(columns: Sequence[Sequence[Any]]) -> str:
    nulls = 0
    texts: list[Sequence[str]] = []
    for column in columns:
        types = set(map(type, column))
        if types != {str}:
            convert = _QUICK.get(types.pop(), to_text) if len(types) == 1 else to_text
            values = list(map(convert, column))
            nulls += values.count(None)
            column = [_NULL if value is None else value for value in values]
        texts.append(column)
    body = "\n".join(map("\t".join, zip(*texts, strict=True))) + "\n"
    rows = len(columns[0])
    plain = (
        "\\" not in body
        and "\r" not in body
        and body.count("\n") == rows
        and body.count("\t") == rows * (len(columns) - 1)
        and body.count(_NULL) == nulls
    )
    return body if plain else _escaped(columns)


def _escaped(columns: Sequence[Sequence[Any]]) -> str:
    """The slow way, for a portion that has a character in it that means something to COPY."""
    texts = [
        [_NULL if text is None else text.translate(_ESCAPES) for text in map(to_text, column)]
        for column in columns
    ]
    return "\n".join(map("\t".join, zip(*texts, strict=True))) + "\n"
