"""The whole core on a real database, with people acting in rooms on paper.

`World` wires what the program wires: writer, readers, engine, courier, catalogue. Only the platforms and the clock
are not real. `settled` waits until everything that was handed over is stored and shown.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from core.body import Body
from core.counts import Counts
from core.courier import Courier
from core.engine import Engine
from core.errors import Message
from core.events import (
    Actor,
    Attachment,
    ButtonPressed,
    CommandEdited,
    CommandInvoked,
    Inbound,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Place,
    ReactionChanged,
    Rights,
)
from core.intents import Capabilities, Tell, Voice
from core.leases import Leases
from core.media import Fetcher
from core.mediastore import MediaRules
from core.ports import Adapter, WatchedMessage
from core.scene import Rules
from core.social.drafts import draft
from core.social.posts import short_id
from core.social.suggest import suggest
from core.suggestions import Asked, Draft, Suggestion
from core.text import from_plain, plain
from core.types import FILES, AccountRef, ChatId, ChatRef, Language, MessageRef, Platform, PostId
from storage.database import Readers, open_engine
from storage.migrate import upgrade
from storage.tables import metadata
from storage.unit import SqlUnit
from storage.writer import Writer
from stormo.pictures import smaller
from stormo.words import Catalogue
from tests.clock import FakeClock
from tests.doubles.paper import BOT, Line, Paper

T = TypeVar("T")

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
#: Real seconds after which a story that does not come to rest has failed.
DEADLINE = 30

CAPABILITIES: Mapping[str, Capabilities] = {
    "discord": Capabilities(
        label="Discord",
        max_text=4096,
        length_unit="codepoint",
        ephemeral=True,
        key_life=timedelta(minutes=2),
        tally_every=timedelta(seconds=5),
        files_per_message=10,
        max_file=10 * 1024 * 1024,
    ),
    "telegram": Capabilities(
        label="Telegram",
        max_text=4096,
        length_unit="utf16",
        tells_deletions=False,
        key_life=None,
        tally_every=timedelta(seconds=30),
        files_per_message=1,
        max_file=50_000_000,
    ),
    "matrix": Capabilities(
        label="Matrix",
        max_text=30_000,
        length_unit="byte",
        buttons=False,
        command_prefix="!",
        key_life=timedelta(hours=24),
        tally_every=timedelta(minutes=10),
        files_per_message=1,
        max_file=50 * 1024 * 1024,
    ),
}


class Speech:
    """The catalogue, with a memory of which message every text was."""

    def __init__(self) -> None:
        self._catalogue = Catalogue(strict=True)
        self._ids: dict[str, str] = {}

    def __call__(self, message: Message, language: str) -> str:
        text = self._catalogue(message, language)
        # What stands for the sign of a command is told apart only when the platform is known.
        for sign in "/!":
            self._ids[text.replace("\0", sign)] = message.id
        return text

    def ids(self, text: str) -> list[str]:
        """The messages that an answer is made of, line by line."""
        found: list[str] = []
        rest = text
        while rest:
            fitting = [
                t for t in self._ids if t and rest.startswith(t) and rest[len(t) : len(t) + 1] in ("", "\n")
            ]
            if not fitting:
                raise AssertionError(f"nobody said {rest!r}")
            best = max(fitting, key=len)
            found.append(self._ids[best])
            rest = rest[len(best) + 1 :]
        return found


@dataclass(eq=False)
class Room:
    """A chat, as the people in it see it."""

    world: World
    paper: Paper
    place: Place

    @property
    def ref(self) -> ChatRef:
        return self.place.chat

    @property
    def lines(self) -> list[Line]:
        """What stands there for everybody."""
        every = self.paper.rooms.get(self.ref.key, [])
        return [line for line in every if not line.deleted and not line.only_for]

    @property
    def copies(self) -> list[Line]:
        """People's words that we brought here."""
        return [line for line in self.lines if line.by == BOT and line.author]

    @property
    def parts(self) -> list[Line]:
        """Every message that carries people's words, also those behind the first of a long text."""
        return [
            line for line in self.lines if line.by == BOT and line.view and line.view.voice is Voice.PERSON
        ]

    @property
    def texts(self) -> list[str]:
        return [line.text for line in self.copies]

    @property
    def spoken(self) -> list[Line]:
        """What the bot says for itself: answers, notices, folds."""
        return [line for line in self.lines if line.by == BOT and not line.author]

    @property
    def heard(self) -> list[str]:
        return [id_ for line in self.spoken for id_ in self.world.speech.ids(line.text)]


