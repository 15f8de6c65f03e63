"""Files fetched over HTTP, in portions, from public addresses only.

Who posts a link chooses what this machine asks. So a name is resolved here, every address that it has must be a
public one, and it is connected to what was looked at; each redirect is judged anew. Only a platform's own server,
as the config names it, may be anywhere.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import aiohttp
import truststore
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from core.errors import FileRefused, FileWhy, RetryLater

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=30)
_PORTION: Final = 64 * 1024
_REDIRECTS: Final = 5
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
#: A token that ended is renewed by whoever owns it.
_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.UNAUTHORIZED})
_LONGEST_PAUSE: Final = 3600
#: IPv4 addresses in IPv6 clothes, by which a gateway reaches them (RFC 6052).
_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")

Take = Callable[[bytes], None]


class Downloader:
    """Fetches files; belongs to one event loop. ``trusted``: addresses of the platform's own servers."""

    def __init__(self, *trusted: str) -> None:
        self._trusted = frozenset(URL(address).origin() for address in trusted)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def close(self) -> None:
        """Give the connections back; a later call opens new ones."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def fetch(self, url: str, take: Take, headers: Mapping[str, str] | None = None) -> None:
        """Hands a file on. ``headers`` go to this address only, and to no other that it may lead to.

        Raises ``RetryLater``, ``FileRefused``; what ``take`` raises goes through. No message repeats the address,
        which may hold a token.
        """
        here = _address(url)
        for _ in range(_REDIRECTS + 1):
            own = self._judge(here)
            try:
                async with self._session(own=own).get(here, headers=headers, allow_redirects=False) as answer:
                    there = answer.headers.get("Location")
                    if answer.status not in _MOVED or there is None:
                        return await _read(answer, take)
                    moved = here.join(_address(there))
            except aiohttp.InvalidURL:
                raise FileRefused(FileWhy.ADDRESS, "no address") from None
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise RetryLater(f"no file: {type(error).__name__}") from None
            if moved.origin() != here.origin():
                headers = None
            here = moved
        raise FileRefused(FileWhy.UNREACHABLE, "it leads from one address to another without end")

    def _judge(self, url: URL) -> bool:
        """Whether it is the platform's own server. Raises ``FileRefused`` for what is not to be asked."""
        if not url.host or url.scheme not in ("http", "https"):
            raise FileRefused(FileWhy.ADDRESS, "no address of the web")
        if url.origin() in self._trusted:
            return True
        if url.scheme != "https":
            raise FileRefused(FileWhy.ADDRESS, "not encrypted")
        # What is an address already is never resolved.
        if _is_address(url.host):
            require_public([url.host])
        return False

    def _session(self, *, own: bool) -> aiohttp.ClientSession:
        if own not in self._sessions:
            resolver = None if own else _Public()
            connector = aiohttp.TCPConnector(
                resolver=resolver, use_dns_cache=own, ssl=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            )
            self._sessions[own] = aiohttp.ClientSession(
                connector=connector, timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._sessions[own]


class _Public(AbstractResolver):
    """Finds public addresses only; what it gives is what is connected to."""

    def __init__(self) -> None:
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        require_public([one["host"] for one in found])
        return found

    async def close(self) -> None:
        await self._resolver.close()


def require_public(addresses: Sequence[str]) -> None:
    """Raises ``FileRefused`` unless every one of these addresses belongs to the open internet."""
    for address in addresses:
        if not _is_public(ipaddress.ip_address(address.partition("%")[0])):
            raise FileRefused(FileWhy.ADDRESS, "not a public address")


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _address(text: str) -> URL:
    try:
        return URL(text)
    except ValueError:
        raise FileRefused(FileWhy.ADDRESS, "no address") from None


async def _read(answer: aiohttp.ClientResponse, take: Take) -> None:
    status = answer.status
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise RetryLater("no file: too many requests", after=_pause(answer))
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        raise FileRefused(FileWhy.SIZE, "more than its server gives")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING:
        raise RetryLater(f"no file: {status}", after=_pause(answer))
    if status != HTTPStatus.OK:
        raise FileRefused(FileWhy.GONE, f"status {status}")
    async for portion in answer.content.iter_chunked(_PORTION):
        take(portion)


def _pause(answer: aiohttp.ClientResponse) -> timedelta | None:
    asked = answer.headers.get("Retry-After", "")
    return timedelta(seconds=min(int(asked), _LONGEST_PAUSE)) if asked.isascii() and asked.isdigit() else None
