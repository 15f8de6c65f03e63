"""The little platform itself: rooms, people, messages, reactions, and what the bot was not told yet.

One path changes anything: a record is applied, appended to the journal and announced. Starting again applies
the same records, so a killed process finds its rooms as they were and hands over again what was not answered.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from bots.playground.convert import Shown
from bots.playground.drawer import Drawer, Filed
from bots.playground.journal import Journal, Record
from bots.playground.looks import LOOKS, Look
from core import codec
from core.events import Actor, Inbound, Place, Rights
from core.intents import Button, Intent
from core.ports import Clock
from core.types import AccountRef, ChatRef, Language, MessageRef

T = TypeVar("T")

#: The id of our bot among those who react.
BOT: Final = "stormo"
#: Reading this many lines again at every start is enough; more are written anew as what they came to.
_COMPACT_AFTER: Final = 2000


@dataclass(frozen=True, slots=True)
class Figure:
    """Somebody whom the visitor plays, on every look. ``language``: as the platform says it."""

    id: str
    name: str
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Room:
    """A room of one look. ``private_of``: the person whose private chat with the bot it is.

    ``admins``: ids of people who may set it up and remove messages. ``gone``: the bot was put out.
    """

    id: str
    look: Look
    title: str
    private_of: str = ""
    admins: frozenset[str] = frozenset()
    gone: bool = False

    @property
    def chat(self) -> ChatRef:
        return ChatRef(self.look.platform, self.id)


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it stands now.

    ``by``: a person's id or ``BOT``; ``name``: how they are called; ``source``: what a person typed.
    ``only_for``: the one person who sees it; ``kind`` is then ``ephemeral`` or ``toast``.
    ``reactions``: who put each emoji, in order. ``key``: what the bot sent with it.
    """

    id: str
    room: str
    by: str
    shown: Shown
    at: datetime
    source: str = ""
    name: str = ""
    reply_to: str = ""
    only_for: str = ""
    kind: str = "message"
    key: str = ""
    edited: bool = False
    deleted: bool = False
    pinned: bool = False
    silent: bool = False
    reactions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: Where a reaction is a message of its own: its id, by emoji and person.
    refs: Mapping[str, str] = field(default_factory=dict)

    @property
    def author(self) -> str:
        """The line that leads the words, or who sent them."""
        return self.shown.author or self.name

    @property
    def text(self) -> str:
        return self.shown.text

    @property
    def footer(self) -> str:
        return self.shown.footer

    @property
    def buttons(self) -> tuple[Button, ...]:
        return self.shown.buttons


PEOPLE: Final = (Figure("anna", "Anna"), Figure("bruno", "Bruno"), Figure("chiara", "Chiara"))
_TITLES: Final = {"discord": "#general", "telegram": "Stormo birds", "matrix": "#stormo:example.org"}
ROOMS: Final = tuple(
    Room(look.name, look, _TITLES[look.name], admins=frozenset({PEOPLE[0].id})) for look in LOOKS
)

Hook = Callable[[Intent], Awaitable[None]]


async def _nothing(_: Intent) -> None:
    """No fault."""


