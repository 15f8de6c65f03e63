"""What a menu on a message or on a person does, on platforms that have such menus."""

from __future__ import annotations

from dataclasses import replace

from core.events import CommandInvoked
from tests.doubles.paper import Line
from tests.stories.world import Person, Room, World


def menu_post(person: Person, room: Room, line: Line, author: Person) -> CommandInvoked:
    command = person.command(room, "post")
    return replace(
        command,
        options={"text": line.text},
        source=line.text,
        message=line.ref,
        handle=f"h{person.world.new_key()}",
        words_of=author.ref,
    )


def menu_follow(person: Person, room: Room, chosen: Person) -> CommandInvoked:
    return replace(person.command(room, "follow"), options={}, chosen=chosen.ref)


async def birds(world: World) -> tuple[Room, Room]:
    room, group = world.room("discord", "room", title="Room"), world.room("telegram", "birds", title="Birds")
    await world.community(room, group)
    await world.mirrors(group, "room")
    return room, group


async def test_a_message_that_stands_already_becomes_a_post_once(world: World) -> None:
    room, group = await birds(world)
    anna = await world.member("discord", "anna")
    line = await anna.says(room, "Two swifts")
    await world.hand(menu_post(anna, room, line, anna))
    assert group.texts == ["Two swifts"]
    assert room.copies == [], "it stands there already"
    assert line.marks == {"👌"}
    world.forget()
    await world.hand(menu_post(anna, room, line, anna))
    assert anna.told == ["post.already"]
    await anna.edits(room, line, "Three swifts")
    assert group.texts == ["Three swifts"]


async def test_others_words_are_theirs_to_post(world: World) -> None:
    room, group = await birds(world)
    anna, bruno = await world.member("discord", "anna"), await world.member("discord", "bruno")
    line = await anna.says(room, "Between us")
    world.forget()
    await world.hand(menu_post(bruno, room, line, anna))
    assert bruno.told == ["post.others_words"]
    assert group.texts == []


async def test_who_is_known_by_this_account_can_be_followed_by_it(world: World) -> None:
    room, _ = await birds(world)
    anna, bruno = await world.member("discord", "anna"), await world.member("discord", "bruno")
    await anna.runs(room, "post Hello")
    world.forget()
    await world.hand(menu_follow(bruno, room, anna))
    assert bruno.told == ["follow.done"]


async def test_an_account_that_never_posted_does_not_tell_its_member(world: World) -> None:
    room, group = await birds(world)
    anna, bruno = await world.member("telegram", "anna"), await world.member("discord", "bruno")
    await anna.posts(group, "Hello")
    there = world.person("discord", "anna-there")
    await world.link(anna, there)
    for stranger in (there, world.person("discord", "nobody")):
        world.forget()
        await world.hand(menu_follow(bruno, room, stranger))
        assert bruno.told == ["member.not_known_here"]
