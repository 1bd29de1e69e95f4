"""One request and its whole answer, over connections kept open; what fails on the way becomes an error of ours.

Addresses go out to the letter. No cookie is kept, no redirect followed, and nothing is sent a second time.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import certifi
import httpx
from httpx_aiohttp import AiohttpTransport
from yarl import URL

from sync_pipelines.clients.bodies import DAMAGE, MAX_BODY_BYTES, TooLarge, decoded, whole_body
from sync_pipelines.errors import SourceError, SourceUnavailable, UnexpectedAnswer

__all__ = ["Answer", "Connections", "Message"]

Heard = Callable[[Mapping[str, str]], None]


@dataclass(frozen=True, slots=True)
class Message:
    """A request. `path`, below the base URL, is percent-encoded. With a `form` it is a POST, else a GET."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: status, headers (names in any case), body bytes."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    path: str


class Connections:
    """Connections to one base URL, within one event loop."""

    def __init__(self, base_url: str, transport: AiohttpTransport, heard: Heard) -> None:
        self._base_url = base_url
        self._transport = transport
        self._heard = heard

    @classmethod
    @asynccontextmanager
    async def open(cls, base_url: str, heard: Heard) -> AsyncGenerator[Self, None]:
        """Connections that live as long as this context. `heard` gets the headers of every answer."""
        proxy = _proxy(base_url)
        plain = base_url.lower().startswith("http:") and proxy is None  # and redirects are not followed
        trusted = False if plain else _trusted()
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trusted, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),  # one account's cookie would go out with another's request
            middlewares=[_Once(base_url)],
            proxy=proxy,
        ) as session:
            yield cls(base_url, AiohttpTransport(verify=trusted, client=session), heard)

    async def exchange(self, message: Message, seconds: float) -> Answer:
        """Send it and take the whole answer; `seconds` is the longest silence. Raises SourceError."""
        path, form = message.path, message.form
        try:
            address = self._address(message)
            _address.set(address)
            request = httpx.Request(
                "GET" if form is None else "POST",
                str(address),
                # Given with each request: what the session holds, aiohttp shows the proxy too.
                headers=httpx.Headers(
                    dict(message.headers if form is None else {**message.headers, **_FORM}), "utf-8"
                ),
                content=None if form is None else urlencode(form, errors="surrogatepass"),
                extensions={"timeout": {"pool": min(seconds, 10.0), "read": seconds}},  # pool: until connected
            )
            # Without httpx.AsyncClient: its redirects, cookies, passwords and proxies are none that we want.
            async with aclosing(await self._transport.handle_async_request(request)) as answer:
                self._heard(answer.headers)
                body = await whole_body(answer)
            return Answer(answer.status_code, answer.headers, decoded(body, answer.headers), path)
        except TooLarge:
            raise UnexpectedAnswer(
                f"{path} answered more than {MAX_BODY_BYTES // 2**20} MiB: no list is so long"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, *DAMAGE, OSError, ValueError) as error:
            raise _as_source_error(error, _where(self._base_url), path) from error

    def _address(self, message: Message) -> URL:
        address = f"{URL(self._base_url)}".rstrip("/") + f"/{message.path.lstrip('/')}"
        query = urlencode(message.params, quote_via=quote)
        return URL(f"{address}?{query}" if query else address, encoded=True)


# What the request under way asks for, to the letter. httpx and aiohttp would each put it into a form of their own:
# %2E%2E/ taken for the way up, say.
_address: ContextVar[URL] = ContextVar("address")
_FORM: Mapping[str, str] = {"Content-Type": "application/x-www-form-urlencoded"}


class _Once:
    """Where a connection breaks, aiohttp sends a second time, uncounted; not so for an error of ours."""

    def __init__(self, base_url: str) -> None:
        self._where = _where(base_url)

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        request.url = _address.get()
        try:
            answer = await handler(request)
        except aiohttp.ClientConnectionError as error:
            raise _as_source_error(error, self._where, request.url.raw_path) from error
        answer.reason = None  # words that nobody needs; the transport fails on those that are not UTF-8
        return answer


def _where(base_url: str) -> str:
    return urlsplit(base_url).netloc.rpartition("@")[2]


def _trusted() -> ssl.SSLContext:
    """The certificates to trust: the system's, for a school's proxy may sign with its own, and the usual ones."""
    trusted = ssl.create_default_context()
    trusted.load_verify_locations(certifi.where())
    return trusted


def _as_source_error(error: BaseException, where: str, path: str) -> SourceError:
    if isinstance(error, httpx.HTTPError) and error.__cause__:
        error = error.__cause__  # aiohttp's. The transport's names mislead: a reset is its ConnectTimeout
    if isinstance(error, TimeoutError):
        return SourceUnavailable(f"no answer from {where} in time ({type(error).__name__})")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return SourceUnavailable(f"cannot reach {where}: the proxy answered status {error.status}")
    if isinstance(error, aiohttp.ClientConnectionError):
        # The cause is the operating system's word. The error's own may quote the answer's headers.
        return SourceUnavailable(f"cannot reach {where}: {error.__cause__ or type(error).__name__}")
    if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ClientResponseError, *DAMAGE)):
        return SourceUnavailable(f"the answer of {where} is cut short or damaged ({path})")
    return UnexpectedAnswer(f"cannot ask {where} ({type(error).__name__}, {path})")


def _proxy(url: str) -> str | None:
    """The proxy that the environment, or the system, wants for this address.

    Asked once: aiohttp's own `trust_env` asks for every request, and looks for passwords in ~/.netrc.
    """
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"
