"""Discord's payloads put into core events. Pure: no I/O, clock or cache; malformed payloads give nothing.

A channel, a thread and a direct-message channel are each a chat: ``ChatRef.key`` is the channel's id and
``MessageRef.key`` the message's id. A forum is one chat with all its posts: what stands in it is named by the post,
which is a thread, and the message (``<thread>/<message>``); the message that it begins with has the id of its thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from bots.discord.attachments import attached
from bots.discord.text import DIALECT, read
from core.body import Body
from core.commands import COMMANDS
from core.events import (
    Actor,
    Bookmark,
    CommandEdited,
    CommandInvoked,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Place,
    Rights,
)
from core.types import AccountRef, ChatRef, Language, MessageRef, Platform

PLATFORM = Platform("discord")

Payload = Mapping[str, Any]

#: Ordinary messages and replies; all others (joins, pins, boosts, threads opened) are notices of Discord.
_PLAIN, _REPLY = 0, 19
TALK = frozenset({_PLAIN, _REPLY})
_DIGITS = 20
_EPOCH = datetime(2015, 1, 1, tzinfo=UTC)

_WORD = re.compile(r"(?P<mark>[/!]?)(?P<name>[A-Za-z][A-Za-z0-9_-]{0,31})(?=\s|$)\s*")
_KNOWN = frozenset({"start"}).union(*({spec.name, *spec.aliases} for spec in COMMANDS))

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What is known of a channel besides its id.

    ``guild`` is empty in a private chat; ``lacks``: see ``core.events.Place``. ``forum``: the id of the forum that the
    channel is a post of. ``names``: what roles (``&<id>``) and channels (``#<id>``) are called that a message mentions.
    """

    title: str = ""
    private: bool = False
    closed: bool = False
    guild: str = ""
    lacks: tuple[str, ...] = ()
    forum: str = ""
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """How somebody is called now, for payloads that carry only an id."""

    name: str = ""
    username: str = ""
    bot: bool = False


class Malformed(ValueError):
    """A payload is not what Discord documents."""


def lenient(convert: Callable[_P, _R]) -> Callable[_P, _R | None]:
    """A payload that is not what Discord documents gives nothing: one broken event must not end others."""

    @wraps(convert)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R | None:
        try:
            return convert(*args, **kwargs)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
            return None

    return wrapped


# Fields


def text_field(data: Payload, key: str) -> str:
    """A field that is words or missing. Raises ``Malformed``."""
    value = data.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(key)
    return value


def snowflake(value: object) -> str:
    """An id as Discord writes it; raises ``ValueError`` on anything else."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise Malformed("snowflake")
    return text


def moment(id_: str) -> datetime:
    """The time that Discord wrote into a snowflake."""
    return _EPOCH + timedelta(milliseconds=int(id_) >> 22)


def snowflake_at(when: datetime) -> str:
    """The smallest snowflake of a time, to page through history from there."""
    return str(max(0, (when - _EPOCH) // timedelta(milliseconds=1)) << 22)


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise Malformed("timestamp")
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise Malformed("timestamp")
    return at.astimezone(UTC)


def chat(channel: str) -> ChatRef:
    """A channel, thread or private chat."""
    return ChatRef(PLATFORM, channel)


def message_at(channel: object, id_: object, forum: str = "") -> MessageRef:
    """A message of a channel, which is a post of that forum, if of any. Raises ``ValueError``."""
    where, key = snowflake(channel), snowflake(id_)
    return MessageRef(chat(forum), f"{where}/{key}") if forum else MessageRef(chat(where), key)


def address(message: MessageRef) -> tuple[str, str]:
    """The channel and the message as Discord's own addresses name them."""
    thread, _, key = message.key.rpartition("/")
    return thread or message.chat.key, key


def begins_post(message: MessageRef) -> bool:
    """Whether a post of a forum begins with it."""
    thread, _, key = message.key.rpartition("/")
    return thread == key


