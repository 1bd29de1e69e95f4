"""A short, stable name for a value: equal values have equal fingerprints in every process and version."""

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from itertools import repeat
from typing import Any, cast

__all__ = ["canonical_json", "fingerprint", "fingerprints"]

_SEPARATOR = "\x1f"


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    fields = getattr(type(value), "__struct_fields__", None)
    if fields is not None:
        # A msgspec Struct, which this package need not know to keep whole.
        return {name: getattr(value, name) for name in fields}
    return str(value)


def _with_text_keys(value: object) -> object:
    """The value with keys that JSON can sort, whatever they were."""
    if isinstance(value, dict):
        items = cast("dict[object, object]", value).items()
        return {k if type(k) is str else repr(k): _with_text_keys(v) for k, v in items}
    if isinstance(value, (list, tuple)):
        return [_with_text_keys(item) for item in cast("list[object]", value)]
    if isinstance(value, (str, int, float, type(None))):
        return value
    return _with_text_keys(_plain(value))


_to_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain).encode


def canonical_json(value: object) -> str:
    """JSON with sorted keys, no spaces, and text in Unicode's composed form.

    Two spellings of one name (NFC and NFD) are one value; a lone surrogate is allowed.
    """
    try:
        text = _to_json(value)
    except TypeError:
        text = _to_json(_with_text_keys(value))
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def fingerprint(value: object) -> str:
    """128 bits of BLAKE2b over the value's canonical form, as 32 hexadecimal digits.

    A tuple of texts costs a third of what other values do.
    """
    text = _joined(value) or canonical_json(value)
    return _digest(text.encode("utf-8", "surrogatepass"))


def fingerprints(*columns: Sequence[str]) -> list[str]:
    """`fingerprint` of the tuple of texts in each row of some columns of one length: twice as quick."""
    rows = len(columns[0])
    texts = "\n".join(map(_SEPARATOR.join, zip(repeat("", rows), *columns, strict=True)))
    if texts.isascii() and texts.count("\n") == rows - 1 and texts.count(_SEPARATOR) == rows * len(columns):
        digest = hashlib.blake2b
        return [digest(text, digest_size=16).hexdigest() for text in texts.encode().split(b"\n")]
    return [fingerprint(row) for row in zip(*columns, strict=True)]


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _joined(value: object) -> str | None:
    """A tuple of texts with separators between; None for all else, and where that would not tell them apart."""
    if type(value) is not tuple:
        return None
    texts = cast("tuple[Any, ...]", value)
    try:
        text = _SEPARATOR.join(texts)
    except TypeError:
        return None
    # No JSON begins with a separator, so that the two forms never meet.
    return _SEPARATOR + text if text.isascii() and text.count(_SEPARATOR) == len(texts) - 1 else None