class Playground:
    """Rooms of three looks, shared by the three adapters and the page. Lives in one event loop.

    ``before_storing`` and ``after_storing`` are awaited around each act of the bot: a test makes them wait,
    raise ``RetryLater(unknown=True)`` or end the process.
    """

    def __init__(
        self,
        clock: Clock,
        journal: Path | None = None,
        *,
        rooms: Sequence[Room] = ROOMS,
        people: Sequence[Figure] = PEOPLE,
    ) -> None:
        self.clock = clock
        self.before_storing: Hook = _nothing
        self.after_storing: Hook = _nothing
        self.rooms: dict[str, Room] = {}
        self.people: dict[str, Figure] = {}
        self.messages: dict[str, Message] = {}
        self._by_key: dict[tuple[str, str], str] = {}
        self._waiting: dict[int, tuple[str, Inbound]] = {}
        self._handles: dict[str, tuple[str, str, datetime]] = {}
        self._epoch = secrets.token_hex(4)
        self._next = 1
        self._journal = Journal(journal)
        self.drawer = Drawer(journal.with_suffix("") if journal else None)
        self._watchers: dict[int, Callable[[Record], None]] = {}
        self._changed = asyncio.Event()
        self._load()
        for figure in people:
            if figure.id not in self.people:
                self.commit("person", **asdict(figure))
        for room in rooms:
            if room.id not in self.rooms:
                self.commit("room", **room_record(room))

    def close(self) -> None:
        """Close the journal; nothing may change afterwards."""
        self._journal.close()

    async def settled(self) -> None:
        """Wait until the disk has everything that happened so far."""
        await self._journal.settle()

    # -- the one way to change something ---------------------------------------------------------------

    def commit(self, do: str, *, event: Inbound | None = None, to: Look | None = None, **fields: Any) -> None:
        """Apply and keep one change, with what the bot must hear of it on the look ``to``."""
        record: Record = {"n": self._next, "do": do, **fields}
        if event is not None and to is not None:
            record |= {"event": codec.dump(event), "to": to.name}
        self._journal.append(record)
        self._apply(record)
        self._announce(record)

    def _apply(self, record: Record) -> None:
        self._next = max(self._next, record["n"] + 1)
        if "event" in record:
            self._waiting[record["n"]] = (record["to"], codec.load(record["event"]))
        match record["do"]:
            case "begin":
                self._epoch = record["epoch"]
            case "person":
                self.people[record["id"]] = Figure(record["id"], record["name"], record["language"])
            case "room":
                self.rooms[record["id"]] = _room_of(record)
            case "message":
                self._put(_message_of(record))
            case "handle":
                at = datetime.fromisoformat(record["at"])
                self._handles[record["handle"]] = (record["room"], record["who"], at)
            case "heard":
                for number in record["numbers"]:
                    self._waiting.pop(number, None)
            case _:
                self._change(self.messages[record["id"]], record)

    def _change(self, message: Message, record: Record) -> None:
        match record["do"]:
            case "edit":
                shown = _shown_of(record["shown"])
                self._put(replace(message, shown=shown, source=record.get("source", ""), edited=True))
            case "delete":
                self._put(replace(message, shown=Shown("", ""), source="", deleted=True, reactions={}))
            case "react":
                reactions, refs = _reactions(message.reactions, record), dict(message.refs)
                if record.get("ref"):
                    refs[f"{record['emoji']} {record['who']}"] = record["ref"]
                self._put(replace(message, reactions=reactions, refs=refs))

    def _put(self, message: Message) -> None:
        self.messages[message.id] = message
        if message.key:
            self._by_key[message.room, message.key] = message.id

    def _announce(self, record: Record) -> None:
        for tell in tuple(self._watchers.values()):
            tell(record)
        self._changed.set()
        self._changed = asyncio.Event()

    def watch(self, tell: Callable[[Record], None]) -> Callable[[], None]:
        """Call ``tell`` after every change, until the returned function is called."""
        token = id(tell)
        self._watchers[token] = tell
        return lambda: self._watchers.pop(token, None) and None

    async def changed(self, predicate: Callable[[], T], deadline: float | None = 10) -> T:
        """The first true value of ``predicate``, asked again after each change.

        Raises ``TimeoutError`` after ``deadline`` seconds; ``None`` waits for ever.
        """
        async with asyncio.timeout(deadline):
            while not (value := predicate()):
                await self._changed.wait()
            return value

    # -- what the bot hears ----------------------------------------------------------------------------

    def waiting(self, look: Look) -> dict[int, Inbound]:
        """What happened there and was not answered yet, in order."""
        return {n: event for n, (name, event) in self._waiting.items() if name == look.name}

    def heard(self, numbers: Sequence[int]) -> None:
        """The bot has taken these in."""
        if numbers:
            self.commit("heard", numbers=list(numbers))

    def key(self, look: Look) -> str:
        """The key of the event that the next change tells of."""
        return f"{look.platform}:{self._epoch}:update:{self._next}"

    def new_id(self) -> str:
        """The id of the message (or handle) that the next change makes."""
        return f"{self._epoch}-{self._next}"

    def place(self, room: Room) -> Place:
        return Place(chat=room.chat, title=room.title, private=bool(room.private_of))

    def actor(self, who: str, room: Room) -> Actor:
        figure, admin = self.people[who], who in room.admins
        return Actor(
            account=AccountRef(room.look.platform, who),
            name=figure.name,
            username=who,
            locale=Language(figure.language) if room.look.locale else None,
            rights=Rights(admin=admin, moderator=admin),
        )

    def handle(self, handle: str) -> tuple[str, str, datetime] | None:
        """Room, person and birth of a handle."""
        return self._handles.get(handle)

    # -- reading ---------------------------------------------------------------------------------------

    def standing(self, room: str) -> list[Message]:
        """The messages of a room that everybody there sees, oldest first."""
        return [m for m in self.messages.values() if m.room == room and not m.deleted and not m.only_for]

    def only_for(self, room: str, who: str) -> list[Message]:
        """What only this person sees in a room: ephemeral answers and toasts."""
        return [m for m in self.messages.values() if m.room == room and not m.deleted and m.only_for == who]

    def find(self, ref: MessageRef) -> Message | None:
        """The message of a reference, also one that was deleted."""
        message = self.messages.get(ref.key)
        return message if message is not None and message.room == ref.chat.key else None

    def ref(self, message: Message) -> MessageRef:
        return MessageRef(self.rooms[message.room].chat, message.id)

    def sent_with(self, key: str, room: str) -> Message | None:
        """The message that the bot made with this key, if any."""
        known = self._by_key.get((room, key))
        return self.messages[known] if known else None

    # -- the journal -----------------------------------------------------------------------------------

    def _load(self) -> None:
        records = self._journal.read()
        for record in records:
            self._apply(record)
        if not records or len(records) > _COMPACT_AFTER:
            self._journal.replace(self._summary())

    def _summary(self) -> Iterator[Record]:
        """Records that come to what there is now."""
        yield {"n": self._next, "do": "begin", "epoch": self._epoch}
        self._next += 1
        for figure in self.people.values():
            yield {"n": 0, "do": "person", **asdict(figure)}
        for room in self.rooms.values():
            yield {"n": 0, "do": "room", **room_record(room)}
        for message in self.messages.values():
            yield {"n": 0, "do": "message", **message_record(message)}
        for handle, (room_id, who, at) in self._handles.items():
            at_text = at.isoformat()
            yield {"n": 0, "do": "handle", "handle": handle, "room": room_id, "who": who, "at": at_text}
        for number, (look, event) in self._waiting.items():
            yield {"n": number, "do": "heard", "numbers": [], "event": codec.dump(event), "to": look}


