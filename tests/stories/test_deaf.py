"""A room in which the bot hears only what is said to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.types import Platform
from tests.stories.world import Room, World

RIGHT = "message_content"


@pytest.fixture(autouse=True)
def hears(world: World) -> None:
    """Discord needs a right to hear ordinary talk."""
    paper = world.papers[Platform("discord")]
    paper.capabilities = replace(paper.capabilities, hears=RIGHT)
    platforms = {p: other.capabilities for p, other in world.papers.items()}
    world.rules = world.engine.rules = world.with_rules(platforms=platforms)


async def test_who_sets_it_up_reads_what_works_and_its_talk_cannot_be_shared(world: World) -> None:
    channel = world.room("discord", "general")
    deaf = Room(world, channel.paper, replace(channel.place, lacks=(RIGHT,)))
    admin = world.person("discord", "admin").leads(channel)
    assert await admin.asks(deaf, "setup") == ["setup.code", "setup.lacks", "setup.next"]
    for words in ("check.discord.permission.message_content", "lost.discord.message_content"):
        assert world.speech_of(words) in admin.told_text
    assert await admin.asks(deaf, "relay on") == ["relay.deaf"]
    assert await admin.asks(deaf, "relay off") == ["relay.same_off"]
    assert await admin.asks(channel, "setup") == ["setup.code", "setup.next"]
    assert await admin.asks(channel, "relay on") == ["relay.on"]
    assert await admin.asks(deaf, "relay off") == ["relay.off"]


async def test_posts_and_answers_work_all_the_same(world: World) -> None:
    channel, group = world.room("discord", "general"), world.room("telegram", "birds")
    deaf = Room(world, channel.paper, replace(channel.place, lacks=(RIGHT,)))
    await world.community(channel, group)
    anna = await world.member("discord", "anna")
    await world.mirrors(group, "@anna")
    await anna.runs(deaf, "post hello")
    await anna.says(deaf, "and again", reply_to=channel.copies[-1], to_bot=True)
    assert group.texts == ["hello", "and again"]


async def test_a_room_of_threads_shares_no_talk(world: World) -> None:
    channel = world.room("discord", "general")
    forum = Room(world, channel.paper, replace(channel.place, threaded=True))
    admin = world.person("discord", "admin").leads(channel)
    await admin.runs(forum, "setup")
    assert await admin.asks(forum, "relay on") == ["relay.threaded"]
    assert await admin.asks(forum, "relay off") == ["relay.same_off"]
    assert await admin.asks(forum, "mirror add #birds") == ["mirror.added", "mirror.no_preview"]
