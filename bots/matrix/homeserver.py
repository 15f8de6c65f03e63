"""One account on one homeserver: raw calls of the client-server API through matrix-nio's transport.

nio's own calls wait on limits by themselves and hide fields that we need (edits, redactions, room version
12), so everything goes through ``AsyncClient.send``, which neither waits nor tries again.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

import truststore
from aiohttp import ClientConnectorError, ClientError, ClientResponse, ClientTimeout, InvalidURL
from nio import AsyncClient, AsyncClientConfig

from bots.matrix.room import mapping, words
from core.errors import BadToken, RetryLater, StormoError

LABEL = "Matrix"
#: How long a call may take, in seconds; a sync may take this and its own waiting.
PATIENCE = 30.0

#: The same for a file of fifty megabytes on a slow line.
_UPLOAD = 180.0

_NO_SUCH_TOKEN = {"M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_DEACTIVATED", "M_USER_LOCKED"}


class Refused(StormoError):
    """The homeserver said no: ``status`` of HTTP and ``code`` of Matrix, e.g. 403 and ``M_FORBIDDEN``."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        self.status = status
        self.code = code
        super().__init__(f"{status} {code}: {reason}"[:300])


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to get in: a token, or a password (the token then lives in memory only)."""

    user: str
    token: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    device: str = ""


class _Changes:
    """The changes that are asked for and not answered yet."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Future[None]] = set()
        self._some = asyncio.Event()

    @contextmanager
    def one(self) -> Iterator[None]:
        change = asyncio.get_running_loop().create_future()
        self._under_way.add(change)
        self._some.set()
        try:
            yield
        finally:
            change.set_result(None)
            self._under_way.discard(change)
            if not self._under_way:
                self._some.clear()

    async def made(self, soon: float, most: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(soon):
                await self._some.wait()
            if now := set(self._under_way):
                await asyncio.wait(now, timeout=most)


class Homeserver:
    """Calls one homeserver as one account. ``close`` it in the loop that used it."""

    def __init__(self, url: str, login: Login) -> None:
        self.me = login.user
        self._url = url.rstrip("/")
        self._login = login
        self._token = login.token
        self._logging_in = asyncio.Lock()
        self._client: AsyncClient | None = None
        self._changes = _Changes()

    async def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        version: str = "v3",
        wait: float = 0.0,
    ) -> Mapping[str, Any]:
        """One call, and its JSON answer. ``path`` as ``/rooms/…``, quoted; ``wait``: seconds it may idle.

        Raises ``RetryLater`` (limits, server errors, lost connections), ``BadToken`` and ``Refused``.
        """
        token = await self._current_token()
        try:
            return await self._exchange(method, path, body, query, version, wait, token)
        except BadToken:
            if not self._login.password:
                raise
        if self._token == token:
            self._token = ""
        return await self._exchange(method, path, body, query, version, wait, await self._current_token())

    async def settled(self, soon: float, most: float) -> None:
        """Until each ``PUT`` that begins within ``soon`` seconds is answered, for ``most`` seconds."""
        await self._changes.made(soon, most)

    async def authorization(self) -> Mapping[str, str]:
        """The headers of a call that is made elsewhere."""
        return _bearer(await self._current_token())

    async def upload(self, content: BinaryIO, mime: str, name: str) -> Mapping[str, Any]:
        """Brings a file to the homeserver, and gives its JSON answer. Raises as ``call`` does."""
        headers = {"Content-Type": mime, **_bearer(await self._current_token())}
        address = f"/_matrix/media/v3/upload?{urlencode({'filename': name})}"
        return await self._sent("POST", address, content, headers, _UPLOAD)

    async def versions(self) -> Mapping[str, Any]:
        """What the homeserver speaks; needs no token."""
        return await self._exchange("GET", "/versions", None, None, "", 0.0, "")

    async def log_out(self) -> None:
        """Leave no device behind that a password without a device id made."""
        if self._token and self._login.password and not self._login.device:
            await self._exchange("POST", "/logout", {}, None, "v3", 0.0, self._token)
            self._token = ""

    async def _current_token(self) -> str:
        async with self._logging_in:
            if not self._token:
                self._token = await self._log_in()
            return self._token

    async def _log_in(self) -> str:
        if not self._login.password:
            raise BadToken(LABEL)
        asked: dict[str, Any] = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": self.me},
            "password": self._login.password,
            "initial_device_display_name": "Stormo",
        }
        if self._login.device:
            asked["device_id"] = self._login.device
        try:
            answer = await self._exchange("POST", "/login", asked, None, "v3", 0.0, "")
        except Refused as refused:
            raise BadToken(LABEL) from refused
        return words(answer.get("access_token"))

    async def _exchange(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, str] | None,
        version: str,
        wait: float,
        token: str,
    ) -> Mapping[str, Any]:
        address = f"/_matrix/client{'/' + version if version else ''}{path}"
        address += f"?{urlencode(query)}" if query else ""
        headers = {"Content-Type": "application/json", **_bearer(token)}
        data = None if body is None else json.dumps(body, ensure_ascii=False)
        return await self._sent(method, address, data, headers, PATIENCE + wait)

    async def _sent(
        self, method: str, address: str, data: Any, headers: dict[str, str], seconds: float
    ) -> Mapping[str, Any]:
        # nio hands the value on to aiohttp as it is, which wants this type.
        patience: Any = ClientTimeout(total=seconds)
        under_way = self._changes.one() if method == "PUT" else nullcontext()
        try:
            with under_way:
                response = await self._transport().send(method, address, data, headers, timeout=patience)
                async with response:
                    return await _answer(response)
        except InvalidURL as error:
            raise RetryLater("the homeserver's address is malformed") from error
        except ClientConnectorError as error:
            raise RetryLater(f"cannot connect: {type(error).__name__}", whole_token=True) from error
        except (ClientError, TimeoutError, OSError) as error:
            raise RetryLater(f"connection lost: {type(error).__name__}", unknown=True) from error

    def _transport(self) -> AsyncClient:
        if self._client is None:
            config = AsyncClientConfig(max_limit_exceeded=0, max_timeouts=0, store_sync_tokens=False)
            context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._client = AsyncClient(self._url, self.me, config=config, ssl=context)
        return self._client


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