def message_ref(data: Payload, forum: str = "") -> MessageRef:
    """Of a message's payload."""
    return message_at(data["channel_id"], data["id"], forum)


def place(channel: str, room: Room) -> Place:
    """The room as the core describes places."""
    return Place(
        chat=chat(room.forum or channel),
        title=room.title,
        private=room.private,
        closed=room.closed,
        group=room.guild,
        lacks=room.lacks,
        threaded=bool(room.forum),
    )


def person(user: Payload, member: object = None) -> Person:
    """Names in the order in which people see them: of the guild, of the profile, the unique one."""
    nick = text_field(member, "nick") if isinstance(member, Mapping) else ""
    username = text_field(user, "username")
    return Person(
        name=nick or text_field(user, "global_name") or username,
        username=username,
        bot=bool(user.get("bot") or user.get("system")),
    )


def actor(id_: str, who: Person, *, rights: Rights | None = None, locale: str = "") -> Actor:
    """``locale`` as Discord writes it (``en-US``)."""
    return Actor(
        account=AccountRef(PLATFORM, id_),
        name=who.name,
        username=who.username,
        locale=Language(locale.split("-", maxsplit=1)[0].lower()) if locale else None,
        rights=rights or Rights(),
        bot=who.bot,
    )


def event_key(me: str, kind: str, unique: str) -> str:
    """Identifies an event of the bot ``me`` for ever."""
    return f"{PLATFORM}:{me}:{kind}:{unique}"


def bookmark_scope(channel: str) -> str:
    """Each channel is read back on its own."""
    return f"{PLATFORM}:{channel}"


# Messages


@dataclass(frozen=True, slots=True)
class _Command:
    name: str
    rest: str


@lenient
def message_created(
    data: Payload, *, me: str, room: Room, rights: Rights | None = None
) -> MessageReceived | CommandInvoked | None:
    """MESSAGE_CREATE, or a message of history. Bots, webhooks and Discord's notices give nothing."""
    if not _is_talk(data):
        return None
    message = message_ref(data, room.forum)
    id_, text = snowflake(data["id"]), text_field(data, "content")
    command = _command(text, me, room)
    shared: dict[str, Any] = {
        "key": event_key(me, "message", id_),
        "at": moment(id_),
        "bookmark": Bookmark(scope=bookmark_scope(message.chat.key), value=id_),
        "place": place(message.chat.key, room),
        "actor": _author(data, rights),
        "message": message,
        "dialect": DIALECT,
        "files": attached(data),
    }
    target = replied_to(data, room.forum)
    if command is None:
        return MessageReceived(
            body=tree(text, data, room),
            source=text,
            reply_to=target,
            to_bot=room.private or _speaks_to(data, me),
            **shared,
        )
    return CommandInvoked(
        name=command.name,
        text=command.rest,
        body=tree(command.rest, data, room),
        source=command.rest,
        target=target or _post_around(message),
        **shared,
    )


@lenient
def message_edited(
    data: Payload, *, me: str, room: Room, rights: Rights | None = None
) -> MessageEdited | CommandEdited | None:
    """MESSAGE_UPDATE with new words.

    Its key holds the time of the edit: pins and link previews, for which Discord sends the same event without
    a new time, are never a second edit.
    """
    if not data.get("edited_timestamp") or not _is_talk(data):
        return None
    message = message_ref(data, room.forum)
    text = text_field(data, "content")
    at = _time(data["edited_timestamp"])
    command = _command(text, me, room)
    shared: dict[str, Any] = {
        "key": event_key(me, "edit", f"{snowflake(data['id'])}:{at.timestamp() * 1000:.0f}"),
        "at": at,
        "place": place(message.chat.key, room),
        "actor": _author(data, rights),
        "message": message,
        "dialect": DIALECT,
        "kept": tuple(file.key for file in attached(data)) if "attachments" in data else None,
    }
    if command is None:
        return MessageEdited(body=tree(text, data, room), source=text, **shared)
    rest = command.rest
    return CommandEdited(
        name=command.name,
        text=rest,
        body=tree(rest, data, room),
        source=rest,
        files=attached(data),
        **shared,
    )


