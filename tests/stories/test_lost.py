"""A send whose answer was lost is settled by what stands there, where the platform lets us look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from core.errors import Rejected, RejectedWhy, RetryLater
from core.events import PlaceChanged
from core.intents import Create, Intent
from core.types import Platform
from tests.doubles.paper import Paper, chat_of
from tests.stories.world import HOUR, MINUTE, Person, Room, World

SECOND = timedelta(seconds=1)
#: How long a call may be under way.
GRACE = 45 * SECOND
LOST = RetryLater("cut", unknown=True)


@pytest.fixture(autouse=True)
def paper(world: World) -> Paper:
    """Discord speaks in authors' names, without keys, and lets us look; its own sends have keys for two minutes."""
    paper = world.papers[Platform("discord")]
    paper.capabilities = replace(paper.capabilities, as_author="manage_webhooks", find_after=GRACE)
    platforms = {p: other.capabilities for p, other in world.papers.items()}
    world.rules = world.with_rules(platforms=platforms)
    return paper


async def a_mirror(world: World, look: str = "author") -> tuple[Person, Room, Room]:
    """A member in a Telegram group, and a Discord channel that mirrors it."""
    await world.restart()
    group, channel = world.room("telegram", "birds"), world.room("discord", "general")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    await admin(world, channel).runs(channel, f"mirror look {look}")
    return await world.member("telegram", "anna"), group, channel


def admin(world: World, room: Room) -> Person:
    return world.person("discord", f"admin-{room.ref.key}").leads(room)


def creates(room: Room) -> Callable[[Intent], bool]:
    return lambda intent: (
        isinstance(intent, Create) and chat_of(intent) == room.ref and bool(intent.view.author)
    )


async def doubts(world: World) -> list[tuple[str, ...]]:
    return await world.rows("SELECT resolution FROM doubts")


async def settled_clean(world: World) -> None:
    """Nothing is in doubt, and no try is open."""
    assert await doubts(world) == []
    assert await world.rows("SELECT key FROM tries") == []


async def test_what_stands_there_is_known_again_and_what_was_said_of_it_counts(world: World) -> None:
    anna, group, room = await a_mirror(world)
    room.paper.fails(LOST, when=creates(room), after=True)
    own = await anna.posts(group, "swifts")
    (copy,) = room.copies
    await world.person("discord", "bruno").reacts(copy, "👍")
    await anna.edits(group, own, "/post swifts, again")
    await world.passes(GRACE - SECOND)
    assert (room.texts, room.paper.looked) == (["swifts"], [])
    await world.passes(2 * SECOND)
    assert room.texts == ["swifts, again"]
    assert len(room.paper.looked) == 1
    assert copy.footer.endswith(world.speech_of("footer.guests", n=1))
    await settled_clean(world)


async def test_what_never_arrived_is_sent_once(world: World) -> None:
    anna, group, room = await a_mirror(world)
    room.paper.fails(LOST, when=creates(room))
    await anna.posts(group, "swifts")
    await world.passes(MINUTE)
    assert room.texts == ["swifts"]
    await settled_clean(world)


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("look", ["author", "bot"])
async def test_after_the_end_of_the_process_there_is_exactly_one(
    world: World, look: str, *, stored: bool
) -> None:
    anna, group, room = await a_mirror(world, look)
    room.paper.fails(LOST, when=creates(room), after=stored)
    await anna.posts(group, "swifts")
    # The bot's own sends have keys: only after their life there is something to look for.
    await world.restart(crash=True, after=HOUR)
    await world.restart(crash=True, after=10 * SECOND)
    await world.passes(10 * MINUTE)
    assert room.texts == ["swifts"]
    assert [line.voiced for line in room.copies] == [look == "author"]
    assert room.paper.looked
    await settled_clean(world)


async def test_the_process_may_end_while_it_looks(world: World) -> None:
    anna, group, room = await a_mirror(world)
    room.paper.fails(LOST, when=creates(room), after=True)
    await anna.posts(group, "swifts")
    for _ in range(3):
        room.paper.unreadable = [RetryLater("not connected")]
        await world.passes(MINUTE)
        assert room.paper.looked
        await world.restart(crash=True)
    room.paper.unreadable = []
    await world.passes(10 * MINUTE)
    assert room.texts == ["swifts"]
    await settled_clean(world)


async def test_what_follows_does_not_wait_for_it(world: World) -> None:
    anna, group, room = await a_mirror(world)
    room.paper.fails(LOST, when=creates(room))
    await anna.posts(group, "one")
    await anna.posts(group, "two")
    assert room.texts == ["two"]
    await world.passes(MINUTE)
    assert room.texts == ["two", "one"]
    await settled_clean(world)