def message_record(message: Message) -> Record:
    """Everything of a message as JSON."""
    return asdict(message) | {"at": message.at.isoformat()}


def _message_of(record: Record) -> Message:
    fields = {name: value for name, value in record.items() if name in Message.__dataclass_fields__}
    return Message(
        **fields
        | {
            "at": datetime.fromisoformat(record["at"]),
            "shown": _shown_of(record["shown"]),
            "reactions": {emoji: tuple(who) for emoji, who in record.get("reactions", {}).items()},
        }
    )


def shown_record(shown: Shown) -> Record:
    """What a message shows, as JSON."""
    return asdict(shown)


def _shown_of(record: Record) -> Shown:
    files = tuple(Filed(**file) for file in record.get("files", ()))
    return Shown(
        **record | {"buttons": tuple(Button(**button) for button in record["buttons"]), "files": files}
    )


def room_record(room: Room) -> Record:
    """A room as JSON."""
    return asdict(room) | {"look": room.look.name, "admins": sorted(room.admins)}


def _room_of(record: Record) -> Room:
    return Room(
        id=record["id"],
        look=next(look for look in LOOKS if look.name == record["look"]),
        title=record["title"],
        private_of=record["private_of"],
        admins=frozenset(record["admins"]),
        gone=record["gone"],
    )


def _reactions(now: Mapping[str, tuple[str, ...]], record: Record) -> dict[str, tuple[str, ...]]:
    emoji, who = record["emoji"], record["who"]
    others = tuple(one for one in now.get(emoji, ()) if one != who)
    put = (*others, who) if record["on"] else others
    return {name: people for name, people in {**now, emoji: put}.items() if people}
