"""The people of our double: what a person does in a client, and what they see there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .media import Media
from .method_messages import thread_of_reply
from .model import (
    ADMIN_RIGHTS,
    CHANNEL_BOT,
    GROUP_ANONYMOUS_BOT,
    REACTIONS,
    Chat,
    Json,
    Message,
    User,
)
from .text import formatted
from .world import World

DEEP_LINK = re.compile(
    r"(?:https://t\.me/|tg://resolve\?domain=)(\w+)[?&](?:start|startgroup)=([\w-]{1,64})$"
)


class Place(Protocol):
    """Whatever names one message: a Shown, or anything with its chat and id."""

    @property
    def chat(self) -> Chat: ...
    @property
    def id(self) -> int: ...


@dataclass(frozen=True)
class Button:
    """An inline button as shown."""

    text: str
    data: str = ""
    url: str = ""


@dataclass(frozen=True)
class Shown:
    """One message as a member of the chat sees it now.

    `reactions` maps each emoji to the first names of who chose it; `service` names the service message
    ("pinned_message", ...), empty for ordinary ones; `entities` count UTF-16 units.
    """

    chat: Chat
    id: int
    by: str
    from_bot: bool
    text: str
    entities: tuple[Json, ...]
    buttons: tuple[tuple[Button, ...], ...]
    reactions: dict[str, tuple[str, ...]]
    reply_to: int | None
    thread: int | None
    date: int
    edited: bool
    silent: bool
    pinned: bool
    link_preview: bool
    service: str
    #: The file of the message; the text is its caption then.
    media: Media | None = None

    @property
    def labels(self) -> list[str]:
        return [button.text for row in self.buttons for button in row]


@dataclass(frozen=True)
class CallbackAnswer:
    """What the person sees after a press: a toast (or alert) with `text`, or a `url` that opens."""

    text: str
    show_alert: bool
    url: str


def shown(world: World, message: Message) -> Shown:
    by = (
        message.sender_chat.title
        if message.sender_chat
        else message.sender.first_name
        if message.sender
        else ""
    )
    buttons = tuple(
        tuple(Button(each["text"], each.get("callback_data", ""), each.get("url", "")) for each in row)
        for row in message.buttons
    )
    topic_reply = message.in_topic and message.reply_to == message.thread
    return Shown(
        chat=message.chat,
        id=message.id,
        by=by,
        from_bot=message.from_bot,
        text=message.text,
        entities=tuple(message.entities),
        buttons=buttons,
        reactions=_reactions(world, message),
        reply_to=None if topic_reply else message.reply_to,
        thread=message.thread,
        date=message.date,
        edited=bool(message.edit_date),
        silent=message.silent,
        pinned=message.pinned,
        link_preview=not (message.link_preview or {}).get("is_disabled", False),
        service=next(iter(message.content), "") if message.service else "",
        media=message.media,
    )


def _reactions(world: World, message: Message) -> dict[str, tuple[str, ...]]:
    chosen: dict[str, tuple[str, ...]] = {}
    for actor_id, emoji in message.reactions.items():
        name = world.users[actor_id].first_name if actor_id in world.users else world.chats[actor_id].title
        for each in emoji:
            chosen[each] = (*chosen.get(each, ()), name)
    return chosen


class Person:
    """A person with a client. Acts raise PermissionError where the client would not offer them."""

    def __init__(self, world: World, user: User, private: Chat) -> None:
        self._world = world
        self.user = user
        self.private = private

    @property
    def id(self) -> int:
        return self.user.id

    async def start(self, payload: str = "") -> Shown:
        """Presses Start (from a deep link when there is a payload); unblocks the bot."""
        if self.private.blocked:
            await self._block(False)
        self.private.started = True
        return await self.say(f"/start {payload}".strip())

    async def say(self, text: str, *, reply_to: Place | None = None) -> Shown:
        """Writes in the private chat with the bot."""
        return await self.send(self.private, text, reply_to=reply_to)

    async def send(
        self,
        chat: Chat,
        text: str,
        *,
        reply_to: Place | None = None,
        thread: int | None = None,
        entities: Sequence[Json] = (),
        as_chat: Chat | None = None,
    ) -> Shown:
        """Sends a text; entities that clients and the server find (commands, links, ...) are added."""
        self._must_be_in(chat)
        clean, marks = formatted(text, [dict(each) for each in entities])
        replied = reply_to.id if reply_to else thread
        message = self._world.post(
            chat,
            text=clean,
            entities=marks,
            **self._sender(chat, as_chat),
            reply_to=replied,
            thread=thread or thread_of_reply(chat, replied),
            in_topic=bool(thread) or self._topic_of(chat, replied),
        )
        self._world.forward_to_discussion(message)
        return shown(self._world, message)

    async def attach(
        self,
        chat: Chat,
        data: bytes,
        caption: str = "",
        *,
        kind: str = "photo",
        name: str = "",
        mime: str = "image/jpeg",
        spoiler: bool = False,
        reply_to: Place | None = None,
        album: str = "",
    ) -> Shown:
        """Sends a file; its caption may be a command. `album` is what the messages of one share."""
        self._must_be_in(chat)
        clean, marks = formatted(caption, []) if caption else ("", [])
        replied = reply_to.id if reply_to else None
        message = self._world.post(
            chat,
            text=clean,
            entities=marks,
            media=self._world.cabinet.keep(kind, name, mime, data, spoiler=spoiler),
            album=album,
            **self._sender(chat, None),
            reply_to=replied,
            thread=thread_of_reply(chat, replied),
        )
        return shown(self._world, message)

    async def edit(self, message: Place, text: str, *, entities: Sequence[Json] = ()) -> Shown:
        """Edits an own message. The same text again is an edit without a change, which happens."""
        mine = self._own(message)
        mine.text, mine.entities = formatted(text, [dict(each) for each in entities])
        mine.edit_date = self._world.now()
        self._world.announce(mine, edited=True)
        return shown(self._world, mine)

    async def delete(self, message: Place) -> None:
        """Deletes an own message, or anybody's where the person may; no update tells the bot."""
        found = self._found(message)
        may = found.chat.type == "private" or found.chat.member(self.user).can("can_delete_messages")
        if not may and found.sender != self.user:
            raise PermissionError(f"{self.user.first_name} may not delete message {found.id}")
        self._world.remove(found)

    async def react(self, message: Place, emoji: Iterable[str]) -> None:
        """Sets this person's reactions on a message to exactly these (none takes them back)."""
        chosen = tuple(each.replace("\N{VARIATION SELECTOR-16}", "") for each in emoji)
        if not REACTIONS.issuperset(chosen) or len(chosen) > 3:
            raise PermissionError(f"the client offers no such reactions: {chosen}")
        found = self._found(message)
        self._must_be_in(found.chat)
        actor: User | Chat = found.chat if found.chat.member(self.user).anonymous else self.user
        self._world.react(found, actor, chosen)

    async def press(self, message: Place, button: str, *, deadline: float = 10.0) -> CallbackAnswer:
        """Presses the button with this label or data; returns its answer, TimeoutError where none comes."""
        self._must_be_in(message.chat)
        data = self._button(message, button).data
        if not data:
            raise PermissionError(f"{button!r} is a link: follow it")
        query = self._world.press(self._found(message), self.user, data)
        async with asyncio.timeout(deadline):
            while not query.answered:
                await self._world.changes.next()
        return CallbackAnswer(query.text, query.show_alert, query.url)

    async def follow(self, message: Place, button: str) -> Shown:
        """Opens the deep link of a url button: the private chat, Start pressed with its payload."""
        return await self.open_link(self._button(message, button).url)

    async def open_link(self, url: str) -> Shown:
        link = DEEP_LINK.match(url)
        if link is None or link[1].lower() != self._world.bot.username.lower():
            raise PermissionError(f"{url} is no deep link to {self._world.bot.username}")
        return await self.start(link[2])

    async def block(self) -> None:
        """Blocks the bot in the private chat."""
        await self._block(True)

    async def join(self, chat: Chat) -> None:
        self._world.change_member(chat, self.user, self.user, "member")
        self._service(chat, {"new_chat_members": [self.user.as_json()]})

    async def leave(self, chat: Chat) -> None:
        self._service(chat, {"left_chat_member": self.user.as_json()})
        self._world.change_member(chat, self.user, self.user, "left")

    async def add_bot(self, chat: Chat) -> None:
        """Adds the bot as an ordinary member."""
        self._world.change_member(chat, self._world.bot, self.user, "member")
        self._service(chat, {"new_chat_members": [self._world.bot.as_json()]})

    async def promote_bot(self, chat: Chat, rights: Iterable[str] = ("can_manage_chat",)) -> None:
        """Makes the bot administrator with exactly these rights."""
        self._must_be_admin(chat)
        self._world.change_member(chat, self._world.bot, self.user, "administrator", rights)

    async def demote_bot(self, chat: Chat, *, mute: bool = False) -> None:
        """Makes the bot an ordinary member, or one that may not write."""
        self._must_be_admin(chat)
        self._world.change_member(chat, self._world.bot, self.user, "restricted" if mute else "member")

    async def silence(self, chat: Chat, *, on: bool = True) -> None:
        """Lets ordinary members write no more (or again); no update tells the bot."""
        self._must_be_admin(chat)
        chat.silent = on

    async def remove_bot(self, chat: Chat) -> None:
        self._must_be_admin(chat)
        self._world.change_member(chat, self._world.bot, self.user, "kicked")
        self._service(chat, {"left_chat_member": self._world.bot.as_json()})

    async def promote(self, other: Person, chat: Chat, *, anonymous: bool = False) -> None:
        self._must_be_admin(chat)
        self._world.change_member(chat, other.user, self.user, "administrator", ADMIN_RIGHTS, anonymous)

    async def create_topic(self, chat: Chat, name: str) -> int:
        """Opens a topic in a forum; returns its `message_thread_id`."""
        if not chat.is_forum:
            raise PermissionError("the chat is not a forum")
        created = {"forum_topic_created": {"name": name, "icon_color": 7322096}}
        message = self._world.store(chat, content=created, service=True, **self._sender(chat, None))
        chat.topics[message.id] = name
        message.thread, message.in_topic = message.id, True
        self._world.announce(message)
        return message.id

    async def upgrade(self, group: Chat) -> Chat:
        """Turns a basic group into a supergroup, which is returned; the old one answers with its id."""
        self._must_be_admin(group)
        new = self._world.add_chat("supergroup", group.title, members=dict(group.members))
        self._service(group, {"migrate_to_chat_id": new.id})
        group.migrated_to = new
        self._service(new, {"migrate_from_chat_id": group.id})
        return new

    async def _block(self, blocked: bool) -> None:
        chat, bot = self.private, self._world.bot.as_json()
        chat.blocked = blocked
        shapes: list[Json] = [
            {"status": "member", "user": bot},
            {"status": "kicked", "user": bot, "until_date": 0},
        ]
        old, new = shapes if blocked else reversed(shapes)
        change = {
            "chat": chat.as_json(),
            "from": self.user.as_json(),
            "date": self._world.now(),
        }
        self._world.emit("my_chat_member", change | {"old_chat_member": old, "new_chat_member": new})

    def _service(self, chat: Chat, content: Json) -> None:
        if chat.type != "channel":
            self._world.post(chat, content=content, service=True, **self._sender(chat, None))

    def _sender(self, chat: Chat, as_chat: Chat | None) -> dict[str, Any]:
        if chat.type == "channel":
            return {"sender_chat": chat}
        if as_chat:
            return {"sender": CHANNEL_BOT, "sender_chat": as_chat}
        if chat.member(self.user).anonymous:
            return {"sender": GROUP_ANONYMOUS_BOT, "sender_chat": chat}
        return {"sender": self.user}

    def _found(self, place: Place) -> Message:
        found = place.chat.messages.get(place.id)
        if found is None:
            raise LookupError(f"message {place.id} is no longer in {place.chat.title or place.chat.id}")
        return found

    def _own(self, place: Place) -> Message:
        found = self._found(place)
        anonymous = found.sender_chat is found.chat and found.chat.member(self.user).admin
        if found.sender != self.user and not anonymous:
            raise PermissionError(f"message {found.id} is not by {self.user.first_name}")
        return found

    def _button(self, place: Place, wanted: str) -> Button:
        buttons = [button for row in shown(self._world, self._found(place)).buttons for button in row]
        for button in buttons:
            if wanted in (button.text, button.data):
                return button
        raise LookupError(f"no button {wanted!r} among {[button.text for button in buttons]}")

    def _topic_of(self, chat: Chat, replied: int | None) -> bool:
        found = chat.messages.get(replied or 0)
        return bool(found and found.in_topic)

    def _must_be_in(self, chat: Chat) -> None:
        member = chat.member(self.user)
        if chat is self.private:
            chat.started = True
        elif not member.present or (chat.type == "channel" and not member.admin):
            raise PermissionError(f"{self.user.first_name} may not act in {chat.title}")

    def _must_be_admin(self, chat: Chat) -> None:
        if not chat.member(self.user).admin:
            raise PermissionError(f"{self.user.first_name} is no administrator of {chat.title}")
