"""A reverse proxy between a bot and its homeserver: it counts, and fails where a test wants it to."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from io import BytesIO
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote

from aiohttp import ClientConnectionError, ClientSession, ClientTimeout, TCPConnector, web
from yarl import URL

_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "content-length",
    "host",
}


@dataclass(frozen=True)
class Pattern:
    """Which requests: a method (empty is any), and a regular expression searched in the decoded path."""

    method: str
    path: str

    def fits(self, exchange: Exchange) -> bool:
        return self.method in ("", exchange.method) and re.search(self.path, exchange.path) is not None


ANY = Pattern("", "")
SEND = Pattern("PUT", r"/rooms/[^/]+/send/")
MESSAGE = Pattern("PUT", r"/rooms/[^/]+/send/m\.room\.message/")
REACTION = Pattern("PUT", r"/rooms/[^/]+/send/m\.reaction/")
REDACTION = Pattern("PUT", r"/rooms/[^/]+/redact/")
ACTS = Pattern("PUT", r"/rooms/[^/]+/(send|redact)/")
SYNC = Pattern("GET", r"/sync$")
MESSAGES = Pattern("GET", r"/rooms/[^/]+/messages$")
JOIN = Pattern("POST", r"/join(/|$)")


@dataclass
class Exchange:
    """One request as it passed: `status` and `answer` stay None when the homeserver was not asked or away.

    The transaction id of a send is `path.rsplit("/")[-1]`.
    """

    method: str
    path: str
    query: str
    body: Any
    status: int | None = None
    answer: Any = None


StoredCallback = Callable[[Exchange], Awaitable[None] | None]


class Hold:
    """Requests stopped on their way until the test lets them go."""

    def __init__(self) -> None:
        self.held = asyncio.Event()
        self._go = asyncio.Event()

    def release(self) -> None:
        self._go.set()

    async def pass_through(self) -> None:
        self.held.set()
        await self._go.wait()


@dataclass
class _Fault:
    pattern: Pattern
    left: int
    before: Callable[[Exchange], Awaitable[web.StreamResponse | None]] | None = None
    after: Callable[[Exchange], Awaitable[web.StreamResponse | None]] | None = None


@dataclass
class _Upstream:
    status: int
    headers: list[tuple[str, str]]
    body: bytes = field(repr=False)


class _Drop(web.Response):
    """Marks that the connection is to be cut instead of answered."""


class MatrixProxy:
    """Forwards everything to `upstream`, a base address, from a free loopback port, in the test's event loop.

    Faults take effect in the order they were asked for, each for its next `times` fitting requests.
    A client may ask again by itself: aiohttp repeats a PUT once when a kept-alive connection breaks,
    and nio repeats any broken request.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.exchanges: list[Exchange] = []
        self._faults: list[_Fault] = []
        self._closing = asyncio.Event()
        self._session: ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The base address to give to the client: `http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        self._session = ClientSession(
            connector=TCPConnector(limit=0), timeout=ClientTimeout(total=None), auto_decompress=False
        )
        application = web.Application(client_max_size=2**26)
        application.router.add_route("*", "/{anything:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def close(self) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def count(self, pattern: Pattern = ANY, status: int | None = None) -> int:
        """How many requests fitted so far; with `status`, only those the homeserver answered so."""
        return len(self.seen(pattern, status))

    def seen(self, pattern: Pattern = ANY, status: int | None = None) -> list[Exchange]:
        """The fitting requests so far, in the order of their arrival."""
        return [one for one in self.exchanges if pattern.fits(one) and status in (None, one.status)]

    def on_stored(self, callback: StoredCallback, pattern: Pattern = SEND, times: int = 1) -> None:
        """Call back after the homeserver stored a send, before its answer goes: the place to kill a bot."""

        async def after(exchange: Exchange) -> None:
            done = callback(exchange)
            if inspect.isawaitable(done):
                await done

        self._faults.append(_Fault(pattern, times, after=after))

    def on_arrival(self, callback: StoredCallback, pattern: Pattern = SEND, times: int = 1) -> None:
        """Call back when a send arrives, before the homeserver is asked."""

        async def before(exchange: Exchange) -> None:
            done = callback(exchange)
            if inspect.isawaitable(done):
                await done

        self._faults.append(_Fault(pattern, times, before=before))

    def drop_before(self, pattern: Pattern = SEND, times: int = 1) -> None:
        """Cut the client's connection instead of forwarding: nothing is stored."""
        self._faults.append(_Fault(pattern, times, before=_constant(_Drop())))

    def drop_after(self, pattern: Pattern = SEND, times: int = 1) -> None:
        """Forward, then cut the connection: stored, but the client cannot know."""
        self._faults.append(_Fault(pattern, times, after=_constant(_Drop())))

    def fail_after(self, pattern: Pattern = SEND, times: int = 1, status: int = 500) -> None:
        """Forward, then answer an error all the same: stored, but the client believes otherwise."""
        answer = _error(status, "M_UNKNOWN", "Internal server error")
        self._faults.append(_Fault(pattern, times, after=answer))

    def refuse(
        self,
        pattern: Pattern = SEND,
        times: int = 1,
        *,
        status: int,
        errcode: str,
        error: str = "refused here",
    ) -> None:
        """Answer an error without asking the homeserver."""
        self._faults.append(_Fault(pattern, times, before=_error(status, errcode, error)))

    def garble(self, pattern: Pattern = SYNC, times: int = 1, body: str = "<html>not JSON</html>") -> None:
        """Forward, then answer 200 with something that no homeserver says."""

        async def after(exchange: Exchange) -> web.StreamResponse:
            return web.Response(text=body, content_type="text/html")

        self._faults.append(_Fault(pattern, times, after=after))

    def deafen(self, times: int = 1_000_000) -> None:
        """Answer syncs at once as if nothing had happened, without asking the homeserver; `heal` ends it."""

        async def before(exchange: Exchange) -> web.StreamResponse:
            await asyncio.sleep(0.05)
            since = parse_qs(exchange.query).get("since", ["s0"])[0]
            return web.json_response({"next_batch": since})

        self._faults.append(_Fault(SYNC, times, before=before))

    def limit(self, retry_after_ms: int, pattern: Pattern = SEND, times: int = 1) -> None:
        """Answer 429 M_LIMIT_EXCEEDED without asking the homeserver."""
        answer = _error(429, "M_LIMIT_EXCEEDED", "Too Many Requests", retry_after_ms=retry_after_ms)
        self._faults.append(_Fault(pattern, times, before=answer))

    def delay(self, seconds: float, pattern: Pattern = SEND, times: int = 1) -> None:
        """Let the request wait before it is forwarded; closing the proxy ends the wait."""

        async def before(exchange: Exchange) -> None:
            try:
                await asyncio.wait_for(self._closing.wait(), seconds)
            except TimeoutError:
                return

        self._faults.append(_Fault(pattern, times, before=before))

    def hold(self, pattern: Pattern = SEND, times: int = 1) -> Hold:
        """Stop requests before they are forwarded, until `release()`; `held` is set once one has come."""
        hold = Hold()

        async def before(exchange: Exchange) -> None:
            await hold.pass_through()

        self._faults.append(_Fault(pattern, times, before=before))
        return hold

    def heal(self) -> None:
        """Forget all faults that did not happen yet."""
        self._faults.clear()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        exchange = Exchange(
            request.method, unquote(request.rel_url.raw_path), request.query_string, _parsed(raw)
        )
        self.exchanges.append(exchange)
        faults = self._take(exchange)
        answer = await self._act(request, raw, exchange, faults)
        if isinstance(answer, _Drop) and request.transport is not None:
            request.transport.abort()
        return answer

    async def _act(
        self, request: web.Request, raw: bytes, exchange: Exchange, faults: list[_Fault]
    ) -> web.StreamResponse:
        for fault in faults:
            if fault.before and (instead := await fault.before(exchange)) is not None:
                return instead
        try:
            given = await self._forward(request, raw)
        except ClientConnectionError as away:
            return web.json_response({"errcode": "M_UNKNOWN", "error": f"bad gateway: {away}"}, status=502)
        exchange.status, exchange.answer = given.status, _parsed(given.body)
        for fault in faults:
            if fault.after and given.status < 300 and (instead := await fault.after(exchange)) is not None:
                return instead
        return web.Response(status=given.status, body=given.body, headers=given.headers)

    def _take(self, exchange: Exchange) -> list[_Fault]:
        fitting = [fault for fault in self._faults if fault.pattern.fits(exchange)]
        for fault in fitting:
            fault.left -= 1
        self._faults = [fault for fault in self._faults if fault.left > 0]
        return fitting

    async def _forward(self, request: web.Request, raw: bytes) -> _Upstream:
        if self._session is None:
            raise RuntimeError("the proxy is not started")
        headers = [
            (name, value) for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP
        ]
        address = URL(self.upstream + request.raw_path, encoded=True)
        async with self._session.request(
            request.method,
            address,
            headers=headers,
            data=BytesIO(raw) if raw else None,
            allow_redirects=False,
        ) as response:
            body = await response.read()
            kept = [
                (name, value) for name, value in response.headers.items() if name.lower() not in _HOP_BY_HOP
            ]
            return _Upstream(response.status, kept, body)


def _constant(answer: web.StreamResponse) -> Callable[[Exchange], Awaitable[web.StreamResponse]]:
    async def give(exchange: Exchange) -> web.StreamResponse:
        return answer

    return give


def _error(
    status: int, errcode: str, error: str, **more: Any
) -> Callable[[Exchange], Awaitable[web.StreamResponse]]:
    async def give(exchange: Exchange) -> web.StreamResponse:
        return web.json_response({"errcode": errcode, "error": error, **more}, status=status)

    return give


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw
