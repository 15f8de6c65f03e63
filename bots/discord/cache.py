"""What discord.py knows of guilds and channels, as the converters want it, and what we may do there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import discord

from bots.discord import convert
from bots.discord.channels import Channel
from bots.discord.permissions import (
    FREE_OF_TAGS,
    MANAGE_THREADS,
    MESSAGE_CONTENT,
    Overwrite,
    lacks,
    permissions,
)
from bots.discord.permissions import rights as rights_of
from bots.discord.text import mentioned
from core.errors import RetryLater
from core.events import Loss, Rights

if TYPE_CHECKING:
    from bots.discord.client import Client


def loss_in(channel: discord.abc.GuildChannel | discord.Thread) -> Loss | None:
    """Why we may not write in a channel, by discord.py's sum of roles, overwrites and time-outs."""
    if isinstance(channel, discord.Thread):
        return (
            Loss.DELETED if channel.parent is None else _loss_in_thread(channel.parent, locked=channel.locked)
        )
    may = channel.permissions_for(channel.guild.me)
    if not may.view_channel:
        return Loss.UNSEEN
    if not may.send_messages:
        return Loss.MUTED
    return Loss.TAGS if isinstance(channel, discord.ForumChannel) and channel.flags.require_tag else None


def _loss_in_thread(parent: discord.abc.GuildChannel, *, locked: bool) -> Loss | None:
    may = parent.permissions_for(parent.guild.me)
    if not may.view_channel:
        return Loss.UNSEEN
    if not may.send_messages_in_threads:
        return Loss.MUTED
    return Loss.LOCKED if locked and not may.manage_threads else None


def manages_threads(channel: discord.abc.GuildChannel | discord.Thread) -> bool:
    parent = channel.parent if isinstance(channel, discord.Thread) else channel
    return parent is not None and parent.permissions_for(parent.guild.me).manage_threads


