"""Calls to Discord's HTTP API that never repeat, and wait only where a route is to.

Why not discord.py's own ``HTTPClient`` or webhook adapter: both sleep through a 429 (the floor of
``max_ratelimit_timeout`` is 30 seconds), repeat a 5xx up to five times and wait in front of an exhausted
bucket, while they keep no order among waiting sends. Here the courier's lanes own all waiting, so each
failure must come out at once. discord.py keeps what it does best: the gateway, its cache, and the reading
back of history, where waiting does no harm.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from bots.discord.attachments import Upload
from bots.discord.budget import Budget, seconds
from bots.discord.convert import PLATFORM
from core.crashpoints import passing
from core.errors import BadToken, RetryLater, StormoError
from core.intents import Quota

LABEL = "Discord"
_USER_AGENT = "DiscordBot (stormo, 0.1)"
_CONNECT_SECONDS = 10
#: How many times longer a call with files may take.
UPLOADS = 2
_PARKED_AT_MOST = 1024


class Refused(StormoError):
    """Discord said no: HTTP status and Discord's own error code (0 where it gave none)."""

    def __init__(self, status: int, code: int, reason: str) -> None:
        self.status = status
        self.code = code
        super().__init__(f"{status} (code {code}): {reason}")


@dataclass(frozen=True, slots=True)
class Route:
    """One call. ``parts`` fill the ``{}`` of ``path``; limits are shared by path and first part.

    ``secret``: the path holds a token of its own; no authorisation is sent, and a limit only remembered where one is
    named.
    """

    method: str
    path: str
    parts: tuple[str, ...] = ()
    secret: bool = False
    #: Routes known to share one limit name it alike; others stand alone until Discord names their bucket.
    limit: str = ""
    #: Is made at once, whatever else is called: Discord counts it against no number of calls.
    unbound: bool = False
    #: Waits for its place, in line with reads: whoever makes it would not come again, or holds others up.
    patient: bool = False

    @property
    def remembered(self) -> bool:
        """Whether what Discord says of its limits concerns later calls."""
        return bool(self.limit) or not self.secret

    @property
    def limited_as(self) -> str:
        return self.limit or f"{self.method} {self.path}"

    @property
    def major(self) -> str:
        return self.parts[0] if self.parts else ""

    def url(self, root: str) -> URL:
        path = self.path
        for part in self.parts:
            path = path.replace("{}", quote(part, safe=""), 1)
        return URL(root.rstrip("/") + path, encoded=True)

    def __repr__(self) -> str:
        return f"Route({self.method} {self.path})"


