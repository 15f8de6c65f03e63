"""The story that must always work."""

from __future__ import annotations

from tests.stories.world import MINUTE, Person, Room, World


async def flock(world: World) -> tuple[Person, Room, list[Room], Room]:
    """A Telegram group whose feed three Discord channels and a Matrix room mirror, and a member in the group."""
    origin = world.room("telegram", "birds")
    channels = [world.room("discord", f"channel{i}") for i in range(3)]
    matrix = world.room("matrix", "aviary")
    await world.community(origin, *channels, matrix)
    anna = await world.member("telegram", "anna")
    for room in (*channels, matrix):
        await world.mirrors(room, "birds")
    return anna, origin, channels, matrix


async def test_a_post_is_seen_as_itself_in_every_room_that_mirrors_its_feed(world: World) -> None:
    anna, origin, channels, matrix = await flock(world)
    own = await anna.posts(origin, "The swifts are back")
    for room in (*channels, matrix):
        assert room.texts == ["The swifts are back"]
        assert room.copies[0].author == "@anna · Telegram"
    assert origin.copies == []
    assert own.marks == {"👌"}
