"""Serves the pages of `dataset` on loopback, as cheaply as Python can: what is measured is the client.

GET /{rows}/{variant}/enrollments?offset=0&limit=1000&delay=0 answers one page, with its place and the total in
Content-Range; `delay` is in milliseconds. It speaks just enough HTTP/1.1 for well-behaved clients.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import mmap
import socket
import sys
from functools import cache
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl, urlsplit

from benchmarks.dataset import CACHE, PAGE_SIZE, VARIANTS, Manifest, Variant, data_path, make, read_manifest

__all__ = ["main"]


class _NotServed(Exception):
    """The request asks for something that is not there; the text says what."""


class _Pages:
    """The answers, by request target."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = cache(self._load)

    def _load(self, rows: int, variant: Variant) -> tuple[Manifest, mmap.mmap]:
        with data_path(self._folder, rows, variant).open("rb") as file:
            return read_manifest(rows, variant, self._folder), mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def answer(self, target: str) -> tuple[float, bytes]:
        """How many seconds to wait, and the whole answer."""
        try:
            url = urlsplit(target)
            query = dict(parse_qsl(url.query))
            offset, delay = int(query.get("offset", "0")), int(query.get("delay", "0"))
            status, where, body = "200 OK", *self._page(url.path, offset, int(query.get("limit", str(PAGE_SIZE))))
        except (ValueError, OSError, _NotServed) as error:
            status, where, body, delay = "404 Not Found", "*/0", json.dumps(str(error)).encode(), 0
        head = (
            f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
            f"content-range: enrollments {where}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return delay / 1000, b"".join((head.encode(), body))

    def _page(self, path: str, offset: int, limit: int) -> tuple[str, bytes]:
        rows, variant, name = path.strip("/").split("/")
        if variant not in VARIANTS or name != "enrollments" or limit != PAGE_SIZE or offset % PAGE_SIZE:
            raise _NotServed(f"only whole pages of {PAGE_SIZE} at /{{rows}}/{{base|chg}}/enrollments")
        manifest, data = self._open(int(rows), cast("Variant", variant))
        if offset >= manifest.rows:
            return f"*/{manifest.rows}", b"[]"
        start, end = manifest.offsets[offset // PAGE_SIZE : offset // PAGE_SIZE + 2]
        last = min(offset + limit, manifest.rows) - 1
        return f"{offset}-{last}/{manifest.rows}", data[start:end]


class _Connection(asyncio.Protocol):
    def __init__(self, pages: _Pages) -> None:
        self._pages = pages
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # A page that fits into the socket's buffer costs one system call.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head, self._received = self._received[:end], self._received[end + 4 :]
            delay, answer = self._pages.answer(head.split(b" ", 2)[1].decode("ascii"))
            if delay:
                asyncio.get_running_loop().call_later(delay, self._transport.write, answer)
            else:
                self._transport.write(answer)


async def _serve(folder: Path, port: int) -> None:
    pages = _Pages(folder)
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(pages), "127.0.0.1", port)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Serve until killed; the first line printed is the address."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--folder", type=Path, default=CACHE)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--make", type=int, action="append", default=[], metavar="ROWS", help="make pages first")
    arguments = parser.parse_args()
    for rows in arguments.make:
        make(rows, arguments.folder)
    try:
        asyncio.run(_serve(arguments.folder, arguments.port))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
