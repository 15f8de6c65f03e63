"""Our Bot API double: a server on 127.0.0.1 that a bot talks to instead of the real service."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from . import method_bot, method_chats, method_media, method_messages
from .args import Args, Upload
from .errors import ApiError, too_many_requests
from .faults import FAULTS_AFTER, Fault, FaultKind
from .limits import Limits, RateLimiter
from .method_media import file_at
from .methods import METHODS, Method, named_chat
from .model import Chat, ChatType, Json, Member, Status, User, rights_of
from .people import Person, Shown, shown
from .spec import compiled, default_spec_path
from .world import World

Hook = Callable[[str, int], object | Awaitable[object]]

FAMILIES = (method_bot, method_chats, method_media, method_messages)


@dataclass(frozen=True)
class Call:
    """One finished call: `status` is the HTTP status that was (or would have been) answered."""

    method: str
    params: dict[str, Any]
    status: int
    answer: Json


class TelegramDouble:
    """`async with TelegramDouble() as double:` serves until the block ends; its state outlives any bot.

    `clock` gives Unix seconds (dates of messages, age of presses). `spec` is the specification to validate
    against: by default the one beside the repository; where there is none, `validating` is False.
    """

    def __init__(
        self,
        *,
        token: str = "777007:our-own-double-of-the-bot-api-000000",
        bot_name: str = "Stormo",
        bot_username: str = "stormo_test_bot",
        clock: Callable[[], float] = time.time,
        limits: Limits | None = None,
        spec: Path | None = None,
    ) -> None:
        path = spec or default_spec_path()
        self.token = token
        self.bot = User(int(token.partition(":")[0]), bot_name, True, username=bot_username)
        self.limits = limits or Limits()
        self.world = World(self.bot, clock, self.limits, compiled(path) if path else None)
        self.calls: list[Call] = []
        self.refused: Counter[int] = Counter()
        self.requested = 0
        #: How often a file was asked for.
        self.fetched = 0
        self.stored = 0
        self._limiter = RateLimiter(self.limits)
        self._faults: list[Fault] = []
        self._on_request: list[Hook] = []
        self._on_stored: list[Hook] = []
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._address = ""

    @property
    def base_url(self) -> str:
        """What the token is appended to: `http://127.0.0.1:PORT/bot`."""
        return f"{self._address}/bot"

    @property
    def base_file_url(self) -> str:
        return f"{self._address}/file/bot"

    @property
    def validating(self) -> bool:
        return self.world.spec is not None

    @property
    def violations(self) -> list[str]:
        """What broke the specification so far, in requests, answers and updates. Empty is the goal."""
        return self.world.violations

    @property
    def commands(self) -> dict[tuple[str, str], list[Json]]:
        """The menus set: (scope as sorted JSON, language) -> commands."""
        commands: dict[tuple[str, str], list[Json]] = self.world.settings.setdefault("commands", {})
        return commands

    @property
    def privacy(self) -> bool:
        """Privacy mode (the platform's default, on)."""
        return self.world.privacy

    @privacy.setter
    def privacy(self, on: bool) -> None:
        self.world.privacy = on

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=60 * 1024 * 1024)
        app.router.add_route("*", "/bot{token}/{method}", self._handle)
        app.router.add_route("*", "/file/bot{token}/{path:.*}", self._file)
        app.router.add_route("*", "/{anything:.*}", self._nothing)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self._address = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self.world.updates.close()
        if self._runner:
            await self._runner.cleanup()

    def person(
        self,
        first_name: str,
        *,
        username: str = "",
        language: str = "",
        last_name: str = "",
        premium: bool = False,
        user_id: int | None = None,
    ) -> Person:
        """A new person, who has not pressed Start; `user_id` has up to 52 bits."""
        number = self.world.next_user_id() if user_id is None else user_id
        user = User(number, first_name, False, last_name, username, language, premium)
        return Person(self.world, user, self.world.add_user(user))

    def group(
        self,
        title: str,
        *,
        admins: Sequence[Person] = (),
        members: Sequence[Person] = (),
        anonymous: Sequence[Person] = (),
        bot: bool = True,
        bot_admin: bool = False,
        bot_rights: Iterable[str] = ("can_manage_chat",),
        basic: bool = False,
        forum: bool = False,
        username: str = "",
    ) -> Chat:
        """A supergroup (or `basic` group) whose first admin is its creator. No update tells of its making."""
        kind: ChatType = "group" if basic else "supergroup"
        chat = self.world.add_chat(kind, title, is_forum=forum, username=username)
        self._people(chat, admins, members, anonymous)
        if bot or bot_admin:
            self._bot_in(chat, bot_rights if bot_admin else None)
        return chat

    def channel(
        self,
        title: str,
        *,
        admins: Sequence[Person] = (),
        members: Sequence[Person] = (),
        bot_admin: bool = True,
        bot_rights: Iterable[str] = ("can_manage_chat", "can_post_messages"),
        discussion: Chat | None = None,
        username: str = "",
    ) -> Chat:
        """A channel; its posts are forwarded to the `discussion` group, if any, as the platform does."""
        chat = self.world.add_chat("channel", title, username=username, linked=discussion)
        self._people(chat, admins, members, ())
        if bot_admin:
            self._bot_in(chat, bot_rights)
        return chat

    def visible(self, chat: Chat | Person, *, service: bool = False) -> list[Shown]:
        """The messages that the chat shows now, oldest first; service messages only on request."""
        where = chat.private if isinstance(chat, Person) else chat
        return [shown(self.world, each) for each in where.messages.values() if service or not each.service]

    def fault(
        self,
        kind: FaultKind,
        method: str | None = "sendMessage",
        *,
        chat: Chat | None = None,
        times: int = 1,
        after: int = 0,
        retry_after: int = 1,
        seconds: float = 1.0,
    ) -> Fault:
        """Schedules a fault (see Fault); `method` None hits any method except getUpdates."""
        fault = Fault(kind, method, chat.id if chat else None, times, after, retry_after, seconds)
        self._faults.append(fault)
        return fault

    def clear_faults(self) -> None:
        self._faults.clear()

    def on_request(self, hook: Hook) -> Callable[[], None]:
        """Calls `hook(method, running count)` when a call arrives; returns what removes the hook."""
        return _registered(self._on_request, hook)

    def on_stored(self, hook: Hook) -> Callable[[], None]:
        """Calls `hook(method, running count)` once a change is stored and before its answer is written."""
        return _registered(self._on_stored, hook)

    async def wait_until(self, condition: Callable[[], object], *, deadline: float = 10.0) -> None:
        """Returns once the condition holds, asked again after everything that happens; else TimeoutError."""
        async with asyncio.timeout(deadline):
            while not condition():
                await self.world.changes.next()

    def _people(
        self,
        chat: Chat,
        admins: Sequence[Person],
        members: Sequence[Person],
        anonymous: Sequence[Person],
    ) -> None:
        rights = frozenset(rights_of(chat.type))
        for person in members:
            chat.members[person.id] = Member(person.user)
        for index, person in enumerate(admins):
            status: Status = "administrator" if index else "creator"
            chat.members[person.id] = Member(person.user, status, rights)
        for person in anonymous:
            chat.members[person.id] = Member(person.user, "administrator", rights, anonymous=True)

    def _bot_in(self, chat: Chat, rights: Iterable[str] | None) -> None:
        if rights is None:
            chat.members[self.bot.id] = Member(self.bot)
        else:
            chat.members[self.bot.id] = Member(self.bot, "administrator", frozenset(rights))

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["token"] != self.token:
            return self._refusal("", {}, ApiError(401, "Unauthorized"))
        name, args = request.match_info["method"], await _read(request)
        found = METHODS.get(name.lower())
        if found is None:
            return self._unknown(name, args)
        self._validate_request(found, args)
        self.requested += 1
        self.world.changes.tell()
        await _call(self._on_request, found.name, self.requested)
        try:
            return await self._answer(request, found, args)
        except ApiError as refusal:
            return self._refusal(found.name, dict(args.values), refusal)
        except (LookupError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
            # A double that fails silently would look like a platform that fails: say whose fault it is.
            self.violations.append(f"our double failed on {found.name}: {error!r}")
            return self._refusal(found.name, dict(args.values), ApiError(500, "Internal Server Error"))

    async def _answer(self, request: web.Request, found: Method, args: Args) -> web.StreamResponse:
        chat = named_chat(self.world, args.text("chat_id"))
        chat_id = chat.id if chat else None
        fault = next((each for each in self._faults if each.strikes(found.name, chat_id)), None)
        if fault and fault.kind not in FAULTS_AFTER:
            return await self._suffer(request, fault, web.Response())
        if chat_id is not None:
            self._limit(found, chat_id)
        answer = await self._perform(found, args)
        return await self._suffer(request, fault, answer) if fault else answer

    async def _perform(self, found: Method, args: Args) -> web.Response:
        result = found.handler(self.world, args)
        if inspect.isawaitable(result):
            result = await result
        if self.world.spec:
            self.violations.extend(self.world.spec.result(found.name, result))
        if found.stores:
            self.stored += 1
            await _call(self._on_stored, found.name, self.stored)
        answer = {"ok": True, "result": result}
        if found.name != "getUpdates":
            self._record(Call(found.name, dict(args.values), 200, answer))
        return web.json_response(answer)

    def _limit(self, found: Method, chat_id: int) -> None:
        if found.sends or (found.edits and self.limits.edits_count):
            wait = self._limiter.admit(chat_id)
            if wait:
                raise too_many_requests(wait)

    def _validate_request(self, found: Method, args: Args) -> None:
        if self.world.spec:
            self.violations.extend(self.world.spec.request(found.name, args.values, frozenset(args.files)))

    async def _suffer(self, request: web.Request, fault: Fault, answer: web.Response) -> web.StreamResponse:
        if fault.kind == "flood":
            raise too_many_requests(fault.retry_after)
        if fault.kind in ("error_before", "error_after"):
            return self._refusal(request.match_info["method"], {}, ApiError(500, "Internal Server Error"))
        if fault.kind == "bad_gateway":
            return web.Response(
                status=502,
                text="<html><h1>502 Bad Gateway</h1></html>",
                content_type="text/html",
            )
        if fault.kind in ("drop_before", "drop_after"):
            if request.transport:
                request.transport.abort()
            return answer
        await self._hold(None if fault.kind.startswith("hang") else fault.seconds)
        return answer

    async def _hold(self, seconds: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    def _unknown(self, name: str, args: Args) -> web.Response:
        genuine = self.world.spec.method_name(name) if self.world.spec else None
        if genuine:
            self.violations.append(f"our double does not know {genuine} yet")
            return self._refusal(
                genuine,
                dict(args.values),
                ApiError(501, f"Not Implemented: {genuine} by our double"),
            )
        return self._refusal(name, dict(args.values), ApiError(404, "Not Found: method not found"))

    def _refusal(self, method: str, params: dict[str, Any], refusal: ApiError) -> web.Response:
        self.refused[refusal.code] += 1
        answer: Json = {
            "ok": False,
            "error_code": refusal.code,
            "description": refusal.description,
        }
        headers = {}
        if refusal.parameters:
            answer["parameters"] = refusal.parameters
            if "retry_after" in refusal.parameters:
                headers["Retry-After"] = str(refusal.parameters["retry_after"])
        self._record(Call(method, params, refusal.code, answer))
        return web.json_response(answer, status=refusal.code, headers=headers)

    def _record(self, call: Call) -> None:
        self.calls.append(call)
        self.world.changes.tell()

    async def _file(self, request: web.Request) -> web.Response:
        if request.match_info["token"] != self.token:
            return self._refusal("", {}, ApiError(401, "Unauthorized"))
        self.fetched += 1
        try:
            media = file_at(self.world, request.match_info["path"])
        except ApiError as refusal:
            return self._refusal("", {}, refusal)
        return web.Response(body=media.data, content_type="application/octet-stream")

    async def _nothing(self, request: web.Request) -> web.Response:
        return self._refusal("", {}, ApiError(404, "Not Found"))


async def _read(request: web.Request) -> Args:
    values: dict[str, Any] = dict(request.query)
    files: dict[str, Upload] = {}
    if request.content_type == "application/json":
        values |= json.loads(await request.text() or "{}")
    else:
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                files[name] = Upload(value.filename, value.content_type, value.file.read())
            else:
                values[name] = value
    return _attached(values, files)


def _attached(values: dict[str, Any], files: dict[str, Upload]) -> Args:
    """A parameter may name the part that holds its file: `attach://part`."""
    for name, value in list(values.items()):
        part = value.removeprefix("attach://") if isinstance(value, str) else ""
        if part != value and part in files:
            files[name] = files.pop(part)
            del values[name]
    return Args(values, files)


async def _call(hooks: Sequence[Hook], method: str, count: int) -> None:
    for hook in tuple(hooks):
        outcome = hook(method, count)
        if inspect.isawaitable(outcome):
            await outcome


def _registered(hooks: list[Hook], hook: Hook) -> Callable[[], None]:
    hooks.append(hook)
    return lambda: hooks.remove(hook)
