"""A reaction is a signal, the vote is the member's latest act, and a tally is counted anew."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.events import MessageDeleted, ReactorsFound
from core.types import MessageRef
from tests.stories.world import MINUTE, Line, Person, Room, World

Stage = tuple[Person, Line, Room, Room]


async def stage(world: World) -> Stage:
    """A post of Anna's in a Telegram group, with copies on Discord and Matrix."""
    group, channel, matrix = (
        world.room("telegram", "birds"),
        world.room("discord", "channel"),
        world.room("matrix", "aviary"),
    )
    await world.community(group, channel, matrix)
    for room in (channel, matrix):
        await world.mirrors(room, "birds")
    anna = await world.member("telegram", "anna")
    return anna, await anna.posts(group, "swifts"), channel, matrix


async def tally(world: World) -> tuple[int, int]:
    ((score, guests),) = await world.rows("SELECT score, guests FROM posts")
    return int(score), int(guests)


@pytest.mark.parametrize("emoji", ["👍", "❤", "❤️", "👍🏻", "👍🏿", "👍️"])
async def test_thumbs_and_hearts_of_any_tone_are_the_vote(world: World, emoji: str) -> None:
    _, own, *_ = await stage(world)
    bruno = await world.member("telegram", "bruno")
    await bruno.reacts(own, emoji)
    assert await tally(world) == (1, 0)
    await bruno.reacts(own, emoji, off=True)
    assert await tally(world) == (0, 0)


@pytest.mark.parametrize("emoji", ["🎉", "👎", "❤️‍🔥", "💙", "👌", "+1", "👍👍"])
async def test_other_emoji_are_decoration_and_leave_nothing_behind(world: World, emoji: str) -> None:
    _, own, *_ = await stage(world)
    before = await world.snapshot()
    guest = world.person("telegram", "guest")
    await world.hand(guest.reaction(own, emoji))
    await world.hand(guest.reaction(own, emoji, whole=True))
    assert await world.snapshot() == before


async def test_own_posts_bots_and_hidden_people_never_count(world: World) -> None:
    anna, own, channel, _ = await stage(world)
    await anna.reacts(own, "👍")
    await world.person("telegram", "bot", bot=True).reacts(own, "👍")
    await world.person("discord", "admin", anonymous=True).reacts(channel.copies[0], "👍")
    assert await tally(world) == (0, 0)


async def test_guests_are_a_line_of_their_own_and_joining_counts_what_stands(world: World) -> None:
    anna, _, channel, matrix = await stage(world)
    guest = world.person("discord", "guest")
    await guest.reacts(channel.copies[0], "👍")
    assert await tally(world) == (0, 1)
    await world.passes(10 * MINUTE)
    assert matrix.copies[0].footer == world.speech_of("footer.votes", n=0) + " · " + world.speech_of(
        "footer.guests", n=1
    )
    await guest.runs(guest.private, "join")
    assert await tally(world) == (1, 0)
    await guest.reacts(channel.copies[0], "👍", off=True)
    assert await tally(world) == (0, 0)
    assert anna.ref != guest.ref


async def test_guests_reactions_are_erased_after_thirty_days(world: World) -> None:
    _, own, channel, _ = await stage(world)
    await world.person("discord", "guest").reacts(channel.copies[0], "👍")
    bruno = await world.member("telegram", "bruno")
    await bruno.reacts(own, "👍")
    world.clock.advance(timedelta(days=31))
    await world.write(world.engine.housekeep)
    assert await tally(world) == (1, 0)
    await world.passes(MINUTE)
    assert channel.copies[0].footer == "1 vote"


async def test_the_latest_act_counts_and_earlier_ones_stay_superseded(world: World) -> None:
    _, own, channel, _ = await stage(world)
    bruno, twin = await world.member("telegram", "bruno"), world.person("discord", "twin")
    await world.link(bruno, twin)
    await bruno.reacts(own, "👍")
    world.clock.advance(timedelta(seconds=1))
    await twin.reacts(channel.copies[0], "❤")
    await bruno.reacts(own, "👍", off=True)
    assert await tally(world) == (1, 0), "what was superseded takes nothing back"
    await twin.reacts(channel.copies[0], "❤", off=True)
    assert await tally(world) == (0, 0), "and never comes back"


async def test_each_skin_tone_is_a_reaction_of_its_own(world: World) -> None:
    _, _, channel, _ = await stage(world)
    bruno = await world.member("discord", "bruno")
    copy = channel.copies[0]
    await bruno.reacts(copy, "👍")
    await bruno.reacts(copy, "👍🏽")
    assert await tally(world) == (1, 0)
    await bruno.reacts(copy, "👍", off=True)
    assert await tally(world) == (1, 0), "the later one stands"
    await bruno.reacts(copy, "👍🏽", off=True)
    assert await tally(world) == (0, 0)


async def test_reactions_that_a_moderator_cleared_are_votes_no_more(world: World) -> None:
    _, _, channel, _ = await stage(world)
    copy = channel.copies[0]
    for key, emoji in (("bruno", "👍"), ("carl", "👍🏽"), ("dora", "❤️")):
        await (await world.member("discord", key)).reacts(copy, emoji)
    for emoji, left in (("❤️", 2), ("👍", 1), ("", 0)):
        await world.hand(ReactorsFound(key=None, message=copy.ref, accounts=(), began=None, emoji=emoji))
        assert await tally(world) == (left, 0)