class Rest:
    """A thin client for one bot token; belongs to one event loop. ``call_seconds``: no call is waited for longer.

    ``budget``: what all calls of this process have their places of; one of its own where nothing else calls.
    """

    def __init__(
        self, api_url: str, token: str, call_seconds: float = 20, budget: Budget | None = None
    ) -> None:
        self._root = api_url
        self._budget = budget or Budget()
        self._timeout = aiohttp.ClientTimeout(total=call_seconds, connect=_CONNECT_SECONDS)
        self._upload = aiohttp.ClientTimeout(total=UPLOADS * call_seconds, connect=_CONNECT_SECONDS)
        self._token = token
        self._session: aiohttp.ClientSession | None = None
        self._parked: dict[tuple[str, str], float] = {}
        self._buckets: dict[str, str] = {}

    async def close(self) -> None:
        """Give the connections back; a later call opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def call(
        self,
        route: Route,
        body: Mapping[str, Any] | list[Any] | None = None,
        query: Mapping[str, str] | None = None,
        files: Sequence[Upload] = (),
    ) -> Any:
        """The JSON of the answer, ``None`` where it is empty. ``files`` go beside ``body``, read from the disk.

        Raises ``RetryLater`` (limits, faults of the server, lost connections), ``Refused`` (other 4xx),
        ``BadToken`` (401).
        """
        answer, _ = await self.told(route, body, query, files)
        return answer

    async def told(
        self,
        route: Route,
        body: Mapping[str, Any] | list[Any] | None = None,
        query: Mapping[str, str] | None = None,
        files: Sequence[Upload] = (),
    ) -> tuple[Any, Quota | None]:
        """The same with what Discord tells of the limit that the call counted against."""
        if route.remembered:
            self._check_parked(route)
        with ExitStack() as opened:
            form = _form(body, files, opened) if files else None
            if form is not None:
                passing("media.placing", PLATFORM)
            return await self._exchange(route, body, query, form)

    async def _exchange(
        self, route: Route, body: Any, query: Mapping[str, str] | None, form: aiohttp.FormData | None
    ) -> tuple[Any, Quota | None]:
        place = await self._place(route)
        try:
            async with self._opened().request(
                route.method,
                route.url(self._root),
                json=body if form is None else None,
                data=form,
                params=query,
                headers=self._headers(route),
                timeout=self._timeout if form is None else self._upload,
            ) as response:
                self._budget.answered(response.status, response.headers.get("X-RateLimit-Scope"))
                answer = await _json(response)
                return self._read(route, response, answer), _quota(response)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise RetryLater(f"no connection: {type(error).__name__}", whole_token=True) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # Only the kind: the text of some of these repeats the address, which may hold a token.
            raise RetryLater(f"lost answer: {type(error).__name__}", unknown=True) from None
        finally:
            if place is not None:
                self._budget.end(place)

    async def _place(self, route: Route) -> float | None:
        if route.unbound:
            return None
        return await self._budget.read() if route.patient else self._budget.take()

    def _headers(self, route: Route) -> dict[str, str]:
        headers = {"User-Agent": _USER_AGENT}
        if not route.secret:
            headers["Authorization"] = f"Bot {self._token}"
        return headers

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def _read(self, route: Route, response: aiohttp.ClientResponse, answer: Any) -> Any:
        status = response.status
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise self._limited(route, response, answer)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
            raise RetryLater(f"Discord answers {status}", unknown=True)
        self._note_bucket(route, response)
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return answer
        if status == HTTPStatus.UNAUTHORIZED and not route.secret:
            raise BadToken(LABEL)
        facts = answer if isinstance(answer, dict) else {}
        code = facts.get("code")
        raise Refused(status, code if isinstance(code, int) else 0, str(facts.get("message", ""))[:200])

    def _limited(self, route: Route, response: aiohttp.ClientResponse, answer: Any) -> RetryLater:
        facts = answer if isinstance(answer, dict) else {}
        pause = seconds(facts.get("retry_after", response.headers.get("Retry-After")))
        # Without Discord's own JSON it is the proxy before it that shut the door, for the whole address.
        everywhere = bool(facts.get("global")) or not facts
        if route.remembered and everywhere:
            self._budget.park(pause)
        elif route.remembered:
            self._park(self._bucket(route), pause)
        return RetryLater(
            f"limit of {route!r}",
            after=timedelta(seconds=pause),
            whole_token=everywhere and not route.secret,
            # One that is shared with other bots says nothing of our own count.
            too_many=response.headers.get("X-RateLimit-Scope") != "shared",
        )

    def _note_bucket(self, route: Route, response: aiohttp.ClientResponse) -> None:
        """Discord names the bucket and what is left of it with each answer: stop before it has to say no."""
        if not route.remembered:
            return
        name = response.headers.get("X-RateLimit-Bucket")
        if name:
            self._buckets[route.limited_as] = name
        if response.headers.get("X-RateLimit-Remaining") == "0":
            self._park(self._bucket(route), seconds(response.headers.get("X-RateLimit-Reset-After")))

    def _bucket(self, route: Route) -> tuple[str, str]:
        return self._buckets.get(route.limited_as, route.limited_as), route.major

    def _park(self, key: tuple[str, str], pause: float) -> None:
        now = time.monotonic()
        if len(self._parked) >= _PARKED_AT_MOST:
            self._parked = {one: until for one, until in self._parked.items() if until > now}
        self._parked[key] = now + pause

    def _check_parked(self, route: Route) -> None:
        left = self._parked.get(self._bucket(route), 0.0) - time.monotonic()
        if left > 0:
            raise RetryLater(f"limit of {route!r}", after=timedelta(seconds=left))


def _form(body: Any, files: Sequence[Upload], opened: ExitStack) -> aiohttp.FormData:
    """Raises ``RetryLater`` where a file cannot be read: nothing is sent then."""
    form = aiohttp.FormData()
    form.add_field("payload_json", json.dumps(body), content_type="application/json")
    for number, file in enumerate(files):
        try:
            content = opened.enter_context(file.path.open("rb"))
        except OSError as error:
            # Its post may have gone meanwhile, and its file with it: then it is planned anew.
            raise RetryLater(f"a stored file cannot be read: {type(error).__name__}") from None
        form.add_field(f"files[{number}]", content, filename=file.name, content_type=file.mime)
    return form


async def _json(response: aiohttp.ClientResponse) -> Any:
    if response.content_type != "application/json":
        return None
    try:
        return await response.json()
    except ValueError:
        return None


def _quota(response: aiohttp.ClientResponse) -> Quota | None:
    headers = response.headers
    try:
        limit, remaining = int(headers["X-RateLimit-Limit"]), int(headers["X-RateLimit-Remaining"])
    except (KeyError, ValueError):
        return None
    return Quota(limit, remaining, seconds(headers.get("X-RateLimit-Reset-After")))
