"""Messages, reactions, pins."""

from __future__ import annotations

from tests.doubles.discord import acts, payloads
from tests.doubles.discord.errors import Json, refusal
from tests.doubles.discord.model import ANNOUNCEMENT, CROSSPOSTED, Message
from tests.doubles.discord.permissions import Permission
from tests.doubles.discord.rest.pipeline import NO_CONTENT, Call, Reply, Route

MESSAGES = "/channels/{channel_id}/messages"
MESSAGE = MESSAGES + "/{message_id}"
REACTIONS = MESSAGE + "/reactions"
PINS = MESSAGES + "/pins"


class Messages:
    """Keeps the nonces: (author, nonce) -> when and what."""

    def __init__(self) -> None:
        self._nonces: dict[tuple[int, str], tuple[float, Message]] = {}
        #: how many sends were answered with an older message
        self.deduplicated = 0

    def create(self, call: Call) -> Reply:
        channel, body = call.channel(), call.body or {}
        acts.need_to_send(channel, call.bot, body, call.files)
        known = self._known(call, body)
        if known is not None:
            self.deduplicated += 1
            return Reply(200, call.shown(known), stored=False)
        message = acts.send(call.world, acts.Draft(channel, call.bot, body, call.files))
        if body.get("nonce") is not None:
            key = (call.bot.id, str(body["nonce"]))
            self._nonces[key] = (call.world.now().timestamp(), message)
        return Reply(200, call.shown(message))

    def _known(self, call: Call, body: Json) -> Message | None:
        """What the same author sent under the same nonce in the last minutes, wherever it was."""
        if not body.get("enforce_nonce") or body.get("nonce") is None:
            return None
        at, message = self._nonces.get((call.bot.id, str(body["nonce"])), (float("-inf"), None))
        fresh = call.world.now().timestamp() - at < call.limits.nonce_seconds
        return message if fresh else None


def history(call: Call) -> Reply:
    """Newest first; `after` takes the oldest ones after it. Without the right to read: an empty list."""
    channel = call.channel()
    limit = call.limit(50, 100)
    if not channel.allows(call.bot, Permission.READ_MESSAGE_HISTORY):
        return Reply(200, [])
    ids = sorted(channel.messages)
    chosen = _chosen(ids, call.query, limit)
    return Reply(200, [call.read_back(channel.messages[each]) for each in sorted(chosen, reverse=True)])


def _chosen(ids: list[int], query: dict[str, str], limit: int) -> list[int]:
    if "after" in query:
        return [each for each in ids if each > int(query["after"])][:limit]
    if "before" in query:
        return [each for each in ids if each < int(query["before"])][-limit:]
    if "around" in query:
        middle, half = int(query["around"]), limit // 2
        before = [each for each in ids if each < middle][-half:] if half else []
        return (before + [each for each in ids if each >= middle])[:limit]
    return ids[-limit:]


def get(call: Call) -> Reply:
    channel = call.channel()
    if not channel.allows(call.bot, Permission.READ_MESSAGE_HISTORY):
        raise refusal(50001)
    return Reply(200, call.read_back(call.message(channel)))


def edit(call: Call) -> Reply:
    """Own messages only: a webhook's are the webhook's, even of one's own webhook."""
    message = call.message(call.channel())
    if message.author is not call.bot:
        raise refusal(50005)
    acts.edit(call.world, message, call.body or {}, call.files)
    return Reply(200, call.shown(message))


def delete(call: Call) -> Reply:
    channel = call.channel()
    message = call.message(channel)
    if message.author is not call.bot:
        if channel.guild is None:
            raise refusal(50003)
        acts.need(channel, call.bot, Permission.MANAGE_MESSAGES)
    acts.delete(call.world, [message])
    return NO_CONTENT


def bulk_delete(call: Call) -> Reply:
    channel = call.channel()
    acts.need(channel, call.bot, Permission.MANAGE_MESSAGES)
    wanted = call.body.get("messages") or []
    if not 2 <= len(wanted) <= 100:
        raise refusal(50016)
    found = [channel.messages[int(each)] for each in wanted if int(each) in channel.messages]
    acts.delete(call.world, found, bulk=True)
    return NO_CONTENT


def crosspost(call: Call) -> Reply:
    """Publishes an announcement to the channels that follow."""
    channel = call.channel()
    message = call.message(channel)
    if channel.type != ANNOUNCEMENT:
        raise refusal(50024)
    acts.need(channel, call.bot, Permission.SEND_MESSAGES)
    if message.author is not call.bot:
        acts.need(channel, call.bot, Permission.MANAGE_MESSAGES)
    message.flags |= CROSSPOSTED
    call.world.events.message("MESSAGE_UPDATE", message)
    return Reply(200, call.shown(message))