def _is_talk(data: Payload) -> bool:
    """What a person said. Without the message-content intent it is empty: there is nothing to hand over."""
    author = data["author"]
    if data.get("webhook_id") is not None or author.get("bot") or author.get("system"):
        return False
    return data.get("type", 0) in TALK and bool(text_field(data, "content") or data.get("attachments"))


def _author(data: Payload, rights: Rights | None) -> Actor:
    user = data["author"]
    return actor(snowflake(user["id"]), person(user, data.get("member")), rights=rights)


def replied_to(data: Payload, forum: str) -> MessageRef | None:
    """What a message answers; ``forum``: that in whose posts it stands."""
    reference = data.get("message_reference")
    if (
        data.get("type", 0) != _REPLY
        or not isinstance(reference, Mapping)
        or reference.get("message_id") is None
    ):
        return None
    channel = reference.get("channel_id")
    return message_at(data["channel_id"] if channel is None else channel, reference["message_id"], forum)


def _post_around(message: MessageRef) -> MessageRef | None:
    """What a command in a post of a forum is about, when it answers nothing else there."""
    thread, _ = address(message)
    if thread == message.chat.key or begins_post(message):
        return None
    return MessageRef(message.chat, f"{thread}/{thread}")


def _speaks_to(data: Payload, me: str) -> bool:
    mentions = data.get("mentions") or []
    replied = data.get("referenced_message")
    author = replied.get("author") if isinstance(replied, Mapping) else None
    return any(str(user["id"]) == me for user in mentions) or (
        isinstance(author, Mapping) and str(author.get("id")) == me
    )


def _command(text: str, me: str, room: Room) -> _Command | None:
    """A command is addressed to us: after a mention of the bot, or in its private chat.

    A marked word (``/post``) always is one; a bare word is one when it is known or stands alone (a slip of
    the pen, for which the core has a suggestion), so that talk to the bot stays talk.
    """
    stripped = text.lstrip()
    for mention in (f"<@{me}>", f"<@!{me}>"):
        if stripped.startswith(mention):
            stripped = stripped.removeprefix(mention).lstrip()
            break
    else:
        if not room.private:
            return None
    match = _WORD.match(stripped)
    if match is None:
        return None
    name, rest = match["name"].lower(), stripped[match.end() :].rstrip()
    if match["mark"] or name in _KNOWN or not rest:
        return _Command(name, rest)
    return None


def tree(text: str, data: Payload, room: Room) -> Body:
    """The words of a message, with the names of whom and what they mention."""
    mentions = data.get("mentions") or []
    people = {snowflake(user["id"]): person(user, user.get("member")).name for user in mentions}
    return read(text, people | dict(room.names))


def deletions(data: Payload, *, me: str, forum: str = "") -> tuple[MessageDeleted, ...]:
    """MESSAGE_DELETE and MESSAGE_DELETE_BULK. Discord does not say who did it, nor when."""
    return _deletions(data, me, forum) or ()


@lenient
def _deletions(data: Payload, me: str, forum: str) -> tuple[MessageDeleted, ...]:
    ids = data["ids"] if "ids" in data else [data["id"]]
    if not isinstance(ids, list):
        raise Malformed("ids")
    return tuple(deleted(message_at(data["channel_id"], id_, forum), me) for id_ in ids)


@lenient
def post_deleted(data: Payload, *, me: str) -> MessageDeleted:
    """THREAD_DELETE of a forum's post, which takes the message with it that the post began with."""
    return deleted(message_at(data["id"], data["id"], snowflake(data["parent_id"])), me)


def deleted(message: MessageRef, me: str) -> MessageDeleted:
    """A message that is no longer there, seen live or found at reconciliation."""
    return MessageDeleted(key=event_key(me, "delete", message.key), message=message)
