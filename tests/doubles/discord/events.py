"""What the gateway tells: which event, under which intent, to sessions that may see the place it happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag
from typing import Protocol

from tests.doubles.discord import payloads
from tests.doubles.discord.errors import Json
from tests.doubles.discord.model import Channel, Guild, Member, Message, Role, User, World
from tests.doubles.discord.permissions import Permission


class Intent(IntFlag):
    """Which events a session asked for. Three of them are privileged."""

    GUILDS = 1 << 0
    GUILD_MEMBERS = 1 << 1
    GUILD_WEBHOOKS = 1 << 5
    GUILD_PRESENCES = 1 << 8
    GUILD_MESSAGES = 1 << 9
    GUILD_MESSAGE_REACTIONS = 1 << 10
    DIRECT_MESSAGES = 1 << 12
    DIRECT_MESSAGE_REACTIONS = 1 << 13
    MESSAGE_CONTENT = 1 << 15


PRIVILEGED = Intent.GUILD_MEMBERS | Intent.GUILD_PRESENCES | Intent.MESSAGE_CONTENT

#: Every bit the platform gives a meaning to; anything else in IDENTIFY is 4013.
KNOWN_INTENTS = 0b11 | 0b1111_1111_1111_1100 | (1 << 16) | (1 << 20) | (1 << 21) | (1 << 24) | (1 << 25)


@dataclass(frozen=True)
class Event:
    """One dispatch. `build` makes the payload for a session's intents (redaction differs)."""

    name: str
    build: Callable[[int], Json]
    intent: int = 0  # 0: sent to every session
    guild: Guild | None = None
    channel: Channel | None = None  # given: only when the bot may see it


class Sink(Protocol):
    def dispatch(self, event: Event) -> None: ...


def redacts(message: Message, bot: User, intents: int) -> bool:
    """Without MESSAGE_CONTENT words are seen only in own messages, direct ones and mentions of the bot.

    A webhook's message counts as somebody else's, even of the bot's own webhook: the stricter reading.
    """
    if intents & Intent.MESSAGE_CONTENT or message.channel.guild is None:
        return False
    return message.author is not bot and bot not in message.mentions


