"""Discord's permission bits and how they add up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.events import Rights

ADMINISTRATOR = 1 << 3
MANAGE_GUILD = 1 << 5
ADD_REACTIONS = 1 << 6
VIEW_CHANNEL = 1 << 10
SEND_MESSAGES = 1 << 11
MANAGE_MESSAGES = 1 << 13
EMBED_LINKS = 1 << 14
ATTACH_FILES = 1 << 15
READ_MESSAGE_HISTORY = 1 << 16
MANAGE_WEBHOOKS = 1 << 29
SEND_MESSAGES_IN_THREADS = 1 << 38

_ALL = (1 << 64) - 1

#: What the bot needs in a guild, by the name that people see in the role's settings (a catalogue id each).
NEEDED: Mapping[str, int] = {
    "view_channel": VIEW_CHANNEL,
    "send_messages": SEND_MESSAGES,
    "send_messages_in_threads": SEND_MESSAGES_IN_THREADS,
    "embed_links": EMBED_LINKS,
    "attach_files": ATTACH_FILES,
    "add_reactions": ADD_REACTIONS,
    "read_message_history": READ_MESSAGE_HISTORY,
}

#: What it needs besides to show people's words in their own name; who wants that gives it.
AS_AUTHOR = "manage_webhooks"
#: What it needs besides to hear what is not said to it; a switch of the bot's own, and none of a guild's.
MESSAGE_CONTENT = "message_content"
#: What it needs besides in a forum: to take a whole post back, and that no post must have a tag.
MANAGE_THREADS, FREE_OF_TAGS = "manage_threads", "tags"


@dataclass(frozen=True, slots=True)
class Overwrite:
    """What a channel changes for one role or member: bits taken away, then bits given."""

    deny: int
    allow: int


def permissions(
    *,
    owner: bool,
    everyone: tuple[int, int],
    roles: Mapping[int, int],
    member: int,
    overwrites: Mapping[int, Overwrite],
) -> int:
    """The bits that ``member`` has in one channel, by Discord's documented order.

    ``everyone``: id and bits of the guild's @everyone role; ``roles``: id -> bits of the member's others.
    """
    everyone_id, bits = everyone
    for granted in roles.values():
        bits |= granted
    if owner or bits & ADMINISTRATOR:
        return _ALL
    bits = _overwrite(bits, [overwrites[everyone_id]] if everyone_id in overwrites else [])
    bits = _overwrite(bits, [overwrites[role] for role in roles if role in overwrites])
    return _overwrite(bits, [overwrites[member]] if member in overwrites else [])


def _overwrite(bits: int, layers: Iterable[Overwrite]) -> int:
    deny = allow = 0
    for layer in layers:
        deny |= layer.deny
        allow |= layer.allow
    return bits & ~deny | allow


def rights(bits: int) -> Rights:
    """What these bits mean to the core: who manages the guild administers its rooms."""
    admin = bool(bits & (ADMINISTRATOR | MANAGE_GUILD))
    return Rights(admin=admin, moderator=admin or bool(bits & MANAGE_MESSAGES))


def lacks(bits: int) -> tuple[str, ...]:
    """``missing``, and what only those need who want posts in their authors' names."""
    return missing(bits) if bits & (ADMINISTRATOR | MANAGE_WEBHOOKS) else (*missing(bits), AS_AUTHOR)


def missing(bits: int) -> tuple[str, ...]:
    """Names of needed permissions that ``bits`` lack."""
    if bits & ADMINISTRATOR:
        return ()
    return tuple(name for name, bit in NEEDED.items() if not bits & bit)


def invite() -> int:
    """The bits to ask for in an invitation: what is needed, and the right to take away commands."""
    total = MANAGE_MESSAGES
    for bit in NEEDED.values():
        total |= bit
    return total
