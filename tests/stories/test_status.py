"""What people are told of where a post is, trying again where it was refused, and posts that wait to travel."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.errors import Rejected, RejectedWhy, RetryLater
from core.events import Loss, place_now
from core.intents import Create, Form, Intent
from core.types import Visibility
from tests.doubles.paper import chat_of
from tests.stories.world import HOUR, MINUTE, Person, Room, World


async def twelve(world: World, *platforms: str) -> tuple[Person, Room, list[Room]]:
    """A group, rooms that mirror it, and a member who writes in the group."""
    group = world.room("telegram", "birds", title="Birds")
    rooms = [world.room(p, f"room{i}", title=f"Room {i}") for i, p in enumerate(platforms)]
    await world.community(group, *rooms)
    for room in rooms:
        await world.mirrors(room, "birds")
    return await world.member("telegram", "anna"), group, rooms


def refuses(room: Room, why: RejectedWhy = RejectedWhy.FORM, times: int = 99) -> None:
    def mine(intent: Intent) -> bool:
        return isinstance(intent, Create) and chat_of(intent) == room.ref and intent.view.author != ""

    room.paper.fails(Rejected("400 no", why=why), when=mine, times=times)


async def test_a_post_that_stands_everywhere_says_so_in_one_line(world: World) -> None:
    anna, group, _ = await twelve(world, "discord", "matrix")
    await anna.posts(group, "Hello")
    assert await anna.asks(anna.private, "status") == ["status.shown"]
    assert anna.told_text == "Shown in 2 of 2 places."
    anna.locale = "it"
    await anna.asks(anna.private, "status")
    assert anna.told_text == "Si vede in 2 posti su 2."


async def test_the_twelfth_place_is_named_with_its_reason(world: World) -> None:
    anna, group, rooms = await twelve(world, *["discord"] * 11, "matrix")
    await world.hand(place_now(rooms[3].ref, Loss.MUTED))
    own = await anna.posts(group, "Hello")
    assert await anna.asks(group, "status", target=own) == ["status.shown", "status.place"]
    assert anna.told_text == (
        "Shown in 11 of 12 places.\n• Room 3 (Discord): waits: no permission to write there"
    )
    assert group.heard == ["setup.started"], "the answer is nobody else's business"


async def test_what_holds_a_copy_back_is_said(world: World) -> None:
    anna, group, (room,) = await twelve(world, "discord")
    busy = room.paper.fails(RetryLater("429", after=5 * MINUTE), when=lambda i: isinstance(i, Create))
    await anna.posts(group, "Hello")
    assert busy.times == 0
    assert "the platform put it off" in await told(anna)
    admin = world.person("discord", "admin-room0").leads(room)
    await admin.runs(room, "pause")
    assert "its community is paused" in await told(anna)
    await admin.runs(room, "resume")
    await world.passes(6 * MINUTE)
    assert await told(anna) == "Shown in 1 of 1 place."


async def told(person: Person) -> str:
    await person.asks(person.private, "status")
    return person.told_text


async def test_quiet_hours_and_a_full_room_are_reasons(world: World) -> None:
    anna, group, (room,) = await twelve(world, "matrix")
    for number in range(11):
        await anna.posts(group, f"post {number}")
    assert "as many posts as it takes for now" in await told(anna)
    world.rules = world.with_rules(quiet_hours=(0, 23))
    await world.restart()
    assert "quiet hours" in await told(anna)
    assert len(room.copies) == 10


async def test_forms_folds_and_copies_taken_away_are_told(world: World) -> None:
    anna, group, (plain, taken) = await twelve(world, "matrix", "discord")
    no = Rejected("no", why=RejectedWhy.FORM)
    plain.paper.fails(no, when=lambda i: isinstance(i, Create) and i.form is Form.FULL)
    await anna.posts(group, "Hello")
    await anna.deletes(taken.copies[0])
    assert await anna.asks(anna.private, "status") == ["status.shown", "status.place", "status.place"]
    assert "Room 0 (Matrix): shown as plain text" in anna.told_text
    assert "Room 1 (Discord): taken away there; that is final" in anna.told_text
    for number in range(11):
        await anna.posts(group, f"post {number}")
    await world.passes(20 * MINUTE)
    assert "a line of a message with several posts" in await told(anna)


async def test_others_learn_numbers_and_their_own_room_only(world: World) -> None:
    anna, group, (open_room, closed) = await twelve(world, "discord", "matrix")
    refuses(closed)
    await anna.posts(group, "Hello")
    bruno = world.person("discord", "bruno")
    assert await bruno.asks(open_room, "status", target=open_room.copies[0]) == [
        "status.shown",
        "status.count.refused",
        "status.here",
    ]
    assert "Room 1" not in bruno.told_text
    elsewhere = world.room("discord", "elsewhere")
    number = await world.short_id_of("Hello")
    assert await bruno.asks(elsewhere, f"status {number}") == ["post.unknown"]
    assert await bruno.asks(elsewhere, "status") == ["post.which"]


async def test_the_author_has_it_tried_again_and_not_for_ever(world: World) -> None:
    anna, group, (room,) = await twelve(world, "matrix")
    refuses(room, times=6)
    await anna.posts(group, "Hello")
    assert room.texts == []
    world.forget()
    assert await anna.asks(anna.private, "status") == ["status.shown", "status.place"]
    (line,) = [line for line in anna.private.spoken if "Shown in" in line.text]
    assert line.view is not None
    assert [button.data.partition(":")[0] for button in line.view.buttons] == ["retry"]
    world.forget()
    await anna.presses(line, line.view.buttons[0].data)
    assert anna.told == ["retry.done"]
    assert room.texts == []
    assert await anna.asks(anna.private, "retry") == ["retry.done"]
    assert room.texts == ["Hello"]
    assert await anna.asks(anna.private, "retry") == ["retry.nothing"]


async def test_a_room_that_keeps_refusing_is_left_alone(world: World) -> None:
    anna, group, (room,) = await twelve(world, "matrix")
    refuses(room)
    await anna.posts(group, "Hello")
    answers = [await anna.asks(anna.private, "retry") for _ in range(4)]
    assert answers == [["retry.done"]] * 3 + [["retry.enough"]]
    await anna.asks(anna.private, "status")
    assert "the platform does not take this text" in anna.told_text


async def test_what_somebody_took_away_comes_back_by_no_retry(world: World) -> None:
    anna, group, (room,) = await twelve(world, "discord")
    await anna.posts(group, "Hello")
    await anna.deletes(room.copies[0])
    assert await anna.asks(anna.private, "retry") == ["retry.nothing"]
    assert room.texts == []


async def test_an_admin_has_it_tried_again_in_their_room_only(world: World) -> None:
    anna, group, (first, second) = await twelve(world, "discord", "matrix")
    refuses(first, times=3)
    refuses(second)
    await anna.posts(group, "visibility:public Hello")
    number = await world.short_id_of("Hello")
    bruno = world.person("discord", "bruno")
    assert await bruno.asks(first, f"retry {number}") == ["retry.not_yours"]
    admin = world.person("discord", "admin-room0").leads(first)
    assert await admin.asks(first, f"retry {number}") == ["retry.done"]
    assert first.texts == ["Hello"]
    assert second.texts == []


@pytest.mark.parametrize("way", ["undo", "delete"])
async def test_a_post_taken_back_while_it_waits_was_never_seen_elsewhere(world: World, way: str) -> None:
    anna, group, (room,) = await twelve(world, "discord")
    admin = world.person("discord", "admin-room0").leads(room)
    assert await admin.asks(room, "hold 5") == ["hold.on"]
    world.forget()
    own = await anna.posts(group, "a slip")
    assert anna.told[-2:] == ["post.held", "post.untold"]
    assert "5 minutes" in anna.told_text
    await world.passes(4 * MINUTE)
    if way == "undo":
        (line,) = [line for line in anna.private.spoken if "5 minutes" in line.text]
        assert line.view is not None
        await anna.presses(line, line.view.buttons[0].data)
    else:
        await anna.deletes(own)
    await world.passes(HOUR)
    assert [i for i in world.acts if isinstance(i, Create) and chat_of(i) == room.ref] == []


async def test_what_waits_travels_with_its_newest_words_and_says_when(world: World) -> None:
    anna, group, (room,) = await twelve(world, "discord")
    admin = world.person("discord", "admin-room0").leads(room)
    await admin.runs(room, "hold 10")
    own = await anna.posts(group, "frist")
    await anna.edits(group, own, "/post first")
    assert "taken back before" in await told(anna)
    await world.passes(9 * MINUTE)
    assert room.texts == []
    await world.passes(2 * MINUTE)
    assert room.texts == ["first"]
    assert await admin.asks(room, "hold off") == ["hold.off"]
    await anna.posts(group, "second")
    assert room.texts == ["first", "second"]


async def test_a_hold_has_limits_and_is_an_admins(world: World) -> None:
    _, group, (room,) = await twelve(world, "discord")
    admin = world.person("discord", "admin-room0").leads(room)
    for wrong in ("61", "-1", "five", "²"):
        assert await admin.asks(room, f"hold {wrong}") == ["hold.range"]
    assert await world.person("discord", "bruno").asks(room, "hold 5") == ["right.admin"]
    assert (await world.community_of(group)).hold_seconds == 0


async def test_a_newcomer_waits_a_minute_whatever_the_community_chose(world: World) -> None:
    world.rules = world.with_rules(hold=MINUTE)
    await world.restart()
    anna, group, (room,) = await twelve(world, "discord")
    world.forget()
    await anna.posts(group, "Hello")
    assert "1 minute" in anna.told_text
    assert room.texts == []
    await world.passes(timedelta(seconds=61))
    assert room.texts == ["Hello"]


async def test_a_post_for_its_room_only_stands_nowhere_else(world: World) -> None:
    anna, group, _ = await twelve(world, "discord")
    await anna.posts(group, f"visibility:{Visibility.ROOM} Hush")
    assert await anna.asks(anna.private, "status") == ["status.nowhere"]


async def test_help_explains_each_word_of_mirror(world: World) -> None:
    anna = await world.member("telegram", "anna")
    await anna.asks(anna.private, "help mirror")
    for word in ("add", "list", "remove", "block", "unblock"):
        assert f"/mirror {word}" in anna.told_text
