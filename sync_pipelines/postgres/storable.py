"""Texts as PostgreSQL can hold them, whatever an upstream sends: keys, versions, sentences, and payloads as JSON.

It takes no NUL and no half of a character. A key comes back as it was; what else cannot be held stays escaped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from sync_pipelines.core.fingerprint import canonical_json

__all__ = ["key_of", "storable", "stored_key", "stored_keys", "stored_versions", "whole_json"]

_ESCAPED = "\x1b"


def stored_key(key: str) -> str:
    """The key as a text that PostgreSQL takes: itself, or in JSON's escapes after an ESC if it cannot be."""
    if key.isprintable():
        return key
    if "\x00" in key or key[0] == _ESCAPED or any("\ud800" <= c <= "\udfff" for c in key):
        return _ESCAPED + json.dumps(key)
    return key


def stored_keys(keys: Sequence[str]) -> Sequence[str]:
    """`stored_key` of each; the whole column is looked at once."""
    return keys if "".join(keys).isprintable() else [stored_key(key) for key in keys]


def key_of(stored: str) -> str:
    """The inverse of `stored_key`."""
    return json.loads(stored[1:]) if stored[0] == _ESCAPED else stored


def stored_versions(versions: Sequence[str | None]) -> Sequence[str | None]:
    """A version that PostgreSQL cannot hold is kept in another form: its record is compared anew in each run."""
    texts = [version for version in versions if version is not None]
    if "".join(texts).isprintable():
        return versions
    return [None if version is None else storable(version) for version in versions]


def storable(text: str) -> str:
    """Text that PostgreSQL takes; what it cannot hold stands escaped."""
    return text.replace("\x00", "\\u0000").encode("utf-8", "backslashreplace").decode()


def whole_json(payload: object) -> str:
    """The payload as JSON that jsonb takes. What jsonb cannot hold is kept as the text of its JSON."""
    text = canonical_json(payload)
    kept = storable(text)
    if text == kept and "\\u0000" not in text and _has_only_numbers(text):
        return text
    return json.dumps({"json": kept})


def _has_only_numbers(text: str) -> bool:
    """Not NaN, nor Infinity: Python takes them for JSON."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True
