"""The story that must always work."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.errors import RetryLater
from core.events import MessageDeleted
from core.intents import Create, Edit, Intent
from core.records import CopyState, Doubt
from core.types import PostId, ThingId
from storage.unit import SqlUnit
from tests.stories.world import HOUR, MINUTE, Person, Room, World


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


def creates(room: Room) -> Callable[[Intent], bool]:
    return lambda intent: isinstance(intent, Create) and intent.chat == room.ref


async def newest(world: World) -> int:
    """The score of the newest post."""

    def work(unit: SqlUnit) -> int:
        unit._run.cursor.execute("SELECT score FROM posts ORDER BY id DESC LIMIT 1")
        row = unit._run.cursor.fetchone()
        assert row is not None
        return int(row[0])

    return await world.read(work)


async def test_a_post_is_seen_as_itself_in_every_room_that_mirrors_its_feed(world: World) -> None:
    anna, origin, channels, matrix = await flock(world)
    own = await anna.posts(origin, "The swifts are back")
    for room in (*channels, matrix):
        assert room.texts == ["The swifts are back"]
        assert room.copies[0].author == "@anna · Telegram"
    assert origin.copies == []
    assert own.marks == {"👌"}


async def test_a_reaction_counts_once_over_all_copies_and_the_score_moves_on_each(world: World) -> None:
    anna, origin, channels, matrix = await flock(world)
    await anna.posts(origin, "The swifts are back")
    bruno = await world.member("matrix", "bruno")
    await bruno.reacts(matrix.copies[0], "👍")
    await world.passes(10 * MINUTE)
    assert [room.copies[0].footer for room in (*channels, matrix)] == ["1 vote"] * 4
    carla = await world.member("discord", "carla")
    for room in channels:
        await carla.reacts(room.copies[0], "❤️")
    await world.passes(10 * MINUTE)
    assert [room.copies[0].footer for room in (*channels, matrix)] == ["2 votes"] * 4


async def test_the_same_person_on_a_second_linked_account_still_has_one_vote(world: World) -> None:
    anna, origin, channels, matrix = await flock(world)
    own = await anna.posts(origin, "The swifts are back")
    bruno = await world.member("matrix", "bruno")
    twin = world.person("discord", "bruno2")
    await world.link(bruno, twin)
    await bruno.reacts(matrix.copies[0], "👍")
    await twin.reacts(channels[0].copies[0], "👍")
    await world.passes(10 * MINUTE)
    assert await newest(world) == 1
    assert channels[2].copies[0].footer == "1 vote"
    carla = await world.member("telegram", "carla")
    await carla.reacts(own, "👍")
    assert await newest(world) == 2


async def test_the_author_edits_and_all_copies_follow(world: World) -> None:
    anna, origin, channels, matrix = await flock(world)
    own = await anna.posts(origin, "The swifts are back")
    await anna.edits(origin, own, "/post The swifts are back, all of them")
    for room in (*channels, matrix):
        assert room.texts == ["The swifts are back, all of them"]
    assert own.deleted is False


async def test_a_copy_that_a_moderator_deleted_stays_away(world: World) -> None:
    """Through edits, tallies, retries and a restart."""
    anna, origin, channels, matrix = await flock(world)
    own = await anna.posts(origin, "The swifts are back")
    await world.person("discord", "mod").deletes(channels[0].copies[0])
    await anna.edits(origin, own, "/post The swifts are here")
    bruno = await world.member("matrix", "bruno")
    await bruno.reacts(matrix.copies[0], "👍")
    channels[1].paper.fails(RetryLater("busy"), when=lambda i: isinstance(i, Edit), times=2)
    await world.passes(HOUR)
    await world.restart()
    await anna.edits(origin, own, "/post The swifts are here to stay")
    await world.passes(HOUR)
    assert channels[0].lines == channels[0].spoken
    assert channels[1].texts == channels[2].texts == matrix.texts == ["The swifts are here to stay"]


async def test_deleting_the_origin_withdraws_every_copy(world: World) -> None:
    anna, origin, channels, matrix = await flock(world)
    own = await anna.posts(origin, "The swifts are back")
    await anna.deletes(own)
    await world.passes(HOUR)
    assert [room.copies for room in (*channels, matrix)] == [[], [], [], []]


@pytest.mark.parametrize("where", ["matrix", "discord"])
async def test_a_send_whose_receipt_was_lost_in_a_crash_is_repeated_with_its_key(
    world: World, where: str
) -> None:
    anna, origin, channels, matrix = await flock(world)
    room = matrix if where == "matrix" else channels[0]
    hold = room.paper.hold(creates(room))
    await world.hand_only(anna.command(origin, "post The swifts are back"))
    await hold.reached.wait()
    await world.restart(crash=True)
    await world.passes(HOUR)
    assert room.texts == ["The swifts are back"]
    assert await world.read(lambda unit: unit.tries.doubts()) == []
    bruno = await world.member(where, "bruno")
    await bruno.reacts(room.copies[0], "👍")
    assert await newest(world) == 1


@pytest.mark.parametrize("where", ["matrix", "discord"])
async def test_a_post_deleted_while_its_receipt_was_lost_does_not_stay(world: World, where: str) -> None:
    anna, origin, channels, matrix = await flock(world)
    room = matrix if where == "matrix" else channels[0]
    hold = room.paper.hold(creates(room))
    post = anna.command(origin, "post The swifts are back")
    await world.hand_only(post)
    await hold.reached.wait()
    assert post.message is not None
    await world.hand_only(MessageDeleted(key=world.new_key(), message=post.message))
    await world.restart(crash=True)
    await world.passes(HOUR)
    assert room.copies == []
    assert await world.read(lambda unit: unit.tries.tries()) == []
    assert await world.read(lambda unit: unit.tries.doubts()) == []


async def test_after_the_life_of_the_key_a_lost_receipt_is_listed_as_in_doubt(world: World) -> None:
    anna, origin, channels, _ = await flock(world)
    hold = channels[0].paper.hold(creates(channels[0]))
    await world.hand_only(anna.command(origin, "post The swifts are back"))
    await hold.reached.wait()
    await world.restart(crash=True, after=3 * MINUTE)
    assert channels[0].texts == ["The swifts are back"] * 2
    doubts = await world.read(lambda unit: unit.tries.doubts())
    assert [(d.chat, d.resolution) for d in doubts] == [(channels[0].ref, "sent again")]


@pytest.mark.parametrize(("choice", "shown"), [(Doubt.DOUBLE, 2), (Doubt.GAP, 1)])
@pytest.mark.parametrize("stored", [True, False])
async def test_where_no_key_can_tell_the_community_chose_between_double_and_gap(
    world: World, choice: Doubt, shown: int, *, stored: bool
) -> None:
    """Telegram knows no key: never none with `double`, never two with `gap`, and each doubt is listed."""
    origin, mirror = world.room("matrix", "aviary"), world.room("telegram", "birds")
    await world.community(origin, mirror)
    await world.mirrors(mirror, "aviary")
    community = await world.community_of(mirror)
    await world.execute(f"UPDATE communities SET doubt = '{choice}' WHERE id = {community.id}")
    anna = await world.member("matrix", "anna")
    if stored:
        hold = mirror.paper.hold(creates(mirror))
        await world.hand_only(anna.command(origin, "post The swifts are back"))
        await hold.reached.wait()
        await world.restart(crash=True)
    else:
        mirror.paper.fails(RetryLater("cut", unknown=True), when=creates(mirror))
        await anna.posts(origin, "The swifts are back")
    await world.passes(HOUR)
    assert len(mirror.copies) == (shown if stored else shown - 1)
    doubts = await world.read(lambda unit: unit.tries.doubts())
    assert [d.resolution for d in doubts] == ["sent again" if choice is Doubt.DOUBLE else "left out"]
    if choice is Doubt.GAP:
        bruno = await world.member("matrix", "bruno")
        await bruno.reacts(origin.lines[-1], "👍")
        await world.passes(HOUR)
        await world.restart()
        assert len(mirror.copies) == (shown if stored else shown - 1)
        rows = await world.read(lambda unit: unit.outbox.in_states([CopyState.DOUBT]))
        assert len(rows) == 1


async def test_an_edit_during_the_crash_is_shown_after_the_repeat(world: World) -> None:
    """The repeat is recognised and shows what the first try rendered; the newer words follow as an edit."""
    anna, origin, _, matrix = await flock(world)
    hold = matrix.paper.hold(creates(matrix))
    event = anna.command(origin, "post The swifts are back")
    await world.hand_only(event)
    await hold.reached.wait()
    assert event.message is not None
    own = origin.paper.find(event.message)
    assert own is not None
    await world.crash()
    await world.start_quietly()
    await anna.edits(origin, own, "/post The swifts are here")
    await world.passes(HOUR)
    assert matrix.texts == ["The swifts are here"]
    assert matrix.copies[0].edits >= 1


async def test_a_crash_between_call_and_receipt_anywhere_leaves_nothing_missing(world: World) -> None:
    anna, origin, channels, matrix = await flock(world)
    for text in ("one", "two", "three"):
        hold = matrix.paper.hold(lambda intent: isinstance(intent, Create | Edit))
        await world.hand_only(anna.command(origin, f"post {text}"))
        await hold.reached.wait()
        await world.restart(crash=True)
    await world.passes(HOUR)
    assert matrix.texts == ["one", "two", "three"]
    assert all(sorted(room.texts) == ["one", "three", "two"] for room in channels)


async def test_the_places_of_a_post_are_rows_that_say_what_each_room_shows(world: World) -> None:
    anna, origin, channels, matrix = await flock(world)
    await anna.posts(origin, "The swifts are back")

    def work(unit: SqlUnit) -> list[tuple[CopyState, int, int]]:
        unit._run.cursor.execute("SELECT max(id) FROM posts")
        row = unit._run.cursor.fetchone()
        assert row is not None
        return [(d.state, d.wanted, d.shown) for d in unit.outbox.deliveries(ThingId(PostId(row[0])))]

    assert await world.read(work) == [(CopyState.LIVE, 1, 1)] * 4
    assert len(channels) + len([matrix]) == 4
