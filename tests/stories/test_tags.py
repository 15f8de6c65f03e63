"""Where a post stands after its tags or a room's mirrors changed: what was asked for, and nothing by surprise."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.errors import RetryLater
from core.intents import Create, Withdraw
from tests.stories.world import HOUR, MINUTE, Person, Room, World


async def tagged(world: World, *feeds: str) -> tuple[Person, Room, list[Room]]:
    """Anna's group, and for each feed a room of another community that mirrors it."""
    group = world.room("telegram", "home")
    await world.community(group)
    anna = await world.member("telegram", "anna")
    rooms = []
    for number, feed in enumerate(feeds):
        room = world.room(("matrix", "discord")[number % 2], f"room{number}")
        await world.community(room)
        await world.mirrors(room, feed)
        rooms.append(room)
    return anna, group, rooms


# -- tags that come ------------------------------------------------------------------------------------------------


async def test_a_tag_added_by_an_edit_brings_the_post_to_the_rooms_of_that_tag(world: World) -> None:
    anna, group, (swifts, owls) = await tagged(world, "#swifts", "#owls")
    own = await anna.posts(group, "visibility:public Seen #swifts")
    world.forget()
    await anna.edits(group, own, "/post Seen #swifts and #owls")
    assert swifts.texts == owls.texts == ["Seen #swifts and #owls"]
    assert anna.told == ["post.edited_also", "post.place"]
    await anna.reacts(own, "👍")
    bruno = await world.member("discord", "bruno")
    await bruno.reacts(owls.copies[0], "👍")
    await world.passes(HOUR)
    assert swifts.copies[0].footer == owls.copies[0].footer == "1 vote"


async def test_the_edit_command_says_where_the_post_comes_now(world: World) -> None:
    anna, group, (owls,) = await tagged(world, "#owls")
    own = await anna.posts(group, "visibility:public Seen")
    assert await anna.asks(group, "edit Seen #owls", target=own) == [
        "post.edited",
        "post.edited_also",
        "post.place",
    ]
    assert owls.texts == ["Seen #owls"]
    assert await anna.asks(group, "edit Seen #owls again", target=own) == ["post.edited"]


@pytest.mark.parametrize("visibility", ["room", "community"])
async def test_an_added_tag_brings_a_post_nowhere_that_may_not_see_it(world: World, visibility: str) -> None:
    anna, group, (owls,) = await tagged(world, "#owls")
    own = await anna.posts(group, f"visibility:{visibility} Seen")
    await anna.edits(group, own, "/post Seen #owls")
    assert owls.texts == []


async def test_an_added_tag_comes_to_no_room_that_keeps_the_author_or_the_tag_out(world: World) -> None:
    anna, group, (owls, kept, banned) = await tagged(world, "#owls", "#owls", "#owls")
    await world.person("discord", "admin").leads(kept).runs(kept, "mirror block #secret")
    await world.person("matrix", "admin").leads(banned).runs(banned, "ban @anna")
    own = await anna.posts(group, "visibility:public Seen")
    await anna.edits(group, own, "/post Seen #owls #secret")
    assert owls.texts == ["Seen #owls #secret"]
    assert kept.texts == banned.texts == []


async def test_a_newcomers_added_tag_waits_like_a_post_of_theirs(world: World) -> None:
    world.rules = world.with_rules(hold=MINUTE)
    await world.restart()
    anna, group, (owls,) = await tagged(world, "#owls")
    own = await anna.posts(group, "visibility:public Seen")
    world.forget()
    await anna.edits(group, own, "/post Seen #owls")
    assert anna.told == ["post.edited_also", "post.place", "post.held"]
    assert owls.texts == []
    await anna.edits(group, own, "/post Seen, no owls")
    await world.passes(2 * MINUTE)
    assert owls.texts == []


# -- tags that go --------------------------------------------------------------------------------------------------


async def test_a_tag_taken_out_by_an_edit_takes_the_post_out_of_the_rooms_that_had_it_by_that_tag_alone(
    world: World,
) -> None:
    anna, group, (swifts, owls, both, by_name) = await tagged(world, "#swifts", "#owls", "#owls", "@anna")
    await world.mirrors(both, "#swifts")
    own = await anna.posts(group, "visibility:public Seen #swifts #owls")
    await anna.edits(group, own, "/post Seen #swifts")
    assert owls.texts == []
    assert swifts.texts == both.texts == by_name.texts == ["Seen #swifts"]
    await anna.edits(group, own, "/post Seen #swifts, twice")
    await world.passes(HOUR)
    assert owls.texts == []


async def test_a_mirror_that_ended_before_leaves_its_copies_where_they_are(world: World) -> None:
    anna, group, (owls,) = await tagged(world, "#owls")
    own = await anna.posts(group, "visibility:public Seen #owls")
    await world.person("matrix", "admin").leads(owls).runs(owls, "mirror remove #owls")
    await anna.edits(group, own, "/post Seen")
    assert owls.texts == ["Seen"]


async def test_a_reply_without_its_tag_stays_where_the_post_stands_that_it_answers(world: World) -> None:
    anna, group, (swifts, owls) = await tagged(world, "#swifts", "#owls")
    parent = await anna.posts(group, "visibility:public Seen #swifts")
    reply = await anna.says(group, "And #owls #swifts", reply_to=parent)
    assert owls.texts[-1].endswith("And #owls #swifts")
    await anna.edits(group, reply, "And nothing else")
    assert swifts.texts == ["Seen #swifts", "And nothing else"]
    assert owls.texts == []


