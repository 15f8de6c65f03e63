"""Our double: a gateway and a REST API on real sockets, written from the platform's documents."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.doubles.discord import acts, payloads, validation
from tests.doubles.discord.answers import words
from tests.doubles.discord.errors import Json
from tests.doubles.discord.events import Events
from tests.doubles.discord.faults import Fault, Kind
from tests.doubles.discord.gateway import Gateway
from tests.doubles.discord.limits import Limits, busiest
from tests.doubles.discord.model import Attachment, Channel, Guild, Message, User, World
from tests.doubles.discord.people import Person, file
from tests.doubles.discord.rest import channels, guilds, webhooks
from tests.doubles.discord.rest.commands import Commands
from tests.doubles.discord.rest.commands import routes as command_routes
from tests.doubles.discord.rest.messages import Messages
from tests.doubles.discord.rest.messages import routes as message_routes
from tests.doubles.discord.rest.pipeline import PREFIX, Hook, Pipeline, Refused

_ROOT = Path(__file__).resolve().parents[3]
#: The published description of the HTTP API; optional.
DESCRIPTION = Path(os.environ.get("STORMO_SHARED", _ROOT.parent / "shared")) / "data" / "discord-openapi.json"

_DOT = bytes.fromhex(  # a picture of one pixel
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63"
    "64f8cf500f0003860180346087530000000049454e44ae426082"
)


@dataclass(frozen=True)
class Shown:
    """A message as people in the channel see it now."""

    id: int
    author: str
    author_id: int
    content: str
    embeds: list[Json]
    components: list[Json]
    #: emoji -> how many
    reactions: dict[str, int]
    attachments: dict[str, bytes]
    #: the id of the webhook that spoke, if one did
    webhook_id: int | None
    reply_to: int | None
    edited: bool
    pinned: bool
    #: content and embeds as plain words
    text: str


class DiscordDouble:
    """`async with DiscordDouble() as double:` serves on 127.0.0.1; all state lives here, none in the bot.

    The bot may be another process that is killed and started again. `now` replaces the clock
    (aware datetimes); `port` 0 takes a free one.
    """

    def __init__(self, *, now: Callable[[], datetime] | None = None, port: int = 0) -> None:
        self.token = f"double.{secrets.token_hex(12)}"
        self.limits = Limits()
        self.world = World(now=now)
        self.gateway = Gateway(self.world, self.limits, self.token)
        self.world.events = Events(self.world, self.gateway)
        self._validation = validation.load(DESCRIPTION)
        self._pipeline = Pipeline(self.world, self.limits, self.gateway, self.token, self._validation)
        self.messages, self.commands = Messages(), Commands()
        self._pipeline.add(message_routes(self.messages) + command_routes(self.commands))
        self._pipeline.add(channels.ROUTES + guilds.ROUTES + webhooks.ROUTES)
        self._port = port
        self._runner: web.AppRunner | None = None
        self._handles = 0
        self.host = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=self.limits.request_bytes + 1024)
        app.router.add_get("/gateway/", self.gateway.handle)
        app.router.add_get("/gateway", self.gateway.handle)
        app.router.add_get("/cdn/{tail:.*}", self._cdn)
        app.router.add_route("*", PREFIX + "/{tail:.*}", self._pipeline.handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.5, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.host = f"127.0.0.1:{self._port}"
        self.gateway.url = self.gateway_url
        self.world.cdn_url = self.cdn_url
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gateway.drop()
        if self._runner is not None:
            await self._runner.cleanup()

    # Where the bot connects

    @property
    def api_url(self) -> str:
        """For `discord.http.Route.BASE`."""
        return f"http://{self.host}{PREFIX}"

    @property
    def gateway_url(self) -> str:
        """For `discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY` (as a `yarl.URL`)."""
        return f"ws://{self.host}/gateway/"

    @property
    def cdn_url(self) -> str:
        """For `discord.Asset.BASE`."""
        return f"http://{self.host}/cdn"

    # Who and what is there

    @property
    def bot(self) -> User:
        return self.world.bot

    def person(self, name: str, *, username: str | None = None, locale: str = "en-US") -> Person:
        """A new person; `name` is shown, `username` is unique and lower case."""
        self._handles += 1
        handle = username or f"{name.lower().replace(' ', '_')}{self._handles}"
        person = Person(self, handle, name, locale)
        self.world.users[person.id] = person
        return person

    def guild(
        self,
        name: str,
        *,
        owner: User,
        members: tuple[User, ...] = (),
        locale: str = "en-US",
        bot: bool = True,
        shard: tuple[int, int] | None = None,
    ) -> Guild:
        """A new guild; with the bot in it, unless `bot` is False (`guild.add_bot()` later).

        `shard`: its id is one of this shard's, of so many.
        """
        guild = self.world.guild(name, owner, locale=locale, bot=bot, shard=shard)
        for member in members:
            guild.join(member)
        return guild

    def file(self, filename: str, data: bytes) -> Attachment:
        """A file for a slash command's attachment option."""
        return file(self, filename, data)

    # What can be seen

    def visible(self, channel: Channel) -> list[Shown]:
        """What the channel shows now, oldest first; ephemeral messages are in no channel."""
        return [_shown(each) for each in sorted(channel.messages.values(), key=lambda each: each.id)]

    def message(self, message_id: int) -> Message:
        """By id; KeyError when it is not shown (any more)."""
        return self.world.message(int(message_id))

    def preview_link(self, message: Message, url: str) -> None:
        """MESSAGE_UPDATE as it follows a link: an embed more, the same words."""
        acts.preview_link(self.world, message, url)

    async def until(self, holds: Callable[[], Any], seconds: float = 10, what: str = "") -> Any:
        """Waits until `holds()` is true, looking again after every change; AssertionError after `seconds`."""
        return await self.world.until(holds, seconds, what)

    # What went wrong

    @property
    def violations(self) -> list[validation.Violation]:
        """What was accepted or answered against the description of the API; must stay empty."""
        return self._validation.violations if self._validation is not None else []

    @property
    def validates(self) -> bool:
        """False where the description is absent."""
        return self._validation is not None

    @property
    def refused(self) -> list[Refused]:
        """Every 429: normal runs have none."""
        return self._pipeline.refused

    @property
    def errors(self) -> list[Refused]:
        """Every other refusal (4xx), in order."""
        return self._pipeline.errors

    @property
    def not_done(self) -> list[str]:
        """What was asked that the platform knows and the double does not yet."""
        return self._pipeline.not_done

    @property
    def broken(self) -> list[str]:
        """Tracebacks of the double's own faults; the bot got a 500."""
        return self._pipeline.broken

    @property
    def requests(self) -> list[tuple[str, str]]:
        """(method, route) of every request that reached a route, 429s included."""
        return self._pipeline.requests

    def busiest(self, seconds: float = 1.0) -> int:
        """The most calls that came in any so long a time, of those that count towards the limit over everything."""
        return busiest(self._pipeline.arrivals, seconds)

    @property
    def in_vain(self) -> int:
        """How many answers the platform would count towards a ban of the caller's address."""
        return self._pipeline.in_vain

    # Failures and hooks

    def fault(
        self,
        kind: Kind,
        *,
        method: str | None = None,
        route: str = "",
        times: int = 1,
        after: int = 0,
        seconds: float = 0.5,
        status: int = 500,
        everywhere: bool = False,
        shared: bool = False,
    ) -> Fault:
        """Orders a failure for the next matching requests; `route` is part of a template."""
        fault = Fault(kind, method, route, times, after, seconds, status, everywhere, shared)
        self._pipeline.faults.append(fault)
        return fault

    def on_request(self, hook: Hook) -> Callable[[], None]:
        """Calls `hook(method, route, count)` when a request arrives; returns how to stop that."""
        return _hooked(self._pipeline.on_request, hook)

    def on_stored(self, hook: Hook) -> Callable[[], None]:
        """Calls `hook(method, route, count)` after something was stored, before the answer is written."""
        return _hooked(self._pipeline.on_stored, hook)

    # Files

    async def _cdn(self, request: web.Request) -> web.Response:
        await asyncio.sleep(0)
        parts = request.match_info["tail"].split("/")
        if parts[0] == "attachments" and len(parts) == 4:
            return self._attachment(request, int(parts[2]))
        name = parts[-1].partition(".")[0]
        return web.Response(body=self.world.avatars.get(name, _DOT), content_type="image/png")

    def _attachment(self, request: web.Request, attachment_id: int) -> web.Response:
        """404 without a valid signature, and after its end."""
        found = self.world.files.get(attachment_id)
        expires = int(request.query.get("ex", "0"), 16)
        signed = request.query.get("hm") == payloads.signature(attachment_id, expires)
        if found is None or not signed or expires < self.world.now().timestamp():
            return web.Response(status=404, text="This content is no longer available.")
        kind = mimetypes.guess_type(found.filename)[0] or "application/octet-stream"
        return web.Response(body=found.data, content_type=kind)


def _shown(message: Message) -> Shown:
    guild = message.channel.guild
    member = guild.members.get(message.author.id) if guild and message.webhook is None else None
    return Shown(
        message.id,
        (member.nick if member and member.nick else None) or message.author.shown_name,
        message.author.id,
        message.content,
        message.embeds,
        message.components,
        message.reaction_counts,
        {each.filename: each.data for each in message.attachments},
        message.webhook.id if message.webhook else None,
        message.reply_to.id if message.reply_to else None,
        message.edited_at is not None,
        message.pinned,
        words(message),
    )


def _hooked(hooks: list[Hook], hook: Hook) -> Callable[[], None]:
    hooks.append(hook)
    return lambda: hooks.remove(hook)
