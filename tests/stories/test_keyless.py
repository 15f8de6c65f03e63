"""A place in which no key is known again, though its platform knows keys: a forum of Discord's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from core.errors import RetryLater
from core.intents import Create, Intent
from core.types import Platform
from tests.doubles.paper import Paper, chat_of
from tests.stories.world import MINUTE, Person, Room, World

GRACE = timedelta(seconds=45)
LOST = RetryLater("cut", unknown=True)


@pytest.fixture(autouse=True)
def paper(world: World) -> Paper:
    paper = world.papers[Platform("discord")]
    paper.capabilities = replace(paper.capabilities, find_after=GRACE)
    platforms = {p: other.capabilities for p, other in world.papers.items()}
    world.rules = world.with_rules(platforms=platforms)
    return paper


def unkeyed(room: Room) -> Callable[[Intent], bool]:
    return lambda intent: isinstance(intent, Create) and chat_of(intent) == room.ref and not intent.keyed


def keyed(room: Room) -> Callable[[Intent], bool]:
    return lambda intent: isinstance(intent, Create) and chat_of(intent) == room.ref and intent.keyed


async def a_forum(world: World) -> tuple[Person, Room, Room, Room]:
    """A member in a Telegram group, which a forum mirrors, and an ordinary channel."""
    await world.restart()
    group = world.room("telegram", "birds")
    forum, channel = world.room("discord", "forum"), world.room("discord", "general")
    await world.community(group, forum, channel)
    for room in (forum, channel):
        await world.mirrors(room, "birds")
    forum.paper.keyless.add(forum.ref.key)
    return await world.member("telegram", "anna"), group, forum, channel


def creates(world: World, room: Room) -> list[bool]:
    """Whether each send was asked for with a key."""
    return [intent.keyed for intent in world.acts if isinstance(intent, Create) and intent.chat == room.ref]


async def test_what_was_lost_there_is_looked_for_and_stands_there_once(world: World) -> None:
    anna, group, forum, channel = await a_forum(world)
    forum.paper.fails(LOST, when=unkeyed(forum), after=True)
    channel.paper.fails(LOST, when=keyed(channel), after=True)
    world.forget()
    await anna.posts(group, "swifts")
    await world.passes(MINUTE * 2)
    assert (forum.texts, channel.texts) == (["swifts"], ["swifts"])
    assert (creates(world, forum), creates(world, channel)) == ([True, False], [True, True])
    assert len(forum.paper.looked) == 1
    assert await world.rows("SELECT * FROM doubts") == []
    assert await world.rows("SELECT * FROM tries") == []


async def test_it_is_learnt_once_a_run_and_nothing_is_asked_for_before(world: World) -> None:
    anna, group, forum, _ = await a_forum(world)
    world.forget()
    for text in ("one", "two"):
        await anna.posts(group, text)
        await world.passes(MINUTE)
    assert creates(world, forum) == [True, False, False]
    await world.restart()
    await anna.posts(group, "three")
    await world.passes(MINUTE)
    assert forum.texts == ["one", "two", "three"]
    assert creates(world, forum) == [True, False, False, True, False]


async def test_a_try_of_before_that_was_learnt_keeps_nothing_waiting(world: World) -> None:
    """The program ended, or the line broke, before the first send of a run was refused."""
    anna, group, forum, _ = await a_forum(world)
    forum.paper.fails(LOST, when=keyed(forum))
    world.forget()
    await anna.posts(group, "swifts")
    await world.passes(MINUTE / 2)
    assert (forum.texts, creates(world, forum)) == (["swifts"], [True, True, False])
    assert await world.rows("SELECT * FROM doubts") == []
    assert await world.rows("SELECT * FROM tries") == []


async def test_a_part_says_which_one_it_follows(world: World) -> None:
    anna, group, forum, _ = await a_forum(world)
    await anna.posts(group, "word " * 1500)
    await world.passes(MINUTE)
    sent = [i for i in world.acts if isinstance(i, Create) and i.chat == forum.ref and not i.keyed]
    assert [i.follows for i in sent] == [None, *(line.ref for line in forum.parts[:-1])]
    assert len(sent) == len(forum.parts) > 1
