"""One request from socket to answer: route, faults, limits, who asks, handler, hooks, validation."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aiohttp import web

from tests.doubles.discord import payloads
from tests.doubles.discord.errors import ApiError, Json, no_such_route, not_done_yet, refusal, unauthorized
from tests.doubles.discord.events import redacts
from tests.doubles.discord.faults import BEFORE, Fault
from tests.doubles.discord.limits import Buckets, Limits, Rate, Verdict
from tests.doubles.discord.model import Attachment, Channel, Guild, Message, User, World
from tests.doubles.discord.permissions import Permission

if TYPE_CHECKING:
    from tests.doubles.discord.gateway import Gateway
    from tests.doubles.discord.validation import Validation

PREFIX = "/api/v10"
#: Called with (method, route, running count); may be a coroutine function.
Hook = Callable[[str, str, int], Awaitable[None] | None]


@dataclass(frozen=True)
class Reply:
    """What a handler answers. `stored`: it changed something (a repeated nonce, say, does not)."""

    status: int = 200
    body: Any = None
    stored: bool = True


NO_CONTENT = Reply(204)


@dataclass
class Call:
    """One request, read."""

    world: World
    limits: Limits
    gateway: Gateway
    params: dict[str, str]
    query: dict[str, str]
    body: Any = None
    files: list[Attachment] = field(default_factory=list)

    @property
    def bot(self) -> User:
        return self.world.bot

    def number(self, name: str) -> int:
        """A snowflake in the path; what is no number is 50035."""
        try:
            return int(self.params[name])
        except ValueError:
            raise ApiError(400, 50035, "Invalid Form Body", _not_snowflake(name, self.params[name])) from None

    def limit(self, default: int, most: int) -> int:
        """The `limit` of the query."""
        wanted = int(self.query.get("limit", default))
        if not 1 <= wanted <= most:
            message = f"int value should be between 1 and {most}."
            raise ApiError(
                400,
                50035,
                "Invalid Form Body",
                {"limit": {"_errors": [{"code": "NUMBER_TYPE_MAX", "message": message}]}},
            )
        return wanted

    def channel(self, name: str = "channel_id") -> Channel:
        """A channel that the bot may see: else 10003 or 50001."""
        channel = self.world.channels.get(self.number(name))
        if channel is None:
            raise refusal(10003)
        if not channel.allows(self.bot, Permission.VIEW_CHANNEL):
            raise refusal(50001)
        return channel

    def guild(self) -> Guild:
        guild = self.world.guilds.get(self.number("guild_id"))
        if guild is None:
            raise refusal(10004)
        if not guild.has_bot:
            raise refusal(50001)
        return guild

    def message(self, channel: Channel) -> Message:
        message = channel.messages.get(self.number("message_id"))
        if message is None:
            raise refusal(10008)
        return message

    def shown(self, message: Message) -> Json:
        """A message as REST gives it: redacted too, while the content intent is not switched on."""
        hidden = redacts(message, self.bot, self.gateway.enabled_intents)
        return payloads.message(message, self.bot, redacted=hidden)

    def read_back(self, message: Message) -> Json:
        """The same as history has it: a nonce is given back to who sends, and to nobody later."""
        return {name: value for name, value in self.shown(message).items() if name != "nonce"}


def _not_snowflake(name: str, value: str) -> Json:
    message = f'Value "{value}" is not snowflake.'
    return {name: {"_errors": [{"code": "NUMBER_TYPE_COERCE", "message": message}]}}


Handler = Callable[[Call], Reply]


@dataclass(frozen=True)
class Route:
    """A row of the table. `template` is spelled as in the published description of the API."""

    method: str
    template: str
    handler: Handler
    #: which of `Limits` counts it, and the path parameter whose value parts the buckets
    bucket: str = "others"
    per: str = ""
    token: bool = True  # needs the bot's token
    counted: bool = True  # counts towards the limit over everything

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.template.strip("/").split("/"))


@dataclass(frozen=True)
class Refused:
    """A 429 or another refusal that was answered."""

    method: str
    route: str
    status: int
    code: int
    body: Json


class Silence(Exception):
    """The connection is cut instead of answered."""


class Pipeline:
    """Serves `PREFIX`; counts, refuses, fails as told, validates both directions."""

    def __init__(
        self, world: World, limits: Limits, gateway: Gateway, token: str, validation: Validation | None
    ) -> None:
        self._world, self._limits, self._gateway, self._token = world, limits, gateway, token
        self._validation = validation
        self._routes: dict[tuple[str, int], list[Route]] = {}
        self._buckets = Buckets()
        self.faults: list[Fault] = []
        self.on_request: list[Hook] = []
        self.on_stored: list[Hook] = []
        self.requests: list[tuple[str, str]] = []
        #: When those came that count towards the limit over everything, in monotonic seconds.
        self.arrivals: list[float] = []
        #: How many answers the platform counts towards a ban of the caller's address.
        self.in_vain = 0
        self.stored: list[tuple[str, str]] = []
        self.refused: list[Refused] = []
        self.errors: list[Refused] = []
        self.not_done: list[str] = []
        self.broken: list[str] = []

    def add(self, routes: tuple[Route, ...]) -> None:
        for route in routes:
            known = self._routes.setdefault((route.method, len(route.parts)), [])
            known.append(route)
            known.sort(key=lambda each: sum(part.startswith("{") for part in each.parts))

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The most literal route for a raw path, and its unquoted parameters."""
        parts = path.strip("/").split("/")
        for route in self._routes.get((method, len(parts)), []):
            pairs = list(zip(route.parts, parts, strict=True))
            if all(want.startswith("{") or want == unquote(got) for want, got in pairs):
                return route, {want[1:-1]: unquote(got) for want, got in pairs if want.startswith("{")}
        return None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The whole of one request."""
        found = self.match(request.method, request.rel_url.raw_path.removeprefix(PREFIX))
        if found is None:
            return self._unknown(request)
        route, params = found
        self.requests.append((route.method, route.template))
        if route.counted:
            self.arrivals.append(time.monotonic())
        await _call(self.on_request, route, len(self.requests))
        fault = next((each for each in self.faults if each.strikes(route.method, route.template)), None)
        try:
            return await self._answer(request, route, params, fault)
        except Silence:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        except Exception:  # noqa: BLE001  # a fault of the double's own must show in the test, not as a retry
            self.broken.append(traceback.format_exc())
            return self._write(500, {"message": "500: our double broke", "code": 0}, None)
        finally:
            # Requests that tell no event (commands, answers to interactions) change what a test waits for, too.
            self._world.touch()

    def _unknown(self, request: web.Request) -> web.Response:
        path = request.rel_url.raw_path.removeprefix(PREFIX)
        described = self._validation is not None and self._validation.describes(request.method, path)
        error = not_done_yet(f"{request.method} {path}") if described else no_such_route()
        if described:
            self.not_done.append(f"{request.method} {path}")
        return self._write(error.status, error.payload(), None)

    async def _answer(
        self, request: web.Request, route: Route, params: dict[str, str], fault: Fault | None
    ) -> web.Response:
        if fault is not None and fault.kind in BEFORE:
            return await self._fail_before(route, fault)
        verdict = self._take(route, params)
        if not verdict.allowed:
            return self._too_many(route, verdict.reset_after, everywhere=verdict.limit == 0, verdict=verdict)
        status, body = await self._perform(request, route, params)
        if fault is not None:
            failed = await self._fail_after(fault)
            if failed is not None:
                return failed
        return self._write(status, body, verdict, _bucket_name(route))

    async def _perform(self, request: web.Request, route: Route, params: dict[str, str]) -> tuple[int, Any]:
        body: Any = None
        try:
            if route.token and request.headers.get("Authorization") != f"Bot {self._token}":
                raise unauthorized()
            call = Call(self._world, self._limits, self._gateway, params, dict(request.query))
            await self._read(request, call)
            body = call.body
            reply = route.handler(call)
        except ApiError as error:
            return self._refuse(route, error)
        if self._validation is not None:
            self._validation.request(route.method, route.template, body)
            self._validation.reply(route.method, route.template, reply.status, reply.body)
        if reply.stored and route.method != "GET":
            self.stored.append((route.method, route.template))
            await _call(self.on_stored, route, len(self.stored))
        return reply.status, reply.body

    def _refuse(self, route: Route, error: ApiError) -> tuple[int, Json]:
        body = error.payload()
        self.in_vain += error.status in (401, 403)
        self.errors.append(Refused(route.method, route.template, error.status, error.code, body))
        if error.status == 501:
            self.not_done.append(error.message)
        elif self._validation is not None:
            self._validation.reply(route.method, route.template, error.status, body)
        return error.status, body

    # Bodies

    async def _read(self, request: web.Request, call: Call) -> None:
        if (request.content_length or 0) > self._limits.request_bytes:
            raise refusal(40005)
        if request.content_type == "multipart/form-data":
            await self._read_form(request, call)
        elif request.can_read_body:
            try:
                call.body = json.loads(await request.read() or b"null")
            except ValueError:
                raise refusal(50109) from None
        if isinstance(call.body, dict):
            _describe_files(call)

    async def _read_form(self, request: web.Request, call: Call) -> None:
        form = await request.post()
        for name, value in form.items():
            if isinstance(value, web.FileField):
                data = value.file.read()
                if len(data) > self._limits.file_bytes:
                    raise refusal(40005)
                kind = value.content_type or "application/octet-stream"
                call.files.append(Attachment(self._world.ids.next(), value.filename, data, kind))
            elif name == "payload_json":
                # With a type of its own, as the documents show it, the part arrives as bytes.
                call.body = json.loads(value)
        call.body = call.body or {}

    # Limits

    def _take(self, route: Route, params: dict[str, str]) -> Verdict:
        """A verdict with limit 0 stands for the limit over everything."""
        if not self._limits.enabled:
            return Verdict(True, 1000, 999, 1.0)
        now = time.monotonic()
        if route.counted:
            overall = self._buckets.take("everything", (self._limits.everything,), now)
            if not overall.allowed:
                return Verdict(False, 0, 0, overall.reset_after)
        rates: tuple[Rate, ...] = getattr(self._limits, route.bucket)
        return self._buckets.take(f"{route.bucket}:{self._major(route, params)}", rates, now)

    def _major(self, route: Route, params: dict[str, str]) -> str:
        """What parts one bucket from another; webhooks of one channel share theirs."""
        webhook = params.get("webhook_id", "")
        if route.bucket == "webhooks" and webhook.isdigit() and int(webhook) in self._world.webhooks:
            return str(self._world.webhooks[int(webhook)].channel.id)
        where = params.get(route.per, "")
        return f"{where}:{route.template}" if route.bucket == "others" else where

    def _too_many(
        self,
        route: Route,
        retry_after: float,
        *,
        everywhere: bool,
        shared: bool = False,
        verdict: Verdict | None = None,
    ) -> web.Response:
        body: Json = {"message": "You are being rate limited.", "code": 0, "global": everywhere}
        body["retry_after"] = round(max(retry_after, 0.001), 3)
        self.refused.append(Refused(route.method, route.template, 429, 0, body))
        whose = "global" if everywhere else "shared" if shared else "user"
        self.in_vain += whose != "shared"
        scope = {"X-RateLimit-Scope": whose}
        scope["Retry-After"] = str(int(retry_after) + 1)
        if everywhere:
            return self._write(429, body, None, extra=scope | {"X-RateLimit-Global": "true"})
        return self._write(429, body, verdict, _bucket_name(route), extra=scope)

    # Faults

    async def _fail_before(self, route: Route, fault: Fault) -> web.Response:
        if fault.kind == "rate_limit":
            verdict = None if fault.everywhere else Verdict(False, 1, 0, fault.seconds)
            return self._too_many(
                route, fault.seconds, everywhere=fault.everywhere, shared=fault.shared, verdict=verdict
            )
        if fault.kind == "error_before":
            return self._broken(fault)
        if fault.kind == "silent_before":
            await asyncio.sleep(fault.seconds)
        raise Silence

    async def _fail_after(self, fault: Fault) -> web.Response | None:
        """None: the answer goes out after all, late."""
        if fault.kind == "error_after":
            return self._broken(fault)
        if fault.kind in ("slow", "silent_after"):
            await asyncio.sleep(fault.seconds)
        if fault.kind != "slow":
            raise Silence
        return None

    def _broken(self, fault: Fault) -> web.Response:
        body = {"message": f"{fault.status}: Internal Server Error", "code": 0}
        return self._write(fault.status, body, None)

    # Answers

    def _write(
        self,
        status: int,
        body: Any,
        verdict: Verdict | None,
        bucket: str = "",
        *,
        extra: dict[str, str] | None = None,
    ) -> web.Response:
        headers = dict(extra or {})
        if self._limits.via_header:
            headers["Via"] = "1.1 double"
        if verdict is not None:
            headers |= {
                "X-RateLimit-Limit": str(verdict.limit),
                "X-RateLimit-Remaining": str(verdict.remaining),
                "X-RateLimit-Reset": f"{time.time() + verdict.reset_after:.3f}",
                "X-RateLimit-Reset-After": f"{verdict.reset_after:.3f}",
                "X-RateLimit-Bucket": bucket,
            }
        if status == 204:
            return web.Response(status=204, headers=headers)
        # Exactly this content type: discord.py reads no JSON under "application/json; charset=utf-8".
        headers["Content-Type"] = "application/json"
        return web.Response(status=status, body=json.dumps(body).encode(), headers=headers)


def _bucket_name(route: Route) -> str:
    """Buckets are opaque to clients; routes that share one share its name."""
    return route.bucket if route.bucket != "others" else f"others-{abs(hash(route.template)) % 10**8}"


def _describe_files(call: Call) -> None:
    """Alt texts stand in the body's `attachments`, by the file's index."""
    body = call.body.get("data") if "data" in call.body and "type" in call.body else call.body
    if not isinstance(body, dict):
        return
    for entry in body.get("attachments") or []:
        index = str(entry.get("id", ""))
        if index.isdigit() and int(index) < len(call.files):
            call.files[int(index)].description = entry.get("description")
            call.files[int(index)].filename = entry.get("filename") or call.files[int(index)].filename


async def _call(hooks: list[Hook], route: Route, count: int) -> None:
    for hook in list(hooks):
        result = hook(route.method, route.template, count)
        if inspect.isawaitable(result):
            await result
