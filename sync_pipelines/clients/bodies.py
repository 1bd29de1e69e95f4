"""An answer's body, whole or not at all: bounded, and decoded to its end.

httpx's own decoding takes a cut body for a whole one, and of a gzip in several parts only the first.
"""

from __future__ import annotations

import zlib

import httpx

__all__ = ["DAMAGE", "MAX_BODY_BYTES", "TooLarge", "decoded", "whole_body"]

DAMAGE = EOFError, zlib.error
MAX_BODY_BYTES = 32 * 2**20


class TooLarge(Exception):
    """A body larger than any list that could be meant."""


async def whole_body(answer: httpx.Response) -> bytes:
    """The bytes as they came. Raises TooLarge."""
    parts: list[bytes] = []
    size = 0
    async for part in answer.aiter_raw():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise TooLarge
        parts.append(part)
    return b"".join(parts)


def decoded(body: bytes, headers: httpx.Headers) -> bytes:
    """What they say. Raises TooLarge, and one of DAMAGE where they are cut short or damaged."""
    encoding = headers.get("content-encoding", "").lower()
    if encoding not in ("gzip", "deflate"):
        return body
    whole = bytearray()
    while body:
        # Some send deflate without zlib's header.
        form = 31 if encoding == "gzip" else 15 if body[0] & 15 == 8 else -15
        part = zlib.decompressobj(form)
        whole += part.decompress(body, MAX_BODY_BYTES + 1 - len(whole))
        if len(whole) > MAX_BODY_BYTES:
            raise TooLarge
        if not part.eof:
            raise EOFError
        body = part.unused_data.lstrip(b"\0")
    return bytes(whole)
