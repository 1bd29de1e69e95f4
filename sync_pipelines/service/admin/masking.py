"""A record as it came, for people to look at, with all that may be personal made unreadable: its shape stays.

What is not known to be harmless is masked. Letters become dots and digits number signs, one for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["masked"]

_ID: Final = re.compile(r"(?:.*[_-])?ids?|.*(?:Id|ID)s?", re.ASCII)
_WORD: Final = re.compile(r"code|kind|lang|language|role|state|status|type|version", re.ASCII | re.IGNORECASE)
_TIME: Final = re.compile(r".*_at|(?:created|expires|modified|updated|valid)\w*", re.ASCII | re.IGNORECASE)
#: Whose names say that they are a person's, whatever else they say.
_PERSONAL: Final = re.compile(
    r"address|birth|e-?mail|login|name|national|personal|phone|user_?name", re.IGNORECASE
)
# What a value of each looks like; anything else is something else. An id has a digit: a name has none.
_SHAPES: Final = (
    (_ID, re.compile(r"(?=\D*\d)[A-Za-z0-9_.:-]{1,64}", re.ASCII)),
    (_WORD, re.compile(r"[A-Za-z0-9_.:-]{1,32}", re.ASCII)),
    (_TIME, re.compile(r"[0-9T:+\-. /Z]{1,40}", re.ASCII)),
)
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}", re.ASCII)
_LETTERS: Final = re.compile(r"[^\W\d_]{3,}")
# More digits may be a telephone's, or a person's number.
_MOST_DIGITS: Final = 6
_LONGEST: Final = 200


def masked(payload: Any) -> Any:
    """The payload with its personal values masked; what is shown elsewhere of them is masked there, too."""
    hidden = {word.casefold() for text in _hidden(payload, "") for word in _LETTERS.findall(text)}

    def is_hidden(text: str) -> bool:
        return any(word in text.casefold() for word in hidden)

    def show(value: Any, field: str) -> Any:
        if isinstance(value, dict):
            return {_name(name, is_hidden): show(one, str(name)) for name, one in value.items()}
        if isinstance(value, list):
            return [show(one, field) for one in value]
        if isinstance(value, str):
            return value if _is_harmless(value, field) and not is_hidden(value) else _mask(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            text = str(value)
            few = sum(map(str.isdigit, text)) <= _MOST_DIGITS
            return value if few or _is_harmless(text, field) else _mask(text)
        return value

    return show(payload, "")


def _hidden(value: Any, field: str) -> Iterator[str]:
    """The texts that are masked for what they are."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _hidden(one, str(name))
    elif isinstance(value, list):
        for one in value:
            yield from _hidden(one, field)
    elif isinstance(value, str) and not _is_harmless(value, field):
        yield value


def _is_harmless(text: str, field: str) -> bool:
    if _PERSONAL.search(field):
        return False
    return any(name.fullmatch(field) and shape.fullmatch(text) for name, shape in _SHAPES)


def _name(name: str, is_hidden: Any) -> str:
    """A field's name; what cannot be one may be somebody's."""
    return name if _FIELD.fullmatch(name) and not is_hidden(name) else _mask(name)


def _mask(text: str) -> str:
    shown = "".join(
        "#" if c.isdigit() else "•" if c.isalpha() else c if c.isascii() else "•" for c in text[:_LONGEST]
    )
    return shown if len(text) <= _LONGEST else f"{shown}… ({len(text)})"
