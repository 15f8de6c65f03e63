"""Listening: the way of each payload of the gateway to the core."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from bots.discord import convert, forms, interactions, reactions, slash
from bots.discord.cache import Cache
from bots.discord.intake import Intake
from core.crashpoints import passing
from core.events import ButtonPressed, CommandInvoked, Inbound, Loss, Rights, place_now
from core.ports import WatchedMessage, Words
from core.suggestions import Asked, Draft, Suggestion
from core.types import Platform

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
    """What may be asked of the core while events come; see ``core.ports.Gate``."""

    async def suggest(self, asked: Asked) -> Sequence[Suggestion]: ...

    async def draft(self, asked: Asked, values: Mapping[str, str]) -> Draft | None: ...

    async def recent_messages(self, platform: Platform, since: datetime) -> Sequence[WatchedMessage]: ...


class Desk(Protocol):
    """Answers interactions: each waits three seconds for a first word."""

    async def acknowledge(self, data: Mapping[str, Any]) -> bool:
        """Whether it still may be answered."""
        ...

    async def respond(self, data: Mapping[str, Any], kind: int, answer: Mapping[str, Any]) -> None: ...

    async def read(self, channel: str, message: str) -> Mapping[str, Any]:
        """A message as it stands now; empty where it cannot be read."""
        ...


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
            event = reactions.changed(data, me=me, added=added, known=self._names, forum=forum)
        elif name in ("MESSAGE_REACTION_REMOVE_ALL", "MESSAGE_REACTION_REMOVE_EMOJI"):
            event = reactions.cleared(data, forum=self._forum(data))
        elif name == "THREAD_DELETE" and self._is_post(data):
            event = convert.post_deleted(data, me=me)
            if event is not None:
                self._tasks.create_task(self._post_gone(convert.address(event.message)[0]))
        if event is None:
            return ()
        self._remember(event)
        return (event,)

    async def _post_gone(self, thread: str) -> None:
        """Of what stood in a forum's post besides its beginning Discord tells nothing when the post is deleted."""
        for one in await self._look_up.recent_messages(convert.PLATFORM, convert.moment(thread)):
            if convert.address(one.message)[0] == thread:
                self._intake.submit(one.message.chat.key, convert.deleted(one.message, self.me))

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