async def _answer(response: ClientResponse) -> Mapping[str, Any]:
    raw = await response.read()
    try:
        answer = json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        answer = None
    if response.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise _failure(response, mapping(answer))
    if not isinstance(answer, dict):
        raise RetryLater("the answer is no JSON object", unknown=True)
    return answer


def _failure(response: ClientResponse, answer: Mapping[str, Any]) -> StormoError:
    status, code = response.status, words(answer.get("errcode"))
    if status == HTTPStatus.TOO_MANY_REQUESTS or code == "M_LIMIT_EXCEEDED":
        after = _wait(response, answer)
        return RetryLater("limit exceeded", after=after, whole_token=True, too_many=True)
    if code in _NO_SUCH_TOKEN or status == HTTPStatus.UNAUTHORIZED:
        return BadToken(LABEL)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return RetryLater(f"server error {status} {code}", unknown=True)
    if not code:
        return RetryLater(f"no homeserver answers there: {status}", unknown=True)
    return Refused(status, code, words(answer.get("error")))


def _wait(response: ClientResponse, answer: Mapping[str, Any]) -> timedelta | None:
    asked = answer.get("retry_after_ms")
    if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 0:
        return timedelta(milliseconds=min(asked, 86_400_000))
    header = response.headers.get("Retry-After", "")
    return timedelta(seconds=min(int(header), 86_400)) if header.isascii() and header.isdigit() else None


def part(text: str) -> str:
    """A path segment, quoted: ids hold ``!``, ``$``, ``:`` and may hold a slash."""
    return quote(text, safe="")