@dataclass(eq=False)
class Person:
    """Somebody with one account on one platform."""

    world: World
    paper: Paper
    key: str
    name: str
    username: str = ""
    locale: str = "en"
    rights: dict[ChatRef, Rights] = field(default_factory=dict)
    anonymous: bool = False
    bot: bool = False
    _asked: int = 0

    @property
    def ref(self) -> AccountRef:
        return AccountRef(self.paper.platform, self.key)

    @property
    def private(self) -> Room:
        """The chat with the bot alone."""
        return self.world.room(self.paper.platform, f"dm-{self.key}", private=True)

    def actor(self, room: Room) -> Actor:
        return Actor(
            account=self.ref,
            name=self.name,
            username=self.username,
            locale=Language(self.locale),
            rights=self.rights.get(room.ref, Rights()),
            anonymous=self.anonymous,
            bot=self.bot,
        )

    def leads(self, *rooms: Room) -> Person:
        """Makes them an admin there."""
        self.rights |= {room.ref: Rights(admin=True) for room in rooms}
        return self

    def moderates(self, *rooms: Room) -> Person:
        self.rights |= {room.ref: Rights(moderator=True) for room in rooms}
        return self

    # -- acts, each settled when they return -----------------------------------------------------------------------

    async def runs(
        self,
        room: Room,
        text: str,
        *,
        target: Line | None = None,
        files: Sequence[Attachment] = (),
        album: str = "",
    ) -> Line | None:
        """A command. Returns the person's own message, where the command is one."""
        event = replace(self.command(room, text, target=target), files=tuple(files), album=album)
        await self.world.hand(event)
        return self.paper.find(event.message) if event.message else None

    def command(self, room: Room, text: str, *, target: Line | None = None) -> CommandInvoked:
        """The event of a typed command, and its line in the room."""
        name, _, rest = text.partition(" ")
        message = None if self.paper.slash else self.paper.write(room.ref, self.key, f"/{text}").ref
        return CommandInvoked(
            key=self.world.new_key(),
            at=self.world.clock.now(),
            place=room.place,
            actor=self.actor(room),
            name=name,
            text=rest,
            source=rest,
            message=message,
            target=target.ref if target else None,
            handle=f"h{self.world.new_key()}" if self.paper.slash else "",
        )

    async def asks(self, room: Room, text: str, *, target: Line | None = None) -> list[str]:
        """A command; returns the ids of what was said to the person because of it."""
        self.world.forget()
        await self.runs(room, text, target=target)
        return self.told

    @property
    def told(self) -> list[str]:
        """The ids of what was said to this person since `forget`, wherever."""
        said = [i for i in self.world.acts if isinstance(i, Tell) and i.to == self.ref]
        return [id_ for intent in said for id_ in self.world.speech.ids(plain_text(intent))]

    @property
    def told_text(self) -> str:
        said = [i for i in self.world.acts if isinstance(i, Tell) and i.to == self.ref]
        return "\n".join(map(plain_text, said))

    async def posts(
        self, room: Room, text: str, *files: Attachment, target: Line | None = None, album: str = ""
    ) -> Line:
        """`/post`, on platforms where that is a message."""
        line = await self.runs(room, f"post {text}", target=target, files=files, album=album)
        assert line is not None
        return line

    def attaches(self, name: str, content: bytes | Exception = b"", **more: Any) -> Attachment:
        """A file for the next message, as this platform describes and keeps it; nothing lies behind an empty one."""
        source = f"{self.paper.platform}-file-{len(self.paper.files)}-{name}"
        if content:
            self.paper.files[source] = content
        return Attachment(source=source, name=name, **more)

    async def says(
        self,
        room: Room,
        text: str,
        *files: Attachment,
        reply_to: Line | None = None,
        to_bot: bool = False,
        album: str = "",
    ) -> Line:
        line = self.paper.write(room.ref, self.key, text)
        event = self.message(room, line, text, reply_to=reply_to, to_bot=to_bot)
        await self.world.hand(replace(event, files=files, album=album))
        return line

    def message(
        self, room: Room, line: Line, text: str, *, reply_to: Line | None = None, to_bot: bool = False
    ) -> MessageReceived:
        return MessageReceived(
            key=self.world.new_key(),
            at=self.world.clock.now(),
            place=room.place,
            actor=self.actor(room),
            message=line.ref,
            body=from_plain(text),
            source=text,
            dialect="plain",
            reply_to=reply_to.ref if reply_to else None,
            to_bot=to_bot,
        )

    async def edits(
        self, room: Room, line: Line, text: str, *, kept: tuple[Attachment, ...] | None = None
    ) -> None:
        """The own message gets new words; a command stays one when it begins with `/`. `kept`: the files left."""
        event = self.edit(room, line, text)
        keys = None if kept is None else tuple(file.key for file in kept)
        await self.world.hand(replace(event, kept=keys))

    def edit(self, room: Room, line: Line, text: str) -> CommandEdited | MessageEdited:
        line.text = text
        common: dict[str, Any] = {
            "key": self.world.new_key(),
            "at": self.world.clock.now(),
            "place": room.place,
            "actor": self.actor(room),
            "message": line.ref,
        }
        if text.startswith("/"):
            name, _, rest = text[1:].partition(" ")
            return CommandEdited(**common, name=name, text=rest, source=rest)
        body: Body = from_plain(text)
        return MessageEdited(**common, body=body, source=text, dialect="plain")

    async def deletes(self, line: Line) -> None:
        """Somebody takes a message away."""
        line.deleted = True
        await self.world.hand(MessageDeleted(key=self.world.new_key(), message=line.ref))

    async def reacts(self, line: Line, *emoji: str, off: bool = False, at: datetime | None = None) -> None:
        await self.world.hand(self.reaction(line, *emoji, off=off, at=at))

    def reaction(
        self,
        line: Line,
        *emoji: str,
        off: bool = False,
        at: datetime | None = None,
        whole: bool = False,
        found: bool = False,
        ref: str = "",
    ) -> ReactionChanged:
        """Telegram tells the whole set, Discord has no key and no time, Matrix has an event for each."""
        keyed = self.paper.platform != "discord"
        return ReactionChanged(
            key=self.world.new_key() if keyed else None,
            at=None if found or not keyed else at or self.world.clock.now(),
            message=line.ref,
            actor=self.actor(self.world.room_of(line)),
            added=() if off else emoji,
            removed=emoji if off else (),
            whole=whole,
            ref=MessageRef(line.ref.chat, ref) if ref else None,
            found=found,
        )

    async def presses(self, line: Line, data: str) -> None:
        """A button under a line."""
        room = self.world.room_of(line)
        await self.world.hand(
            ButtonPressed(
                key=self.world.new_key(),
                at=self.world.clock.now(),
                place=room.place,
                actor=self.actor(room),
                data=data,
                message=line.ref,
                handle=f"h{self.world.new_key()}" if self.paper.slash else "",
            )
        )


