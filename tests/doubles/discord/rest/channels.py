"""Channels, threads, direct channels."""

from __future__ import annotations

from typing import Any

from tests.doubles.discord import acts, payloads
from tests.doubles.discord.errors import FormErrors, Json, refusal
from tests.doubles.discord.model import ANNOUNCEMENT, PRIVATE_THREAD, TEXT, Channel
from tests.doubles.discord.permissions import Permission
from tests.doubles.discord.rest.pipeline import NO_CONTENT, Call, Reply, Route

CHANNEL = "/channels/{channel_id}"


def get(call: Call) -> Reply:
    return Reply(200, payloads.channel(call.channel()))


def change(call: Call) -> Reply:
    """Name and topic; for a thread also archived and locked."""
    channel, body = call.channel(), call.body or {}
    if channel.is_thread:
        _may_change(call, channel, body)
    else:
        acts.need(channel, call.bot, Permission.MANAGE_CHANNELS)
    errors = FormErrors()
    errors.longest(("name",), body.get("name"), 100, least=1)
    errors.longest(("topic",), body.get("topic"), 1024)
    errors.settle()
    channel.update(
        name=body.get("name"),
        topic=body.get("topic"),
        archived=body.get("archived"),
        locked=body.get("locked"),
    )
    return Reply(200, payloads.channel(channel))


def _may_change(call: Call, thread: Channel, body: Json) -> None:
    """Who may write opens an archived thread that is not locked; its owner renames and archives it."""
    wakes = body.get("archived") is False
    if thread.allows(call.bot, Permission.VIEW_CHANNEL | Permission.MANAGE_THREADS):
        return
    if thread.archived and not wakes:
        raise refusal(50083)
    if wakes and set(body) == {"archived"} and not thread.locked:
        acts.need(thread, call.bot, Permission.SEND_MESSAGES_IN_THREADS)
    elif thread.owner_id != call.bot.id or thread.locked or "locked" in body:
        raise refusal(50013)


def delete(call: Call) -> Reply:
    channel = call.channel()
    shown = payloads.channel(channel)
    if channel.guild is None:
        return Reply(200, shown)
    needed = Permission.MANAGE_THREADS if channel.is_thread else Permission.MANAGE_CHANNELS
    acts.need(channel, call.bot, needed)
    channel.remove()
    return Reply(200, shown)


def open_direct(call: Call) -> Reply:
    """The direct channel with a person; writing there may still be refused (50007)."""
    recipient = (call.body or {}).get("recipient_id")
    user = call.world.users.get(int(recipient)) if recipient is not None else None
    if user is None or user.bot:
        raise refusal(50033)
    return Reply(200, payloads.channel(call.world.direct_channel(user, call.bot)))


def _thread_name(body: Json) -> str:
    errors = FormErrors()
    if body.get("name") is None:
        errors.required(("name",))
    errors.longest(("name",), body.get("name"), 100, least=1)
    errors.settle()
    return str(body["name"])


def thread_on_message(call: Call) -> Reply:
    channel = call.channel()
    message = call.message(channel)
    if channel.type not in (TEXT, ANNOUNCEMENT):
        raise refusal(50024)
    acts.need(channel, call.bot, Permission.CREATE_PUBLIC_THREADS)
    thread = channel.thread(_thread_name(call.body), call.bot, message=message)
    call.world.events.message("MESSAGE_UPDATE", message)
    return Reply(201, payloads.channel(thread))


def thread(call: Call) -> Reply:
    channel, body = call.channel(), call.body or {}
    if channel.is_forum:
        return _post(call, channel)
    if channel.type not in (TEXT, ANNOUNCEMENT):
        raise refusal(50024)
    kind = int(body.get("type") or PRIVATE_THREAD)
    private = kind == PRIVATE_THREAD
    needed = Permission.CREATE_PRIVATE_THREADS if private else Permission.CREATE_PUBLIC_THREADS
    acts.need(channel, call.bot, needed)
    opened = channel.thread(_thread_name(body), call.bot, kind=kind)
    return Reply(201, payloads.channel(opened))


def _post(call: Call, forum: Channel) -> Reply:
    """Needs no right to open threads: posting in a forum is writing."""
    name, body = _thread_name(call.body or {}), (call.body or {}).get("message") or {}
    acts.need(forum, call.bot, Permission.SEND_MESSAGES)
    acts.need_for_parts(forum, call.bot, body, call.files)
    message = acts.begin_post(call.world, forum, name, acts.Draft(forum, call.bot, body, call.files))
    shown = payloads.channel(message.channel) | {"message": payloads.message(message, call.bot)}
    return Reply(201, shown)


def archived_threads(call: Call) -> Reply:
    channel = call.channel()
    acts.need(channel, call.bot, Permission.READ_MESSAGE_HISTORY)
    found = [each for each in channel.posts if each.archived and each.type != PRIVATE_THREAD]
    shown = [payloads.channel(each) for each in reversed(found)][: call.limit(50, 100)]
    return Reply(200, {"threads": shown, "members": [], "has_more": len(found) > len(shown)})


def active_threads(call: Call) -> Reply:
    guild = call.guild()
    threads: list[Channel] = [
        each
        for each in call.world.channels.values()
        if each.guild is guild and each.is_thread and not each.archived
        if each.allows(call.bot, Permission.VIEW_CHANNEL)
    ]
    shown = [payloads.channel(each) for each in threads]
    return Reply(200, {"threads": shown, "members": [], "has_more": False})


def join_thread(call: Call) -> Reply:
    call.channel()
    return NO_CONTENT


def set_overwrite(call: Call) -> Reply:
    channel = call.channel()
    acts.need(channel, call.bot, Permission.MANAGE_ROLES)
    body: dict[str, Any] = call.body or {}
    target = call.number("overwrite_id")
    channel.overwrites[target] = (int(body.get("allow") or 0), int(body.get("deny") or 0))
    call.world.events.channel_changed("CHANNEL_UPDATE", channel)
    return NO_CONTENT


ROUTES = (
    Route("GET", CHANNEL, get, per="channel_id"),
    Route("PATCH", CHANNEL, change, per="channel_id"),
    Route("DELETE", CHANNEL, delete, per="channel_id"),
    Route("POST", "/users/@me/channels", open_direct),
    Route("POST", CHANNEL + "/messages/{message_id}/threads", thread_on_message, per="channel_id"),
    Route("POST", CHANNEL + "/threads", thread, per="channel_id"),
    Route("GET", CHANNEL + "/threads/archived/public", archived_threads, per="channel_id"),
    Route("PUT", CHANNEL + "/thread-members/@me", join_thread, per="channel_id"),
    Route("PUT", CHANNEL + "/permissions/{overwrite_id}", set_overwrite, per="channel_id"),
    Route("GET", "/guilds/{guild_id}/threads/active", active_threads, per="guild_id"),
)
