"""How much of a body is taken, however it is packed."""

import gzip
import zlib
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from sync_pipelines.clients.http import Sender
from sync_pipelines.errors import UnexpectedAnswer
from sync_pipelines_tests.clients.servers import OK, answering, raw_server

MOST = 32 * 2**20
HALF = gzip.compress(bytes(MOST // 2), 1)


@contextmanager
def sending(*replies: bytes) -> Generator[Sender, None, None]:
    with raw_server(*replies) as url:
        http = Sender(url, {})
        try:
            yield http
        finally:
            http.close()


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(1, wbits=-15)
    return packer.compress(body) + packer.flush()


BOMBS = {
    "plain": answering(bytes(MOST + 1)),
    "plain without a length": OK.split(b"\r\nContent-Length")[0] + b"\r\n\r\n" + bytes(MOST + 1),
    "gzip": answering(gzip.compress(bytes(MOST + 1), 1), "gzip"),
    "gzip a thousand times as large": answering(gzip.compress(bytes(MOST * 8), 9), "gzip"),
    "gzip in two parts": answering(HALF + gzip.compress(bytes(MOST // 2 + 1), 1), "gzip"),
    "gzip in two parts and a byte": answering(HALF + HALF + gzip.compress(b"]"), "gzip"),
    "deflate": answering(zlib.compress(bytes(MOST + 1), 1), "deflate"),
    "deflate without header": answering(raw_deflate(bytes(MOST + 1)), "deflate"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_body_too_large_is_refused_and_not_asked_for_again(bomb: str) -> None:
    with sending(BOMBS[bomb], OK) as http:
        with pytest.raises(UnexpectedAnswer, match=r"^training/list answered more than 32 MiB"):
            http.get("training/list", {}, lambda answer: answer.body)
        assert http.requests == 1


@pytest.mark.parametrize(
    ("whole", "encoding"),
    [
        (bytes(MOST), "identity"),
        (gzip.compress(bytes(MOST), 1), "gzip"),
        (HALF + HALF, "gzip"),
        (HALF + gzip.compress(b"") + HALF, "gzip"),
        (zlib.compress(bytes(MOST), 1), "deflate"),
        (raw_deflate(bytes(MOST)), "deflate"),
    ],
    ids=["plain", "gzip", "gzip in two parts", "gzip in three parts", "deflate", "deflate without header"],
)
def test_a_body_as_large_as_allowed_is_taken_whole(whole: bytes, encoding: str) -> None:
    with sending(answering(whole, encoding)) as http:
        assert http.get("x", {}, lambda answer: len(answer.body)) == MOST
