"""A room that is closed to the bot, or lost, pauses with its reason, and goes on by itself when it is open again."""

from __future__ import annotations

from datetime import timedelta

from core.codec import load
from core.errors import Rejected, RejectedWhy
from core.events import Loss, Missed, PlaceChanged, place_now
from core.intents import Create
from core.places import loss_of
from core.records import Chat, ChatState
from stormo.probing import Prober
from tests.stories.world import HOUR, MINUTE, Person, Room, World

FORBIDDEN = Rejected("403 not enough rights", why=RejectedWhy.FORBIDDEN)


async def chat_of(world: World, room: Room) -> Chat:
    found = await world.read(lambda unit: unit.communities.chat(room.ref))
    assert found is not None
    return found


async def a_mirror(world: World) -> tuple[Room, Room, Person]:
    group, channel = world.room("telegram", "group"), world.room("discord", "general")
    await world.community(group, channel)
    await world.mirrors(channel, "#news")
    return group, channel, await world.member("telegram", "anna")


def prober_of(world: World) -> Prober:
    async def lost() -> list[Chat]:
        return await world.read(lambda unit: unit.communities.lost())

    return Prober(adapters=world.adapters, gate=world.gate, lost=lost, clock=world.clock)


async def passes(world: World, prober: Prober, time: timedelta) -> None:
    """Time goes by, with the looks at lost rooms that fall into it."""
    end = world.clock.now() + time
    while world.clock.now() < end:
        await world.passes(timedelta(seconds=15))
        await prober.look()
        await world.settled()


async def test_a_room_that_became_read_only_waits_and_gets_everything_when_it_opens(world: World) -> None:
    group, channel, anna = await a_mirror(world)
    fault = channel.paper.fails(FORBIDDEN, when=lambda intent: isinstance(intent, Create), times=99)
    channel.paper.losses[channel.ref.key] = Loss.MUTED
    await anna.posts(group, "one #news")
    await anna.posts(group, "two #news")
    closed = await chat_of(world, channel)
    assert (closed.state, loss_of(closed), channel.texts) == (ChatState.MUTED, Loss.MUTED, [])
    assert "not enough rights" in closed.reason
    prober = prober_of(world)
    await passes(world, prober, 4 * MINUTE)
    assert (await chat_of(world, channel)).state is ChatState.MUTED
    assert fault.times == 98
    fault.times = 0
    channel.paper.losses.clear()
    await passes(world, prober, 6 * MINUTE)
    assert channel.texts == ["one #news", "two #news"]
    assert (await chat_of(world, channel)).state is ChatState.ACTIVE


async def test_the_platforms_word_opens_it_at_once(world: World) -> None:
    group, channel, anna = await a_mirror(world)
    await world.hand(place_now(channel.ref, Loss.MUTED))
    await anna.posts(group, "news #news")
    assert channel.texts == []
    await world.hand(place_now(channel.ref, None))
    assert channel.texts == ["news #news"]


async def test_a_slash_command_is_answered_in_a_read_only_room(world: World) -> None:
    _, channel, _ = await a_mirror(world)
    await world.hand(place_now(channel.ref, Loss.MUTED))
    admin = world.person("discord", "admin-general").leads(channel)
    told = await admin.asks(channel, "mirror list")
    assert told == ["mirror.title", "mirror.line", "loss.title", "loss.line"]


async def test_one_message_that_is_refused_in_an_open_room_holds_up_nobody(world: World) -> None:
    """The room is found open and refuses the same words again: then it is these words that it does not want."""
    group, channel, anna = await a_mirror(world)
    channel.paper.fails(
        FORBIDDEN,
        when=lambda intent: isinstance(intent, Create) and "unwanted" in str(intent.view.body),
        times=99,
    )
    await anna.posts(group, "unwanted #news")
    await anna.posts(group, "wanted #news")
    await passes(world, prober_of(world), 3 * MINUTE)
    assert channel.texts == ["wanted #news"]
    assert await world.rows("SELECT state FROM outbox WHERE state = 'refused'") == [("refused",)]


async def test_a_lost_room_is_asked_about_ever_more_rarely(world: World) -> None:
    _, channel, _ = await a_mirror(world)
    await world.hand(place_now(channel.ref, Loss.BANNED))
    channel.paper.losses[channel.ref.key] = Loss.BANNED
    prober = prober_of(world)
    await passes(world, prober, 2 * HOUR)
    asked = channel.paper.asked
    await passes(world, prober, 4 * HOUR)
    assert 5 <= asked <= 8
    assert 3 <= channel.paper.asked - asked <= 6
    channel.paper.losses.clear()
    await passes(world, prober, timedelta(minutes=80))
    assert (await chat_of(world, channel)).state is ChatState.ACTIVE


async def test_what_could_not_be_read_back_is_seen_by_the_operator(world: World) -> None:
    _, channel, _ = await a_mirror(world)
    missed = Missed(
        key="m", platform=channel.ref.platform, chat=channel.ref, reason="more than could be read"
    )
    await world.hand(missed, missed)
    letters = await world.read(lambda unit: unit.intake.dead_letters())
    assert [(kind, reason) for _, kind, _, reason, _ in letters] == [("Missed", "more than could be read")]
    assert load(letters[0][2]) == missed


# -- who keeps the room learns of it ---------------------------------------------------------------------------------


