"""What happened while we were away: with no acknowledgements, it is read back after every new session."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import discord
from discord.http import HTTPClient

from bots.discord import convert, reactions
from bots.discord.intake import Intake
from core.events import CommandInvoked, Inbound, Loss, Missed, ReactorsFound, Rights, place_now
from core.ports import Clock, Gate, WatchedMessage
from core.types import ChatRef, MessageRef

log = logging.getLogger(__name__)

_PAGE = 100
_UNKNOWN_CHANNEL, _UNKNOWN_MESSAGE = 10003, 10008


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is read back: how old, how many messages of ours and of authors are read again, reactors of an emoji.

    ``emoji``: which reactions can be votes, as ``reactions.bare_emoji`` has them.
    """

    age: timedelta = timedelta(days=7)
    things: int = 1000
    reactors: int = 1000
    emoji: frozenset[str] = frozenset()


class Surroundings(Protocol):
    """What the reader must know of the place of a message, from the cache of the gateway."""

    def room(self, channel: str, guild: str | None, text: str = "") -> convert.Room: ...

    def posts(self, channel: str) -> Sequence[str] | None:
        """The open threads of a forum; ``None`` for any other channel."""
        ...

    def rights(self, channel: str, guild: str, user: str, roles: Sequence[str]) -> Rights: ...

    def lost(self, channel: str) -> bool:
        """Whether no guild we are in has this channel (also true of private chats)."""
        ...

    def heard(self, channel: str) -> int | None:
        """The id of the newest message there, as the gateway knows it."""
        ...

    def readable(self, channel: str) -> bool:
        """Whether we may read the history of a channel."""
        ...

    def loss(self, channel: str) -> Loss | None:
        """Why we may not write in a channel that is not lost."""
        ...