def plain_text(intent: Tell) -> str:
    return plain(intent.view.body)


class World:
    """Writer, readers, engine and courier over one database; the platforms on paper outlive a restart."""

    def __init__(self, url: str, *, made: bool = False, **rules: Any) -> None:
        self.url = url
        self.clock = FakeClock()
        self.speech = Speech()
        self.papers = {
            Platform(name): Paper(
                name, capabilities, self.clock, slash=name == "discord", unchanged=name == "telegram"
            )
            for name, capabilities in CAPABILITIES.items()
        }
        self.adapters: Mapping[Platform, Adapter] = self.papers
        #: Where our own files lie; it outlives a restart.
        self.folder = Path(tempfile.gettempdir()) / f"stormo-{uuid.uuid4().hex}"
        plain_rules = Rules(
            instance="story",
            key=b"k" * 32,
            platforms={p: paper.capabilities for p, paper in self.papers.items()},
            hold=timedelta(0),
            media=MediaRules(folder=self.folder),
        )
        self.rules = replace(plain_rules, **rules)
        self.gate = _Gate(self)
        self.counts = Counts()
        self.handed: list[Inbound] = []
        self._rooms: dict[ChatRef, Room] = {}
        self._keys = 0
        self._seen: dict[Platform, int] = {}
        self._made = made
        #: Between two acts of a person who does one after another.
        self.tick = timedelta(seconds=1)

    # -- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.database = open_engine(self.url)
        if not self._made:
            upgrade(self.url)
            self._made = True
        self.engine = Engine(self.rules)
        self.writer = Writer(
            self.database,
            self.clock,
            self.engine.settle,
            lambda chats: _hop(loop, lambda: self._wake(chats)),
            read_ahead=self.engine.read_ahead,
            counts=self.counts,
        )
        self.readers = Readers(self.database, self.clock)
        leases = Leases(self.clock, alone=self.adapters)
        self.courier = Courier(
            adapters=self.adapters,
            writer=self.writer,
            engine=self.engine,
            words=self.speech,
            clock=self.clock,
            counts=self.counts,
            leases=leases,
        )
        self.fetcher = Fetcher(
            adapters=self.adapters,
            writer=self.writer,
            smaller=smaller,
            rules=self.rules.media,
            clock=self.clock,
            leases=leases,
        )
        self.writer.start()
        for paper in self.papers.values():
            paper.gate = self.gate
        self._running = asyncio.create_task(self.courier.run())
        self._fetching = asyncio.create_task(self.fetcher.run())
        await self.settled()

    def _wake(self, chats: frozenset[ChatId]) -> None:
        self.courier.wake(chats - {FILES})
        if FILES in chats:
            self.fetcher.wake()

    async def start_quietly(self) -> None:
        """Up again, a second later."""
        self.clock.advance(timedelta(seconds=1))
        await self.start()

    async def stop(self) -> None:
        """The orderly end: calls under way are awaited."""
        await self.courier.drain()
        await self._end()

    async def crash(self) -> None:
        """The process dies: what a platform has done meanwhile is recorded by nobody."""
        self.courier._stopping = True
        busy = list(self.courier._busy.values())
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        await self._end()

    async def restart(self, *, crash: bool = False, after: timedelta = timedelta(seconds=1)) -> None:
        await (self.crash() if crash else self.stop())
        self.clock.advance(after)
        await self.start()

    async def _end(self) -> None:
        tasks = (self._running, self._fetching)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.writer.close()
        self.readers.close()
        self.database.dispose()

    async def settled(self) -> None:
        """Everything handed over is stored, and no lane has anything to do at this time."""
        async with asyncio.timeout(DEADLINE):
            while True:
                echoes = [echo for paper in self.papers.values() for echo in paper.echoes]
                for paper in self.papers.values():
                    paper.echoes.clear()
                await asyncio.gather(*echoes)
                await self.writer.submit(lambda _: None)
                for _ in range(3):
                    await asyncio.sleep(0)
                busy = [*self.courier._busy.values(), *self.fetcher.under_way]
                if busy:
                    await asyncio.wait(busy)
                elif (
                    self.courier.idle
                    and self.fetcher.idle
                    # Both wait for the clock, and nothing of them has just begun.
                    and self.clock.waiters > 1
                    and not any(paper.echoes for paper in self.papers.values())
                ):
                    return

    async def passes(self, time: timedelta) -> None:
        """Time goes by, from alarm to alarm."""
        end = self.clock.now() + time
        await self.settled()
        while True:
            alarm = self.clock.next_alarm
            if alarm is None or alarm >= end:
                break
            self.clock.advance(max(alarm - self.clock.now(), timedelta(0)))
            await self.settled()
        self.clock.advance(end - self.clock.now())
        await self.settled()

    # -- acts and looks --------------------------------------------------------------------------------------------

    async def hand(self, *events: Inbound) -> None:
        """These events come in, in this order, and everything that follows is done."""
        self.handed += events
        await asyncio.gather(*(self.gate.handle(event) for event in events))
        await self.settled()

    async def hand_only(self, *events: Inbound) -> None:
        """These events are stored; what follows from them may still be under way."""
        self.handed += events
        await asyncio.gather(*(self.gate.handle(event) for event in events))

    async def execute(self, sql: str) -> None:
        """A setting that has no command yet."""
        await self.write(lambda unit: unit._run.cursor.execute(sql))

    async def write(self, work: Callable[[SqlUnit], T]) -> T:
        return await self.writer.submit(work)

    async def read(self, work: Callable[[SqlUnit], T]) -> T:
        return await self.readers.read(work)

    async def community_of(self, room: Room) -> Any:
        def work(unit: SqlUnit) -> Any:
            chat = unit.communities.chat(room.ref)
            assert chat is not None
            assert chat.community_id is not None
            return unit.communities.community(chat.community_id)

        return await self.read(work)

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query finds."""

        def work(unit: SqlUnit) -> list[tuple[Any, ...]]:
            unit._run.cursor.execute(sql)
            return [tuple(row) for row in unit._run.cursor.fetchall()]

        return await self.read(work)

    def speech_of(self, id_: str, **args: Any) -> str:
        """The English words of a message."""
        return self.speech(Message(id_, args), "en")

    @property
    def rooms(self) -> list[Room]:
        return list(self._rooms.values())

    def new_key(self) -> str:
        self._keys += 1
        return f"story:{self._keys}"

    def room(
        self, platform: str, key: str, *, title: str = "", private: bool = False, closed: bool = False
    ) -> Room:
        ref = ChatRef(Platform(platform), key)
        if ref not in self._rooms:
            place = Place(chat=ref, title=title or key, private=private, closed=closed)
            self._rooms[ref] = Room(self, self.papers[ref.platform], place)
        return self._rooms[ref]

    def room_of(self, line: Line) -> Room:
        return self._rooms[line.ref.chat]

    def person(self, platform: str, key: str, *, name: str = "", **more: Any) -> Person:
        return Person(self, self.papers[Platform(platform)], key, name or key.capitalize(), **more)

    async def member(self, platform: str, key: str, **more: Any) -> Person:
        """Somebody who opened the private chat and joined."""
        person = self.person(platform, key, **more)
        await person.runs(person.private, "join")
        return person

    async def community(self, *rooms: Room) -> Person:
        """These rooms are one community; returns its founder, who is no member."""
        founder = self.person(rooms[0].paper.platform, f"founder-{rooms[0].ref.key}")
        founder.leads(rooms[0])
        if not founder.paper.slash:
            await founder.runs(founder.private, "start")
        await founder.runs(rooms[0], "setup")
        for room in rooms[1:]:
            self.forget()
            await founder.runs(rooms[0], "setup")
            code = code_in(founder.told_text)
            other = self.person(room.paper.platform, f"admin-{room.ref.key}").leads(room)
            await other.runs(room, f"setup {code}")
        return founder

    async def link(self, first: Person, second: Person) -> None:
        """Two accounts become one member: a code, a claim, a yes."""
        self.forget()
        await first.runs(first.private, "link")
        code = code_in(first.told_text)
        await second.runs(second.private, f"link {code}")
        await second.runs(second.private, "link yes")
        self.forget()
        await first.runs(first.private, "link yes")
        assert first.told == ["link.done_first"]

    async def mirrors(self, room: Room, *feeds: str) -> None:
        admin = self.person(room.paper.platform, f"admin-{room.ref.key}").leads(room)
        for feed in feeds:
            await admin.runs(room, f"mirror add {feed}")

    @property
    def acts(self) -> Sequence[Any]:
        """What the platforms were asked since `forget`."""
        return [
            intent
            for platform, paper in self.papers.items()
            for _, intent in paper.calls[self._seen.get(platform, 0) :]
        ]

    def forget(self) -> None:
        self._seen = {platform: len(paper.calls) for platform, paper in self.papers.items()}

    def with_rules(self, **rules: Any) -> Rules:
        """Holds from the next start on."""
        return replace(self.rules, **rules)

    async def snapshot(self, *without: str) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table but these."""
        return await self.read(lambda unit: snapshot(unit, without=frozenset(without)))

    async def short_id_of(self, source: str) -> str:
        """The id that people write for the post with these words."""
        rows = await self.rows(
            f"SELECT post_id FROM revisions WHERE source LIKE '%{source}' ORDER BY post_id DESC"
        )
        return short_id(PostId(rows[0][0]))


