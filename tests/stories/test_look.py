"""In whose name posts are shown in a room, and what is said of a copy to who asks about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.body import Body, Paragraph, Quote
from core.intents import ABOUT, NotAsAuthor
from core.text import plain
from core.types import Platform
from tests.doubles.paper import Line
from tests.stories.world import MINUTE, Person, Room, World

RIGHT = "manage_webhooks"


@pytest.fixture(autouse=True)
def speaks(world: World) -> None:
    """Discord can show words in their author's name."""
    paper = world.papers[Platform("discord")]
    paper.capabilities = replace(paper.capabilities, as_author=RIGHT)
    platforms = {p: other.capabilities for p, other in world.papers.items()}
    world.rules = world.engine.rules = world.with_rules(platforms=platforms)


async def a_mirror(world: World) -> tuple[Person, Room, Room, Person]:
    """A member in a Telegram group, and a Discord channel that mirrors it, with its admin."""
    group, channel = world.room("telegram", "birds"), world.room("discord", "general")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    admin = world.person("discord", "admin-general").leads(channel)
    return await world.member("telegram", "anna"), group, channel, admin


def looks(room: Room) -> list[tuple[str, bool]]:
    return [(line.text, line.voiced) for line in room.copies]


async def test_a_room_chooses_and_each_copy_is_edited_as_it_was_sent(world: World) -> None:
    anna, group, room, admin = await a_mirror(world)
    first = await anna.posts(group, "one")
    assert await admin.asks(room, "mirror look author") == ["look.author"]
    second = await anna.posts(group, "two")
    assert looks(room) == [("one", False), ("two", True)]
    assert room.copies[1].author == "@anna · Telegram"
    await anna.edits(group, first, "/post one, again")
    await anna.edits(group, second, "/post two, again")
    assert looks(room) == [("one, again", False), ("two, again", True)]
    assert await admin.asks(room, "mirror look bot") == ["look.bot"]
    await anna.posts(group, "three")
    await anna.edits(group, second, "/post two, once more")
    assert looks(room)[1:] == [("two, once more", True), ("three", False)]
    await world.restart()
    await anna.deletes(second)
    assert looks(room) == [("one, again", False), ("three", False)]


async def test_a_moderator_removes_a_copy_however_it_was_sent(world: World) -> None:
    anna, group, room, admin = await a_mirror(world)
    await admin.runs(room, "mirror look author")
    await anna.posts(group, "one")
    await admin.runs(room, "remove", target=room.copies[0])
    assert room.copies == []


async def test_where_it_cannot_be_the_admin_reads_why_and_nothing_changes(world: World) -> None:
    _, group, room, admin = await a_mirror(world)
    founder = world.person("telegram", "founder-birds").leads(group)
    assert await founder.asks(group, "mirror look author") == ["look.unable"]
    may_not = Room(world, room.paper, replace(room.place, lacks=(RIGHT,)))
    assert await admin.asks(may_not, "mirror look author") == ["look.lacks"]
    assert world.speech_of("check.discord.permission.manage_webhooks") in admin.told_text
    assert await admin.asks(room, "mirror look") == ["look.bot"]
    assert await admin.asks(room, "mirror look upside-down") == ["usage.choice"]
    assert await world.person("discord", "bruno").asks(room, "mirror look author") == ["right.admin"]


@pytest.mark.parametrize("why", list(NotAsAuthor))
async def test_what_can_be_no_more_comes_from_the_bot_and_says_why_once_asked(
    world: World, why: NotAsAuthor
) -> None:
    anna, group, room, admin = await a_mirror(world)
    await admin.runs(room, "mirror look author")
    room.paper.voiceless = why
    own = await anna.posts(group, "one")
    await anna.edits(group, own, "/post one, again")
    assert looks(room) == [("one, again", False)]
    assert await admin.asks(room, "mirror look") == [f"look.lost.{why}"]
    assert f"look.lost.{why}" in await admin.asks(room, "mirror list")
    room.paper.voiceless = None
    await anna.posts(group, "two")
    assert looks(room)[-1] == ("two", False), "the admin decides when it is tried again"
    await admin.runs(room, "mirror look author")
    await anna.posts(group, "three")
    assert looks(room)[-1] == ("three", True)
    assert await admin.asks(room, "mirror look") == ["look.author"]


async def test_a_reply_quotes_where_a_message_cannot_be_one(world: World) -> None:
    anna, group, room, _ = await a_mirror(world)
    own = await anna.posts(group, "who saw the swifts?")
    await anna.runs(group, "post I did", target=own)
    answer = room.copies[1]
    assert answer.view is not None
    assert answer.reply_to == room.copies[0].ref
    assert "who saw" not in answer.text
    (quote,) = answer.view.parent
    assert isinstance(quote, Quote)
    (first,) = quote.children
    assert isinstance(first, Paragraph)
    assert plain(answer.view.body) == "I did"


async def test_what_it_quotes_follows_the_post_that_it_answers(world: World) -> None:
    anna, group, room, admin = await a_mirror(world)
    await admin.runs(room, "mirror look author")
    own = await anna.posts(group, "who saw the swifts?")
    await anna.runs(group, "post I did", target=own)
    answer = room.copies[1]

    def said() -> str:
        assert answer.view is not None
        return plain(Body((*answer.view.parent, *answer.view.body.blocks)))

    await anna.edits(group, own, "/post who saw the owls?")
    assert "owls" in said()
    await anna.deletes(own)
    assert "owls" not in said()


async def test_a_copy_tells_who_asks_whose_it_is_and_what_can_be_done(world: World) -> None:
    anna, group, room, admin = await a_mirror(world)
    own = await anna.posts(group, "one")
    copy = room.copies[0]
    assert copy.view is not None
    assert copy.view.about == world.speech_of("about.button")
    bruno = world.person("discord", "bruno")
    assert await pressed(world, bruno, copy) == ["about.author", "about.answer", "about.more", "about.guest"]
    assert "@anna · Telegram" in bruno.told_text
    await bruno.runs(room, "join")
    assert await pressed(world, bruno, copy) == ["about.author", "about.answer", "about.more"]
    assert "about.moderator" in await pressed(world, admin, copy)
    await world.restart(after=timedelta(days=30))
    assert await pressed(world, bruno, copy) == ["about.author", "about.answer", "about.more"]
    await anna.deletes(own)
    await world.passes(MINUTE)
    assert await pressed(world, bruno, copy) == ["post.unknown"]


async def pressed(world: World, person: Person, line: Line) -> list[str]:
    """What the press of the button under a copy tells: to that person alone."""
    world.forget()
    lines = len(world.room_of(line).lines)
    await person.presses(line, f"{ABOUT}:anything")
    assert len(world.room_of(line).lines) == lines
    return person.told