async def test_while_history_cannot_be_seen_it_is_looked_for_ever_more_rarely(world: World) -> None:
    anna, group, room = await a_mirror(world)
    room.paper.fails(LOST, when=creates(room), after=True)
    room.paper.unreadable = [RetryLater("not connected")]
    await anna.posts(group, "swifts")
    await world.passes(HOUR)
    assert 10 < len(room.paper.looked) < 30
    assert await doubts(world) == []
    room.paper.unreadable = []
    await world.passes(10 * MINUTE)
    assert room.texts == ["swifts"]
    await settled_clean(world)


@pytest.mark.parametrize("error", [Rejected("no history", why=RejectedWhy.FORBIDDEN), ValueError("a fault")])
@pytest.mark.parametrize(("choice", "copies", "done"), [("double", 2, "sent again"), ("gap", 1, "left out")])
async def test_where_it_can_never_be_seen_it_is_in_doubt(
    world: World, error: Exception, choice: str, copies: int, done: str
) -> None:
    anna, group, room = await a_mirror(world)
    await admin(world, room).runs(room, f"doubt {choice}")
    room.paper.fails(LOST, when=creates(room), after=True)
    room.paper.unreadable = [error]
    await anna.posts(group, "swifts")
    await world.passes(MINUTE)
    if isinstance(error, ValueError):
        assert await doubts(world) == [], "a fault of the adapter says nothing"
        return
    assert room.texts == ["swifts"] * copies
    assert await doubts(world) == [(done,)]
    assert await world.rows("SELECT key FROM tries") == []


@pytest.mark.parametrize("stored", [True, False])
async def test_what_is_not_wanted_any_more_is_looked_for_and_taken_away(
    world: World, *, stored: bool
) -> None:
    anna, group, room = await a_mirror(world)
    room.paper.fails(LOST, when=creates(room), after=stored)
    own = await anna.posts(group, "swifts")
    await anna.deletes(own)
    assert room.texts == ["swifts"] * stored
    await world.passes(2 * MINUTE)
    assert room.copies == []
    assert room.spoken == []
    await settled_clean(world)


async def test_a_room_that_changes_its_look_meanwhile_gets_no_second_copy(world: World) -> None:
    anna, group, room = await a_mirror(world, "bot")
    room.paper.fails(RetryLater("cut", unknown=True, after=30 * SECOND), when=creates(room), after=True)
    await anna.posts(group, "one")
    await admin(world, room).runs(room, "mirror look author")
    await world.passes(MINUTE)
    assert [(line.text, line.voiced) for line in room.copies] == [("one", False)]
    assert room.paper.looked == [], "its key told"
    room.paper.fails(LOST, when=creates(room), after=True)
    await anna.posts(group, "two")
    await admin(world, room).runs(room, "mirror look bot")
    await world.passes(MINUTE)
    assert [(line.text, line.voiced) for line in room.copies] == [("one", False), ("two", True)]
    await settled_clean(world)


async def test_a_key_that_ends_while_it_waits_is_looked_for(world: World) -> None:
    anna, group, room = await a_mirror(world, "bot")
    wait = RetryLater("cut", unknown=True, after=119 * SECOND)
    room.paper.fails(wait, when=creates(room), after=True)
    await anna.posts(group, "swifts")
    room.paper.fails(RetryLater("cut", unknown=True), when=creates(room))
    await world.passes(119 * SECOND)
    await world.passes(20 * SECOND)
    assert (room.texts, room.paper.looked) == (["swifts"], []), "the repeat may still be under way"
    await world.passes(MINUTE)
    assert room.texts == ["swifts"]
    assert room.paper.looked
    await settled_clean(world)


async def test_each_part_of_a_long_post_is_found(world: World) -> None:
    anna, group, room = await a_mirror(world)
    room.paper.capabilities = replace(room.paper.capabilities, max_text=400)
    await world.restart()
    room.paper.fails(LOST, when=creates(room), after=True, times=9)
    await anna.posts(group, " ".join(f"word{n}" for n in range(150)))
    await world.passes(HOUR)
    parts = [line.text for line in room.copies]
    assert len(parts) > 2
    assert len(set(parts)) == len(parts)
    assert [line.author for line in room.copies] == ["@anna · Telegram"] * len(parts)
    await settled_clean(world)


async def test_a_room_that_was_lost_meanwhile_is_looked_through_when_it_is_back(world: World) -> None:
    anna, group, room = await a_mirror(world)
    room.paper.fails(LOST, when=creates(room), after=True)
    room.paper.unreadable = [Rejected("kicked", why=RejectedWhy.CHAT_GONE)]
    await anna.posts(group, "swifts")
    await world.passes(HOUR)
    assert len(room.paper.looked) == 1
    room.paper.unreadable = []
    await world.hand(PlaceChanged(key=world.new_key(), chat=room.ref))
    await world.passes(MINUTE)
    assert room.texts == ["swifts"]
    await settled_clean(world)
