"""Everything that our Bot API double remembers, and which of it the bot is told."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .limits import Limits
from .media import Cabinet
from .model import (
    SERVICE_USER,
    CallbackQuery,
    Chat,
    ChatType,
    Json,
    Member,
    Message,
    Status,
    User,
    rights_of,
)
from .spec import SpecValidator
from .updates import UpdateQueue


@dataclass
class Changes:
    """Wakes whoever waits for something to happen in the world."""

    _waiting: set[asyncio.Future[None]] = field(default_factory=set)

    def tell(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def next(self) -> None:
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)


class World:
    """Users, chats, messages, presses and the bot's queue. `clock` gives Unix seconds."""

    def __init__(
        self,
        bot: User,
        clock: Callable[[], float],
        limits: Limits,
        spec: SpecValidator | None,
    ) -> None:
        self.bot = bot
        self.clock = clock
        self.limits = limits
        self.spec = spec
        self.privacy = True
        self.users: dict[int, User] = {bot.id: bot}
        self.chats: dict[int, Chat] = {}
        self.presses: dict[int, CallbackQuery] = {}
        self.cabinet = Cabinet()
        self.settings: dict[str | tuple[str, str], Any] = {}
        self.violations: list[str] = []
        self.changes = Changes()
        self.updates = UpdateQueue(clock, self.changes.tell)
        self._box_ids = itertools.count(90)
        self._user_ids = itertools.count(7_000_000_001)
        self._group_ids = itertools.count(4_000_000_001)
        self._supergroup_ids = itertools.count(1_002_000_000_001)
        self._press_ids = itertools.count(3_340_000_000_000_000_001)

    def now(self) -> int:
        return int(self.clock())

    def add_user(self, user: User) -> Chat:
        """Registers a person; returns their (not started) private chat with the bot."""
        if user.id in self.users:
            raise ValueError(f"user {user.id} exists already")
        self.users[user.id] = user
        self.chats[user.id] = Chat(user.id, "private", user=user)
        return self.chats[user.id]

    def next_user_id(self) -> int:
        return next(self._user_ids)

    def add_chat(self, kind: ChatType, title: str, **more: Any) -> Chat:
        number = next(self._group_ids if kind == "group" else self._supergroup_ids)
        # Message 1 of a supergroup or channel is the notice of its creation, which nobody can delete.
        chat = Chat(-number, kind, title, last_id=1, **more)
        self.chats[chat.id] = chat
        return chat

    def store(self, chat: Chat, **fields: Any) -> Message:
        """Puts a new message in the chat; tells nobody."""
        message = Message(self._next_message_id(chat), chat, self.now(), **fields)
        chat.messages[message.id] = message
        self.changes.tell()
        return message

    def post(self, chat: Chat, **fields: Any) -> Message:
        """Stores a message of somebody else than the bot and tells the bot if it may see it."""
        message = self.store(chat, **fields)
        self.announce(message)
        return message

    def forward_to_discussion(self, post: Message) -> None:
        """Forwards a post to its channel's discussion group, as the platform does, the bot's own too."""
        if post.chat.type != "channel" or not post.chat.linked:
            return
        chat = post.chat.as_json()
        origin = {"type": "channel", "date": post.date, "chat": chat, "message_id": post.id}
        self.post(
            post.chat.linked,
            text=post.text,
            entities=post.entities,
            media=post.media,
            sender=SERVICE_USER,
            sender_chat=post.chat,
            content={"forward_origin": origin, "is_automatic_forward": True},
        )

    def announce(self, message: Message, *, edited: bool = False) -> None:
        if self.sees(message):
            kind = "channel_post" if message.chat.type == "channel" else "message"
            self.emit(f"edited_{kind}" if edited else kind, message.as_json())

    def emit(self, kind: str, payload: Json) -> None:
        """Queues an update, checked against the specification, unless the bot did not ask for its kind."""
        if self.updates.wants(kind):
            update = self.updates.put(kind, payload)
            if self.spec:
                self.violations += self.spec.update(update)
        self.changes.tell()

    def sees(self, message: Message) -> bool:
        """Whether the bot is told of this message of somebody else: membership, then privacy mode."""
        chat = message.chat
        if chat.type == "private":
            return True
        me = chat.member(self.bot)
        if not me.present:
            return bool(message.content.get("left_chat_member", {}).get("id") == self.bot.id)
        return chat.type == "channel" or me.admin or not self.privacy or self._addressed(message)

    def _addressed(self, message: Message) -> bool:
        if message.service:
            return True
        replied = message.chat.messages.get(message.reply_to or 0)
        if replied and replied.sender == self.bot:
            return True
        if not message.text.startswith("/"):
            return False
        _, at, name = message.text.split(maxsplit=1)[0].partition("@")
        return not at or name.lower() == self.bot.username.lower()

    def change_member(
        self,
        chat: Chat,
        user: User,
        by: User,
        status: Status,
        rights: Iterable[str] = (),
        anonymous: bool = False,
    ) -> None:
        """Gives a user a new standing in a chat, with the my_chat_member or chat_member update it makes."""
        old = chat.member(user)
        new = Member(user, status, frozenset(rights) & frozenset(rights_of(chat.type)), anonymous)
        chat.members[user.id] = new
        change = {
            "chat": chat.as_json(),
            "from": by.as_json(),
            "date": self.now(),
            "old_chat_member": old.as_json(chat.type),
            "new_chat_member": new.as_json(chat.type),
        }
        if user == self.bot:
            self.emit("my_chat_member", change)
        elif chat.member(self.bot).admin:
            self.emit("chat_member", change)

    def react(self, message: Message, actor: User | Chat, emoji: tuple[str, ...]) -> None:
        """Sets an actor's reactions on a message; the bot is told as administrator, and never of its own."""
        old = message.reactions.pop(actor.id, ())
        if emoji:
            message.reactions[actor.id] = emoji
        self.changes.tell()
        if actor == self.bot or old == emoji or not message.chat.member(self.bot).admin:
            return
        where = {
            "chat": message.chat.as_json(),
            "message_id": message.id,
            "date": self.now(),
        }
        if message.chat.type == "channel":
            self.emit("message_reaction_count", where | {"reactions": _counts(message)})
            return
        who = {"actor_chat": actor.as_json()} if isinstance(actor, Chat) else {"user": actor.as_json()}
        sets = {"old_reaction": _reactions(old), "new_reaction": _reactions(emoji)}
        self.emit("message_reaction", where | who | sets)

    def remove(self, message: Message) -> None:
        """Deletes a message. No update tells of it."""
        message.chat.messages.pop(message.id, None)
        self.changes.tell()

    def press(self, message: Message, user: User, data: str) -> CallbackQuery:
        query = CallbackQuery(next(self._press_ids), self.clock())
        self.presses[query.id] = query
        shape = {
            "id": str(query.id),
            "from": user.as_json(),
            "message": message.as_json(),
            "chat_instance": str(8_800_000_000_000_000_000 + message.chat.id),
            "data": data,
        }
        self.emit("callback_query", shape)
        return query

    def _next_message_id(self, chat: Chat) -> int:
        chat.last_id = next(self._box_ids) if chat.type in ("private", "group") else chat.last_id + 1
        return chat.last_id


def _reactions(emoji: Iterable[str]) -> list[Json]:
    return [{"type": "emoji", "emoji": each} for each in emoji]


def _counts(message: Message) -> list[Json]:
    every = [each for chosen in message.reactions.values() for each in chosen]
    return [
        {"type": {"type": "emoji", "emoji": each}, "total_count": every.count(each)}
        for each in dict.fromkeys(every)
    ]
