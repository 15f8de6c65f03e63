"""What is done to messages, whoever does it: bot, person or webhook. Checks the rules, changes, tells."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import timedelta

from tests.doubles.discord import content
from tests.doubles.discord.errors import Json, invalid, not_done_yet, refusal
from tests.doubles.discord.model import (
    CATEGORY,
    LOADING,
    PUBLIC_THREAD,
    REQUIRE_TAG,
    Attachment,
    Channel,
    Message,
    User,
    Webhook,
    World,
)
from tests.doubles.discord.permissions import Permission

REACTION_LIMIT, PIN_LIMIT, BULK_AGE = 20, 250, timedelta(days=14)
#: Of a guild, at a time.
ACTIVE_THREADS = 1000
PLAIN, PIN_NOTICE, REPLY, COMMAND_ANSWER, MENU_ANSWER = 0, 6, 19, 20, 23
_SENT_FLAGS = 1 << 2 | 1 << 12  # SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS


@dataclass
class Draft:
    """A message about to be stored: the body as sent, files read, and who speaks."""

    channel: Channel
    author: User
    body: Json
    files: list[Attachment] = field(default_factory=list)
    webhook: Webhook | None = None


def need(channel: Channel, user: User, wanted: int) -> None:
    """50001 where the channel is hidden, 50013 where something is missing."""
    if not channel.allows(user, Permission.VIEW_CHANNEL):
        raise refusal(50001)
    if not channel.allows(user, wanted):
        raise refusal(50013)


def need_to_send(channel: Channel, user: User, body: Json, files: list[Attachment]) -> None:
    if channel.type == CATEGORY or channel.is_forum:
        raise refusal(50008)
    speak = Permission.SEND_MESSAGES_IN_THREADS if channel.is_thread else Permission.SEND_MESSAGES
    need(channel, user, speak)
    need_for_parts(channel, user, body, files)
    others = [each for each in channel.recipients if each is not user]
    if any(not each.accepts_dms or not _share_guild(channel.world, user, each) for each in others):
        raise refusal(50007)


def need_for_parts(channel: Channel, user: User, body: Json, files: list[Attachment]) -> None:
    if body.get("embeds"):
        need(channel, user, Permission.EMBED_LINKS)
    if files:
        need(channel, user, Permission.ATTACH_FILES)
    if body.get("message_reference"):
        need(channel, user, Permission.READ_MESSAGE_HISTORY)


def _share_guild(world: World, one: User, other: User) -> bool:
    return any(one.id in guild.members and other.id in guild.members for guild in world.guilds.values())


def compose(world: World, draft: Draft) -> Message:
    """Checks a draft and makes the message, without storing it."""
    body = draft.body
    content.check_body(body)
    content.require_something(body, len(draft.files))
    for part in ("poll", "sticker_ids"):
        if body.get(part):
            raise not_done_yet(part)
    message = Message(world.ids.next(), draft.channel, draft.author)
    message.webhook = draft.webhook
    message.application_id = draft.webhook.application_id if draft.webhook else None
    message.tts = bool(body.get("tts"))
    message.flags = int(body.get("flags") or 0) & _SENT_FLAGS
    message.nonce = body.get("nonce")
    message.attachments = draft.files
    _refer(message, body.get("message_reference"))
    fill(message, body, first=True)
    return message


def _refer(message: Message, reference: Json | None) -> None:
    if reference is None:
        return
    if reference.get("type"):
        raise not_done_yet("forwarded messages")
    target = message.channel.messages.get(int(reference["message_id"]))
    if target is None:
        if reference.get("fail_if_not_exists", True) is False:
            return
        raise invalid(("message_reference",), "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
    message.type = REPLY
    message.reply_to = target
    message.reference = {"type": 0, "channel_id": str(message.channel.id), "message_id": str(target.id)}
    if message.channel.guild is not None:
        message.reference["guild_id"] = str(message.channel.guild.id)


def fill(message: Message, body: Json, *, first: bool) -> None:
    """Puts the body's parts into the message; parts not named stay. Only the first time pings."""
    if "content" in body:
        message.content = str(body["content"] or "").strip()
    if "embeds" in body:
        message.embeds = content.embeds_as_stored(body["embeds"] or [])
    if "components" in body:
        message.components = content.rows_as_stored(body["components"] or [])
    if not first and "content" not in body and "allowed_mentions" not in body:
        return
    allowed = content.Allowed.read(body.get("allowed_mentions"))
    world = message.channel.world
    found = content.read_mentions(
        world, message.channel, message.author, message.content, allowed, reply_to=message.reply_to
    )
    message.mentions, message.mention_roles = found.users, found.roles
    message.mention_everyone = found.everyone
    if first:
        message.pinged = found.pinged


