"""What an admin is led through who sets a room up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.intents import Tell
from core.records import Look
from core.types import Platform
from tests.stories.world import Person, Room, World, code_in


@pytest.fixture(autouse=True)
def speaks(world: World) -> None:
    """Discord can show words in their author's name."""
    paper = world.papers[Platform("discord")]
    paper.capabilities = replace(paper.capabilities, as_author="manage_webhooks")
    platforms = {p: other.capabilities for p, other in world.papers.items()}
    world.rules = world.engine.rules = world.with_rules(platforms=platforms)


def last_answer(person: Person) -> Tell:
    return next(i for i in reversed(person.world.acts) if isinstance(i, Tell) and i.to == person.ref)


async def presses(person: Person, room: Room, data: str) -> list[str]:
    """A button of the last answer, in this room."""
    assert data in [button.data for button in last_answer(person).view.buttons]
    line = room.paper.write(room.ref, "bot", "the answer")
    person.world.forget()
    await person.presses(line, data)
    return person.told


async def test_an_admin_is_led_from_feed_to_look_to_a_preview(world: World) -> None:
    group, channel = world.room("telegram", "birds", title="Birds"), world.room("discord", "channel")
    await world.community(group, channel)
    anna = await world.member("telegram", "anna")
    await anna.posts(group, "Two swifts")
    bruno = world.person("discord", "bruno").leads(channel)
    assert await bruno.asks(channel, "setup") == ["setup.code", "setup.next"]
    assert await presses(bruno, channel, "setup:feed") == ["mirror.added", "setup.look"]
    assert await presses(bruno, channel, "setup:look:author") == [
        "look.author",
        "setup.done",
        "mirror.preview",
    ]
    assert "Two swifts" in bruno.told_text
    assert channel.copies == [], "a new mirror starts from now"
    await anna.posts(group, "Three swifts")
    assert channel.texts == ["Three swifts"]
    chat = await world.read(lambda unit: unit.communities.chat(channel.ref))
    assert chat is not None
    assert chat.look is Look.AUTHOR


async def test_each_missing_right_is_named_with_what_is_lost(world: World) -> None:
    channel = world.room("discord", "channel", title="Birds")
    channel.place = replace(channel.place, lacks=("embed_links", "manage_webhooks"))
    olga = world.person("discord", "olga").leads(channel)
    assert await olga.asks(channel, "setup") == ["setup.code", "setup.lacks", "setup.lacks", "setup.next"]
    assert "In Birds I may not: Embed Links. Without that, posts come as plain text" in olga.told_text
    assert await presses(olga, channel, "setup:feed") == ["mirror.added", "setup.done", "mirror.no_preview"]


async def test_who_is_no_admin_presses_in_vain(world: World) -> None:
    channel = world.room("discord", "channel", title="Birds")
    olga = world.person("discord", "olga").leads(channel)
    await olga.asks(channel, "setup")
    bruno = await world.member("discord", "bruno")
    line = channel.paper.write(channel.ref, "bot", "the answer")
    for data in ("setup:feed", "setup:look:author"):
        world.forget()
        await bruno.presses(line, data)
        assert bruno.told == ["right.admin"]
    assert await world.rows("SELECT * FROM mirrors") == []


async def test_a_room_that_joins_is_led_on_as_well(world: World) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel", title="Birds")
    founder = await world.community(group)
    world.forget()
    await founder.runs(group, "setup")
    code = code_in(founder.told_text)
    channel.place = replace(channel.place, lacks=("embed_links",))
    olga = world.person("discord", "olga").leads(channel)
    assert await olga.asks(channel, f"setup {code}") == ["setup.joined", "setup.lacks", "setup.next"]
    assert channel.heard == []
    assert await presses(olga, channel, "setup:feed") == ["mirror.added", "setup.look"]
    line = channel.paper.write(channel.ref, "bot", "the answer")
    world.forget()
    await olga.presses(line, "setup:feed")
    assert olga.told == ["mirror.already", "setup.look"]
    world.forget()
    await olga.presses(line, "setup:nonsense")
    assert olga.told == ["button.unknown"]