class CatchUp:
    """One reading back of one shard's channels; a new session of that shard cancels it and begins another.

    ``own``: which of these channels are that shard's, by their ids.
    """

    def __init__(
        self,
        *,
        http: HTTPClient,
        gate: Gate,
        intake: Intake,
        around: Surroundings,
        own: Callable[[Collection[str]], Collection[str]],
        clock: Clock,
        limits: Limits,
        me: str,
    ) -> None:
        self._http = http
        self._gate = gate
        self._intake = intake
        self._around = around
        self._own = own
        self._clock = clock
        self._limits = limits
        self._me = me

    async def run(self, late: Collection[str] | None = None) -> None:
        """Messages first, chat by chat, each chat's live events going on after it; then copies, newest first.

        ``late``: what of the held channels this is about, where a guild came when all others had been asked for.
        Raises ``discord.HTTPException`` when Discord stays unable to answer: the session then begins anew.
        """
        watched = await self._gate.watched_chats(convert.PLATFORM)
        own = self._own({chat.key for chat in watched})
        chats = [chat for chat in watched if chat.key in own]
        self._intake.hold_only({chat.key for chat in chats}, late)
        for chat in chats:
            if not self._around.lost(chat.key):
                # What we may do there may have changed while we were away, which no event tells.
                await self._intake.submit_read(place_now(chat, self._around.loss(chat.key)))
            self._intake.release(chat.key, read_to=await self._read_back(chat))
        since, most = self._clock.now() - self._limits.age, self._limits.things
        newest = await self._newest(since)
        if len(newest) > most:
            reason = f"only the newest {most} of {len(newest)} messages were read again for edits, deletions and votes"
            begin, end = _id_of(newest[most].message), _id_of(newest[0].message)
            await self._missed(None, str(end), str(begin), reason)
        for thing in newest[:most]:
            await self._read_again(thing)

    async def _newest(self, since: datetime) -> Sequence[WatchedMessage]:
        things = await self._gate.recent_messages(convert.PLATFORM, since)
        own = self._own({thing.message.chat.key for thing in things})
        mine = [thing for thing in things if thing.message.chat.key in own]
        return sorted(mine, key=lambda thing: _id_of(thing.message), reverse=True)

    async def _read_back(self, chat: ChatRef) -> str:
        """Hand over what was written after the bookmark, oldest first; the id of the newest message read."""
        bookmark = await self._gate.bookmark(convert.bookmark_scope(chat.key))
        if bookmark is None:
            # A chat that was never read begins now: what stood there before is none of our business.
            return ""
        posts = self._around.posts(chat.key)
        try:
            if posts is not None:
                return str(await self._read_posts(chat, posts, int(bookmark)))
            return str(await self._read_from(chat, int(bookmark)))
        except (discord.NotFound, discord.Forbidden) as error:
            await self._unreadable(chat, error)
            return ""

    async def _read_from(self, chat: ChatRef, bookmark: int) -> int:
        """Page by page: what was handed over is kept, whatever becomes of the rest. The id read up to."""
        heard = self._around.heard(chat.key)
        if heard is not None and heard <= bookmark:
            # Nothing was written there since. Reads are few, and the chat's live events wait for them.
            return bookmark
        after = await self._begin(chat, bookmark, heard or 0)
        while True:
            page = await self._http.logs_from(int(chat.key), _PAGE, after=after)
            for payload in sorted(page, key=lambda payload: int(payload["id"])):
                event = await self._event(chat.key, payload)
                if event is not None:
                    await self._intake.submit_read(event)
                after = int(payload["id"])
            if len(page) < _PAGE:
                return after

    async def _read_posts(self, chat: ChatRef, posts: Sequence[str], bookmark: int) -> int:
        """A forum's bookmark is one for all its posts: what was written in any of them goes over in one order."""
        newest = {post: self._around.heard(post) or 0 for post in posts}
        begin = await self._begin(chat, bookmark, max(newest.values(), default=0))
        written: list[tuple[int, str, Mapping[str, Any]]] = []
        for post in posts:
            if newest[post] > begin:
                written += [(int(payload["id"]), post, payload) for payload in await self._post(post, begin)]
        for _, post, payload in sorted(written, key=lambda one: one[0]):
            event = await self._event(post, payload)
            if event is not None:
                await self._intake.submit_read(event)
        return max([begin, *(id_ for id_, _, _ in written)])

    async def _post(self, post: str, after: int) -> Sequence[Mapping[str, Any]]:
        """What was written in a post of a forum; nothing in one that went meanwhile."""
        written: list[Mapping[str, Any]] = []
        full = True
        try:
            while full:
                page = await self._http.logs_from(int(post), _PAGE, after=after)
                full = len(page) == _PAGE
                written += page
                after = max([after, *(int(payload["id"]) for payload in page)])
        except discord.NotFound:
            return ()
        return written

    async def _begin(self, chat: ChatRef, bookmark: int, newest: int) -> int:
        """The id from which on a chat is read, whose newest message is that one. What is not read is said."""
        after = max(bookmark, discord.utils.time_snowflake(self._clock.now() - self._limits.age))
        if after > bookmark and newest > bookmark:
            reason = f"messages older than {self._limits.age.days} days are not read back"
            await self._missed(chat, str(after), str(bookmark), reason)
        if not self._around.readable(chat.key) and newest > after:
            await self._missed(chat, str(newest), str(after), "the bot may not read the channel's history")
        return after

    async def _missed(self, chat: ChatRef | None, key: str, since: str, reason: str) -> None:
        await self._intake.submit_read(
            Missed(
                key=f"discord:{self._me}:missed:{chat.key if chat else ''}:{since}:{key}",
                platform=convert.PLATFORM,
                chat=chat,
                since=discord.utils.snowflake_time(int(since)),
                reason=reason,
            )
        )

    async def _event(self, channel: str, payload: Mapping[str, Any]) -> Inbound | None:
        # A watched chat is a community's: one that the cache does not know is no private chat for that.
        text = str(payload.get("content") or "")
        room = replace(self._around.room(channel, None, text), private=False)
        event = convert.message_created(payload, me=self._me, room=room)
        if isinstance(event, CommandInvoked) and room.guild:
            # History does not say what an author may do.
            user = event.actor.account.key
            rights = await self._member_rights(channel, room.guild, user)
            return replace(event, actor=replace(event.actor, rights=rights))
        return event

    async def _member_rights(self, channel: str, guild: str, user: str) -> Rights:
        try:
            member = await self._http.get_member(int(guild), int(user))
        except discord.NotFound:
            return Rights()
        return self._around.rights(channel, guild, user, [str(role) for role in member["roles"]])

    async def _unreadable(self, chat: ChatRef, error: discord.HTTPException) -> None:
        reason = f"{error.status} (code {error.code})"
        log.warning("discord: channel %s cannot be read back: %s", chat.key, reason)
        if self._around.lost(chat.key):
            deleted = isinstance(error, discord.NotFound)
            loss = Loss.DELETED if deleted else Loss.REMOVED
            await self._intake.submit_read(place_now(chat, loss))

    async def _read_again(self, thing: WatchedMessage) -> None:
        channel, id_ = convert.address(thing.message)
        began = self._clock.now()
        try:
            payload = await self._http.get_message(int(channel), int(id_))
        except discord.NotFound as error:
            post_gone = error.code == _UNKNOWN_CHANNEL and channel != thing.message.chat.key
            if error.code == _UNKNOWN_MESSAGE or post_gone:
                await self._intake.submit_read(convert.deleted(thing.message, self._me))
            return
        except discord.Forbidden:
            return
        if not thing.ours:
            room = self._around.room(channel, None, str(payload.get("content") or ""))
            edited = convert.message_edited(payload, me=self._me, room=room)
            if edited is not None:
                await self._intake.submit_read(edited)
        reactors, whole = await self._reactors(thing.message, payload)
        found = reactions.found(thing.message, reactors, me=self._me)
        for one in found:
            await self._intake.submit_read(one)
        if whole:
            accounts = tuple(one.actor.account for one in found)
            listed = ReactorsFound(key=None, message=thing.message, accounts=accounts, began=began)
            await self._intake.submit_read(listed)

    async def _reactors(
        self, message: MessageRef, payload: Mapping[str, Any]
    ) -> tuple[dict[str, list[Mapping[str, Any]]], bool]:
        """Who stands under each emoji that can be a vote, by Discord's own name for it; whether that is everybody."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        whole = True
        for name, kinds in reactions.under(payload):
            if reactions.bare_emoji(name) not in self._limits.emoji:
                continue
            for kind in kinds:
                users, all_ = await self._users(message, name, kind)
                found.setdefault(name, []).extend(users)
                whole = whole and all_
        return found, whole

    async def _users(
        self, message: MessageRef, emoji: str, kind: int
    ) -> tuple[list[Mapping[str, Any]], bool]:
        users: list[Mapping[str, Any]] = []
        channel, id_ = convert.address(message)
        after: int | None = None
        while len(users) < self._limits.reactors:
            try:
                page = await self._http.get_reaction_users(
                    int(channel), int(id_), emoji, _PAGE, after, 1 if kind == 1 else 0
                )
            except (discord.NotFound, discord.Forbidden):
                return users, False
            users += page
            if len(page) < _PAGE:
                return users, True
            after = int(page[-1]["id"])
        return users, False


def _id_of(message: MessageRef) -> int:
    return int(convert.address(message)[1])
