"""A guild of our double with a channel, its people, the Discord adapter and the core that it talks to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from bots.discord.bot import DiscordAdapter, Settings
from core.body import Body, Paragraph, Text
from core.errors import Message
from core.events import Inbound
from core.intents import Create, View, Voice
from core.ports import Adapter, WatchedMessage
from core.suggestions import Asked, Draft, Suggestion
from core.types import ChatRef, MessageRef, Platform
from storage.database import StorageUnavailable
from tests.doubles.discord import Channel, DiscordDouble, Guild, Person
from tests.doubles.discord import Message as Seen

DISCORD = Platform("discord")
_E = TypeVar("_E", bound=Inbound)


class WallClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


def words(message: Message, language: str) -> str:
    if message.id.startswith("word."):
        # Discord takes no blanks in a command's name.
        return f"{message.id.rpartition('.')[2]}-{language}"
    return f"{message.id} in {language}"


@dataclass
class CollectingGate:
    """A core that commits at once: keeps events once a key, bookmarks, and what is watched.

    ``refuses``: the words of a message that it cannot take now, as it finds when the next one was taken.
    """

    events: list[Inbound] = field(default_factory=list)
    bookmarks: dict[str, str] = field(default_factory=dict)
    watched: list[ChatRef] = field(default_factory=list)
    signs: int = 0
    recent: list[WatchedMessage] = field(default_factory=list)
    suggestions: list[Suggestion] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    drafted: Draft | None = field(default_factory=Draft)
    fault: Exception | None = None
    refuses: str = ""
    on_event: Callable[[Inbound], Awaitable[None]] | None = None
    _seen: set[str] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, event: Inbound) -> None:
        if self.refuses and self.refuses == getattr(event, "source", ""):
            taken = len(self.events)
            while len(self.events) == taken:
                self._changed.clear()
                await self._changed.wait()
            raise StorageUnavailable("away")
        mark = event.bookmark
        if mark is not None and mark.after in (None, self.bookmarks.get(mark.scope)):
            self.bookmarks[mark.scope] = mark.value
        if event.key is not None and event.key in self._seen:
            return
        if event.key is not None:
            self._seen.add(event.key)
        self.events.append(event)
        self._changed.set()
        if self.on_event is not None:
            await self.on_event(event)

    def alive(self) -> None:
        self.signs += 1

    async def bookmark(self, scope: str) -> str | None:
        return self.bookmarks.get(scope)

    async def watched_chats(self, platform: Platform) -> Sequence[ChatRef]:
        return self.watched

    def _look(self, asked: Asked) -> None:
        self.asked.append(asked)
        if self.fault is not None:
            raise self.fault

    async def suggest(self, asked: Asked) -> Sequence[Suggestion]:
        self._look(asked)
        return self.suggestions

    async def claim(self, name: str, life: timedelta) -> bool:
        return True

    async def draft(self, asked: Asked, values: Mapping[str, str]) -> Draft | None:
        self._look(asked)
        return self.drafted

    async def recent_messages(self, platform: Platform, since: datetime) -> Sequence[WatchedMessage]:
        return self.recent

    async def until(self, kind: type[_E], where: Callable[[_E], bool] = lambda _: True) -> _E:
        """The first event of this kind that was or will be handed over, within ten seconds."""
        async with asyncio.timeout(10):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and where(event):
                        return event
                self._changed.clear()
                await self._changed.wait()


@dataclass
class Scene:
    """A guild with one channel, its owner, a member, the adapter and the core it talks to."""

    double: DiscordDouble
    guild: Guild
    channel: Channel
    owner: Person
    anna: Person
    gate: CollectingGate
    adapter: DiscordAdapter
    others: list[DiscordAdapter] = field(default_factory=list)

    @property
    def chat(self) -> ChatRef:
        return ChatRef(DISCORD, str(self.channel.id))

    def ref(self, message: Seen) -> MessageRef:
        return MessageRef(ChatRef(DISCORD, str(message.channel.id)), str(message.id))

    def another(self, **changes: object) -> DiscordAdapter:
        self.others.append(adapter_for(self.double, **changes))
        return self.others[-1]

    async def close(self) -> None:
        for adapter in (self.adapter, *self.others):
            await adapter.close()

    async def create(self, text: str = "Hello", **changes: object) -> MessageRef:
        receipt = await self.adapter.perform(create(self.chat, text, **changes))
        assert receipt.message is not None
        return receipt.message


def adapter_for(double: DiscordDouble, **changes: object) -> DiscordAdapter:
    given: dict[str, object] = {
        "token": double.token,
        "api_url": double.api_url,
        "gateway_url": double.gateway_url,
        "cdn_url": double.cdn_url,
        "guild_ready_timeout": 0.2,
        "catchup_reads": 40,
        "identify_seconds": 0,
    }
    return DiscordAdapter(Settings(**(given | changes)), words, WallClock())  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def running(scene: Scene, adapter: Adapter | None = None) -> AsyncIterator[None]:
    """The adapter connected, its commands offered; a fault of `run` fails the test."""
    task = asyncio.create_task((adapter or scene.adapter).run(scene.gate))
    connected = asyncio.create_task(scene.double.gateway.wait_connected())
    await asyncio.wait({task, connected}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if not task.done():
            await scene.double.until(lambda: scene.double.world.commands[None], 10, "commands offered")
            yield
    finally:
        connected.cancel()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def a_scene() -> AsyncIterator[Scene]:
    """Ends with a look at what was sent against the description of the API."""
    async with DiscordDouble() as double:
        owner, anna = double.person("Olga"), double.person("Anna", locale="it")
        guild = double.guild("Birders", owner=owner, members=(anna,))
        channel = guild.text_channel("general")
        scene = Scene(double, guild, channel, owner, anna, CollectingGate(), adapter_for(double))
        yield scene
        await scene.close()
        assert double.violations == []


def body(text: str) -> Body:
    return Body((Paragraph((Text(text),)),))


def view(text: str, **changes: object) -> View:
    return View(**({"voice": Voice.BOT, "body": body(text)} | changes))  # type: ignore[arg-type]


def create(chat: ChatRef, text: str, **changes: object) -> Create:
    shown = {
        name: changes.pop(name)
        for name in ("voice", "author", "footer", "buttons", "link")
        if name in changes
    }
    given: dict[str, object] = {"key": f"key of {text}", "chat": chat, "view": view(text, **shown)}
    return Create(**(given | changes))  # type: ignore[arg-type]
