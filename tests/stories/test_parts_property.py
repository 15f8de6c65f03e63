"""Edits of any lengths, with votes, lost answers and ends of the process: a room shows the newest words, divided."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from core.errors import RetryLater
from core.events import Inbound
from core.intents import Form, View, Voice
from core.parts import parted
from core.text import from_plain, plain
from core.types import Platform
from tests.doubles.paper import BOT, Line
from tests.migrated import migrated_file
from tests.stories.test_delivery import pair
from tests.stories.test_parts import nth, of_copies, words
from tests.stories.world import HOUR, World

pytestmark = pytest.mark.timeout(240)
#: So little fits into a message that a few words are several.
ROOM = 260


@dataclass(frozen=True)
class Edit:
    """The post has so many words from now on."""

    words: int


@dataclass(frozen=True)
class Vote:
    """Somebody gives or takes back a vote."""


@dataclass(frozen=True)
class Lose:
    """The answer to the call of that number from now on is lost, before or after it took effect."""

    number: int
    after: bool


@dataclass(frozen=True)
class Die:
    """The process ends at the call of that number from now on, when it has taken effect."""

    number: int


@dataclass(frozen=True)
class Wait:
    seconds: int


Step = Edit | Vote | Lose | Die | Wait
STEPS = st.lists(
    st.one_of(
        st.builds(Edit, st.integers(1, 80)),
        st.builds(Vote),
        st.builds(Lose, st.integers(0, 6), st.booleans()),
        st.builds(Die, st.integers(0, 6)),
        st.builds(Wait, st.sampled_from((1, 20, 700))),
    ),
    max_size=10,
)


class Run:
    """One room, one post, and what happens to it."""

    def __init__(self, world: World, platform: str) -> None:
        self.world = world
        self.paper = world.papers[Platform(platform)]
        self.paper.capabilities = replace(self.paper.capabilities, max_text=ROOM)
        self.texts = ["one two three"]
        self.voted = False

    async def begin(self) -> None:
        await self.world.start()
        self.anna, self.group, (self.room,) = await pair(self.world, str(self.paper.platform))
        self.bruno = await self.world.member("matrix", "bruno")
        self.notices = self.room.lines
        self.own = await self.anna.posts(self.group, self.texts[0])

    async def step(self, step: Step) -> None:
        match step:
            case Edit(many):
                self.texts.append(words(many, f"v{len(self.texts)}w"))
                await self.hand(self.anna.edit(self.group, self.own, f"/post {self.texts[-1]}"))
            case Vote():
                self.voted = not self.voted
                await self.hand(self.bruno.reaction(self.own, "👍", off=not self.voted))
            case Lose(number, after):
                lost = RetryLater("cut", unknown=True, after=timedelta(seconds=5))
                self.paper.fails(lost, when=nth(number, of_copies(self.room)), after=after)
            case Die(number):
                self.paper.hold(nth(number, of_copies(self.room)))
            case Wait(seconds):
                await self.until(self.world.passes(timedelta(seconds=seconds)))

    async def hand(self, act: Inbound) -> None:
        await self.world.hand_only(act)
        await self.until(self.world.settled())

    async def until(self, end: Coroutine[Any, Any, None]) -> None:
        """Until nothing is left to do, or the process has ended and was started again."""
        done = asyncio.ensure_future(end)
        deaths = [asyncio.ensure_future(hold.reached.wait()) for hold in self.paper.holds]
        await asyncio.wait([done, *deaths], return_when=asyncio.FIRST_COMPLETED)
        for death in deaths:
            death.cancel()
        if done.done():
            return done.result()
        done.cancel()
        event("the process ended")
        await self.world.crash()
        return await self.until(self.world.start_quietly())

    async def rest(self) -> None:
        """Nothing goes wrong any more."""
        self.paper.holds.clear()
        self.paper.faults.clear()
        for _ in range(3):
            await self.world.passes(HOUR)

    async def shown(self) -> tuple[list[Line], list[Line]]:
        """What stands in the room: what we know of, and the rest."""
        rows = await self.world.rows("SELECT message_key FROM copies WHERE ours = 1 ORDER BY part")
        known = {key: place for place, (key,) in enumerate(rows)}
        ours = [line for line in self.room.parts if line.ref.key in known]
        others = [line for line in self.room.lines if line.by == BOT and line not in (*self.notices, *ours)]
        return sorted(ours, key=lambda line: known[line.ref.key]), others

    def expected(self) -> list[tuple[str, str]]:
        """The words and the foot of each message."""
        author = self.room.parts[0].author if self.room.parts else ""
        foot = "1 vote" if self.voted else ""
        view = View(Voice.PERSON, from_plain(self.texts[-1]), author=author, footer=foot)
        made = parted(view, Form.FULL, self.paper.capabilities, lambda part, of: f"{part}/{of}")
        return [(plain(part.body), part.footer) for part in made]


async def play(platform: str, steps: list[Step]) -> None:
    with TemporaryDirectory() as folder:
        run = Run(World(migrated_file(Path(folder) / "parts.sqlite"), made=True), platform)
        await run.begin()
        try:
            for step in steps:
                await run.step(step)
            await run.rest()
            ours, others = await run.shown()
            assert [(line.text, line.footer) for line in ours] == run.expected()
            doubts = await run.world.rows("SELECT part FROM doubts")
            assert len(others) <= len(doubts), "each possible surplus is listed"
            if platform == "matrix":
                assert others == [], "a day long it knows each key"
                assert [line.ref for line in run.room.parts] == [line.ref for line in ours], "in order"
            assert await run.world.rows("SELECT * FROM tries") == []
            event(f"{len(ours)} parts")
        finally:
            await run.world.stop()


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(("matrix", "discord", "telegram")), STEPS)
def test_a_room_ends_with_the_newest_words_whatever_happened(platform: str, steps: list[Step]) -> None:
    asyncio.run(play(platform, steps))
