"""The Discord adapter: settings, the life of a session, what it can do, what ``stormo check`` asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any

import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route as SdkRoute

from bots.discord import render, slash
from bots.discord.acts import Acts
from bots.discord.attachments import MAX_FILE
from bots.discord.budget import CALLS, READS, SLOW_FROM, STOP_AT, Budget, traced
from bots.discord.cache import Cache
from bots.discord.canary import Canary
from bots.discord.catchup import CatchUp, Limits
from bots.discord.channels import Channel, Channels
from bots.discord.clickable import offered
from bots.discord.client import Client
from bots.discord.convert import PLATFORM, address
from bots.discord.ears import Ears
from bots.discord.fetching import Fetching
from bots.discord.history import History
from bots.discord.identify import Turns, advice
from bots.discord.intake import Intake
from bots.discord.permissions import ADMINISTRATOR, AS_AUTHOR, MESSAGE_CONTENT, invite, missing
from bots.discord.portraits import Portraits
from bots.discord.reactions import bare_emoji
from bots.discord.rest import LABEL, UPLOADS, Refused, Rest, Route
from bots.discord.shards import Shards, first_fault
from bots.discord.webhooks import Webhooks
from core.errors import (
    BadToken,
    ConfigError,
    Message,
    Rejected,
    RejectedWhy,
    RetryLater,
    message,
)
from core.events import Loss
from core.intents import Capabilities, Create, Intent, Receipt, Window
from core.ports import Clock, Finding, Gate, Words
from core.types import ChatRef, MessageRef

log = logging.getLogger(__name__)

API_URL = "https://discord.com/api/v10"
GATEWAY_URL = "wss://gateway.discord.gg/"
CDN_URL = "https://cdn.discordapp.com"

#: These of discord.py write messages' words and interactions' tokens at DEBUG, which no log may hold.
_TALKATIVE = ("discord.http", "discord.gateway", "discord.client", "discord.state", "discord.webhook.async_")
_CONTENT_FLAGS = 1 << 18 | 1 << 19
_SYNC_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``[discord]`` of the config.

    ``guild_ids``: offer the slash commands in these guilds only, at once (for trials), instead of everywhere.
    ``message_content``: ask for that privileged intent; where it is not switched on we run without it.
    ``guild_ready_timeout``: seconds of quiet after which the list of guilds counts as complete.
    ``shards``: into how many connections the guilds are divided; 0 lets Discord say it.
    ``part``: the first and the last of those that this process listens to, and how many there are in all.
    ``vain_calls``: from how many calls in vain (401, 403, 429) within ten minutes on all calls slow down.
    """

    token: str = field(repr=False)
    api_url: str = API_URL
    gateway_url: str = GATEWAY_URL
    cdn_url: str = CDN_URL
    web_url: str = "https://discord.com"
    guild_ids: tuple[str, ...] = ()
    message_content: bool = True
    shards: int = 0
    part: tuple[int, int, int] | None = None
    guild_ready_timeout: float = 2.0
    #: Seconds after which a call's answer counts as lost.
    call_seconds: float = 20
    #: How many days are read back after an absence, and how many messages are read again.
    catchup_days: float = 7
    catchup_things: int = 1000
    #: How many reads of what was missed may be made in a second.
    catchup_reads: int = READS
    vain_calls: int = SLOW_FROM
    vain_stop: int = STOP_AT
    #: Seconds between two sessions that begin in the same turn.
    identify_seconds: float = 5.25
    #: Seconds without a sign of life after which one shard counts as gone: almost two heartbeats.
    quiet_seconds: float = 75
    #: Seconds between two looks whether the gateway brings what HTTP knows, and what it may be behind.
    canary_seconds: float = 300
    canary_grace: float = 30


