"""Listening: discord.py's gateway client, its cache of guilds, and the way of each payload to the core."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import aiohttp
import discord

from bots.discord import convert, forms, interactions, slash
from bots.discord.cache import Cache, loss_in, manages_threads
from bots.discord.intake import Intake
from core.crashpoints import passing
from core.events import ButtonPressed, CommandInvoked, Inbound, Loss, Rights, place_now
from core.ports import Words
from core.suggestions import Asked, Draft, Suggestion

log = logging.getLogger(__name__)

#: Events that concern the core. The message's own words may hold such a name too: then it is parsed in vain.
_WANTED = (
    "READY",
    "MESSAGE_CREATE",
    "MESSAGE_UPDATE",
    "MESSAGE_DELETE",
    "MESSAGE_DELETE_BULK",
    "MESSAGE_REACTION_ADD",
    "MESSAGE_REACTION_REMOVE",
    "MESSAGE_REACTION_REMOVE_ALL",
    "MESSAGE_REACTION_REMOVE_EMOJI",
    "THREAD_DELETE",
    "INTERACTION_CREATE",
)
_MARKS = tuple(f'"{name}"' for name in _WANTED)
_NAMES_KEPT = 4096
#: Seconds that a look into the database may take before the first answer: Discord waits three.
_LOOKED_UP_IN = 2.0

_CHOICES, _MODAL = 8, 9


class LookUp(Protocol):
    """What may be asked of the core before an interaction is answered; see ``core.ports.Gate``."""

    async def suggest(self, asked: Asked) -> Sequence[Suggestion]: ...

    async def draft(self, asked: Asked, values: Mapping[str, str]) -> Draft | None: ...


class Desk(Protocol):
    """Answers interactions: each waits three seconds for a first word."""

    async def acknowledge(self, data: Mapping[str, Any]) -> bool:
        """Whether it still may be answered."""
        ...

    async def respond(self, data: Mapping[str, Any], kind: int, answer: Mapping[str, Any]) -> None: ...

    async def read(self, channel: str, message: str) -> Mapping[str, Any]:
        """A message as it stands now; empty where it cannot be read."""
        ...


_Channel = (
    discord.TextChannel
    | discord.VoiceChannel
    | discord.StageChannel
    | discord.ForumChannel
    | discord.CategoryChannel
    | discord.Thread
    | discord.abc.PrivateChannel
)


def intents(*, message_content: bool) -> discord.Intents:
    """The least: no member lists, no presences; message content is the only privileged one."""
    return discord.Intents(
        guilds=True,
        guild_messages=True,
        dm_messages=True,
        guild_reactions=True,
        dm_reactions=True,
        message_content=message_content,
    )


def _unheard(_: Collection[str]) -> None:
    """Nobody listens."""


class Client(discord.Client):
    """One shard: the SDK's client without message and member caches; all that it hears goes to ``Ears``.

    ``number`` of ``count``. ``turn`` returns when its session may begin; ``trace`` sees all that it calls over HTTP.
    """

    def __init__(
        self,
        *,
        number: int,
        count: int,
        message_content: bool,
        guild_ready_timeout: float,
        turn: Callable[[int], Awaitable[None]],
        trace: aiohttp.TraceConfig,
    ) -> None:
        super().__init__(
            shard_id=number,
            shard_count=count,
            http_trace=trace,
            intents=intents(message_content=message_content),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            guild_ready_timeout=guild_ready_timeout,
            # The documented way to the payloads themselves; converters work on those and need no cache.
            enable_debug_events=True,
        )
        self.ears: Ears | None = None
        #: Is told the channels of each guild that comes, also of those that a session begins with.
        self.came: Callable[[Collection[str]], None] = _unheard
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.number = number
        #: Its first session begins: the next shard of its turn may make ready.
        self.identified = asyncio.Event()
        self._turn = turn
        #: In which guild a channel was found.
        self._guild_of: dict[int, int] = {}
        self._standing: dict[int, Loss | None] = {}
        #: Private threads that somebody put us out of.
        self._put_out: set[int] = set()

    def get_channel(self, channel: int, /) -> _Channel | None:
        """The SDK looks through all guilds each time, half a millisecond for 2,000 of them."""
        guild = self.get_guild(self._guild_of.get(channel, 0))
        found = guild.get_channel_or_thread(channel) if guild is not None else None
        if found is not None:
            return found
        searched = super().get_channel(channel)
        if isinstance(searched, discord.Thread | discord.abc.GuildChannel):
            self._guild_of[channel] = searched.guild.id
        return searched

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Sessions begin in turns, and each counts against the day's number."""
        await super().before_identify_hook(shard_id, initial=initial)
        await self._turn(self.number)
        self.identified.set()

    async def on_socket_raw_receive(self, text: str) -> None:
        if self.ears is not None:
            self.ears.hear(text)

    async def on_ready(self) -> None:
        if self.ears is not None:
            self.ears.session_began()

    async def on_guild_join(self, guild: discord.Guild) -> None:
        for channel in (*guild.channels, *guild.threads):
            self._tell(channel.id, loss_in(channel))

    async def on_guild_available(self, guild: discord.Guild) -> None:
        self._look(guild)
        if self.ears is not None:
            self.came({str(channel.id) for channel in (*guild.channels, *guild.threads)})

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        for channel in (*guild.channels, *guild.threads):
            self._tell(channel.id, Loss.REMOVED)

    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        for thread in channel.guild.threads:
            if thread.parent_id == channel.id:
                self._tell(thread.id, Loss.DELETED)
        self._tell(channel.id, Loss.DELETED)

    async def on_raw_thread_delete(self, payload: discord.RawThreadDeleteEvent) -> None:
        self._tell(payload.thread_id, Loss.DELETED)

    # Whatever may change what we may do in a channel: its own settings, a role's, or which roles we have.

    async def on_guild_channel_update(
        self, _before: discord.abc.GuildChannel, after: discord.abc.GuildChannel
    ) -> None:
        self._look(after.guild)

    async def on_thread_update(self, _before: discord.Thread, after: discord.Thread) -> None:
        self._look_at(after)

    async def on_thread_join(self, thread: discord.Thread) -> None:
        """Also one that was archived, of which the gateway tells nothing until it is open again."""
        self._put_out.discard(thread.id)
        self._look_at(thread)

    async def on_thread_remove(self, thread: discord.Thread) -> None:
        """A public one may be written in all the same."""
        if thread.is_private():
            self._put_out.add(thread.id)
        self._look_at(thread)

    async def on_guild_role_update(self, _before: discord.Role, after: discord.Role) -> None:
        self._look(after.guild)

    async def on_guild_role_delete(self, role: discord.Role) -> None:
        self._look(role.guild)

    async def on_member_update(self, _before: discord.Member, after: discord.Member) -> None:
        if after == after.guild.me:
            self._look(after.guild)

    async def on_error(self, _event: str, /, *_args: Any, **_kwargs: Any) -> None:
        """A fault of ours in a handler ends this run; the SDK would only log it."""
        error = sys.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)

    def _look(self, guild: discord.Guild) -> None:
        """Tells where what we may do has changed; of a channel seen for the first time, only what we may not."""
        for channel in (*guild.channels, *guild.threads):
            self._look_at(channel)

    def _look_at(self, channel: discord.abc.GuildChannel | discord.Thread) -> None:
        loss = self.loss(channel)
        if self._standing.get(channel.id) is not loss:
            self._tell(channel.id, loss)

    def loss(self, channel: discord.abc.GuildChannel | discord.Thread) -> Loss | None:
        """Why we may not write there."""
        if channel.id in self._put_out and not manages_threads(channel):
            return Loss.REMOVED
        return loss_in(channel)

    def _tell(self, channel: int, loss: Loss | None) -> None:
        self._standing[channel] = loss
        if self.ears is not None:
            self.ears.place_changed(str(channel), loss)


