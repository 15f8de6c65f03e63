"""Permission bits and how roles and overwrites combine into what a member may do in a channel."""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.doubles.discord.model import Channel, Guild


class Permission(IntFlag):
    """The bits that the double knows; the rest pass through as numbers."""

    KICK_MEMBERS = 1 << 1
    BAN_MEMBERS = 1 << 2
    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_EXTERNAL_EMOJIS = 1 << 18
    CHANGE_NICKNAME = 1 << 26
    MANAGE_ROLES = 1 << 28
    MANAGE_WEBHOOKS = 1 << 29
    USE_APPLICATION_COMMANDS = 1 << 31
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    SEND_MESSAGES_IN_THREADS = 1 << 38
    MODERATE_MEMBERS = 1 << 40
    PIN_MESSAGES = 1 << 51


ALL = (1 << 53) - 1

PRIVATE_THREAD = 12

EVERYONE = (
    Permission.ADD_REACTIONS
    | Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.USE_EXTERNAL_EMOJIS
    | Permission.CHANGE_NICKNAME
    | Permission.USE_APPLICATION_COMMANDS
    | Permission.CREATE_PUBLIC_THREADS
    | Permission.SEND_MESSAGES_IN_THREADS
)

#: What a bot is given that asks for little: neither Administrator nor power over people or pings.
MODEST_BOT = EVERYONE | Permission.MANAGE_MESSAGES | Permission.MANAGE_WEBHOOKS | Permission.PIN_MESSAGES

#: In a direct channel there are no roles.
DIRECT = EVERYONE | Permission.PIN_MESSAGES


def in_guild(guild: Guild, user_id: int) -> int:
    """What the roles alone allow; 0 for somebody who is not a member."""
    member = guild.members.get(user_id)
    if member is None:
        return 0
    if guild.owner_id == user_id:
        return ALL
    allowed = guild.everyone.permissions
    for role in member.roles:
        allowed |= role.permissions
    return ALL if allowed & Permission.ADMINISTRATOR else allowed


def in_channel(channel: Channel, user_id: int) -> int:
    """Roles, then the channel's overwrites: everyone, roles, the member. Threads use their parent's."""
    if channel.guild is None:
        return DIRECT if any(user.id == user_id for user in channel.recipients) else 0
    allowed = in_guild(channel.guild, user_id)
    member = channel.guild.members.get(user_id)
    if member is None or allowed == ALL:
        return allowed
    overwrites = (channel.parent if channel.is_thread and channel.parent else channel).overwrites
    allowed = _overwritten(allowed, [overwrites.get(channel.guild.id, (0, 0))])
    allowed = _overwritten(allowed, [overwrites.get(role.id, (0, 0)) for role in member.roles])
    allowed = _overwritten(allowed, [overwrites.get(user_id, (0, 0))])
    if member.timed_out_until is not None and member.timed_out_until > channel.world.now():
        allowed &= Permission.VIEW_CHANNEL | Permission.READ_MESSAGE_HISTORY
    outside = channel.type == PRIVATE_THREAD and user_id not in channel.insiders
    if outside and not allowed & Permission.MANAGE_THREADS:
        return 0
    return allowed if allowed & Permission.VIEW_CHANNEL else 0


def _overwritten(allowed: int, pairs: list[tuple[int, int]]) -> int:
    allow = deny = 0
    for more_allow, more_deny in pairs:
        allow |= more_allow
        deny |= more_deny
    return (allowed & ~deny) | allow
