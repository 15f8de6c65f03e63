"""The table of methods that our double answers; the modules beside it fill it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from .args import Args
from .errors import bad_request, forbidden, migrated
from .model import Chat, Message
from .world import World

Handler = Callable[[World, Args], Any | Awaitable[Any]]


@dataclass(frozen=True)
class Method:
    """`stores`: changes what people see. `sends` and `edits` are what the limits count."""

    name: str
    handler: Handler
    stores: bool = False
    sends: bool = False
    edits: bool = False


METHODS: dict[str, Method] = {}


def method(
    name: str, *, stores: bool = False, sends: bool = False, edits: bool = False
) -> Callable[[Handler], Handler]:
    """Registers a handler under a Bot API method name."""

    def register(handler: Handler) -> Handler:
        METHODS[name.lower()] = Method(name, handler, stores, sends, edits)
        return handler

    return register


def chat_of(world: World, args: Args, name: str = "chat_id") -> Chat:
    """The chat a call names, readable by the bot; 400 "chat not found" and the 403s where it is not."""
    given = args.text(name)
    if not given:
        raise bad_request(f"{name} is empty")
    chat = named_chat(world, given)
    if chat is None:
        raise bad_request("chat not found")
    me = chat.member(world.bot)
    if chat.type in ("supergroup", "channel") and not me.present and not chat.username:
        raise forbidden(_gone(chat, me.status))
    return chat


def reachable(world: World, chat: Chat) -> Chat:
    """The same chat where the bot still is; raises the migration and the 403s where it is not."""
    me = chat.member(world.bot)
    if chat.migrated_to:
        raise migrated(chat.migrated_to.id)
    if chat.type != "private" and not me.present:
        raise forbidden(_gone(chat, me.status))
    return chat


def writable(world: World, chat: Chat) -> Chat:
    """The same chat where the bot may send; raises what the server answers where it may not."""
    me = reachable(world, chat).member(world.bot)
    if chat.blocked:
        raise forbidden("bot was blocked by the user")
    if chat.type == "private" and not chat.started:
        raise forbidden("bot can't initiate conversation with a user")
    if chat.type == "channel" and not me.can("can_post_messages"):
        raise bad_request("need administrator rights in the channel chat")
    if me.status == "restricted" or (chat.silent and not me.admin and chat.type != "private"):
        raise bad_request("not enough rights to send text messages to the chat")
    return chat


def message_of(world: World, args: Args, wanted: str) -> Message:
    """The message a call names; `wanted` opens the sentence of the refusal ("message to edit not found")."""
    chat = reachable(world, chat_of(world, args))
    found = chat.messages.get(args.integer("message_id"))
    if found is None:
        raise bad_request(f"{wanted} not found")
    return found


def named_chat(world: World, name: str) -> Chat | None:
    """The chat with this id or public @username, None if there is none."""
    if not name.startswith("@"):
        return world.chats.get(int(name)) if name.lstrip("-").isdecimal() else None
    public = (chat for chat in world.chats.values() if chat.username and chat.type != "private")
    return next((chat for chat in public if chat.username.lower() == name[1:].lower()), None)


def _gone(chat: Chat, status: str) -> str:
    what = "bot was kicked from" if status == "kicked" else "bot is not a member of"
    return f"{what} the {chat.type} chat"