async def test_telegram_s_whole_set_replaces_what_stood(world: World) -> None:
    _, own, *_ = await stage(world)
    bruno = await world.member("telegram", "bruno")
    await world.hand(bruno.reaction(own, "👍", "🎉", whole=True))
    assert await tally(world) == (1, 0)
    await world.hand(bruno.reaction(own, "❤", whole=True))
    assert await tally(world) == (1, 0)
    assert await world.rows("SELECT emoji FROM signals") == [("❤",)]
    await world.hand(bruno.reaction(own, "🎉", whole=True))
    assert await tally(world) == (0, 0)


async def test_acts_that_come_late_do_not_displace_later_ones(world: World) -> None:
    _, own, _, matrix = await stage(world)
    bruno, twin = await world.member("telegram", "bruno"), world.person("matrix", "twin")
    await world.link(bruno, twin)
    now = world.clock.now()
    copy = matrix.copies[0]
    await bruno.reacts(own, "👍", at=now)
    await bruno.reacts(own, "👍", off=True, at=now + timedelta(seconds=2))
    await twin.reacts(copy, "👍", at=now + timedelta(seconds=1))
    assert await tally(world) == (0, 0), "taking back came after it"
    await twin.reacts(copy, "❤", at=now + timedelta(seconds=3))
    assert await tally(world) == (1, 0)


async def test_a_find_of_reconciliation_never_displaces_a_timed_act(world: World) -> None:
    _, own, channel, matrix = await stage(world)
    bruno, twin = await world.member("matrix", "bruno"), world.person("discord", "twin")
    await world.link(bruno, twin)
    early = world.clock.now() - timedelta(minutes=5)
    await world.hand(twin.reaction(channel.copies[0], "👍", found=True))
    assert await tally(world) == (1, 0)
    await bruno.reacts(matrix.copies[0], "👍", at=early + 6 * MINUTE)
    rows = await world.rows("SELECT account_id FROM votes")
    assert rows == await world.rows("SELECT id FROM accounts WHERE key = 'bruno'")
    await world.hand(twin.reaction(channel.copies[0], "❤", found=True))
    assert await world.rows("SELECT account_id FROM votes") == rows
    await world.hand(twin.reaction(channel.copies[0], whole=True, found=True))
    assert await tally(world) == (1, 0)
    assert own.deleted is False


async def test_a_matrix_reaction_is_taken_back_by_redacting_its_event(world: World) -> None:
    _, _, _, matrix = await stage(world)
    bruno = await world.member("matrix", "bruno")
    await world.hand(bruno.reaction(matrix.copies[0], "👍", ref="$r1"))
    assert await tally(world) == (1, 0)
    await world.hand(MessageDeleted(key=world.new_key(), message=MessageRef(matrix.ref, "$r1")))
    assert await tally(world) == (0, 0)
    assert len(matrix.copies) == 1


async def test_five_hundred_reactions_cost_one_edit_per_copy(world: World) -> None:
    _, own, channel, matrix = await stage(world)
    world.forget()
    people = [world.person("telegram", f"p{i}") for i in range(500)]
    await world.hand(*(person.reaction(own, "👍") for person in people))
    await world.passes(10 * MINUTE)
    assert channel.copies[0].footer.endswith(world.speech_of("footer.guests", n=500))
    assert channel.copies[0].edits <= 2
    assert matrix.copies[0].edits == 1


async def test_a_tally_moves_a_copy_at_most_as_often_as_its_platform_likes(world: World) -> None:
    _, own, channel, matrix = await stage(world)
    for second in range(20):
        await world.person("telegram", f"p{second}").reacts(own, "👍")
        await world.passes(timedelta(seconds=1))
    assert channel.copies[0].edits <= 5
    assert matrix.copies[0].edits <= 1
    anna = world.person("telegram", "anna")
    await anna.edits(world.room("telegram", "birds"), own, "/post swallows")
    assert channel.texts == matrix.texts == ["swallows"], "words do not wait"
    await world.passes(10 * MINUTE)
    assert matrix.copies[0].footer.endswith(world.speech_of("footer.guests", n=20))


async def test_a_reaction_on_a_deleted_post_or_a_stranger_s_message_is_nothing(world: World) -> None:
    anna, own, channel, _ = await stage(world)
    bruno = await world.member("telegram", "bruno")
    copy = channel.copies[0]
    talk = anna.paper.write(own.ref.chat, "carla", "hello")
    await anna.deletes(own)
    before = await world.snapshot("outbox")
    await bruno.reacts(talk, "👍")
    await world.person("discord", "guest").reacts(copy, "👍")
    assert await world.snapshot("outbox") == before


async def test_a_reaction_that_counts_again_can_be_taken_back(world: World) -> None:
    """It was set aside while its account spoke for somebody else."""
    _, own, *_ = await stage(world)
    bruno, again = await world.member("telegram", "bruno"), world.person("matrix", "bruno")
    await world.link(bruno, again)
    await bruno.reacts(own, "👍")
    await bruno.reacts(own, "👍", off=True)
    await bruno.runs(bruno.private, "unlink")
    await bruno.reacts(own, "👍")
    await bruno.runs(bruno.private, "join")
    assert await tally(world) == (0, 0), "once for one member, never for another"
    await world.link(bruno, world.person("discord", "bruno"))
    await bruno.runs(bruno.private, "unlink")
    await world.link(again, bruno)
    assert await tally(world) == (1, 0)
    await bruno.reacts(own, "👍", off=True)
    assert await tally(world) == (0, 0)