async def kept_room(world: World, *, opened: bool = True) -> tuple[Room, Room, Person]:
    """A group and a room of one community; who keeps the room has opened the private chat, or has not."""
    group, room = world.room("telegram", "group"), world.room("matrix", "hall", title="The hall")
    await world.community(group, room)
    keeper = world.person("matrix", "admin-hall").leads(room)
    if opened:
        await keeper.runs(keeper.private, "start")
    await world.mirrors(room, "#news")
    world.forget()
    return group, room, keeper


async def housekeeps(world: World, time: timedelta = timedelta(0)) -> None:
    await world.passes(time)
    await world.write(world.engine.housekeep)
    await world.settled()


async def test_who_keeps_a_lost_room_is_told_once_in_private_with_the_reason(world: World) -> None:
    _, room, keeper = await kept_room(world)
    await world.hand(place_now(room.ref, Loss.MUTED))
    for _ in range(4):
        await housekeeps(world, timedelta(minutes=20))
    assert keeper.told == ["loss.title", "loss.line", "loss.goes_on"]
    assert "The hall (Matrix): no permission to write there, since" in keeper.told_text
    assert {act.chat for act in world.acts} == {keeper.private.ref}
    world.forget()
    await world.hand(place_now(room.ref, None))
    await housekeeps(world, timedelta(days=2))
    assert world.acts == []
    await world.hand(place_now(room.ref, Loss.REMOVED))
    await housekeeps(world, timedelta(minutes=20))
    assert keeper.told == ["loss.title", "loss.line", "loss.goes_on"]


async def test_what_passes_in_ten_minutes_is_nobodys_worry(world: World) -> None:
    _, room, keeper = await kept_room(world)
    await world.hand(place_now(room.ref, Loss.MUTED))
    await housekeeps(world, timedelta(minutes=9))
    await world.hand(place_now(room.ref, None))
    await housekeeps(world, timedelta(minutes=9))
    await world.hand(place_now(room.ref, Loss.MUTED))
    await housekeeps(world, timedelta(minutes=9))
    assert keeper.told == []


async def test_many_rooms_lost_together_are_one_message_and_a_day_brings_no_second(world: World) -> None:
    rooms = [world.room("discord", f"channel{i}") for i in range(12)]
    founder = await world.community(*rooms)
    await founder.runs(founder.private, "start")
    for room in rooms:
        await founder.leads(room).runs(room, "mirror add #news")
    world.forget()
    for room in rooms[:11]:
        await world.hand(place_now(room.ref, Loss.REMOVED))
    await housekeeps(world, timedelta(minutes=11))
    assert founder.told == ["loss.title", *["loss.line"] * 10, "loss.more", "loss.goes_on"]
    world.forget()
    await world.hand(place_now(rooms[11].ref, Loss.REMOVED))
    await housekeeps(world, timedelta(hours=23))
    assert founder.told == []
    await housekeeps(world, timedelta(hours=1))
    assert founder.told == ["loss.title", "loss.line", "loss.goes_on"]


async def test_nobody_is_written_to_who_opened_no_private_chat_until_they_do(world: World) -> None:
    _, room, keeper = await kept_room(world, opened=False)
    await world.hand(place_now(room.ref, Loss.MUTED))
    await housekeeps(world, HOUR)
    assert world.acts == []
    await keeper.runs(keeper.private, "start")
    world.forget()
    await housekeeps(world)
    assert keeper.told == ["loss.title", "loss.line", "loss.goes_on"]


async def test_a_linked_account_whose_door_is_open_hears_it_instead(world: World) -> None:
    _, room, keeper = await kept_room(world)
    await keeper.runs(keeper.private, "join anna")
    other = world.person("telegram", "anna")
    await other.runs(other.private, "start")
    await world.link(keeper, other)
    await world.hand(PlaceChanged(key="shared", chat=keeper.private.ref, shared=True))
    world.forget()
    await world.hand(place_now(room.ref, Loss.BANNED))
    await housekeeps(world, HOUR)
    assert (keeper.told, other.told) == ([], ["loss.title", "loss.line", "loss.goes_on"])


async def test_who_left_stormo_is_not_told(world: World) -> None:
    _, room, keeper = await kept_room(world)
    await keeper.runs(keeper.private, "optout yes")
    world.forget()
    await world.hand(place_now(room.ref, Loss.MUTED))
    await housekeeps(world, HOUR)
    assert world.acts == []


async def test_mirror_list_in_another_room_says_what_waits_and_why(world: World) -> None:
    group, room, _ = await kept_room(world)
    await world.hand(place_now(room.ref, Loss.ENCRYPTED))
    admin = world.person("telegram", "founder-group").leads(group)
    assert await admin.asks(group, "mirror list") == ["mirror.none", "loss.title", "loss.line"]
    assert "The hall (Matrix): the room is encrypted" in admin.told_text
    assert group.heard[-1:] != ["loss.line"], "what is wrong elsewhere is not said in the room"
    await world.hand(place_now(room.ref, None))
    assert await admin.asks(group, "mirror list") == ["mirror.none"]


async def test_a_room_that_only_moved_is_no_loss_to_tell(world: World) -> None:
    group, _, _ = await kept_room(world)
    admin = world.person("telegram", "founder-group")
    new = world.room("telegram", "supergroup")
    await world.hand(PlaceChanged(key="moved", chat=group.ref, moved_to=new.ref))
    world.forget()
    await housekeeps(world, HOUR)
    assert admin.told == []