class DiscordAdapter:
    """Discord behind one bot token. One a process: discord.py keeps addresses in its classes."""

    platform = PLATFORM
    capabilities = Capabilities(
        label=LABEL,
        max_text=4096,
        length_unit="codepoint",
        ephemeral=True,
        key_life=timedelta(minutes=2),
        tally_every=timedelta(seconds=5),
        measure=render.measure,
        files_per_message=10,
        max_file=MAX_FILE,
        as_author=AS_AUTHOR,
        mentions=True,
        hears=MESSAGE_CONTENT,
        token_windows=(CALLS,),
        chat_windows=(Window(5, timedelta(seconds=5)),),
    )

    def __init__(self, settings: Settings, words: Words, clock: Clock) -> None:
        self._settings = settings
        self._words = words
        self._clock = clock
        self._budget = Budget(
            reads=_share(settings), slow_from=settings.vain_calls, stop_at=settings.vain_stop
        )
        self._rest = Rest(settings.api_url, settings.token, settings.call_seconds, self._budget)
        self._turns = Turns(self._rest, settings.identify_seconds)
        # Discord may go on with what nobody waits for any more.
        after = timedelta(seconds=UPLOADS * settings.call_seconds + 5)
        self.capabilities = replace(
            type(self).capabilities,
            find_after=after,
            in_vain=lambda: self._budget.in_vain,
            part="shards {}-{} of {}".format(*settings.part) if settings.part else "",
        )
        self._channels = Channels(self._rest, self._told)
        self._webhooks = Webhooks(self._rest, self._channels)
        portraits = Portraits(self._rest, settings.cdn_url, clock)
        self._acts = Acts(self._rest, self._channels, self._webhooks, portraits, clock)
        self._history = History(self._rest, self._channels, self._webhooks)
        self._fetching = Fetching(self._rest, settings.cdn_url)
        self._shards = Shards()
        self._without_content = not settings.message_content
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.INFO)

    # Listening

    async def run(self, gate: Gate) -> None:
        """Listen until cancelled.

        Raises ``BadToken``, ``ConfigError`` (intents), or what ended the session: a restart may cure that.
        """
        self._point_sdk()
        try:
            await self._session(gate)
        except discord.PrivilegedIntentsRequired:
            if self._without_content:
                raise ConfigError((message("check.discord.intents_refused"),)) from None
            self._without_content = True
            log.warning(
                "discord: the switch 'Message Content Intent' is off in the developer portal (Bot page): "
                "running without it, ordinary talk and edits of replies are not seen"
            )
            await self._session(gate)
        finally:
            await self.close()

    def _point_sdk(self) -> None:
        settings = self._settings
        SdkRoute.BASE = settings.api_url.rstrip("/")
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(settings.gateway_url)
        discord.Asset.BASE = settings.cdn_url.rstrip("/")

    async def _session(self, gate: Gate) -> None:
        """All shards' sessions: the end of one is the end of all."""
        advised = await advice(self._rest)
        everything = self._settings.shards or advised.shards
        first, last, count = self._settings.part or (0, everything - 1, everything)
        self._turns.at_once = advised.at_once
        self._turns.claim = gate.claim if self._settings.part else None
        clients = [self._client(number, count) for number in range(first, last + 1)]
        shards = self._shards = Shards(clients, count, self._settings.quiet_seconds)
        try:
            async with first_fault(), asyncio.TaskGroup() as tasks:
                for client in shards:
                    self._listen(client, gate, tasks)
                tasks.create_task(self._canary(gate).run())
                shards.connect(self._settings.token, self._turns, tasks)
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    shards.deafen()
        finally:
            self._shards = Shards()
            await shards.close()

    def _client(self, number: int, count: int) -> Client:
        return Client(
            number=number,
            count=count,
            message_content=not self._without_content,
            guild_ready_timeout=self._settings.guild_ready_timeout,
            turn=self._turns.wait,
            trace=traced(self._budget, self._settings.api_url.rstrip("/") + "/"),
        )

    def _listen(self, client: Client, gate: Gate, tasks: asyncio.TaskGroup) -> None:
        cache = Cache(client)
        intake = Intake(gate, tasks)
        running: list[asyncio.Task[None]] = []

        def session_began() -> None:
            for task in running:
                task.cancel()
            running[:] = [tasks.create_task(catch_up())]
            if client is next(iter(self._shards)):
                running.append(tasks.create_task(self._offer_commands(client)))

        def guild_came(channels: Collection[str]) -> None:
            # Before, its session's own reading back is still to ask what there is.
            if not intake.holds_all and (late := self._shards.late(client, channels)):
                intake.hold_too(late)
                running.append(tasks.create_task(catch_up(late)))

        async def catch_up(late: Collection[str] | None = None) -> None:
            await CatchUp(
                http=client.http,
                gate=gate,
                intake=intake,
                around=cache,
                own=partial(self._shards.own, client) if late is None else frozenset(late).intersection,
                clock=self._clock,
                limits=Limits(
                    age=timedelta(days=self._settings.catchup_days),
                    things=self._settings.catchup_things,
                    emoji=frozenset(map(bare_emoji, self.capabilities.vote_emoji)),
                ),
                me=ears.me,
            ).run(late)

        def alive() -> None:
            if self._shards.alive(client):
                gate.alive()

        async def watch_handlers() -> None:
            await client.failed

        ears = Ears(
            cache=cache,
            intake=intake,
            tasks=tasks,
            desk=self._acts,
            words=self._words,
            look_up=gate,
            on_session=session_began,
            alive=alive,
        )
        client.ears, client.came = ears, guild_came
        tasks.create_task(watch_handlers())

    def _canary(self, gate: Gate) -> Canary:
        return Canary(
            rest=self._rest,
            gate=gate,
            heard=self._shards.heard,
            every=self._settings.canary_seconds,
            grace=self._settings.canary_grace,
        )

    # Commands

    async def _offer_commands(self, client: Client) -> None:
        """Put the commands there that are not, where the first shard is heard, and learn their ids everywhere.

        Without success the old ones stay: no reason to stop.
        """
        root = f"/applications/{client.application_id}"
        guilds = self._settings.guild_ids
        everywhere = slash.commands(self._words, everywhere=True) if not guilds else []
        local = slash.commands(self._words, everywhere=False)
        for path, wanted in [(root, everywhere), *((f"{root}/guilds/{guild}", local) for guild in guilds)]:
            await self._offer(f"{path}/commands", wanted, change=client.number == 0)

    async def _offer(self, path: str, wanted: list[dict[str, Any]], *, change: bool) -> None:
        for _ in range(_SYNC_TRIES):
            try:
                there = await self._rest.call(
                    Route("GET", path, patient=True), query={"with_localizations": "true"}
                )
                if change and not slash.same(wanted, there or []):
                    there = await self._rest.call(Route("PUT", path, patient=True), wanted)
                    log.info("discord: %d commands offered", len(wanted))
                # Of several guilds each has ids of its own, which a text does not choose among.
                self._acts.offered = offered(there or []) if len(self._settings.guild_ids) <= 1 else {}
                return
            except RetryLater as later:
                await asyncio.sleep((later.after or timedelta(seconds=5)).total_seconds())
            except Refused as refused:
                log.warning("discord: the commands were not taken: %s", refused)
                return

    # Acting

    async def perform(self, intent: Intent) -> Receipt:
        return await self._acts.perform(intent)

    async def fetch(self, source: str, take: Callable[[bytes], None]) -> None:
        """See ``core.ports.Adapter``."""
        await self._fetching.fetch(source, take)

    async def find_sent(self, create: Create, since: datetime) -> MessageRef | None:
        """See ``core.ports.Adapter``."""
        around = self._around(create.chat)
        if not around.readable(create.chat.key):
            raise Rejected("the bot may not read the channel's history", why=RejectedWhy.FORBIDDEN)
        known = not around.lost(create.chat.key)
        return await self._history.find(create, since, surely_readable=known)

    async def close(self) -> None:
        """Give connections back after acts outside of ``run``."""
        await self._rest.close()
        await self._fetching.close()

    async def standing(self, chat: ChatRef) -> Loss | None:
        """See ``core.ports.Adapter``. By what the gateway told; whether an unknown channel is there is asked."""
        around = self._around(chat)
        if not around.lost(chat.key):
            return around.loss(chat.key)
        try:
            answer = await self._rest.call(Route("GET", "/channels/{}", (chat.key,)))
        except Refused as refused:
            return Loss.DELETED if refused.status == HTTPStatus.NOT_FOUND else Loss.REMOVED
        # An archived thread is known to no shard: the one that knows its channel tells.
        return self._shards.around(str(answer.get("parent_id") or 0)).loss_asleep(answer)

    def _told(self, channel: str) -> Channel | None:
        """By what the gateway told."""
        return self._shards.channel(channel)

    def _around(self, chat: ChatRef) -> Cache:
        """Raises ``RetryLater`` while no shard knows it and not every shard knows its guilds."""
        if not self._shards.ready and self._told(chat.key) is None:
            raise RetryLater("not connected to Discord's gateway")
        return self._shards.around(chat.key)

    def link(self, message: MessageRef) -> str:
        """Derivable where the gateway told us of the channel."""
        there = self._told(message.chat.key)
        if there is None:
            return ""
        channel, key = address(message)
        return f"{self._settings.web_url}/channels/{there.guild}/{channel}/{key}"

    # Checking

    async def check(self) -> Sequence[Finding]:
        """Raises ``RetryLater`` when Discord cannot be reached."""
        rest = Rest(self._settings.api_url, self._settings.token)
        try:
            me = await rest.call(Route("GET", "/users/@me"))
            application = await rest.call(Route("GET", "/applications/@me"))
            guilds = await rest.call(Route("GET", "/users/@me/guilds"), query={"limit": "200"})
        except BadToken as bad:
            return [Finding(False, bad.message)]
        finally:
            await rest.close()
        found = [Finding(True, message("check.discord.token", name=str(me.get("username", ""))))]
        found.append(self._content_finding(application))
        if not guilds:
            found.append(Finding(False, message("check.discord.no_guild", url=self._invitation(application))))
        return [*found, *map(_guild_finding, guilds)]

    def _content_finding(self, application: Mapping[str, Any]) -> Finding:
        if not self._settings.message_content:
            return Finding(True, message("check.discord.content_unwanted"))
        switched_on = bool(int(application.get("flags") or 0) & _CONTENT_FLAGS)
        return Finding(switched_on, message(f"check.discord.content_{'on' if switched_on else 'off'}"))

    def _invitation(self, application: Mapping[str, Any]) -> str:
        scope = "bot+applications.commands"
        return (
            f"{self._settings.web_url}/oauth2/authorize"
            f"?client_id={application.get('id', '')}&scope={scope}&permissions={invite()}"
        )


def _share(settings: Settings) -> int:
    """How many of the reads in a second are this process's, so that all processes together make no more."""
    first, last, count = settings.part or (0, 0, 1)
    return max(settings.catchup_reads * (last + 1 - first) // count, 1)


def _guild_finding(guild: Mapping[str, Any]) -> Finding:
    """By the guild's own roles; a channel may take away more."""
    name, bits = str(guild.get("name", "")), int(guild.get("permissions") or 0)
    lacking = missing(bits)
    if lacking:
        first, *others = [Message(f"check.discord.permission.{one}") for one in lacking]
        listed = first
        for other in others:
            listed = message("check.discord.and", first=listed, second=other)
        return Finding(False, message("check.discord.guild_lacks", guild=name, permissions=listed))
    if bits & ADMINISTRATOR:
        return Finding(True, message("check.discord.guild_administrator", guild=name))
    return Finding(True, message("check.discord.guild", guild=name))
