"""INTERACTION_CREATE put into core events: commands, menus, filled forms, buttons, what somebody types. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from bots.discord.attachments import attached, chosen
from bots.discord.convert import (
    PLATFORM,
    Malformed,
    Payload,
    Person,
    Room,
    actor,
    address,
    bookmark_scope,
    chat,
    event_key,
    lenient,
    message_at,
    moment,
    person,
    place,
    replied_to,
    snowflake,
    text_field,
    tree,
)
from bots.discord.handles import handle_of
from bots.discord.permissions import lacks
from bots.discord.permissions import rights as rights_of
from bots.discord.text import DIALECT, read
from core.commands import Kind, makes_post, spec_of
from core.events import Actor, Bookmark, ButtonPressed, CommandInvoked
from core.intents import AGREE
from core.suggestions import Asked
from core.types import AccountRef, MessageRef

COMMAND, _COMPONENT, _TYPING, _FORM = 2, 3, 4, 5
SLASH, MEMBER_MENU, MESSAGE_MENU = 1, 2, 3
_SUBCOMMAND, _GROUP, _ATTACHMENT = 1, 2, 11
_DM_CHANNELS = frozenset({1, 3})

#: Prefix of a custom id that stands for the deep link into the private chat, which Discord does not have.
PRIVATE_PREFIX = "/start "
#: In the custom id of a form: its command, and the message that it is about. All else are the command's arguments.
FORM, ON = "form", "on"


@lenient
def interaction(
    data: Payload, *, me: str, room: Room, menus: Mapping[str, str] | None = None
) -> CommandInvoked | ButtonPressed | None:
    """A slash command, a menu's entry, a filled form or a pressed button.

    ``room`` fills what the payload lacks; ``menus``: the commands behind the entries of menus, by their default names.
    """
    if data["type"] not in (COMMAND, _COMPONENT, _FORM):
        return None
    id_ = snowflake(data["id"])
    channel = snowflake(data["channel_id"])
    shared: dict[str, Any] = {
        "key": event_key(me, "interaction", id_),
        "at": moment(id_),
        # A channel where nobody writes but slash commands is read from here on all the same.
        "bookmark": Bookmark(scope=bookmark_scope(room.forum or channel), value=id_),
        "place": place(channel, _room_of(data, room)),
        "actor": presser(data),
        "handle": handle_of(data),
    }
    body = data["data"]
    match data["type"], body.get("type", SLASH):
        case (2, 2 | 3 as kind):
            return _from_menu(data, kind, (menus or {})[text_field(body, "name")], room, shared)
        case (2, _):
            return _typed(data, room, shared)
        case (5, _):
            return _filled(data, room, shared)
    return _pressed(data, room, shared)


def _typed(data: Payload, room: Room, shared: Mapping[str, Any]) -> CommandInvoked:
    body = data["data"]
    name, options = options_of(body)
    words = options.get(_text_of(name))
    return CommandInvoked(
        name=name,
        options=options,
        body=None if words is None else read(words, _resolved(body) | dict(room.names)),
        dialect=DIALECT,
        target=_post_around(data, room),
        files=chosen(body),
        **shared,
    )


def _from_menu(data: Payload, kind: int, name: str, room: Room, shared: Mapping[str, Any]) -> CommandInvoked:
    body = data["data"]
    id_ = snowflake(body["target_id"])
    if kind == MEMBER_MENU:
        return CommandInvoked(name=name, options={}, chosen=AccountRef(PLATFORM, id_), **shared)
    target = message_at(data["channel_id"], id_, room.forum)
    if not makes_post(name):
        return CommandInvoked(name=name, options={}, target=target, **shared)
    return _posted(name, body["resolved"]["messages"][id_], target, room, shared)


def _posted(
    name: str, message: Payload, ref: MessageRef, room: Room, shared: Mapping[str, Any]
) -> CommandInvoked:
    """Somebody else's words stay where they are: they come only when their author acts."""
    author = person(message["author"], message.get("member"))
    if message.get("webhook_id") is not None:
        author = replace(author, bot=True)
    by = actor(snowflake(message["author"]["id"]), author)
    if by.account != shared["actor"].account:
        return CommandInvoked(name=name, options={}, message=ref, words_of=by, **shared)
    words = text_field(message, "content")
    return CommandInvoked(
        name=name,
        options={_text_of(name): words},
        body=tree(words, message, room),
        source=words,
        dialect=DIALECT,
        message=ref,
        target=replied_to(message, room.forum),
        files=attached(message),
        words_of=by,
        **shared,
    )


def agreed(event: CommandInvoked | ButtonPressed) -> MessageRef | None:
    """The message that its author, who pressed, agrees to post."""
    if not isinstance(event, ButtonPressed):
        return None
    verb, _, value = event.data.partition(":")
    author, _, key = value.partition(":")
    ref = MessageRef(event.place.chat, key)
    own = verb == AGREE and author == event.actor.account.key
    return ref if own and all(part.isdigit() for part in address(ref)) else None


