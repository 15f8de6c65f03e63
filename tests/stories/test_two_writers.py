"""Two processes' writers on one database at once: what holds for one batch after another holds for theirs together."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator

import pytest

from core.events import Inbound
from core.records import Vote
from core.types import Platform
from storage.unit import SqlUnit
from storage.writer import Writer
from tests.stories.world import Person, World

MEMBERS = 12
DISCORD = Platform("discord")


@pytest.fixture
def other(world: World) -> Iterator[Callable[[Inbound], asyncio.Future[None]]]:
    """A second process that hears events; nobody is woken in it."""
    writer = Writer(
        world.database, world.clock, world.engine.settle, lambda _: None, read_ahead=world.engine.read_ahead
    )
    writer.start()
    yield lambda event: writer.hand(event, world.engine.handle, world.engine.bury)
    writer.close()


async def test_two_accounts_of_one_member_react_in_two_processes_at_once(
    world: World, other: Callable[[Inbound], asyncio.Future[None]]
) -> None:
    """Each member has one vote, and the score is what is counted, however the two interleave."""
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group, channel)
    author = await world.member("telegram", "author")
    await world.mirrors(channel, "birds")
    pairs: list[tuple[Person, Person]] = []
    for number in range(MEMBERS):
        pair = (
            await world.member("telegram", f"member-{number}"),
            await world.member("discord", f"double-{number}"),
        )
        await world.link(*pair)
        pairs.append(pair)
    origin = await author.posts(group, "swifts")
    copy = channel.copies[0]

    draw = random.Random(7)
    ours: list[Inbound] = []
    theirs: list[Inbound] = []
    for there, here in pairs:
        for _ in range(3):
            ours.append(there.reaction(origin, draw.choice("👍❤"), off=draw.random() < 0.2))
            theirs.append(here.reaction(copy, draw.choice("👍❤"), off=draw.random() < 0.2))
    draw.shuffle(ours)
    await asyncio.gather(*map(world.gate.handle, ours), *map(other, theirs))

    def votes(unit: SqlUnit) -> list[Vote]:
        members = [unit.people.account(person.ref) for pair in pairs for person in pair]
        ids = {account.member_id for account in members if account and account.member_id}
        return [vote for member in sorted(ids) for vote in unit.votes.votes_by(member)]

    standing = [vote for vote in await world.read(votes) if vote.value]
    assert len({vote.member_id for vote in standing}) == len(standing) <= MEMBERS
    assert await world.rows("SELECT score FROM posts") == [(len(standing),)]
    signals = await world.rows("SELECT count(*) FROM signals")
    assert signals[0][0] >= len(standing)


async def test_rooms_of_another_processs_platform_are_left_to_it(world: World) -> None:
    """What was woken meanwhile is sent by whoever takes the platform over, once."""
    group, channel, room = (
        world.room("telegram", "birds"),
        world.room("discord", "channel"),
        world.room("matrix", "aviary"),
    )
    await world.community(group, channel, room)
    for place in (channel, room):
        await world.mirrors(place, "birds")
    anna = await world.member("telegram", "anna")
    await world.settled()
    world.courier.leave(DISCORD)
    await anna.posts(group, "swifts")
    await anna.posts(group, "swallows")
    assert [line.text for line in room.copies] == ["swifts", "swallows"]
    assert channel.copies == []
    await world.courier.serve(DISCORD)
    await world.settled()
    assert [line.text for line in channel.copies] == ["swifts", "swallows"]