async def test_a_tag_that_comes_back_brings_the_post_back_a_few_times_and_never_where_people_removed_it(
    world: World,
) -> None:
    anna, group, (owls, also) = await tagged(world, "#owls", "#owls")
    own = await anna.posts(group, "visibility:public Seen #owls")
    await world.person("discord", "mod").deletes(also.copies[0])
    for _ in range(3):
        await anna.edits(group, own, "/post Seen")
        assert owls.texts == []
        await anna.edits(group, own, "/post Seen #owls")
        assert owls.texts == ["Seen #owls"]
    await anna.edits(group, own, "/post Seen")
    await anna.edits(group, own, "/post Seen #owls")
    await world.passes(HOUR)
    assert owls.texts == also.texts == []


async def test_a_tag_that_comes_back_while_its_copy_is_being_taken_away_is_a_new_message(
    world: World,
) -> None:
    anna, group, (owls,) = await tagged(world, "#owls")
    own = await anna.posts(group, "visibility:public Seen #owls")
    held = owls.paper.hold(lambda intent: isinstance(intent, Withdraw))
    await world.hand_only(anna.edit(group, own, "/post Seen"))
    await held.reached.wait()
    await world.hand_only(anna.edit(group, own, "/post Seen #owls"))
    held.release.set()
    await world.settled()
    assert owls.texts == ["Seen #owls"]


async def test_a_tag_that_goes_while_its_copy_is_being_sent_takes_it_away_again(world: World) -> None:
    anna, group, (owls,) = await tagged(world, "#owls")
    held = owls.paper.hold(lambda intent: isinstance(intent, Create))
    own = anna.command(group, "post visibility:public Seen #owls")
    await world.hand_only(own)
    await held.reached.wait()
    assert own.message is not None
    line = anna.paper.find(own.message)
    assert line is not None
    await world.hand_only(anna.edit(group, line, "/post Seen"))
    held.release.set()
    await world.settled()
    assert owls.texts == []


async def test_a_line_of_a_fold_goes_with_its_tag_and_comes_back_as_itself(world: World) -> None:
    anna, group, (owls,) = await tagged(world, "#owls")
    admin = world.person("matrix", "admin").leads(owls)
    await admin.runs(owls, "pause")
    first = await anna.posts(group, "visibility:public First #owls")
    await anna.posts(group, "visibility:public Second #owls")
    await world.passes(20 * MINUTE)
    await admin.runs(owls, "resume")
    await anna.edits(group, first, "/post First")
    assert ["First" in line.text for line in owls.spoken if "Second" in line.text] == [False]
    await anna.edits(group, first, "/post First #owls")
    assert owls.texts == ["First #owls"]


# -- mirrors that end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("feed", ["@anna", "#owls", "home"])
async def test_what_waits_for_a_room_by_a_mirror_alone_ends_with_that_mirror(world: World, feed: str) -> None:
    world.rules = world.with_rules(hold=MINUTE)
    await world.restart()
    anna, group, (room, other) = await tagged(world, feed, feed)
    await world.mirrors(other, "#owls", "@anna", "home")
    own = await anna.posts(group, "visibility:public Seen #owls")
    for place in (room, other):
        admin = world.person(place.paper.platform, "admin").leads(place)
        assert await admin.asks(place, f"mirror remove {feed}") == ["mirror.removed"]
    await anna.edits(group, own, "/post Seen #owls, edited while it waits")
    await world.passes(HOUR)
    assert room.texts == []
    assert other.texts == ["Seen #owls, edited while it waits"], "another mirror of that room brings it"


async def test_a_reply_that_waits_for_a_conversation_needs_no_mirror(world: World) -> None:
    anna, group, (room,) = await tagged(world, "@anna")
    parent = await anna.posts(group, "visibility:public Seen")
    world.rules = world.with_rules(hold=MINUTE)
    await world.restart()
    await anna.says(group, "And heard", reply_to=parent)
    await world.person("matrix", "admin").leads(room).runs(room, "mirror remove @anna")
    await world.passes(HOUR)
    assert room.texts == ["Seen", "And heard"]


async def test_a_fold_that_waits_loses_the_lines_of_a_mirror_that_ended(world: World) -> None:
    anna, group, (room,) = await tagged(world, "#owls")
    await world.mirrors(room, "#swifts")
    admin = world.person("matrix", "admin").leads(room)
    await admin.runs(room, "pause")
    for text in ("one #owls", "two #swifts", "three #owls"):
        await anna.posts(group, f"visibility:public {text}")
    await world.passes(20 * MINUTE)
    room.paper.fails(RetryLater("busy", after=MINUTE), when=lambda intent: isinstance(intent, Create))
    await admin.runs(room, "resume")
    await admin.runs(room, "mirror remove #owls")
    await world.passes(HOUR)
    (fold,) = [line.text for line in room.spoken if "two #swifts" in line.text]
    assert "#owls" not in fold


async def test_a_send_without_an_answer_is_found_and_taken_away_when_its_mirror_ends(world: World) -> None:
    anna, group, (room,) = await tagged(world, "#owls")
    room.paper.fails(
        RetryLater("no answer", after=MINUTE, unknown=True),
        when=lambda intent: isinstance(intent, Create),
        after=True,
    )
    await anna.posts(group, "visibility:public Seen #owls")
    assert room.texts == ["Seen #owls"]
    await world.person("matrix", "admin").leads(room).runs(room, "mirror remove #owls")
    await world.passes(timedelta(minutes=10))
    assert room.texts == []
