"""Every event may come again: at once, and after a restart. Nothing changes then."""

from __future__ import annotations

from datetime import timedelta

from core.events import Bookmark, PositionAdvanced
from tests.stories.world import HOUR, MINUTE, World


async def whole_evening(world: World) -> None:
    """A bit of everything."""
    group, channel, matrix = (
        world.room("telegram", "birds"),
        world.room("discord", "channel"),
        world.room("matrix", "aviary"),
    )
    founder = await world.community(group, channel, matrix)
    for room in (channel, matrix):
        await world.mirrors(room, "birds", "#swifts")
    await founder.runs(group, "relay on")
    await world.person("discord", "admin-channel").leads(channel).runs(channel, "relay on")
    anna, bruno = await world.member("telegram", "anna"), await world.member("discord", "bruno")
    twin = world.person("matrix", "twin")
    await world.link(bruno, twin)
    own = await anna.posts(group, "The #swifts are back")
    await bruno.reacts(channel.copies[0], "👍")
    await twin.reacts(matrix.copies[0], "❤")
    await world.person("telegram", "guest").reacts(own, "👍")
    await anna.edits(group, own, "/post The #swifts are here")
    await bruno.says(channel, "How many?", reply_to=channel.copies[0])
    await bruno.says(channel, "Ordinary talk")
    await anna.runs(anna.private, "follow @bruno")
    await bruno.reacts(channel.copies[0], "👍", off=True)
    second = await anna.posts(group, "Another")
    await world.person("matrix", "mod").moderates(matrix).runs(matrix, "remove", target=matrix.copies[-1])
    await anna.deletes(second)
    await founder.runs(group, "ban @bruno")
    await anna.runs(anna.private, "join nina")
    await world.hand(PositionAdvanced(key=world.new_key(), bookmark=Bookmark(scope="matrix", value="s77")))
    await world.passes(HOUR)


async def test_each_event_twice_changes_nothing_also_after_a_restart(world: World) -> None:
    await whole_evening(world)
    before = await world.snapshot()
    shown = {room.ref: [line.text for line in room.lines] for room in world.rooms}
    events = [event for event in world.handed if event.key is not None]
    world.forget()
    await world.hand(*events)
    await world.passes(MINUTE)
    assert await world.snapshot() == before
    await world.restart(after=HOUR)
    await world.hand(*events)
    await world.passes(MINUTE)
    assert await world.snapshot() == before
    assert world.acts == []
    assert {room.ref: [line.text for line in room.lines] for room in world.rooms} == shown


async def test_set_state_without_a_key_may_come_again_too(world: World) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    anna, bruno = await world.member("telegram", "anna"), await world.member("discord", "bruno")
    await anna.posts(group, "swifts")
    event = bruno.reaction(channel.copies[0], "👍")
    assert event.key is None
    await world.hand(event)
    await world.passes(MINUTE)
    before = await world.snapshot()
    await world.hand(event, event)
    await world.passes(MINUTE)
    assert await world.snapshot() == before


async def test_a_bookmark_is_stored_with_its_event_and_read_back_after_a_restart(world: World) -> None:
    for value in ("s1", "s2"):
        await world.hand(PositionAdvanced(key=None, bookmark=Bookmark(scope="matrix", value=value)))
    await world.restart()
    assert await world.gate.bookmark("matrix") == "s2"
    assert await world.gate.bookmark("telegram") is None


async def test_a_bookmark_does_not_pass_what_was_not_stored(world: World) -> None:
    """Messages are handed over while earlier ones are under way: one of those may have failed."""

    async def reads(value: str, after: str | None) -> str | None:
        mark = Bookmark(scope="discord:5", value=value, after=after)
        await world.hand(PositionAdvanced(key=None, bookmark=mark))
        return await world.gate.bookmark("discord:5")

    assert await reads("1", None) == "1"
    assert await reads("2", "1") == "2"
    assert await reads("4", "3") == "2", "3 was not stored"
    assert await reads("5", "4") == "2"
    assert await reads("3", None) == "3", "read back"


async def test_the_inbox_forgets_after_thirty_days(world: World) -> None:
    anna = world.person("telegram", "anna")
    await anna.runs(anna.private, "help")
    assert await world.rows("SELECT key FROM inbox") != []
    world.clock.advance(timedelta(days=31))
    await world.write(world.engine.housekeep)
    assert await world.rows("SELECT key FROM inbox") == []