class Events:
    """Says what happened, by noun. Every method is called after the state has changed."""

    def __init__(self, world: World, sink: Sink) -> None:
        self._world = world
        self._sink = sink

    def _tell(
        self,
        name: str,
        data: Json | Callable[[int], Json],
        intent: int = 0,
        *,
        guild: Guild | None = None,
        channel: Channel | None = None,
    ) -> None:
        build = data if callable(data) else (lambda _intents, fixed=data: fixed)
        self._world.touch()
        if guild is not None and not (guild.has_bot or name == "GUILD_DELETE"):
            return
        self._sink.dispatch(Event(name, build, intent, guild, channel))

    # Guilds and their parts

    def guild_payload(self, guild: Guild, intents: int) -> Json:
        """Members come along only with both member intents; otherwise the bot alone."""
        both = Intent.GUILD_MEMBERS | Intent.GUILD_PRESENCES
        bot = self._world.bot
        members = list(guild.members.values()) if intents & both == both else [guild.members[bot.id]]
        return payloads.guild_create(guild, members, bot)

    def guild_created(self, guild: Guild, *, joined: bool) -> None:
        """After an outage the payload says `unavailable: false`; a guild just joined lacks the key."""

        def build(intents: int) -> Json:
            payload = self.guild_payload(guild, intents)
            return {key: payload[key] for key in payload if not (joined and key == "unavailable")}

        self._tell("GUILD_CREATE", build, Intent.GUILDS, guild=guild)

    def guild_deleted(self, guild: Guild, *, unavailable: bool) -> None:
        data: Json = {"id": str(guild.id)} | ({"unavailable": True} if unavailable else {})
        self._tell("GUILD_DELETE", data, Intent.GUILDS, guild=guild)

    def role_changed(self, name: str, role: Role) -> None:
        data = {"guild_id": str(role.guild.id), "role": payloads.role(role)}
        self._tell(name, data, Intent.GUILDS, guild=role.guild)

    def member_joined(self, guild: Guild, member: Member) -> None:
        data = payloads.member(member) | {"guild_id": str(guild.id)}
        self._tell("GUILD_MEMBER_ADD", data, Intent.GUILD_MEMBERS, guild=guild)

    def member_left(self, guild: Guild, member: Member) -> None:
        data = {"guild_id": str(guild.id), "user": payloads.user(member.user)}
        self._tell("GUILD_MEMBER_REMOVE", data, Intent.GUILD_MEMBERS, guild=guild)

    def member_updated(self, guild: Guild, member: Member) -> None:
        """The bot's own changes come without any intent."""
        data = payloads.member(member) | {"guild_id": str(guild.id)}
        intent = 0 if member.user is self._world.bot else Intent.GUILD_MEMBERS
        self._tell("GUILD_MEMBER_UPDATE", data, intent, guild=guild)

    def channel_changed(self, name: str, channel: Channel) -> None:
        """CHANNEL_* and THREAD_*; told even when the bot may not read the channel, as the platform does."""
        data = payloads.channel(channel)
        if name == "THREAD_CREATE":
            data["newly_created"] = True
        self._tell(name, data, Intent.GUILDS, guild=channel.guild)

    def thread_left(self, thread: Channel, user: User) -> None:
        """With the guilds intent a bot hears of itself only."""
        if user is self._world.bot:
            self._thread_members(thread, {"removed_member_ids": [str(user.id)]})

    def thread_joined(self, thread: Channel, user: User) -> None:
        if user is self._world.bot:
            self.channel_changed("THREAD_CREATE", thread)
            member = payloads.thread_member(thread, user)
            self._thread_members(thread, {"added_members": [member]})

    def _thread_members(self, thread: Channel, change: Json) -> None:
        assert thread.guild is not None
        data = {"id": str(thread.id), "guild_id": str(thread.guild.id), "member_count": 1} | change
        self._tell("THREAD_MEMBERS_UPDATE", data, Intent.GUILDS, guild=thread.guild)

    def webhooks_changed(self, channel: Channel) -> None:
        if channel.guild is None:
            return
        data = {"guild_id": str(channel.guild.id), "channel_id": str(channel.id)}
        self._tell("WEBHOOKS_UPDATE", data, Intent.GUILD_WEBHOOKS, guild=channel.guild)

    # Messages

    def message(self, name: str, message: Message) -> None:
        """MESSAGE_CREATE or MESSAGE_UPDATE; ephemeral messages are never dispatched."""
        if message.ephemeral:
            self._world.touch()
            return
        bot = self._world.bot

        def build(intents: int) -> Json:
            redacted = redacts(message, bot, intents)
            return payloads.message(message, bot, redacted=redacted) | self._place(message)

        self._in_channel(name, build, message.channel, Intent.GUILD_MESSAGES, Intent.DIRECT_MESSAGES)

    def _place(self, message: Message) -> Json:
        guild = message.channel.guild
        if guild is None:
            return {"channel_type": message.channel.type}
        extras: Json = {"guild_id": str(guild.id), "channel_type": message.channel.type}
        member = guild.members.get(message.author.id)
        if member is not None and message.webhook is None:
            extras["member"] = payloads.member(member, with_user=False)
        return extras

    def messages_deleted(self, channel: Channel, ids: list[int], *, bulk: bool) -> None:
        where = self._where(channel)
        data = where | ({"ids": [str(each) for each in ids]} if bulk else {"id": str(ids[0])})
        name = "MESSAGE_DELETE_BULK" if bulk else "MESSAGE_DELETE"
        self._in_channel(name, data, channel, Intent.GUILD_MESSAGES, Intent.DIRECT_MESSAGES)

    def pins_changed(self, channel: Channel) -> None:
        newest = max(channel.pins.values(), default=None)
        data = self._where(channel) | {"last_pin_timestamp": payloads.stamp(newest) if newest else None}
        self._in_channel("CHANNEL_PINS_UPDATE", data, channel, Intent.GUILDS, Intent.DIRECT_MESSAGES)

    # Reactions

    def reaction(self, name: str, message: Message, emoji: str, user: User | None = None) -> None:
        """MESSAGE_REACTION_ADD, _REMOVE, _REMOVE_ALL (`emoji` empty) or _REMOVE_EMOJI."""
        data = self._where(message.channel) | {"message_id": str(message.id)}
        if emoji:
            data["emoji"] = payloads.emoji(emoji)
        if user is not None:
            data |= {"user_id": str(user.id), "burst": False, "type": 0}
        if name == "MESSAGE_REACTION_ADD" and user is not None:
            data |= self._reaction_extras(message, user)
        intents = (Intent.GUILD_MESSAGE_REACTIONS, Intent.DIRECT_MESSAGE_REACTIONS)
        self._in_channel(name, data, message.channel, *intents)

    @staticmethod
    def _reaction_extras(message: Message, user: User) -> Json:
        extras: Json = {"message_author_id": str(message.author.id)}
        guild = message.channel.guild
        if guild is not None and user.id in guild.members:
            extras["member"] = payloads.member(guild.members[user.id])
        return extras

    # Interactions

    def interaction(self, channel: Channel, data: Json) -> None:
        """Sent under every intent, and even where the bot cannot read the channel."""
        self._tell("INTERACTION_CREATE", data, guild=channel.guild)

    @staticmethod
    def _where(channel: Channel) -> Json:
        where: Json = {"channel_id": str(channel.id)}
        if channel.guild is not None:
            where["guild_id"] = str(channel.guild.id)
        return where

    def _in_channel(
        self, name: str, data: Json | Callable[[int], Json], channel: Channel, guilds: int, direct: int
    ) -> None:
        if channel.guild is None and self._world.bot not in channel.recipients:
            self._world.touch()
            return
        intent = direct if channel.guild is None else guilds
        self._tell(name, data, intent, guild=channel.guild, channel=channel)


def may_see(event: Event, bot: User) -> bool:
    """Whether the bot's permissions let this event through."""
    return event.channel is None or event.channel.allows(bot, Permission.VIEW_CHANNEL)
