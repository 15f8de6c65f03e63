"""The story in its first form: three looks of the playground, and people who act as on its page."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from bots.playground.bot import PlaygroundAdapter
from bots.playground.looks import DISCORD, LOOKS, MATRIX, TELEGRAM
from bots.playground.people import Person, RoomDoor, add_person, add_room
from bots.playground.platform import Message, Playground
from core.errors import RetryLater
from core.intents import Create, Intent
from tests.stories.world import HOUR, MINUTE, World


class PlaygroundWorld(World):
    """The same core, with the playground's adapters instead of paper."""

    def __init__(self, url: str) -> None:
        super().__init__(url, made=True)
        self.playground = Playground(self.clock)
        self.adapters = {look.platform: PlaygroundAdapter(self.playground, look) for look in LOOKS}
        self.rules = replace(self.rules, platforms={p: a.capabilities for p, a in self.adapters.items()})
        self._listening: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await super().start()
        self._listening = [asyncio.create_task(a.run(self.gate)) for a in self.adapters.values()]

    async def _end(self) -> None:
        for task in self._listening:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await super()._end()

    def _waiting(self) -> bool:
        return any(self.playground.waiting(look) for look in LOOKS)

    async def settled(self) -> None:
        while True:
            if self._listening:
                await self.playground.changed(lambda: not self._waiting())
            await super().settled()
            if not self._listening or not self._waiting():
                return


@pytest.fixture
async def world(migrated_url: str) -> AsyncIterator[PlaygroundWorld]:
    world = PlaygroundWorld(migrated_url)
    await world.start()
    yield world
    await world.stop()
    world.playground.close()


class Flock:
    """A Telegram group, three Discord channels and a Matrix room of one community; Anna leads them all."""

    def __init__(self, world: PlaygroundWorld) -> None:
        self.world = world
        self.anna, self.bruno, self.chiara = (
            Person(world.playground, id_) for id_ in ("anna", "bruno", "chiara")
        )

    async def set_up(self) -> None:
        playground = self.world.playground
        self.group = RoomDoor(playground, TELEGRAM.name)
        self.matrix = RoomDoor(playground, MATRIX.name)
        self.channels = [RoomDoor(playground, DISCORD.name)]
        for name in ("seconds", "thirds"):
            self.channels.append(await add_room(playground, DISCORD, name, f"#{name}", "anna"))
        private = await self.anna.private(TELEGRAM)
        await self.says(self.anna, self.group, "/setup")
        for room in (*self.channels, self.matrix):
            await self.says(self.anna, self.group, "/setup")
            code = re.findall(r"\b[A-Z2-9]{13}\b", private.visible()[-1].text)[-1]
            await self.says(self.anna, room, f"{'!' if room is self.matrix else '/'}setup {code}")
        slug = (await self.world.rows("SELECT slug FROM communities"))[0][0]
        for room in (*self.channels, self.matrix):
            await self.says(self.anna, room, f"{'!' if room is self.matrix else '/'}mirror add {slug}")
        await self.says(self.anna, self.group, "/join")

    async def says(self, who: Person, room: RoomDoor, text: str, to: Message | None = None) -> Message | None:
        message = await who.send(room, text, to)
        await self.world.settled()
        return message

    def copies(self, room: RoomDoor) -> list[Message]:
        return [m for m in room.visible() if m.shown.author]

    def texts(self, room: RoomDoor) -> list[str]:
        return [m.text for m in self.copies(room)]

    @property
    def mirrors(self) -> list[RoomDoor]:
        return [*self.channels, self.matrix]


@pytest.fixture
async def flock(world: PlaygroundWorld) -> Flock:
    flock = Flock(world)
    await flock.set_up()
    return flock


