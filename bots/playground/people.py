"""What people do on the playground: the same acts for the page and for tests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bots.playground.convert import (
    Act,
    Command,
    command_of,
    edited,
    invoked,
    pressed,
    reacted,
    said,
    typed,
)
from bots.playground.drawer import Filed
from bots.playground.looks import Look, look_of
from bots.playground.platform import BOT, Message, Playground, Room, room_record, shown_record
from core.errors import StormoError
from core.events import Inbound, MessageDeleted, PlaceChanged
from core.types import AccountRef, ChatRef, Platform

_NOT_ID = re.compile(r"[^a-z0-9]+")
_MAX_PEOPLE = 40


class NotAllowed(StormoError):
    """The platform does not let this person do that. ``id``: the page's text that says why."""

    def __init__(self, id_: str) -> None:
        self.id = id_
        super().__init__(id_)


@dataclass(frozen=True, slots=True)
class RoomDoor:
    """A room as those see it who are in it."""

    playground: Playground
    id: str

    @property
    def room(self) -> Room:
        return self.playground.rooms[self.id]

    @property
    def chat(self) -> ChatRef:
        return self.room.chat

    def visible(self) -> list[Message]:
        """What everybody there sees, oldest first."""
        return self.playground.standing(self.id)

    async def expel(self) -> None:
        """Put the bot out of the room."""
        await self._standing(gone=True)

    async def readmit(self) -> None:
        """Let the bot back in."""
        await self._standing(gone=False)

    async def _standing(self, *, gone: bool) -> None:
        playground, room = self.playground, self.room
        event = PlaceChanged(
            key=playground.key(room.look),
            at=playground.clock.now(),
            chat=room.chat,
            gone=gone,
            reason="put out" if gone else "",
        )
        playground.commit("room", event=event, to=room.look, **room_record(replace(room, gone=gone)))
        await playground.settled()


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom the visitor (or a test) plays. Every act returns once it is on the disk.

    Rooms and messages are given as they are read; what the platform would not let a person do raises
    ``NotAllowed``.
    """

    playground: Playground
    id: str

    @property
    def name(self) -> str:
        return self.playground.people[self.id].name

    def account(self, platform: Platform) -> AccountRef:
        return AccountRef(platform, self.id)

    async def send(
        self,
        room: RoomDoor | Room | str,
        text: str,
        reply_to: Message | None = None,
        files: Sequence[Filed] = (),
    ) -> Message | None:
        """Write in a room. A slash command leaves no message; all else is returned as it stands."""
        there = self._room(room)
        text = text.strip()
        if not text and not files:
            raise NotAllowed("playground.empty")
        if len(text) > there.look.max_typed:
            raise NotAllowed("playground.too_long")
        command = command_of(text, there.look, private=bool(there.private_of))
        if command is not None and there.look.slash:
            await self._slash(there, command, reply_to, tuple(files))
            return None
        return await self._say(there, text, reply_to, tuple(files))

    def file(self, content: bytes, name: str, *, alt: str = "", spoiler: bool = False) -> Filed:
        """A file to send with the next words."""
        return self.playground.drawer.put(content, name, alt=alt, spoiler=spoiler)

    async def edit(self, message: Message, text: str) -> None:
        """Change one's own message; the same words again tell nobody anything."""
        current, text = self._own(message), text.strip()
        room = self.playground.rooms[current.room]
        if not text:
            raise NotAllowed("playground.empty")
        if len(text) > room.look.max_typed:
            raise NotAllowed("playground.too_long")
        if text == current.source:
            return
        files = current.shown.files
        event = edited(self._act(room, files), text, self.playground.ref(current))
        shown = shown_record(typed(text, room.look, files))
        await self._do("edit", room, event, id=current.id, shown=shown, source=text)

    async def delete(self, message: Message) -> None:
        """Take a message away: one's own, or as an admin anybody's. An ephemeral answer is dismissed."""
        current = self._there(message)
        room = self.playground.rooms[current.room]
        if current.only_for == self.id:
            self.playground.commit("delete", id=current.id)
            return await self.playground.settled()
        if current.by != self.id and self.id not in room.admins:
            raise NotAllowed("playground.not_yours")
        act = self._act(room)
        event = MessageDeleted(key=act.key, at=act.at, message=self.playground.ref(current))
        return await self._do("delete", room, event, id=current.id)

    async def react(self, message: Message, emoji: str) -> None:
        """Put a reaction, once."""
        await self._react(message, emoji, on=True)

    async def unreact(self, message: Message, emoji: str) -> None:
        """Take one's reaction back."""
        await self._react(message, emoji, on=False)

    async def press(self, message: Message, data: str) -> None:
        """Press the button with this data, start payload or label. Other data goes through as forged."""
        current = self._there(message)
        room = self.playground.rooms[current.room]
        button = next((b for b in current.buttons if data in (b.data, b.private, b.label)), None)
        if button is not None and button.private:
            return await self._open(room, button.private)
        act, ref = self._act(room), None if current.only_for else self.playground.ref(current)
        handle = self.playground.new_id()
        event = pressed(act, button.data if button else data, ref, handle)
        return await self._handled(room, handle, event)

    async def private(self, look: Look | Platform | str) -> RoomDoor:
        """The private chat with the bot; opening it for the first time presses Start where there is one."""
        chosen = look if isinstance(look, Look) else look_of(Platform(look))
        id_, fresh = self._private(chosen)
        if fresh and chosen.name == "telegram":
            await self._say(self.playground.rooms[id_], "/start", None)
        return RoomDoor(self.playground, id_)

    def ephemeral(self, room: RoomDoor | Room | str) -> list[Message]:
        """What only this person sees in a room: answers, and toasts after pressed buttons."""
        return self.playground.only_for(self._room(room).id, self.id)

    async def set_admin(self, room: RoomDoor | Room | str, *, on: bool = True) -> None:
        """Make this person the room's admin, or no longer."""
        there = self._room(room)
        admins = there.admins | {self.id} if on else there.admins - {self.id}
        self.playground.commit("room", **room_record(replace(there, admins=admins)))
        await self.playground.settled()

    async def _slash(
        self, room: Room, command: Command, reply_to: Message | None, files: tuple[Filed, ...] = ()
    ) -> None:
        handle = self.playground.new_id()
        target = self.playground.ref(reply_to) if reply_to else None
        event = invoked(self._act(room, files), command, target=target, handle=handle)
        await self._handled(room, handle, event)

    async def _say(
        self, room: Room, text: str, reply_to: Message | None, files: tuple[Filed, ...] = ()
    ) -> Message:
        playground, act = self.playground, self._act(room, files)
        message = Message(
            id=playground.new_id(),
            room=room.id,
            by=self.id,
            name=self.name,
            shown=typed(text, room.look, files),
            at=act.at,
            source=text,
            reply_to=reply_to.id if reply_to else "",
        )
        target = playground.ref(reply_to) if reply_to else None
        to_bot = reply_to is not None and reply_to.by == BOT
        event = said(act, text, playground.ref(message), target, to_bot=to_bot)
        await self._do("message", room, event, **asdict(message) | {"at": act.at.isoformat()})
        return message

    async def _react(self, message: Message, emoji: str, *, on: bool) -> None:
        current = self._there(message)
        room = self.playground.rooms[current.room]
        if current.only_for:
            raise NotAllowed("playground.not_here")
        if (self.id in current.reactions.get(emoji, ())) == on:
            return
        reference, own = self.playground.ref(current), f"{emoji} {self.id}"
        fresh = self.playground.new_id() if room.look.name == "matrix" and on else ""
        mine = (e for e, who in current.reactions.items() if self.id in who and e != emoji)
        event = reacted(
            self._act(room),
            reference,
            emoji,
            (*mine, emoji) if on else tuple(mine),
            on=on,
            ref=replace(reference, key=fresh or current.refs.get(own, "")),
        )
        await self._do("react", room, event, id=current.id, who=self.id, emoji=emoji, on=on, ref=fresh)

    async def _open(self, room: Room, payload: str) -> None:
        """A deep link: into the private chat on Telegram; on Discord, a command that only its asker sees."""
        command = Command("start", payload)
        if room.look.slash:
            return await self._slash(room, command, None)
        id_, _ = self._private(room.look)
        await self._say(self.playground.rooms[id_], f"/start {payload}", None)
        return None

    def _private(self, look: Look) -> tuple[str, bool]:
        id_ = f"{look.name}-private-{self.id}"
        fresh = id_ not in self.playground.rooms
        if fresh:
            room = Room(id_, look, self.name, private_of=self.id)
            # On Matrix the bot is invited, and sees that it is alone with somebody.
            event = invoked(self._act(room), Command("start", "")) if look.name == "matrix" else None
            self.playground.commit("room", event=event, to=look, **room_record(room))
        return id_, fresh

    async def _handled(self, room: Room, handle: str, event: Inbound) -> None:
        now = self.playground.clock.now().isoformat()
        await self._do("handle", room, event, handle=handle, room=room.id, who=self.id, at=now)

    async def _do(self, do: str, where: Room, event: Inbound, /, **fields: Any) -> None:
        self.playground.commit(do, event=None if where.gone else event, to=where.look, **fields)
        await self.playground.settled()

    def _act(self, room: Room, files: tuple[Filed, ...] = ()) -> Act:
        playground = self.playground
        return Act(
            look=room.look,
            key=playground.key(room.look),
            at=playground.clock.now(),
            place=playground.place(room),
            actor=playground.actor(self.id, room),
            files=files,
        )

    def _room(self, room: RoomDoor | Room | str) -> Room:
        id_ = room if isinstance(room, str) else room.id
        found = self.playground.rooms.get(id_)
        if found is None or found.private_of not in ("", self.id):
            raise NotAllowed("playground.not_here")
        return found

    def _there(self, message: Message) -> Message:
        """The message as it stands now, if this person can see it."""
        current = self.playground.messages.get(message.id)
        if current is None or current.deleted or current.only_for not in ("", self.id):
            raise NotAllowed("playground.not_here")
        self._room(current.room)
        return current

    def _own(self, message: Message) -> Message:
        current = self._there(message)
        if current.by != self.id:
            raise NotAllowed("playground.not_yours")
        return current


async def add_person(playground: Playground, name: str, language: str = "en") -> Person:
    """Somebody new, with an account on every look. Raises ``NotAllowed`` for an empty or taken name."""
    name = " ".join(name.split())[:40]
    id_ = _NOT_ID.sub("", name.lower())[:20]
    if not id_ or id_ in playground.people or id_ == BOT or len(playground.people) >= _MAX_PEOPLE:
        raise NotAllowed("playground.name_taken")
    playground.commit("person", id=id_, name=name, language=language)
    await playground.settled()
    return Person(playground, id_)


async def add_room(playground: Playground, look: Look, id_: str, title: str, *admins: str) -> RoomDoor:
    """One more room of a look, e.g. a second channel."""
    room = Room(id_, look, title, admins=frozenset(admins))
    playground.commit("room", **room_record(room))
    await playground.settled()
    return RoomDoor(playground, id_)
