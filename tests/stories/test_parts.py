"""What is longer than one message of its platform stands there as several, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from core.errors import Rejected, RejectedWhy, RetryLater
from core.events import MessageDeleted
from core.intents import Create, Edit, Form, Intent, Withdraw
from core.records import CopyState
from tests.stories.test_delivery import creates, edits, pair, state_of
from tests.stories.world import HOUR, MINUTE, Person, Room, World

SECOND = timedelta(seconds=1)
PLATFORMS = ("discord", "telegram", "matrix")
SHORT = "swifts and swallows"
#: So many messages does a text of so many words take, as `CAPABILITIES` counts.
THREE = {"discord": 1000, "telegram": 1000, "matrix": 7000}


def words(many: int, word: str = "word") -> str:
    """No two of them are alike, so that a part that is missing or doubled is seen."""
    return " ".join(f"{word}{number:05}" for number in range(many))


def long(platform: str) -> str:
    """Three messages there."""
    return words(THREE[platform])


def said(room: Room) -> str:
    """All parts that stand there, as one reads them."""
    return " ".join(line.text for line in room.parts)


def numbers(room: Room) -> list[str]:
    return [line.footer.partition(" · ")[0] for line in room.parts]


def withdraws(room: Room) -> Callable[[Intent], bool]:
    return lambda intent: isinstance(intent, Withdraw) and intent.message.chat == room.ref


def of_copies(room: Room) -> Callable[[Intent], bool]:
    return lambda intent: any(which(room)(intent) for which in (creates, edits, withdraws))


def nth(number: int, which: Callable[[Intent], bool]) -> Callable[[Intent], bool]:
    """The call of that number among those that `which` picks, the first being 0."""
    seen = count()
    return lambda intent: which(intent) and next(seen) == number


async def stage(world: World, *platforms: str, **rules: Any) -> tuple[Person, Room, list[Room]]:
    """As `pair`, with posts as long as one likes."""
    world.rules = world.with_rules(max_post=10**6, **rules)
    await world.restart()
    return await pair(world, *platforms)


async def shows(world: World, room: Room, text: str) -> None:
    """The room shows that text, whole and once, and nothing is left open."""
    assert said(room) == text
    of = len(room.parts)
    assert numbers(room) == ([f"{n}/{of}" for n in range(1, of + 1)] if of > 1 else [""])
    assert [bool(line.author) for line in room.parts] == [True] + [False] * (of - 1)
    assert await world.rows("SELECT * FROM tries") == []
    assert (await state_of(world, room))[-1] == (CopyState.LIVE, "")


# -- growing and shrinking ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_long_post_is_several_messages_in_order(world: World, platform: str) -> None:
    anna, group, (room,) = await stage(world, platform)
    await anna.posts(group, long(platform))
    await shows(world, room, long(platform))
    assert len(room.parts) == 3


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_short_and_long_in_turn_leave_no_fragment(world: World, platform: str) -> None:
    """Where a platform knows a key again, it must not answer with a message that was taken away."""
    anna, group, (room,) = await stage(world, platform)
    own = await anna.posts(group, SHORT)
    (first,) = room.parts
    for text in (long(platform), SHORT, long(platform), words(400), long(platform), SHORT):
        await anna.edits(group, own, f"/post {text}")
        await world.passes(HOUR)
        await shows(world, room, text)
    assert room.parts == [first], "the first message stays the same"


async def test_a_post_that_grows_by_two_gets_two_more_messages_and_one_edit(world: World) -> None:
    anna, group, (room,) = await stage(world, "discord")
    own = await anna.posts(group, SHORT)
    world.forget()
    await anna.edits(group, own, f"/post {long('discord')}")
    acts = [type(act) for act in world.acts if of_copies(room)(act)]
    assert sorted(acts, key=str) == [Create, Create, Edit]
    await shows(world, room, long("discord"))


async def test_an_edit_of_one_part_touches_no_other(world: World) -> None:
    anna, group, (room,) = await stage(world, "discord")
    text = long("discord")
    own = await anna.posts(group, text)
    world.forget()
    await anna.edits(group, own, f"/post {text[:-5]}WORDS")
    (act,) = [act for act in world.acts if of_copies(room)(act)]
    assert isinstance(act, Edit)
    assert act.message == room.parts[-1].ref


async def test_an_edit_while_the_parts_are_being_sent_shows_the_newest_words(world: World) -> None:
    anna, group, (room,) = await stage(world, "discord")
    hold = room.paper.hold(nth(1, creates(room)))
    event = anna.command(group, f"post {long('discord')}")
    await world.hand_only(event)
    await hold.reached.wait()
    assert event.message is not None
    own = group.paper.find(event.message)
    assert own is not None
    await world.hand_only(anna.edit(group, own, f"/post {SHORT}"))
    hold.release.set()
    await world.settled()
    await shows(world, room, SHORT)


async def test_a_post_deleted_while_its_parts_are_being_sent_leaves_nothing(world: World) -> None:
    anna, group, (room,) = await stage(world, "discord")
    hold = room.paper.hold(nth(1, creates(room)))
    event = anna.command(group, f"post {long('discord')}")
    await world.hand_only(event)
    await hold.reached.wait()
    assert event.message is not None
    await world.hand_only(MessageDeleted(key=world.new_key(), message=event.message))
    hold.release.set()
    await world.settled()
    assert room.parts == []
    assert await state_of(world, room) == [(CopyState.WITHDRAWN, "withdrawn")]
    assert await world.rows("SELECT * FROM copies WHERE ours = 1") == []


async def test_talk_that_is_passed_on_is_divided_too(world: World) -> None:
    matrix, channel = world.room("matrix", "aviary"), world.room("discord", "channel")
    founder = await world.community(matrix, channel)
    await founder.runs(matrix, "relay on")
    await world.person("discord", "admin-channel").leads(channel).runs(channel, "relay on")
    bea = world.person("matrix", "bea")
    line = await bea.says(matrix, long("discord"))
    assert (said(channel), len(channel.parts)) == (long("discord"), 3)
    await bea.edits(matrix, line, SHORT)
    assert channel.texts == [SHORT]
    assert len(channel.parts) == 1
    await bea.deletes(line)
    assert channel.parts == []


# -- what cannot be taken away -------------------------------------------------------------------------------------

TOO_OLD = Rejected("message can't be deleted for everyone", why=RejectedWhy.FORBIDDEN)


async def test_a_part_too_old_to_be_taken_away_is_emptied_and_used_again(world: World) -> None:
    anna, group, (room,) = await stage(world, "telegram")
    own = await anna.posts(group, long("telegram"))
    messages = [line.ref for line in room.parts]
    old = room.paper.fails(TOO_OLD, when=withdraws(room), times=99)
    await anna.edits(group, own, f"/post {SHORT}")
    await world.passes(HOUR)
    gone = world.speech_of("post.part_withdrawn")
    standing = [line for line in room.lines if line.ref in messages]
    assert [line.text for line in standing] == [SHORT, gone, gone]
    assert (await state_of(world, room))[0] == (CopyState.LIVE, "")
    assert old.times == 97, "each is asked to go once"
    await anna.edits(group, own, f"/post {SHORT} again")
    await world.passes(HOUR)
    assert old.times == 97
    await anna.edits(group, own, f"/post {long('telegram')}")
    await world.passes(HOUR)
    await shows(world, room, long("telegram"))
    assert [line.ref for line in room.parts] == messages


async def test_a_post_too_old_to_be_taken_away_is_emptied(world: World) -> None:
    anna, group, (room,) = await stage(world, "telegram")
    own = await anna.posts(group, long("telegram"))
    messages = [line.ref for line in room.parts]
    room.paper.fails(TOO_OLD, when=withdraws(room), times=99)
    await anna.deletes(own)
    await world.passes(HOUR)
    gone = world.speech_of("post.withdrawn")
    assert [line.text for line in room.lines if line.ref in messages] == [gone] * 3
    assert (await state_of(world, room))[0] == (CopyState.WITHDRAWN, "withdrawn")


async def test_what_may_be_neither_taken_away_nor_emptied_is_a_row_to_read(world: World) -> None:
    anna, group, (room,) = await stage(world, "telegram")
    own = await anna.posts(group, SHORT)
    room.paper.fails(TOO_OLD, when=withdraws(room), times=99)
    room.paper.fails(Rejected("no", why=RejectedWhy.FORBIDDEN), when=edits(room), times=99)
    await anna.deletes(own)
    await world.passes(HOUR)
    assert (await state_of(world, room))[0] == (CopyState.REFUSED, "forbidden: no")


async def test_an_edit_without_an_answer_of_somebody_banned_since_stays_as_it_is(world: World) -> None:
    """What stands there stays as its moderators left it: nothing new comes, nor an empty message."""
    anna, group, (room,) = await stage(world, "matrix")
    own = await anna.posts(group, "one")
    room.paper.fails(RetryLater("cut", unknown=True, after=MINUTE), when=edits(room), after=True)
    await anna.edits(group, own, "/post two")
    before = [line.text for line in room.lines]
    await world.person("telegram", "founder-birds").leads(group).runs(group, "ban @anna")
    await world.passes(HOUR)
    assert [line.text for line in room.lines] == before
    assert await world.rows("SELECT * FROM tries") == []


# -- the process ends in between ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("platform", ["discord", "matrix"])
async def test_a_crash_at_any_part_goes_on_exactly_there(world: World, platform: str, number: int) -> None:
    anna, group, (room,) = await stage(world, platform)
    hold = room.paper.hold(nth(number, creates(room)))
    await world.hand_only(anna.command(group, f"post {long(platform)}"))
    await hold.reached.wait()
    assert len(room.parts) == number + 1
    await world.crash()
    await world.start_quietly()
    await shows(world, room, long(platform))
    assert len(room.parts) == 3


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(4))
async def test_a_crash_at_any_step_of_shrinking_and_growing_again(
    world: World, number: int, after: bool
) -> None:
    """Before or after the call took effect; meanwhile the author wrote something else."""
    anna, group, (room,) = await stage(world, "matrix")
    own = await anna.posts(group, long("matrix"))
    lost = RetryLater("cut", unknown=True, after=MINUTE)
    room.paper.fails(lost, when=nth(number, of_copies(room)), after=after)
    await anna.edits(group, own, f"/post {SHORT}")
    await world.restart(crash=True)
    await anna.edits(group, own, f"/post {words(7000, 'bird')}")
    await world.passes(HOUR)
    await shows(world, room, words(7000, "bird"))


async def test_our_own_withdrawal_told_late_is_no_moderator_s(world: World) -> None:
    """The platform tells of it only after the process was started again."""
    anna, group, (room,) = await stage(world, "matrix")
    own = await anna.posts(group, long("matrix"))
    last = room.parts[-1]
    room.paper.fails(RetryLater("cut", unknown=True, after=MINUTE), when=withdraws(room), after=True)
    room.paper.gate = None
    await anna.edits(group, own, f"/post {SHORT}")
    assert last.deleted
    await world.crash()
    await world.start_quietly()
    await world.hand(MessageDeleted(key=world.new_key(), message=last.ref))
    await world.passes(HOUR)
    await shows(world, room, SHORT)


# -- moderators win ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(3))
async def test_a_moderator_who_removes_one_part_gets_rid_of_all(world: World, number: int) -> None:
    anna, group, (room, other) = await stage(world, "discord", "matrix")
    own = await anna.posts(group, long("discord"))
    await world.person("discord", "mod").deletes(room.parts[number])
    assert room.parts == []
    for text in (SHORT, long("discord")):
        await anna.edits(group, own, f"/post {text}")
    await world.passes(HOUR)
    assert room.parts == []
    assert (await state_of(world, room))[0] == (CopyState.REMOVED, "taken away there")
    assert said(other) == long("discord")
    assert await world.rows("SELECT * FROM tries") == []


async def test_the_remove_command_on_one_part_removes_all(world: World) -> None:
    anna, group, (room,) = await stage(world, "discord")
    own = await anna.posts(group, long("discord"))
    await world.person("discord", "mod").moderates(room).runs(room, "remove", target=room.parts[1])
    assert room.parts == []
    await anna.edits(group, own, f"/post {SHORT}")
    await world.passes(HOUR)
    assert room.parts == []
    assert (await state_of(world, room))[0][0] is CopyState.REMOVED


async def test_a_part_that_is_not_found_when_it_is_edited_was_removed(world: World) -> None:
    anna, group, (room,) = await stage(world, "telegram")
    own = await anna.posts(group, long("telegram"))
    room.parts[1].deleted = True
    await anna.edits(group, own, f"/post {words(1000, 'bird')}")
    await world.passes(HOUR)
    assert room.parts == []
    assert (await state_of(world, room))[0][0] is CopyState.REMOVED


async def test_a_part_removed_while_the_next_is_being_sent_ends_the_post_there(world: World) -> None:
    anna, group, (room,) = await stage(world, "discord")
    hold = room.paper.hold(nth(1, creates(room)))
    await world.hand_only(anna.command(group, f"post {long('discord')}"))
    await hold.reached.wait()
    first = room.parts[0]
    first.deleted = True
    await world.hand_only(MessageDeleted(key=world.new_key(), message=first.ref))
    hold.release.set()
    await world.settled()
    assert room.parts == []
    assert (await state_of(world, room))[0] == (CopyState.REMOVED, "taken away there")


# -- every part stands for the thing ------------------------------------------------------------------------------


async def test_a_reaction_on_any_part_is_the_one_vote_and_costs_one_edit(world: World) -> None:
    anna, group, (room,) = await stage(world, "discord")
    await anna.posts(group, long("discord"))
    bruno, carla = await world.member("discord", "bruno"), await world.member("discord", "carla")
    before = [line.text for line in room.parts]
    world.forget()
    await bruno.reacts(room.parts[2], "👍")
    await carla.reacts(room.parts[0], "❤")
    await bruno.reacts(room.parts[1], "❤")
    await world.passes(MINUTE)
    assert await world.rows("SELECT score FROM posts") == [(2,)]
    assert [line.footer for line in room.parts] == ["1/3", "2/3", "3/3 · 2 votes"]
    assert [line.text for line in room.parts] == before
    touched = {act.message for act in world.acts if isinstance(act, Edit)}
    assert touched == {room.parts[2].ref}


async def test_an_answer_to_any_part_answers_the_post_and_stands_under_its_first(world: World) -> None:
    anna, group, (room, other) = await stage(world, "matrix", "discord")
    await anna.posts(group, words(7000))
    bruno = await world.member("matrix", "bruno")
    await bruno.says(room, "How many?", reply_to=room.parts[1])
    assert await world.rows("SELECT count(*) FROM posts WHERE reply_to IS NOT NULL") == [(1,)]
    first, answer = other.parts[0], other.parts[-1]
    assert (answer.text, answer.reply_to) == ("How many?", first.ref)


async def test_only_the_first_part_of_an_answer_replies(world: World) -> None:
    anna, group, (room,) = await stage(world, "discord")
    await anna.posts(group, SHORT)
    asked = next(line for line in reversed(group.lines) if line.by == "anna")
    bruno = await world.member("telegram", "bruno")
    await bruno.says(group, long("discord"), reply_to=asked)
    question, *parts = room.parts
    assert [line.reply_to for line in parts] == [question.ref, None, None]


async def test_deleting_by_any_part_withdraws_all(world: World) -> None:
    anna, group, (room,) = await stage(world, "discord")
    await anna.posts(group, long("discord"))
    twin = world.person("discord", "twin")
    await world.link(anna, twin)
    await twin.runs(room, "delete", target=room.parts[2])
    assert room.parts == []


# -- order, caps, the ladder ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(3))
async def test_nothing_new_comes_between_the_parts_also_under_retries(world: World, number: int) -> None:
    anna, group, (room,) = await stage(world, "discord")
    room.paper.fails(RetryLater("down"), when=nth(1 + number, creates(room)), times=3)
    await anna.posts(group, "before")
    await world.hand_only(*(anna.command(group, f"post {t}") for t in (long("discord"), "after", "later")))
    await world.settled()
    await world.passes(HOUR)
    texts = [line.text for line in room.parts]
    assert (texts[0], texts[-2:]) == ("before", ["after", "later"])
    assert " ".join(texts[1:-2]) == long("discord")


async def test_a_post_that_was_held_waits_for_the_parts_of_a_younger_one(world: World) -> None:
    """It has the lower number and becomes ready in the middle."""
    anna, group, (room,) = await stage(world, "discord", hold=MINUTE)
    old_hand = await world.member("telegram", "olga")
    await world.execute("UPDATE members SET joined_at = 0, posts = 100 WHERE handle = 'olga'")
    await anna.posts(group, "held")
    await world.passes(50 * SECOND)
    room.paper.fails(RetryLater("down", after=30 * SECOND), when=nth(1, creates(room)))
    await old_hand.posts(group, long("discord"))
    assert len(room.parts) == 1
    await world.passes(HOUR)
    assert [line.text for line in room.parts][-1] == "held"
    assert " ".join(line.text for line in room.parts[:-1]) == long("discord")


async def test_answers_and_withdrawals_pass_between_the_parts(world: World) -> None:
    anna, group, (room,) = await stage(world, "matrix")
    gone = await anna.posts(group, "a slip")
    room.paper.fails(RetryLater("down"), when=nth(1, creates(room)), times=4)
    await anna.posts(group, long("matrix"))
    bruno = world.person("matrix", "bruno")
    assert await bruno.asks(room, "whoami") == ["whoami.guest"]
    await anna.deletes(gone)
    assert len(room.parts) == 1, "one part of the long one so far"
    await world.passes(HOUR)
    assert said(room) == long("matrix")


async def test_a_room_s_cap_counts_posts_and_not_their_parts(world: World) -> None:
    anna, group, (room,) = await stage(world, "discord")
    for _ in range(9):
        await anna.posts(group, long("discord"))
    assert len(room.parts) == 27
    await anna.posts(group, "the tenth")
    await anna.posts(group, "one too many")
    assert room.parts[-1].text == "the tenth"


async def test_a_cap_reached_in_the_middle_does_not_stop_a_post(world: World) -> None:
    anna, group, (room,) = await stage(world, "discord", copies_an_hour=1)
    await anna.posts(group, long("discord"))
    await shows(world, room, long("discord"))


async def test_one_part_that_is_refused_takes_the_whole_down_the_ladder(world: World) -> None:
    anna, group, (room,) = await stage(world, "discord")
    form = Rejected("bad entities", why=RejectedWhy.FORM)
    room.paper.fails(form, when=last_of_three)
    await anna.posts(group, long("discord"))
    assert {line.form for line in room.parts} == {Form.PLAIN}
    await shows(world, room, long("discord"))


async def test_the_link_at_the_ladder_s_end_is_one_message(world: World) -> None:
    anna, group, (room,) = await stage(world, "discord")
    form = Rejected("bad entities", why=RejectedWhy.FORM)
    room.paper.fails(form, when=last_of_three, times=2)
    own = await anna.posts(group, long("discord"))
    (only,) = room.parts
    assert (only.form, only.footer) == (Form.LINK, "")
    await anna.edits(group, own, f"/post {long('discord')} more")
    await world.passes(HOUR)
    await shows(world, room, f"{long('discord')} more")


def last_of_three(intent: Intent) -> bool:
    return isinstance(intent, Create | Edit) and intent.view.footer.startswith("3/3")


async def test_status_says_in_how_many_messages_a_post_stands(world: World) -> None:
    anna, group, _ = await stage(world, "discord")
    await anna.posts(group, long("discord"))
    world.forget()
    assert await anna.asks(anna.private, "status") == ["status.shown", "status.place"]
    assert "3" in anna.told_text


# -- in doubt ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(3))
async def test_a_part_in_doubt_is_sent_again_alone(world: World, number: int) -> None:
    anna, group, (room,) = await stage(world, "telegram")
    lost = RetryLater("cut", unknown=True)
    room.paper.fails(lost, when=nth(number, creates(room)), after=True)
    await anna.posts(group, long("telegram"))
    await world.passes(HOUR)
    doubled = f"{number + 1}/3"
    assert sorted(numbers(room)) == sorted(["1/3", "2/3", "3/3", doubled])
    rows = await world.rows("SELECT part, resolution FROM doubts")
    assert rows == [(number, "sent again")]
    assert await world.rows("SELECT * FROM tries") == []


@pytest.mark.parametrize("number", range(3))
async def test_a_part_in_doubt_is_left_out_where_a_community_chose_that(world: World, number: int) -> None:
    anna, group, (room,) = await stage(world, "telegram")
    await world.execute("UPDATE communities SET doubt = 'gap'")
    room.paper.fails(RetryLater("cut", unknown=True), when=nth(number, creates(room)))
    own = await anna.posts(group, long("telegram"))
    await anna.posts(group, "the next")
    await world.passes(HOUR)
    kept = [f"{n}/3" for n in range(1, 4) if n != number + 1]
    assert numbers(room) == [*kept, ""]
    assert await world.rows("SELECT part, resolution FROM doubts") == [(number, "left out")]
    await anna.edits(group, own, f"/post {words(1000, 'bird')}")
    await world.passes(HOUR)
    assert numbers(room) == [*kept, ""], "never again, and the others follow"
    assert "bird" in room.parts[0].text
    await anna.deletes(own)
    assert [line.text for line in room.parts] == ["the next"]


async def test_a_part_in_doubt_that_is_wanted_no_more_is_listed(world: World) -> None:
    anna, group, (room,) = await stage(world, "telegram")
    hold = room.paper.hold(nth(2, creates(room)))
    event = anna.command(group, f"post {long('telegram')}")
    await world.hand_only(event)
    await hold.reached.wait()
    assert event.message is not None
    own = group.paper.find(event.message)
    assert own is not None
    await world.hand_only(anna.edit(group, own, f"/post {SHORT}"))
    await world.crash()
    await world.start_quietly()
    await world.passes(HOUR)
    assert [n for n in numbers(room) if n] == ["3/3"], "what no key can name may stand, and is listed"
    assert room.parts[0].text == SHORT
    assert len(await world.rows("SELECT * FROM doubts")) == 1
    assert await world.rows("SELECT * FROM tries") == []


async def test_a_part_in_doubt_that_is_wanted_no_more_is_found_by_its_key(world: World) -> None:
    anna, group, (room,) = await stage(world, "matrix")
    hold = room.paper.hold(nth(2, creates(room)))
    event = anna.command(group, f"post {long('matrix')}")
    await world.hand_only(event)
    await hold.reached.wait()
    assert event.message is not None
    own = group.paper.find(event.message)
    assert own is not None
    await world.hand_only(anna.edit(group, own, f"/post {SHORT}"))
    await world.crash()
    await world.start_quietly()
    await world.passes(HOUR)
    await shows(world, room, SHORT)


async def test_an_edit_whose_answer_was_lost_is_not_taken_for_undone(world: World) -> None:
    """Nobody knows which words stand there, so that going back to the old ones is an edit too."""
    anna, group, (room,) = await stage(world, "matrix")
    own = await anna.posts(group, "one")
    room.paper.fails(RetryLater("cut", unknown=True, after=MINUTE), when=edits(room), after=True)
    await anna.edits(group, own, "/post two")
    await world.restart(crash=True)
    await anna.edits(group, own, "/post one")
    await world.passes(HOUR)
    await shows(world, room, "one")