def store(world: World, message: Message) -> None:
    """Shows the message in its channel and tells it."""
    channel = message.channel
    if channel.locked and not channel.allows(message.author, Permission.MANAGE_THREADS):
        raise refusal(50083 if channel.archived else 160005)
    if channel.archived:
        channel.archived = False
        world.events.channel_changed("THREAD_UPDATE", channel)
    for attachment in message.attachments:
        world.files[attachment.id] = attachment
    channel.messages[message.id] = message
    world.events.message("MESSAGE_CREATE", message)


def send(world: World, draft: Draft) -> Message:
    message = compose(world, draft)
    store(world, message)
    return message


def begin_post(world: World, forum: Channel, name: str, draft: Draft) -> Message:
    """A forum's post: a thread whose first message has its id."""
    if forum.flags & REQUIRE_TAG:
        raise refusal(40067)
    active = sum(
        each.guild is forum.guild and each.is_thread and not each.archived for each in world.channels.values()
    )
    if active >= ACTIVE_THREADS:
        raise refusal(160006)
    message = compose(world, draft)
    thread = Channel(
        message.id, PUBLIC_THREAD, world, forum.guild, name, parent=forum, owner_id=draft.author.id
    )
    world.channels[thread.id] = message.channel = thread
    world.events.channel_changed("THREAD_CREATE", thread)
    store(world, message)
    return message


def need_open(channel: Channel) -> None:
    """Nothing that stands in an archived thread can be changed."""
    if channel.archived:
        raise refusal(50083)


def find(channel: Channel, message_id: int) -> Message:
    message = channel.messages.get(message_id)
    if message is None:
        raise refusal(10008)
    return message


def edit(world: World, message: Message, body: Json, files: list[Attachment]) -> None:
    """Changes the parts named in `body`; `attachments` lists the old ones that stay, perhaps with other alt texts."""
    need_open(message.channel)
    content.check_body(body)
    after = {
        "content": body.get("content", message.content),
        "embeds": body.get("embeds", message.embeds),
        "components": body.get("components", message.components),
    }
    kept = message.attachments
    if body.get("attachments") is not None:
        listed = {str(each.get("id")): each for each in body["attachments"]}
        kept = [each for each in kept if str(each.id) in listed]
        for attachment in kept:
            attachment.description = listed[str(attachment.id)].get("description", attachment.description)
    content.require_something(after, len(kept) + len(files))
    message.attachments = kept + files
    for attachment in files:
        world.files[attachment.id] = attachment
    fill(message, body, first=False)
    if message.flags & LOADING:
        message.flags &= ~LOADING  # the words that were waited for: nothing was edited
    else:
        message.edited_at = world.now()
    world.events.message("MESSAGE_UPDATE", message)


def delete(world: World, messages: list[Message], *, bulk: bool = False) -> None:
    """Takes messages away. Bulk: one event; messages over 14 days old are refused with 50034."""
    if not messages:
        return
    channel = messages[0].channel
    need_open(channel)
    oldest = world.now() - BULK_AGE
    if bulk and any(each.created_at < oldest for each in messages):
        raise refusal(50034)
    for message in messages:
        channel.messages.pop(message.id, None)
        channel.pins.pop(message.id, None)
        message.shown = False
    if not all(each.ephemeral for each in messages):
        world.events.messages_deleted(channel, [each.id for each in messages], bulk=bulk)
    world.touch()


