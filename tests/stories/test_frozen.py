"""A copy that stands and that nobody can change any more: its webhook was deleted."""

from __future__ import annotations

import pytest

from core.errors import Rejected, RejectedWhy
from core.intents import Withdraw
from tests.stories.world import MINUTE, Line, Person, Room, World


async def a_frozen_copy(world: World, text: str = "swifts") -> tuple[Person, Room, Room, Line]:
    """A member in a Telegram group, a Discord channel that mirrors it, and the member's own message."""
    group, room = world.room("telegram", "birds"), world.room("discord", "general")
    await world.community(group, room)
    await world.mirrors(room, "birds")
    anna = await world.member("telegram", "anna")
    own = await anna.posts(group, text)
    await world.passes(MINUTE)
    room.paper.frozen |= {line.ref.key for line in room.parts}
    return anna, group, room, own


async def test_other_words_come_as_a_new_message_in_its_place(world: World) -> None:
    anna, group, room, own = await a_frozen_copy(world)
    (old,) = room.copies
    await anna.edits(group, own, "/post owls")
    await world.passes(MINUTE)
    assert (room.texts, old.deleted) == (["owls"], True)
    await anna.edits(group, own, "/post owls, again")
    assert room.texts == ["owls, again"]
    assert await world.rows("SELECT * FROM tries") == []
    await anna.deletes(own)
    assert room.copies == []


async def test_a_vote_moves_no_message(world: World) -> None:
    anna, group, room, own = await a_frozen_copy(world)
    (copy,) = room.copies
    bruno = await world.member("discord", "bruno")
    await bruno.reacts(copy, "👍")
    await world.passes(MINUTE)
    assert (room.copies, copy.footer) == ([copy], "")
    calls = len(room.paper.calls)
    await world.passes(10 * MINUTE)
    assert len(room.paper.calls) == calls
    await anna.edits(group, own, "/post owls")
    await world.passes(MINUTE)
    assert room.texts == ["owls"]
    assert room.copies[0].footer == world.speech_of("footer.votes", n=1)


async def test_of_several_parts_those_behind_it_come_anew_in_their_order(world: World) -> None:
    anna, group, room, own = await a_frozen_copy(world, "word " * 1500)
    before = len(room.parts)
    await anna.edits(group, own, f"/post {'other ' * 1200}")
    await world.passes(MINUTE)
    assert len(room.parts) == before == 2
    assert "".join(line.text for line in room.parts).count("other") == 1200
    assert not room.paper.frozen & {line.ref.key for line in room.parts}


@pytest.mark.parametrize("times", [1, 10**6])
async def test_where_it_cannot_be_taken_away_either_it_stays_and_that_is_said(
    world: World, times: int
) -> None:
    anna, group, room, own = await a_frozen_copy(world)
    room.paper.fails(
        Rejected("may not", why=RejectedWhy.FORBIDDEN), when=lambda i: isinstance(i, Withdraw), times=times
    )
    await anna.edits(group, own, "/post owls")
    await world.passes(10 * MINUTE)
    calls = len(room.paper.calls)
    await world.passes(60 * MINUTE)
    assert len(room.paper.calls) == calls
    assert room.texts == ["swifts"]
    assert await world.rows("SELECT state FROM outbox WHERE state = 'refused'") == [("refused",)]
