"""What an operator counts: redelivered events, refused and repeated calls, doubts, and what expired unseen."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.counts import Happening, Outcome
from core.engine import EXPIRED
from core.errors import Rejected, RejectedWhy, RetryLater
from core.events import Missed
from core.types import Platform
from storage.unit import SqlUnit
from tests.stories.test_delivery import creates, pair
from tests.stories.world import HOUR, MINUTE, World

TELEGRAM, DISCORD, MATRIX = map(Platform, ("telegram", "discord", "matrix"))


async def test_an_update_that_comes_twice_is_counted_and_changes_nothing(world: World) -> None:
    anna, group, (room,) = await pair(world, "discord")
    event = anna.command(group, "post one")
    await world.hand(event)
    before = await world.snapshot()
    await world.hand(event, event)
    assert await world.snapshot() == before
    assert world.counts.happened == {(TELEGRAM, Happening.DUPLICATE): 2}
    assert room.texts == ["one"]


@pytest.mark.parametrize(
    ("error", "outcome", "again"),
    [
        (RetryLater("429", after=timedelta(seconds=5)), Outcome.LIMITED, True),
        (RetryLater("no route"), Outcome.FAILED, True),
        (RetryLater("cut", unknown=True), Outcome.UNKNOWN, True),
        (KeyError("id"), Outcome.UNKNOWN, True),
        (Rejected("403", why=RejectedWhy.UNREACHABLE), Outcome.REFUSED, False),
        (Rejected("404", why=RejectedWhy.GONE), Outcome.GONE, False),
        (Rejected("as it was", why=RejectedWhy.UNCHANGED), Outcome.DONE, False),
    ],
)
async def test_each_call_is_counted_by_what_came_of_it(
    world: World, error: Exception, outcome: Outcome, again: bool
) -> None:
    anna, group, (room,) = await pair(world, "matrix")
    before = world.counts.outcomes.copy()
    room.paper.fails(error, when=creates(room))
    await anna.posts(group, "one")
    await world.passes(MINUTE)
    once_more = {(MATRIX, Outcome.DONE): 1} if again else {}
    calls = world.counts.outcomes - before
    assert {key: many for key, many in calls.items() if key[0] == MATRIX} == {
        (MATRIX, outcome): 1
    } | once_more
    assert outcome.again is again
    assert sum(world.counts.calls[MATRIX].counts) == sum(
        many for (platform, _), many in world.counts.outcomes.items() if platform == MATRIX
    )


async def test_a_send_in_doubt_is_counted_where_it_happened(world: World) -> None:
    anna, group, (room,) = await pair(world, "telegram")
    room.paper.fails(RetryLater("cut", unknown=True), when=creates(room))
    await anna.posts(group, "one")
    await world.passes(MINUTE)
    assert (
        world.counts.happened[TELEGRAM, Happening.DOUBT] == len(await world.rows("SELECT 1 FROM doubts")) == 1
    )


async def test_what_expires_is_seen_by_its_number_and_by_nothing_else(world: World) -> None:
    """A message that is not addressed to Stormo is dropped: that one was waited for shows nobody's words."""
    anna, group, (room,) = await pair(world, "matrix")
    bruno = await world.member("matrix", "bruno")
    room.paper.fails(RetryLater("cut", unknown=True, after=HOUR), when=creates(room))
    await anna.posts(group, "one")
    stray = room.paper.write(room.ref, "carla", "hello")
    await bruno.reacts(stray, "👍")
    await bruno.reacts(stray, "❤")
    world.clock.advance(11 * MINUTE)
    before = await world.snapshot("parked", "meta")
    await world.write(world.engine.housekeep)
    assert world.counts.happened[MATRIX, Happening.EXPIRED] == 2
    assert await world.read(lambda unit: unit.intake.meta(EXPIRED)) == "2"
    assert await world.snapshot("parked", "meta") == before
    assert await world.rows("SELECT * FROM parked") == []
    await world.write(world.engine.housekeep)
    assert world.counts.happened[MATRIX, Happening.EXPIRED] == 2


async def test_a_gap_in_what_was_read_back_is_counted(world: World) -> None:
    await world.hand(Missed(key="gap", platform=DISCORD, reason="more than could be read"))
    assert world.counts.happened == {(DISCORD, Happening.MISSED): 1}


async def test_what_was_rolled_back_is_not_counted(world: World) -> None:
    def work(unit: SqlUnit) -> None:
        unit.happened[DISCORD, Happening.DOUBT] += 1
        raise KeyError("id")

    batches = sum(world.counts.batches.counts)
    with pytest.raises(KeyError):
        await world.write(work)
    assert world.counts.happened == {}
    assert sum(world.counts.batches.counts) == batches == sum(world.counts.commits.counts)
