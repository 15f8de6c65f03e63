"""Whose picture may stand beside an author's name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.types import AccountRef, Platform
from tests.stories.world import Room, World


@pytest.fixture(autouse=True)
def speaks(world: World) -> None:
    """Discord can show words in their author's name."""
    paper = world.papers[Platform("discord")]
    paper.capabilities = replace(paper.capabilities, as_author="manage_webhooks")
    platforms = {p: other.capabilities for p, other in world.papers.items()}
    world.rules = world.engine.rules = world.with_rules(platforms=platforms)


def portraits(room: Room) -> list[AccountRef | None]:
    return [line.view.portrait if line.view else None for line in room.copies]


async def test_a_picture_goes_with_the_yes_to_its_name_on_its_own_platform(world: World) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "general")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    admin = world.person("discord", "admin-general").leads(channel)
    anna, birdy = await world.member("telegram", "anna"), world.person("discord", "birdy", name="Birdy")
    await world.link(anna, birdy)
    await admin.runs(channel, "mirror look author")
    await anna.posts(group, "without a yes")
    await anna.runs(anna.private, "name show")
    await anna.posts(group, "with a yes to the name on Telegram")
    await birdy.runs(birdy.private, "name show")
    await anna.posts(group, "with a yes to the name on Discord")
    await admin.runs(channel, "mirror look bot")
    await anna.posts(group, "in the bot's name")
    assert portraits(channel) == [None, None, birdy.ref, None]
    assert channel.copies[2].author == "Birdy (@anna · Telegram)"


async def test_who_hides_their_name_learns_where_it_stays(world: World) -> None:
    anna = await world.member("telegram", "anna")
    assert await anna.asks(anna.private, "name show") == ["name.shown"]
    assert await anna.asks(anna.private, "name hide") == ["name.hidden", "name.stays"]
    assert "Discord" in anna.told_text