class Ears:
    """From the socket's text to core events, in the socket's order."""

    def __init__(
        self,
        *,
        cache: Cache,
        intake: Intake,
        tasks: asyncio.TaskGroup,
        desk: Desk,
        words: Words,
        look_up: LookUp,
        on_session: Callable[[], None],
        alive: Callable[[], None],
    ) -> None:
        self._cache = cache
        self._intake = intake
        self._tasks = tasks
        self._desk = desk
        self._words = words
        self._menus = slash.menus(words)
        self._look_up = look_up
        self._on_session = on_session
        self._alive = alive
        self._names: OrderedDict[str, convert.Person] = OrderedDict()
        #: Which of the payloads heard, by their number, last edited or deleted a message.
        self._changed: OrderedDict[str, int] = OrderedDict()
        self._heard = 0
        self._typing: dict[str, asyncio.Task[None]] = {}
        self._last_act: dict[str, asyncio.Task[None]] = {}
        self.me = ""

    def session_began(self) -> None:
        self._on_session()

    def place_changed(self, channel: str, loss: Loss | None) -> None:
        self._intake.submit(channel, place_now(convert.chat(channel), loss))

    def hear(self, text: str) -> None:
        """One payload of the gateway as text; what is malformed or of no concern is dropped.

        Also a heartbeat that Discord acknowledges comes this way.
        """
        self._alive()
        if not any(mark in text for mark in _MARKS):
            return
        try:
            payload = json.loads(text)
            name, data = payload.get("t"), payload.get("d")
        except (ValueError, AttributeError, RecursionError):
            return
        if not isinstance(data, dict):
            return
        passing("inbound.received", convert.PLATFORM)
        self._heard += 1
        if name == "READY":
            self._ready(data)
        elif name == "INTERACTION_CREATE":
            self._interaction(data)
        else:
            for event in self._events(name, data):
                self._intake.submit(_chat_of(event), event)

    def _ready(self, data: Mapping[str, Any]) -> None:
        user = data.get("user")
        self.me = str(user.get("id")) if isinstance(user, Mapping) else self.me
        self._intake.hold()

    def _events(self, name: object, data: Mapping[str, Any]) -> Sequence[Inbound]:
        me = self.me
        event: Inbound | None = None
        if name == "MESSAGE_CREATE":
            event = convert.message_created(data, me=me, room=self._room(data), rights=self._rights(data))
            if isinstance(event, CommandInvoked):
                where = event.place
                lacks = (*self._cache.lacks(where.chat.key), *where.lacks)
                event = replace(event, place=replace(where, lacks=lacks))
        elif name == "MESSAGE_UPDATE":
            if data.get("edited_timestamp"):
                self._note_change(data)
            event = convert.message_edited(data, me=me, room=self._room(data), rights=self._rights(data))
        elif name in ("MESSAGE_DELETE", "MESSAGE_DELETE_BULK"):
            self._note_change(data)
            return convert.deletions(data, me=me, forum=self._forum(data))
        elif name in ("MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE"):
            added = name == "MESSAGE_REACTION_ADD"
            forum = self._forum(data)
            event = convert.reaction_changed(data, me=me, added=added, known=self._names, forum=forum)
        elif name in ("MESSAGE_REACTION_REMOVE_ALL", "MESSAGE_REACTION_REMOVE_EMOJI"):
            event = convert.reactions_cleared(data, forum=self._forum(data))
        elif name == "THREAD_DELETE" and self._is_post(data):
            event = convert.post_deleted(data, me=me)
        if event is None:
            return ()
        self._remember(event)
        return (event,)

    def _interaction(self, data: Mapping[str, Any]) -> None:
        """Answer at once, for Discord waits three seconds; what is an act then goes on in each channel's order."""
        forum = self._forum(data)
        needed = forms.blank(data, self._menus, forum=forum)
        asked = interactions.typing(data, forum=forum)
        if needed is not None:
            self._tasks.create_task(self._formed(data, needed))
        elif asked is not None:
            self._suggest_to(data, asked)
        else:
            self._act(data)

    async def _formed(self, data: Mapping[str, Any], needed: forms.Blank) -> None:
        """Who may not use the command hears so instead of a form, and so does who typed what no form can carry."""
        draft: Draft | None = Draft()
        try:
            async with asyncio.timeout(_LOOKED_UP_IN):
                draft = await self._look_up.draft(needed.asked, needed.values)
        except Exception as error:  # noqa: BLE001
            log.info("discord: a form opens without a look: %s", type(error).__name__)
        form = None if draft is None else forms.form(needed, draft, self._words)
        if form is None:
            self._act(data)
        else:
            await self._desk.respond(data, _MODAL, form)

    def _suggest_to(self, data: Mapping[str, Any], asked: Asked) -> None:
        """Who types on wants no answer to what they typed before."""
        person = asked.actor.account.key
        if (older := self._typing.get(person)) is not None:
            older.cancel()
        task = self._tasks.create_task(self._suggested(data, asked))
        self._typing[person] = task
        task.add_done_callback(lambda done: self._stopped_typing(person, done))

    def _stopped_typing(self, person: str, done: asyncio.Task[None]) -> None:
        if self._typing.get(person) is done:
            del self._typing[person]

    async def _suggested(self, data: Mapping[str, Any], asked: Asked) -> None:
        """Nobody is owed a suggestion: without one in time, or for any fault, there are none."""
        found: Sequence[Suggestion] = ()
        try:
            async with asyncio.timeout(_LOOKED_UP_IN):
                found = await self._look_up.suggest(asked)
        except Exception as error:  # noqa: BLE001
            log.info("discord: nothing was suggested: %s", type(error).__name__)
        await self._desk.respond(data, _CHOICES, slash.choices(found))

    def _act(self, data: Mapping[str, Any]) -> None:
        event = interactions.interaction(data, me=self.me, room=self._room(data), menus=self._menus)
        if event is None:
            return
        self._remember(event)
        channel = event.place.chat.key
        before = self._last_act.get(channel)
        task = self._tasks.create_task(self._answered(data, channel, event, before, self._heard))
        self._last_act[channel] = task
        task.add_done_callback(lambda done: self._forget(channel, done))

    async def _answered(
        self,
        data: Mapping[str, Any],
        channel: str,
        event: CommandInvoked | ButtonPressed,
        before: asyncio.Task[None] | None,
        heard: int,
    ) -> None:
        answerable = await self._desk.acknowledge(data)
        if before is not None:
            await asyncio.wait({before})
        if answerable:
            self._intake.submit(channel, await self._with_words(data, event, heard))

    async def _with_words(
        self, data: Mapping[str, Any], event: CommandInvoked | ButtonPressed, heard: int
    ) -> CommandInvoked | ButtonPressed:
        """A message that is to be posted, with its words as they stand.

        Of an edit or deletion that was heard since payload number ``heard`` the core was told before: it did not know
        the message then, and would publish what stands there no longer.
        """
        if (message := interactions.agreed(event)) is not None and isinstance(event, ButtonPressed):
            heard = self._heard
            found = await self._desk.read(*convert.address(message))
            event = interactions.as_post(event, message, found, self._room(data)) or event
        if isinstance(event, CommandInvoked) and event.words_of is not None and event.message is not None:
            changed = self._changed.get(convert.address(event.message)[1], 0)
            return interactions.unreadable(event) if changed > heard else event
        return event

    def _note_change(self, data: Mapping[str, Any]) -> None:
        """That a message was edited or deleted, for words that are on their way to the core."""
        for id_ in data.get("ids") or [data.get("id")]:
            self._changed[str(id_)] = self._heard
            self._changed.move_to_end(str(id_))
        while len(self._changed) > _NAMES_KEPT:
            self._changed.popitem(last=False)

    def _forget(self, channel: str, done: asyncio.Task[None]) -> None:
        if self._last_act.get(channel) is done:
            del self._last_act[channel]

    def _room(self, data: Mapping[str, Any]) -> convert.Room:
        try:
            guild = data.get("guild_id")
            channel = convert.snowflake(data.get("channel_id"))
            words = str(data.get("content") or data.get("data") or "")
            return self._cache.room(channel, None if guild is None else convert.snowflake(guild), words)
        except ValueError:
            return convert.Room()

    def _forum(self, data: Mapping[str, Any]) -> str:
        try:
            return self._cache.forum(data.get("channel_id"))
        except ValueError:
            return ""

    def _is_post(self, data: Mapping[str, Any]) -> bool:
        try:
            return self._cache.is_forum(data.get("parent_id"))
        except ValueError:
            return False

    def _rights(self, data: Mapping[str, Any]) -> Rights:
        try:
            guild = convert.snowflake(data.get("guild_id"))
            channel = convert.snowflake(data.get("channel_id"))
            user = convert.snowflake(data["author"]["id"])
            roles = [convert.snowflake(role) for role in data["member"]["roles"]]
        except (KeyError, TypeError, ValueError):
            return Rights()
        return self._cache.rights(channel, guild, user, roles)

    def _remember(self, event: Inbound) -> None:
        """Names for removals of reactions, which carry only an id. They live in memory, and not for long."""
        who = getattr(event, "actor", None)
        if who is None or not who.name:
            return
        self._names[who.account.key] = convert.Person(name=who.name, username=who.username, bot=who.bot)
        self._names.move_to_end(who.account.key)
        if len(self._names) > _NAMES_KEPT:
            self._names.popitem(last=False)


def _chat_of(event: Inbound) -> str:
    message = getattr(event, "message", None)
    return str(message.chat.key) if message is not None else ""
