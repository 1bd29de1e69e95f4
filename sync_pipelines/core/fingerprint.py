"""A short, stable name for a value: equal values have equal fingerprints in every process and version."""

import hashlib
import json
import unicodedata
from dataclasses import asdict, is_dataclass

__all__ = ["canonical_json", "fingerprint"]


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)


def canonical_json(value: object) -> str:
    """JSON with sorted keys, no spaces, and text in Unicode's composed form.

    Two spellings of one name (NFC and NFD) are one value; a lone surrogate is allowed.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def fingerprint(value: object) -> str:
    """128 bits of BLAKE2b over the canonical JSON, as 32 hexadecimal digits."""
    data = canonical_json(value).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=16).hexdigest()
