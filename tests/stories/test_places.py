"""A room that is closed to the bot, or lost, pauses with its reason, and goes on by itself when it is open again."""

from __future__ import annotations

from datetime import timedelta

from core.codec import load
from core.errors import Rejected, RejectedWhy
from core.events import Loss, Missed, place_now
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
    assert await admin.asks(channel, "mirror list") == ["mirror.title", "mirror.line"]


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