async def test_one_post_everywhere_one_vote_per_member_and_moderators_win(
    world: PlaygroundWorld, flock: Flock
) -> None:
    own = await flock.says(flock.anna, flock.group, "/post The **swifts** are back")
    assert own is not None
    for room in flock.mirrors:
        (copy,) = flock.copies(room)
        assert "swifts" in copy.text
        assert copy.author == "@anna · Telegram"
    await flock.says(flock.bruno, flock.matrix, "!join")
    await flock.bruno.react(flock.copies(flock.matrix)[0], "👍")
    await world.passes(MINUTE)
    assert {flock.copies(room)[0].footer for room in flock.mirrors} == {"1 vote"}

    door = await flock.bruno.private(MATRIX)
    await flock.says(flock.bruno, door, "!link")
    code = re.findall(r"\b[A-Z2-9]{13}\b", door.visible()[-1].text)[-1]
    await flock.says(flock.bruno, flock.channels[0], f"/link {code}")
    await flock.says(flock.bruno, flock.channels[0], "/link yes")
    await flock.says(flock.bruno, door, "!link yes")
    await flock.bruno.react(flock.copies(flock.channels[1])[0], "❤️")
    await world.passes(MINUTE)
    assert {flock.copies(room)[0].footer for room in flock.mirrors} == {"1 vote"}

    await flock.anna.edit(own, "/post The swifts are here")
    await world.settled()
    assert [flock.texts(room) for room in flock.mirrors] == [["The swifts are here"]] * 4

    await flock.anna.delete(flock.copies(flock.channels[2])[0])
    await flock.anna.edit(own, "/post The swifts are here to stay")
    visitor = await add_person(world.playground, "Dario")
    await visitor.react(own, "👍")
    await world.passes(HOUR)
    assert flock.texts(flock.channels[2]) == []
    assert flock.texts(flock.matrix) == ["The swifts are here to stay"]


async def test_a_long_post_stands_in_parts_and_shrinks_again(world: PlaygroundWorld, flock: Flock) -> None:
    """What one says on Matrix does not fit into one message of the others."""
    await flock.says(flock.bruno, flock.matrix, "!join")
    text = " ".join(f"word{number:04}" for number in range(600))
    own = await flock.says(flock.bruno, flock.matrix, f"!post {text}")
    assert own is not None
    for room in flock.channels:
        first, second = [m for m in room.visible() if m.text.startswith("word")]
        assert f"{first.text} {second.text}" == text
        assert (first.author, first.footer, second.footer) == ("@bruno · Matrix", "1/2", "2/2")
        assert second.shown.author == ""
    reader = await add_person(world.playground, "Dario")
    await flock.says(reader, flock.channels[0], "/join")
    await reader.react([m for m in flock.channels[0].visible() if m.text.startswith("word")][1], "👍")
    await world.passes(MINUTE)
    assert [m.footer for m in flock.channels[1].visible() if m.text.startswith("word")] == [
        "1/2",
        "2/2 · 1 vote",
    ]
    await flock.bruno.edit(own, "!post Few words")
    await world.settled()
    for room in flock.channels:
        assert [m.text for m in room.visible() if m.text.startswith("word")] == []
        assert flock.texts(room) == ["Few words"]


@pytest.mark.parametrize("stored", [False, True], ids=["before it is stored", "after it is stored"])
async def test_the_whole_core_starts_again_in_the_middle(
    world: PlaygroundWorld, flock: Flock, *, stored: bool
) -> None:
    """Exactly one copy where there is a key; where there is none never none, and the surplus is listed."""
    cut: list[Create] = []

    async def dies(intent: Intent) -> None:
        if isinstance(intent, Create) and intent.view.author and intent.chat not in [c.chat for c in cut]:
            cut.append(intent)
            raise RetryLater("cut", unknown=True, after=timedelta(seconds=5))

    if stored:
        world.playground.after_storing = dies
    else:
        world.playground.before_storing = dies
    await flock.says(flock.anna, flock.group, "/post The swifts are back")
    assert len(cut) == 4
    await world.restart()
    await world.passes(HOUR)
    assert [flock.texts(room) for room in flock.mirrors] == [["The swifts are back"]] * 4
    assert await world.rows("SELECT * FROM doubts") == []
    await flock.says(flock.bruno, flock.channels[0], "/join")
    cut.clear()
    await flock.says(flock.bruno, flock.channels[0], "Where?", flock.copies(flock.channels[0])[0])
    await world.passes(HOUR)
    shown = flock.texts(flock.group)
    doubts = await world.rows("SELECT resolution FROM doubts")
    assert shown == ["Where?"] * (2 if stored else 1)
    assert doubts == [("sent again",)]