class Cache:
    """What discord.py knows of guilds, as the converters want it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def room(self, channel: str, guild: str | None, text: str = "") -> convert.Room:
        """``guild`` as the payload has it; where the channel is not known either, it is a private chat.

        ``text``: what names roles and channels there, perhaps.
        """
        found = self._client.get_channel(int(channel))
        deaf = () if self._client.intents.message_content else (MESSAGE_CONTENT,)
        if isinstance(found, discord.Thread | discord.abc.GuildChannel):
            forum = _forum_of(found)
            return convert.Room(
                title=(forum or found).name,
                closed=getattr(found, "is_nsfw", bool)(),
                guild=str(found.guild.id),
                lacks=(*deaf, *(_lacks_in(forum) if forum else ())),
                forum=str(forum.id) if forum is not None else "",
                names=_names(found.guild, text),
            )
        if guild is not None:
            return convert.Room(guild=guild, lacks=deaf)
        return convert.Room(private=True)

    def forum(self, channel: object) -> str:
        """The id of the forum that a thread is a post of; empty for all else."""
        found = self._client.get_channel(int(convert.snowflake(channel)))
        forum = _forum_of(found)
        return str(forum.id) if forum is not None else ""

    def posts(self, channel: str) -> Sequence[str] | None:
        """The open threads of a forum."""
        found = self._client.get_channel(int(channel))
        return (
            [str(thread.id) for thread in found.threads] if isinstance(found, discord.ForumChannel) else None
        )

    def is_forum(self, channel: object) -> bool:
        return isinstance(self._client.get_channel(int(convert.snowflake(channel))), discord.ForumChannel)

    def channel(self, channel: str) -> Channel | None:
        """What a guild's channel or open thread is."""
        found = self._client.get_channel(int(channel))
        if not isinstance(found, discord.Thread | discord.abc.GuildChannel):
            return None
        parent, owner = "", ""
        if isinstance(found, discord.Thread):
            parent, owner = str(found.parent_id), str(found.owner_id)
        return Channel(channel, found.type.value, str(found.guild.id), found.name, parent, owner)

    def lost(self, channel: str) -> bool:
        return self._client.get_channel(int(channel)) is None

    def heard(self, channel: str) -> int | None:
        """The id of the newest message that the gateway told of: discord.py keeps it true for channels of messages."""
        found = self._client.get_channel(int(channel))
        if not isinstance(found, discord.TextChannel | discord.VoiceChannel | discord.Thread):
            return None
        return found.last_message_id or 0

    def lacks(self, channel: str) -> tuple[str, ...]:
        """What we may not do there that a command needs to know."""
        found = self._client.get_channel(int(channel))
        if not isinstance(found, discord.Thread | discord.abc.GuildChannel):
            return ()
        return lacks(found.permissions_for(found.guild.me).value)

    def readable(self, channel: str) -> bool:
        """Whether we may read the history of a channel that the gateway told of."""
        found = self._client.get_channel(int(channel))
        if not isinstance(found, discord.Thread | discord.abc.GuildChannel):
            return True
        return found.permissions_for(found.guild.me).read_message_history

    def loss(self, channel: str) -> Loss | None:
        found = self._client.get_channel(int(channel))
        if not isinstance(found, discord.Thread | discord.abc.GuildChannel):
            return None
        return self._client.loss(found)

    def loss_asleep(self, data: Mapping[str, Any]) -> Loss | None:
        """The same of an archived thread, as HTTP has it. Raises ``RetryLater`` for what is no thread of our guilds."""
        parent = self._client.get_channel(int(data.get("parent_id") or 0))
        asleep = data.get("thread_metadata")
        if not isinstance(parent, discord.abc.GuildChannel) or not isinstance(asleep, Mapping):
            raise RetryLater("the channel is not among those of our guilds")
        return _loss_in_thread(parent, locked=bool(asleep.get("locked")))

    def rights(self, channel: str, guild: str, user: str, roles: Sequence[str]) -> Rights:
        home = self._client.get_guild(int(guild))
        if home is None:
            return Rights()
        where = home.get_channel_or_thread(int(channel))
        parent = where.parent if isinstance(where, discord.Thread) else where
        known = {role.id: role.permissions.value for role in home.roles}
        return rights_of(
            permissions(
                owner=str(home.owner_id) == user,
                everyone=(home.id, known.get(home.id, 0)),
                roles={int(role): known[int(role)] for role in roles if int(role) in known},
                member=int(user),
                overwrites=_overwrites(parent),
            )
        )


def _forum_of(channel: object) -> discord.ForumChannel | None:
    parent = channel.parent if isinstance(channel, discord.Thread) else None
    return parent if isinstance(parent, discord.ForumChannel) else None


def _lacks_in(forum: discord.ForumChannel) -> tuple[str, ...]:
    """What a forum needs besides what any channel does."""
    tags = (FREE_OF_TAGS,) if forum.flags.require_tag else ()
    return tags if forum.permissions_for(forum.guild.me).manage_threads else (*tags, MANAGE_THREADS)


def _names(guild: discord.Guild, text: str) -> dict[str, str]:
    """What roles are called that a text mentions, and channels that everybody there may see."""
    found = {}
    for sign in mentioned(text):
        of, id_ = sign[0], int(sign[1:])
        role, channel = guild.get_role(id_), guild.get_channel(id_)
        if of == "&" and role is not None:
            found[sign] = role.name
        elif of == "#" and channel is not None and channel.permissions_for(guild.default_role).view_channel:
            found[sign] = channel.name
    return found


def _overwrites(channel: discord.abc.GuildChannel | None) -> dict[int, Overwrite]:
    if channel is None:
        return {}
    pairs = {target.id: overwrite.pair() for target, overwrite in channel.overwrites.items()}
    return {target: Overwrite(deny.value, allow.value) for target, (allow, deny) in pairs.items()}