# Reactions

_CUSTOM = re.compile(r"^\w{2,32}:\d+$")


def same_emoji(message: Message, emoji: str) -> str:
    """The spelling under which this emoji already stands on the message, else `emoji` itself."""
    bare = emoji.replace("\ufe0f", "")
    return next((each for each in message.reactions if each.replace("\ufe0f", "") == bare), emoji)


def check_emoji(emoji: str) -> None:
    """10014 for text that is no emoji; custom ones belong to guilds, which the double has none of."""
    if _CUSTOM.match(emoji):
        raise refusal(10014)
    # So marks: symbols, keycap digits end in U+20E3; letters and plain digits are no emoji.
    symbols = any(unicodedata.category(each) in ("So", "Sk", "Me") or each in "‼⁉↔〰" for each in emoji)
    if not symbols or any(each.isalpha() for each in emoji) or len(emoji) > 20:
        raise refusal(10014)


def react(world: World, message: Message, user: User, emoji: str) -> None:
    """Adds a reaction; once more by the same user changes nothing and tells nothing."""
    need_open(message.channel)
    emoji = same_emoji(message, emoji)
    if emoji not in message.reactions:
        check_emoji(emoji)
    need(message.channel, user, Permission.READ_MESSAGE_HISTORY)
    if emoji not in message.reactions:
        need(message.channel, user, Permission.ADD_REACTIONS)
        if len(message.reactions) >= REACTION_LIMIT:
            raise refusal(30010)
    users = message.reactions.setdefault(emoji, [])
    if user.id in users:
        return
    users.append(user.id)
    world.events.reaction("MESSAGE_REACTION_ADD", message, emoji, user)


def unreact(world: World, message: Message, user: User, emoji: str) -> None:
    emoji = same_emoji(message, emoji)
    if user.id not in message.reactions.get(emoji, []):
        return
    message.reactions[emoji].remove(user.id)
    if not message.reactions[emoji]:
        del message.reactions[emoji]
    world.events.reaction("MESSAGE_REACTION_REMOVE", message, emoji, user)


def clear_reactions(world: World, message: Message, emoji: str | None = None) -> None:
    """All reactions, or all with one emoji."""
    if emoji is None:
        message.reactions.clear()
        world.events.reaction("MESSAGE_REACTION_REMOVE_ALL", message, "")
        return
    emoji = same_emoji(message, emoji)
    if message.reactions.pop(emoji, None) is not None:
        world.events.reaction("MESSAGE_REACTION_REMOVE_EMOJI", message, emoji)


# Pins


def pin(world: World, message: Message, user: User) -> None:
    """Pins, and says so in the channel; MESSAGE_UPDATE comes without a change of words."""
    channel = message.channel
    need(channel, user, Permission.PIN_MESSAGES)
    if message.pinned:
        return
    if len(channel.pins) >= PIN_LIMIT:
        raise refusal(30003)
    channel.pins[message.id] = world.now()
    world.events.pins_changed(channel)
    world.events.message("MESSAGE_UPDATE", message)
    notice = Message(world.ids.next(), channel, user, type=PIN_NOTICE)
    notice.reference = {"type": 0, "channel_id": str(channel.id), "message_id": str(message.id)}
    store(world, notice)


def unpin(world: World, message: Message, user: User) -> None:
    need(message.channel, user, Permission.PIN_MESSAGES)
    if message.channel.pins.pop(message.id, None) is not None:
        world.events.pins_changed(message.channel)
        world.events.message("MESSAGE_UPDATE", message)


def preview_link(world: World, message: Message, url: str) -> None:
    """What the platform does a moment after a link was sent: MESSAGE_UPDATE with an embed, same words."""
    message.embeds = [*message.embeds, {"type": "link", "url": url, "title": "A page"}]
    world.events.message("MESSAGE_UPDATE", message)