@lenient
def as_post(event: ButtonPressed, ref: MessageRef, message: Payload, room: Room) -> CommandInvoked | None:
    """The press that agreed, with the words of the message, or nothing where there are none to be read."""
    if not message.get("content") and not message.get("attachments"):
        return None
    shared = {name: getattr(event, name) for name in ("key", "at", "bookmark", "place", "actor", "handle")}
    return _posted("post", message, ref, room, shared | {"question": event.message})


def unreadable(event: CommandInvoked) -> ButtonPressed:
    """In the place of words that changed while they were on their way."""
    return ButtonPressed(
        key=event.key,
        at=event.at,
        bookmark=event.bookmark,
        place=event.place,
        actor=event.actor,
        handle=event.handle,
        data=AGREE,
    )


def _filled(data: Payload, room: Room, shared: Mapping[str, Any]) -> CommandInvoked:
    body = data["data"]
    options = dict(parse_qsl(text_field(body, "custom_id")))
    name, on = options.pop(FORM), options.pop(ON, "")
    for row in body["components"]:
        for part in row.get("components") or [row["component"]]:
            if value := text_field(part, "value"):
                options[text_field(part, "custom_id")] = value
    words = options.get(_text_of(name))
    return CommandInvoked(
        name=name,
        options=options,
        body=None if words is None else read(words, room.names),
        dialect=DIALECT,
        target=message_at(data["channel_id"], on, room.forum) if on else _post_around(data, room),
        **shared,
    )


def _post_around(data: Payload, room: Room) -> MessageRef | None:
    """In a post of a forum a command is about that post."""
    return message_at(data["channel_id"], data["channel_id"], room.forum) if room.forum else None


def _pressed(data: Payload, room: Room, shared: Mapping[str, Any]) -> CommandInvoked | ButtonPressed:
    custom = text_field(data["data"], "custom_id")
    if custom.startswith(PRIVATE_PREFIX):
        return CommandInvoked(name="start", text=custom.removeprefix(PRIVATE_PREFIX), **shared)
    message = message_at(data["channel_id"], data["message"]["id"], room.forum)
    return ButtonPressed(data=custom, message=message, **shared)


@lenient
def typing(data: Payload, *, forum: str = "") -> Asked | None:
    """What somebody is typing into an option that has suggestions, perhaps in a post of that forum."""
    if data["type"] != _TYPING:
        return None
    name, options = _path(data["data"])
    option = next((option for option in options if option.get("focused")), None)
    if option is None or not handle_of(data):
        raise Malformed("focused")
    return Asked(
        actor=presser(data),
        chat=chat(forum or snowflake(data["channel_id"])),
        command=name,
        arg=text_field(option, "name"),
        typed=str(option.get("value", "")),
    )


def options_of(body: Payload) -> tuple[str, dict[str, str]]:
    """The name of a slash command with its verb, and its options that are words or numbers."""
    name, options = _path(body)
    words = (option for option in options if option.get("type") != _ATTACHMENT)
    return name, {text_field(option, "name"): _value(option["value"]) for option in words}


def _path(body: Payload) -> tuple[str, list[Payload]]:
    name = text_field(body, "name")
    options = body.get("options") or []
    while options and options[0].get("type") in (_SUBCOMMAND, _GROUP):
        name = f"{name} {text_field(options[0], 'name')}"
        options = options[0].get("options") or []
    if not name:
        raise Malformed("name")
    return name, options


def _text_of(command: str) -> str:
    """The argument in which people write, with Discord's Markdown; empty where a command has none or is unknown."""
    spec = spec_of(command)
    args = spec.args if spec else ()
    return next((arg.name for arg in args if arg.kind is Kind.TEXT), "")


def _room_of(data: Payload, known: Room) -> Room:
    channel = data.get("channel")
    if not isinstance(channel, Mapping):
        channel = {}
    guild = data.get("guild_id")
    private = guild is None
    user = data.get("user")
    title = (not known.forum and text_field(channel, "name")) or known.title
    if private and not title and isinstance(user, Mapping):
        title = person(user).name
    return Room(
        title=title,
        private=private and channel.get("type", 1) in _DM_CHANNELS,
        closed=known.closed or bool(channel.get("nsfw")),
        guild="" if private else snowflake(guild),
        lacks=() if private else (*_lacks(data), *known.lacks),
        forum=known.forum,
    )


def _lacks(data: Payload) -> tuple[str, ...]:
    bits = text_field(data, "app_permissions")
    return lacks(int(bits)) if bits else ()


def presser(data: Payload) -> Actor:
    """Who acts, with the rights that Discord says they have there."""
    member = data.get("member")
    locale = text_field(data, "locale")
    if isinstance(member, Mapping):
        user = member["user"]
        bits = int(text_field(member, "permissions") or "0")
        return actor(snowflake(user["id"]), person(user, member), rights=rights_of(bits), locale=locale)
    user = data["user"]
    return actor(snowflake(user["id"]), person(user), locale=locale)


def _resolved(body: Payload) -> dict[str, str]:
    """Names of the accounts that an option mentions."""
    users = (body.get("resolved") or {}).get("users") or {}
    found: dict[str, Person] = {snowflake(id_): person(user) for id_, user in users.items()}
    return {id_: who.name for id_, who in found.items()}


def _value(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Malformed("value")
    return str(value)