def typing(call: Call) -> Reply:
    acts.need(call.channel(), call.bot, Permission.SEND_MESSAGES)
    return Reply(204, stored=False)


# Reactions


def react(call: Call) -> Reply:
    acts.react(call.world, call.message(call.channel()), call.bot, call.params["emoji_name"])
    return NO_CONTENT


def unreact(call: Call) -> Reply:
    acts.unreact(call.world, call.message(call.channel()), call.bot, call.params["emoji_name"])
    return NO_CONTENT


def unreact_other(call: Call) -> Reply:
    channel = call.channel()
    message = call.message(channel)
    user = call.world.users.get(call.number("user_id"))
    if user is None:
        raise refusal(10013)
    if user is not call.bot:
        acts.need(channel, call.bot, Permission.MANAGE_MESSAGES)
    acts.unreact(call.world, message, user, call.params["emoji_name"])
    return NO_CONTENT


def reactors(call: Call) -> Reply:
    """Users by growing id, after `after`."""
    message = call.message(call.channel())
    if call.query.get("type", "0") != "0":
        return Reply(200, [])
    emoji = acts.same_emoji(message, call.params["emoji_name"])
    if emoji not in message.reactions:
        acts.check_emoji(emoji)
    after, limit = int(call.query.get("after", 0)), call.limit(25, 100)
    ids = sorted(each for each in message.reactions.get(emoji, []) if each > after)
    return Reply(200, [payloads.user(each) for each in call.world.members_among(ids[:limit])])


def clear(call: Call) -> Reply:
    channel = call.channel()
    acts.need(channel, call.bot, Permission.MANAGE_MESSAGES)
    acts.clear_reactions(call.world, call.message(channel), call.params.get("emoji_name"))
    return NO_CONTENT


# Pins


def pins(call: Call) -> Reply:
    """Newest pin first, a page at a time."""
    channel = call.channel()
    if not channel.allows(call.bot, Permission.READ_MESSAGE_HISTORY):
        return Reply(200, {"items": [], "has_more": False})
    before, limit = call.query.get("before"), call.limit(50, 50)
    rows = sorted(channel.pins.items(), key=lambda row: row[1], reverse=True)
    rows = [row for row in rows if before is None or payloads.stamp(row[1]) < before]
    items = [
        {"pinned_at": payloads.stamp(at), "message": call.read_back(channel.messages[each])}
        for each, at in rows[:limit]
    ]
    return Reply(200, {"items": items, "has_more": len(rows) > limit})


def pin(call: Call) -> Reply:
    acts.pin(call.world, call.message(call.channel()), call.bot)
    return NO_CONTENT


def unpin(call: Call) -> Reply:
    acts.unpin(call.world, call.message(call.channel()), call.bot)
    return NO_CONTENT


def routes(messages: Messages) -> tuple[Route, ...]:
    by = "channel_id"
    return (
        Route("POST", MESSAGES, messages.create, "messages", by),
        Route("GET", MESSAGES, history, "others", by),
        Route("GET", MESSAGE, get, "others", by),
        Route("PATCH", MESSAGE, edit, "edits", by),
        Route("DELETE", MESSAGE, delete, "deletes", by),
        Route("POST", MESSAGES + "/bulk-delete", bulk_delete, "others", by),
        Route("POST", MESSAGE + "/crosspost", crosspost, "others", by),
        Route("POST", "/channels/{channel_id}/typing", typing, "others", by),
        Route("PUT", REACTIONS + "/{emoji_name}/@me", react, "reactions", by),
        Route("DELETE", REACTIONS + "/{emoji_name}/@me", unreact, "reactions", by),
        Route("DELETE", REACTIONS + "/{emoji_name}/{user_id}", unreact_other, "reactions", by),
        Route("GET", REACTIONS + "/{emoji_name}", reactors, "others", by),
        Route("DELETE", REACTIONS + "/{emoji_name}", clear, "reactions", by),
        Route("DELETE", REACTIONS, clear, "reactions", by),
        Route("GET", PINS, pins, "others", by),
        Route("PUT", PINS + "/{message_id}", pin, "others", by),
        Route("DELETE", PINS + "/{message_id}", unpin, "others", by),
    )
