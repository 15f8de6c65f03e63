"""Boosts and tags that come and go in any order: a post stands exactly where something brings it, and once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.migrated import migrated_file
from tests.stories.world import HOUR, Line, Person, Room, World

pytestmark = pytest.mark.timeout(240)
#: What each room mirrors.
ROOMS = {
    "one": ("@bruno",),
    "two": ("@bruno", "@chiara"),
    "three": ("@chiara", "#birds"),
    "four": ("#birds",),
    "five": ("@dario",),
}
#: A room takes a post back three times: no more acts than bring it there so often.
ACTS = st.lists(st.sampled_from(("@bruno", "@chiara", "#birds", "restart")), max_size=6)


class Run:
    """One post of Anna's, and what brings it to rooms."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rooms: dict[str, Room] = {}
        self.people: dict[str, Person] = {}
        self.on: set[str] = set()

    async def begin(self) -> None:
        self.group = self.world.room("telegram", "group")
        await self.world.community(self.group)
        for name in ("anna", "bruno", "chiara", "dario"):
            self.people[f"@{name}"] = await self.world.member("telegram", name)
        for key, feeds in ROOMS.items():
            self.rooms[key] = self.world.room("matrix", key)
            await self.world.community(self.rooms[key])
            await self.world.mirrors(self.rooms[key], *feeds)
        self.own: Line = await self.people["@anna"].posts(self.group, "visibility:public Swifts")

    async def act(self, what: str) -> None:
        if what == "restart":
            return await self.world.restart(crash=True)
        self.on ^= {what}
        if what == "#birds":
            words = "Swifts #birds" if what in self.on else "Swifts"
            return await self.people["@anna"].edits(self.group, self.own, f"/post {words}")
        command = "boost" if what in self.on else "unboost"
        await self.people[what].runs(self.group, command, target=self.own)
        return None

    def check(self) -> None:
        words = "Swifts #birds" if "#birds" in self.on else "Swifts"
        for key, feeds in ROOMS.items():
            brought = self.on.intersection(feeds)
            shown = self.rooms[key].texts
            assert len(shown) == bool(brought), (key, self.on)
            for text in shown:
                *by, last = text.split("\n\n")
                assert last == words
                named = {line.removeprefix("Shared by ") for line in by}
                assert named <= brought
                assert named or "#birds" in brought


async def play(acts: Sequence[str]) -> None:
    with TemporaryDirectory() as folder:
        world = World(migrated_file(Path(folder) / "boosts.sqlite"), made=True)
        await world.start()
        try:
            run = Run(world)
            await run.begin()
            for act in acts:
                await run.act(act)
                run.check()
            await world.passes(HOUR)
            run.check()
            event(f"{len(run.on)} things bring it")
        finally:
            await world.stop()


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(ACTS)
def test_a_post_stands_where_a_boost_or_a_tag_brings_it_and_nowhere_else(acts: list[str]) -> None:
    asyncio.run(play(acts))
