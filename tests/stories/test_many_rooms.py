"""Hundreds of rooms behind one bot token: who gets something first, and what one of them cannot do to the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from core.errors import RetryLater
from core.intents import Create, Window
from core.types import ChatId, Feed, FeedKind, Platform
from storage.unit import SqlUnit
from tests.doubles.paper import chat_of
from tests.stories.world import HOUR, MINUTE, Person, Room, World

SECOND = timedelta(seconds=1)
A_SECOND, A_CHAT = 20, 5


async def flock(world: World, number: int) -> tuple[Person, Room, list[Room]]:
    """A Telegram group and so many Matrix rooms that mirror it, behind a token with narrow windows."""
    paper = world.papers[Platform("matrix")]
    paper.capabilities = replace(
        paper.capabilities,
        token_windows=(Window(A_SECOND, SECOND),),
        chat_windows=(Window(A_CHAT, 5 * SECOND),),
    )
    await world.restart()
    group = world.room("telegram", "birds")
    await world.community(group)
    anna = await world.member("telegram", "anna")
    rooms = [world.room("matrix", f"room{n}") for n in range(number)]
    community = (await world.community_of(group)).id

    def mirror(unit: SqlUnit) -> None:
        for room in rooms:
            chat = ChatId(unit.new_id())
            unit.communities.add_chat(chat, room.ref, room.ref.key, False, False, "en", unit.now)
            unit.communities.set_community(chat, community)
            unit.communities.add_mirror(chat, Feed(FeedKind.COMMUNITY, str(community)), None, unit.now)

    await world.write(mirror)
    await world.passes(MINUTE)
    paper.calls.clear()
    return anna, group, rooms


def within_windows(world: World) -> None:
    calls = world.papers[Platform("matrix")].calls
    starts = [at for at, _ in calls]
    assert all(later - earlier >= 1 for earlier, later in zip(starts, starts[A_SECOND:], strict=False))
    for chat in {chat_of(intent) for _, intent in calls}:
        own = [at for at, intent in calls if chat_of(intent) == chat]
        assert all(later - earlier >= 5 for earlier, later in zip(own, own[A_CHAT:], strict=False))


async def test_a_post_reaches_every_room_as_fast_as_the_token_may(world: World) -> None:
    anna, group, rooms = await flock(world, 200)
    await anna.posts(group, "swifts")
    await world.passes(9 * SECOND)
    assert all(room.texts == ["swifts"] for room in rooms), "200 at 20 a second, the first of them at once"
    within_windows(world)


async def test_an_answer_passes_the_posts_that_wait_for_hundreds_of_rooms(world: World) -> None:
    anna, group, rooms = await flock(world, 200)
    for n in range(3):
        await anna.posts(group, f"post {n}")
    bruno = world.person("matrix", "bruno")
    await world.passes(2 * SECOND)
    world.forget()
    await bruno.runs(rooms[-1], "whoami")
    await world.passes(2 * SECOND)
    assert bruno.told
    assert sum(len(room.texts) for room in rooms) < 200
    await world.passes(MINUTE)
    assert all(room.texts == ["post 0", "post 1", "post 2"] for room in rooms)
    within_windows(world)


async def test_a_storm_of_429s_in_one_room_holds_up_no_other(world: World) -> None:
    anna, group, (stormy, *rooms) = await flock(world, 60)
    storm = stormy.paper.fails(
        RetryLater("429", after=7 * SECOND, too_many=True),
        when=lambda i: isinstance(i, Create) and chat_of(i) == stormy.ref,
        times=25,
    )
    for n in range(2):
        await anna.posts(group, f"post {n}")
    await world.passes(8 * SECOND)
    assert all(room.texts == ["post 0", "post 1"] for room in rooms)
    assert stormy.texts == []
    refused = [at for at, i in stormy.paper.calls if chat_of(i) == stormy.ref]
    assert all(later - earlier >= 7 for earlier, later in pairwise(refused))
    await world.passes(HOUR)
    assert storm.times == 0
    assert stormy.texts == ["post 0", "post 1"]
    within_windows(world)