@dataclass
class _Gate:
    world: World

    def handle(self, event: Inbound) -> asyncio.Future[None]:
        world = self.world
        return world.writer.submit(
            lambda unit: world.engine.handle(unit, event),
            bury=lambda unit, error: world.engine.bury(unit, event, error),
        )

    def alive(self) -> None:
        """Whether a platform is alive is no story."""

    async def bookmark(self, scope: str) -> str | None:
        return await self.world.read(lambda unit: unit.intake.bookmark(scope))

    async def watched_chats(self, platform: Platform) -> Sequence[ChatRef]:
        return await self.world.read(lambda unit: unit.communities.watched(platform))

    async def suggest(self, asked: Asked) -> Sequence[Suggestion]:
        return await self.world.read(lambda unit: suggest(unit, self.world.rules, asked))

    async def claim(self, name: str, life: timedelta) -> bool:
        return True

    async def draft(self, asked: Asked, values: Mapping[str, str]) -> Draft | None:
        return await self.world.read(lambda unit: draft(unit, self.world.rules, asked, values))

    async def recent_messages(self, platform: Platform, since: datetime) -> Sequence[WatchedMessage]:
        copies = await self.world.read(lambda unit: unit.copies.recent(platform, since))
        return [WatchedMessage(copy.message, copy.ours) for copy in copies]


def _hop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)


def code_in(text: str) -> str:
    """The one-time code in an answer."""
    codes = re.findall(r"\b[A-Z2-9]{13}\b", text)
    assert codes, f"no code in {text!r}"
    return str(codes[-1])


def snapshot(unit: SqlUnit, *, without: frozenset[str]) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table but these."""
    rows = {}
    # The highest id used is no content: a refused act used some, too.
    for table in metadata.sorted_tables:
        if table.name not in {*without, "processes"}:
            columns = ", ".join(f'"{column.name}"' for column in table.columns)
            unit._run.cursor.execute(f'SELECT {columns} FROM "{table.name}"')
            found = [tuple(row) for row in unit._run.cursor.fetchall()]
            rows[table.name] = sorted(found, key=repr)
    return rows


__all__ = ["HOUR", "MINUTE", "Line", "Person", "Room", "World", "code_in", "snapshot"]
