"""What a room gets, when, and what happens when its platform says no."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core import codec
from core.errors import Rejected, RejectedWhy, RetryLater
from core.events import Loss, MessageDeleted, PlaceChanged, place_now
from core.intents import Create, Edit, Form, Intent, Tell, Window, Withdraw
from core.records import CopyState
from core.types import ChatRef, Platform
from storage.unit import SqlUnit
from tests.doubles.paper import chat_of
from tests.stories.world import HOUR, MINUTE, Person, Room, World

SECOND = timedelta(seconds=1)


async def pair(world: World, *platforms: str) -> tuple[Person, Room, list[Room]]:
    """A Telegram group and rooms on these platforms that mirror it."""
    group = world.room("telegram", "birds")
    rooms = [world.room(platform, f"room{i}") for i, platform in enumerate(platforms)]
    await world.community(group, *rooms)
    for room in rooms:
        await world.mirrors(room, "birds")
    return await world.member("telegram", "anna"), group, rooms


def creates(room: Room) -> Callable[[Intent], bool]:
    return lambda intent: isinstance(intent, Create) and chat_of(intent) == room.ref


def edits(room: Room) -> Callable[[Intent], bool]:
    return lambda intent: isinstance(intent, Edit) and chat_of(intent) == room.ref


async def state_of(world: World, room: Room) -> list[tuple[CopyState, str]]:
    def work(unit: SqlUnit) -> list[tuple[CopyState, str]]:
        chat = unit.communities.chat(room.ref)
        assert chat is not None
        unit._run.cursor.execute("SELECT id FROM posts ORDER BY id")
        ids = [row[0] for row in unit._run.cursor.fetchall()]
        rows = [unit.outbox.delivery(chat.id, id_) for id_ in ids]
        return [(row.state, row.reason) for row in rows if row is not None]

    return await world.read(work)


# -- room caps and folding ---------------------------------------------------------------------------------------


async def test_a_room_takes_ten_copies_an_hour_and_the_rest_as_one_folded_message(world: World) -> None:
    anna, group, (room,) = await pair(world, "discord")
    own = [await anna.posts(group, f"post {i}.") for i in range(14)]
    await world.passes(14 * MINUTE)
    assert room.texts == [f"post {i}." for i in range(10)]
    assert room.spoken == []
    await world.passes(2 * MINUTE)
    fold = room.spoken[-1]
    assert fold.text.startswith(world.speech_of("fold.title", n=4))
    assert [f"post {i}." in fold.text for i in range(14)] == [False] * 10 + [True] * 4
    await anna.edits(group, own[12], "/post post twelve, edited")
    assert "post twelve, edited" in fold.text
    await anna.deletes(own[11])
    assert "post 11." not in fold.text
    assert fold.text.startswith(world.speech_of("fold.title", n=3))
    for i in (10, 12, 13):
        await anna.deletes(own[i])
    assert fold.deleted
    await world.passes(HOUR)
    await anna.posts(group, "an hour later")
    assert room.texts[-1] == "an hour later"


async def test_what_was_sent_and_taken_back_counts_all_the_same(world: World) -> None:
    anna, group, (room,) = await pair(world, "discord")
    for i in range(12):
        await anna.deletes(await anna.posts(group, f"now you see me {i}"))
    seen = [line.text for line in room.paper.rooms[room.ref.key] if line.text.startswith("now you see me")]
    assert len(seen) == 10, "two were taken back before their turn"
    own = await anna.posts(group, "and now you do not")
    assert room.texts == []
    await anna.edits(group, own, "/post and now you do")
    await world.passes(16 * MINUTE)
    assert "and now you do" in room.spoken[-1].text


async def test_who_writes_in_a_room_takes_no_place_of_what_comes_from_elsewhere(world: World) -> None:
    anna, group, (room,) = await pair(world, "discord")
    bruno = await world.member("discord", "bruno")
    for i in range(12):
        await bruno.runs(room, f"post one of ours {i}")
    await anna.posts(group, "from elsewhere")
    assert room.texts[-1] == "from elsewhere"


async def test_a_room_takes_sixty_copies_a_day(world: World) -> None:
    anna, group, (room,) = await pair(world, "discord")
    for hour in range(7):
        for i in range(9):
            await anna.posts(group, f"post {hour}-{i}")
        await world.passes(HOUR)
    assert len(room.copies) == 60
    assert sum("fold.title" in world.speech.ids(line.text.split("\n\n")[0]) for line in room.spoken[-1:]) == 1
    await world.passes(timedelta(days=1))
    await anna.posts(group, "the next day")
    assert room.texts[-1] == "the next day"


async def test_what_a_removed_fold_showed_comes_back_no_other_way(world: World) -> None:
    world.rules = world.with_rules(copies_an_hour=1)
    await world.restart()
    group, room = world.room("telegram", "group"), world.room("discord", "room")
    await world.community(group)
    await world.community(room)
    anna, bruno = await world.member("telegram", "anna"), await world.member("telegram", "bruno")
    await world.mirrors(room, "#birds", "@bruno")
    own = [await anna.posts(group, f"visibility:public post {i}. #birds") for i in range(3)]
    await world.passes(2 * HOUR)
    fold = next(line for line in room.spoken if "post 2." in line.text)
    await bruno.runs(group, "quote visibility:public Look", target=own[2])
    await world.passes(2 * HOUR)
    assert room.texts == ["post 0. #birds", "Look\n\n> @anna post 2. #birds"]
    await world.person("discord", "mod").moderates(room).runs(room, "remove", target=fold)
    assert fold.deleted
    assert "post 2." not in room.texts[1]
    await anna.edits(group, own[2], "/post visibility:public post 2.")
    await anna.edits(group, own[2], "/post visibility:public post 2. #birds")
    await world.passes(2 * HOUR)
    assert len(room.texts) == 2


async def test_two_posts_that_waited_long_come_folded_and_a_single_one_as_itself(world: World) -> None:
    anna, group, (room, other) = await pair(world, "discord", "matrix")
    admin = world.person("discord", "admin").leads(room)
    await admin.runs(room, "pause")
    await anna.posts(group, "one")
    await world.passes(20 * MINUTE)
    await admin.runs(room, "resume")
    assert room.texts == other.texts == ["one"]
    await admin.runs(room, "pause")
    await anna.posts(group, "two")
    await anna.posts(group, "three")
    await world.passes(20 * MINUTE)
    await admin.runs(room, "resume")
    assert room.texts == ["one"]
    assert "two" in room.spoken[-1].text
    assert "three" in room.spoken[-1].text


async def test_in_quiet_hours_new_posts_wait_and_edits_do_not(world: World) -> None:
    world.rules = world.with_rules(quiet_hours=(22, 8), quiet_zone="Europe/Rome")
    await world.restart()
    anna, group, (room,) = await pair(world, "discord")
    own = await anna.posts(group, "by day")
    world.clock.advance(datetime(2026, 6, 1, 20, 30, tzinfo=UTC) - world.clock.now())
    await anna.posts(group, "by night")
    await anna.edits(group, own, "/post by day, edited by night")
    await world.passes(9 * HOUR)
    assert room.texts == ["by day, edited by night"]
    await world.passes(HOUR)
    assert room.texts == ["by day, edited by night", "by night"], "08:00 in Rome is 06:00 UTC in summer"


# -- the newcomer's moment ---------------------------------------------------------------------------------------


async def test_a_newcomer_s_post_waits_a_minute_in_which_it_can_be_undone(world: World) -> None:
    world.rules = world.with_rules(hold=MINUTE)
    await world.restart()
    anna, group, (room,) = await pair(world, "discord")
    await anna.posts(group, "rash words")
    await world.passes(59 * SECOND)
    assert room.texts == []
    answer = next(line for line in reversed(anna.private.spoken) if line.view and line.view.buttons)
    assert answer.view is not None
    await anna.presses(answer, answer.view.buttons[0].data)
    await anna.posts(group, "better words")
    await world.passes(HOUR)
    assert room.texts == ["better words"]
    for _ in range(4):
        await anna.posts(group, "more")
    await world.passes(timedelta(days=7))
    await anna.posts(group, "an old hand")
    assert room.texts[-1] == "an old hand"


# -- waiting -----------------------------------------------------------------------------------------------------


async def test_a_429_parks_its_own_lane_only(world: World) -> None:
    anna, group, (one, two) = await pair(world, "discord", "discord")
    one.paper.fails(RetryLater("429", after=30 * SECOND), when=creates(one))
    await anna.posts(group, "swifts")
    assert (one.texts, two.texts) == ([], ["swifts"])
    await anna.posts(group, "swallows")
    await world.passes(29 * SECOND)
    assert (one.texts, two.texts) == ([], ["swifts", "swallows"])
    await world.passes(2 * SECOND)
    assert one.texts == ["swifts", "swallows"], "in their order"


async def test_a_429_for_the_whole_token_parks_every_lane_of_it(world: World) -> None:
    anna, group, (one, two, matrix) = await pair(world, "discord", "discord", "matrix")
    first = one.paper.fails(
        RetryLater("429", after=30 * SECOND, whole_token=True), when=lambda i: isinstance(i, Create)
    )
    await anna.posts(group, "swifts")
    await anna.posts(group, "swallows")
    assert first.times == 0
    assert matrix.texts == ["swifts", "swallows"]
    await world.passes(29 * SECOND)
    assert len(one.copies) + len(two.copies) <= 1, "what was under way may end"
    await world.passes(2 * SECOND)
    assert one.texts == two.texts == ["swifts", "swallows"]


async def test_an_interaction_is_answered_while_its_lane_is_parked(world: World) -> None:
    anna, group, (room,) = await pair(world, "discord")
    room.paper.fails(RetryLater("429", after=30 * SECOND, whole_token=True), when=creates(room))
    await anna.posts(group, "swifts")
    bruno = world.person("discord", "bruno")
    assert await bruno.asks(room, "whoami") == ["whoami.guest"]
    assert room.texts == []


async def test_windows_hold_for_a_chat_and_for_the_token(world: World) -> None:
    paper = world.papers[Platform("matrix")]
    paper.capabilities = replace(
        paper.capabilities,
        token_windows=(Window(3, 10 * SECOND),),
        chat_windows=(Window(2, 10 * SECOND),),
    )
    await world.restart()
    anna, group, rooms = await pair(world, "matrix", "matrix", "matrix")
    await world.passes(MINUTE)
    paper.calls.clear()
    for i in range(4):
        await anna.posts(group, f"post {i}")
    await world.passes(5 * MINUTE)
    assert [room.texts for room in rooms] == [[f"post {i}" for i in range(4)]] * 3
    starts = [at for at, _ in paper.calls]
    for at, intent in paper.calls:
        assert sum(at <= other < at + 10 for other in starts) <= 3
        same = [o for o, i in paper.calls if chat_of(i) == chat_of(intent)]
        assert sum(at <= other < at + 10 for other in same) <= 2


async def test_windows_know_after_a_restart_what_was_sent_before_it(world: World) -> None:
    paper = world.papers[Platform("matrix")]
    paper.capabilities = replace(paper.capabilities, chat_windows=(Window(2, 10 * SECOND),))
    await world.restart()
    anna, group, (room,) = await pair(world, "matrix")
    await world.passes(MINUTE)
    for i in range(2):
        await anna.posts(group, f"post {i}")
    await world.passes(SECOND)
    assert len(room.texts) == 2
    await world.restart()
    await anna.posts(group, "post 2")
    await world.passes(5 * SECOND)
    assert len(room.texts) == 2, "two are as many as ten seconds take"
    await world.passes(10 * SECOND)
    assert len(room.texts) == 3


async def test_who_serves_again_does_not_count_its_own_sends_twice(world: World) -> None:
    matrix = Platform("matrix")
    paper = world.papers[matrix]
    paper.capabilities = replace(paper.capabilities, chat_windows=(Window(2, 10 * SECOND),))
    await world.restart()
    anna, group, (room,) = await pair(world, "matrix")
    await world.passes(MINUTE)
    await anna.posts(group, "post 0")
    await world.passes(SECOND)
    world.courier.leave(matrix)
    await world.courier.serve(matrix)
    await anna.posts(group, "post 1")
    await world.passes(SECOND)
    assert room.texts == ["post 0", "post 1"]


async def test_first_sends_keep_their_order_through_retries_and_a_restart(world: World) -> None:
    anna, group, (room,) = await pair(world, "matrix")
    room.paper.fails(RetryLater("down", after=MINUTE), when=creates(room))
    await anna.posts(group, "one")
    await anna.posts(group, "two")
    await world.restart()
    await anna.posts(group, "three")
    await world.passes(30 * SECOND)
    assert room.texts == []
    await world.passes(MINUTE)
    assert room.texts == ["one", "two", "three"]


async def test_one_that_is_refused_steps_aside_visibly(world: World) -> None:
    anna, group, (room,) = await pair(world, "matrix")
    # Once a rung of the ladder.
    room.paper.fails(Rejected("no", why=RejectedWhy.FORM), when=creates(room), times=3)
    await anna.posts(group, "one")
    await anna.posts(group, "two")
    assert room.texts == ["two"]
    assert await state_of(world, room) == [(CopyState.REFUSED, "form: no"), (CopyState.LIVE, "")]


async def test_one_that_cannot_be_rendered_steps_aside_visibly(world: World) -> None:
    anna, group, (room,) = await pair(world, "matrix")
    await world.execute("UPDATE communities SET hold_seconds = 60")
    await anna.posts(group, "one")
    await world.execute("UPDATE revisions SET body = '{}'")
    await anna.posts(group, "two")
    await world.passes(2 * MINUTE)
    assert room.texts == ["two"]
    ((state, reason), _) = await state_of(world, room)
    assert state is CopyState.REFUSED
    assert "rendered" in reason


async def test_a_retry_that_takes_long_is_never_folded_while_its_first_try_is_in_doubt(world: World) -> None:
    """It may stand there already: only its key can tell."""
    anna, group, (room,) = await pair(world, "matrix")
    room.paper.fails(RetryLater("cut", unknown=True, after=20 * MINUTE), when=creates(room), after=True)
    await anna.posts(group, "one")
    await anna.posts(group, "two")
    await anna.posts(group, "three")
    await world.passes(HOUR)
    texts = [line.text for line in room.lines if line.by == "stormo"]
    assert sum("one" in text for text in texts) == 1
    assert sum("two" in text for text in texts) == 1
    assert await world.rows("SELECT * FROM tries") == []


# -- the ladder, and what is final -------------------------------------------------------------------------------


async def test_each_place_gets_the_best_form_that_it_takes(world: World) -> None:
    anna, group, (room,) = await pair(world, "matrix")
    form = Rejected("bad entities", why=RejectedWhy.FORM)
    for text, times, expected in (("a", 0, Form.FULL), ("b", 1, Form.PLAIN), ("c", 2, Form.LINK)):
        room.paper.fails(form, when=creates(room), times=times)
        await anna.posts(group, text)
        assert (room.texts[-1], room.copies[-1].form) == (text, expected)
    room.paper.fails(form, when=creates(room), times=3)
    await anna.posts(group, "d")
    assert room.texts == ["a", "b", "c"]
    assert (await state_of(world, room))[-1] == (CopyState.REFUSED, "form: bad entities")


async def test_not_found_on_an_edit_means_removed_there_for_good(world: World) -> None:
    anna, group, (room, other) = await pair(world, "telegram", "matrix")
    own = await anna.posts(group, "one")
    room.copies[0].deleted = True
    await anna.edits(group, own, "/post two")
    await anna.edits(group, own, "/post three")
    await world.passes(HOUR)
    assert room.copies == []
    assert other.texts == ["three"]
    assert (await state_of(world, room))[0][0] is CopyState.REMOVED


async def test_an_edit_that_changes_nothing_counts_as_done(world: World) -> None:
    anna, group, (room,) = await pair(world, "telegram")
    own = await anna.posts(group, "one")
    room.paper.fails(RetryLater("cut", unknown=True), when=edits(room), after=True)
    await anna.edits(group, own, "/post two")
    await world.passes(10 * MINUTE)
    assert room.texts == ["two"]
    assert await state_of(world, room) == [(CopyState.LIVE, "")]
    assert await world.rows("SELECT * FROM tries") == []


async def test_edits_of_several_versions_in_doubt_leave_no_try_open(world: World) -> None:
    anna, group, (room,) = await pair(world, "matrix")
    own = await anna.posts(group, "one")
    room.paper.fails(RetryLater("cut", unknown=True, after=MINUTE), when=edits(room), times=2)
    await anna.edits(group, own, "/post two")
    await world.passes(30 * SECOND)
    await anna.edits(group, own, "/post three")
    await world.passes(HOUR)
    assert room.texts == ["three"]
    assert await world.rows("SELECT * FROM tries") == []


async def test_a_lost_room_waits_and_goes_on_when_the_bot_is_back(world: World) -> None:
    anna, group, (room, other) = await pair(world, "discord", "matrix")
    room.paper.fails(Rejected("kicked", why=RejectedWhy.CHAT_GONE), when=creates(room))
    await anna.posts(group, "one")
    await world.passes(MINUTE)
    assert (room.texts, other.texts) == ([], ["one"])
    ((state, reason),) = await world.rows("SELECT state, reason FROM chats WHERE key = 'room0'")
    assert (state, reason) == ("gone", "removed: kicked")
    await world.restart()
    assert room.texts == []
    await world.hand(PlaceChanged(key=world.new_key(), chat=room.ref))
    assert room.texts == ["one"]


async def test_whoever_speaks_in_a_lost_room_shows_that_the_bot_is_back(world: World) -> None:
    anna, group, (room,) = await pair(world, "discord")
    await world.hand(PlaceChanged(key=world.new_key(), chat=room.ref, gone=True, reason="kicked"))
    await world.person("discord", "bruno").runs(room, "whoami")
    await anna.posts(group, "one")
    assert room.texts == ["one"]


async def test_a_group_that_moved_keeps_its_mirrors(world: World) -> None:
    anna, group, (room,) = await pair(world, "telegram")
    moved = world.room("telegram", "super")
    room.paper.fails(Rejected("migrated", why=RejectedWhy.CHAT_GONE), when=creates(room))
    await anna.posts(group, "one")
    await world.hand(PlaceChanged(key=world.new_key(), chat=room.ref, moved_to=moved.ref))
    await anna.posts(group, "two")
    assert moved.texts == ["one", "two"]


async def test_a_post_deleted_before_it_was_shown_is_never_shown(world: World) -> None:
    anna, group, (room,) = await pair(world, "matrix")
    hold = room.paper.hold(creates(room))
    event = anna.command(group, "post one")
    await world.hand_only(event)
    await hold.reached.wait()
    assert event.message is not None
    await world.hand_only(MessageDeleted(key=world.new_key(), message=event.message))
    hold.release.set()
    await world.settled()
    assert room.copies == []


# -- what comes before its message is known ------------------------------------------------------------------------


async def test_a_reaction_before_the_receipt_is_recorded_counts(world: World) -> None:
    anna, group, (room,) = await pair(world, "discord")
    bruno = await world.member("discord", "bruno")
    hold = room.paper.hold(creates(room))
    await world.hand_only(anna.command(group, "post one"))
    await hold.reached.wait()
    await world.hand_only(bruno.reaction(room.copies[0], "👍"))
    hold.release.set()
    await world.settled()
    assert await world.rows("SELECT score FROM posts") == [(1,)]
    assert await world.rows("SELECT * FROM parked") == []


@pytest.mark.parametrize("platform", ["discord", "telegram", "matrix"])
async def test_a_reaction_taken_back_before_the_receipt_does_not_count(world: World, platform: str) -> None:
    anna, group, (room,) = await pair(world, platform)
    bruno = await world.member(platform, "bruno")
    hold = room.paper.hold(creates(room))
    await world.hand_only(anna.command(group, "post one"))
    await hold.reached.wait()
    line = room.copies[0]
    if platform == "telegram":
        await world.hand_only(bruno.reaction(line, "👍", whole=True), bruno.reaction(line, whole=True))
    elif platform == "discord":
        await world.hand_only(bruno.reaction(line, "👍"), bruno.reaction(line, "👍", off=True))
    else:
        given = bruno.reaction(line, "👍", ref="$r")
        assert given.ref is not None
        await world.hand_only(given, MessageDeleted(key=world.new_key(), message=given.ref))
    hold.release.set()
    await world.settled()
    assert await world.rows("SELECT score FROM posts") == [(0,)]
    assert await world.rows("SELECT * FROM parked") == []


async def test_a_copy_deleted_before_the_receipt_is_recorded_stays_away(world: World) -> None:
    anna, group, (room,) = await pair(world, "discord")
    hold = room.paper.hold(creates(room))
    event = anna.command(group, "post one")
    await world.hand_only(event)
    await hold.reached.wait()
    line = room.copies[0]
    line.deleted = True
    await world.hand_only(MessageDeleted(key=world.new_key(), message=line.ref))
    hold.release.set()
    await world.settled()
    assert event.message is not None
    own = group.paper.find(event.message)
    assert own is not None
    await anna.edits(group, own, "/post two")
    await world.passes(HOUR)
    assert room.copies == []
    assert (await state_of(world, room))[0][0] is CopyState.REMOVED


async def test_what_waited_for_a_message_that_was_never_ours_leaves_nothing(world: World) -> None:
    anna, group, (room,) = await pair(world, "matrix")
    bruno = await world.member("matrix", "bruno")
    room.paper.fails(RetryLater("cut", unknown=True, after=HOUR), when=creates(room))
    await anna.posts(group, "one")
    stray = room.paper.write(room.ref, "carla", "hello")
    await bruno.reacts(stray, "👍")
    world.clock.advance(11 * MINUTE)
    await world.write(world.engine.housekeep)
    assert await world.rows("SELECT id FROM parked") == []
    assert await world.rows("SELECT id FROM dead_letters") == [], "people's talk among themselves is not kept"


async def test_a_parked_event_that_fails_does_not_undo_the_receipt(world: World) -> None:
    anna, group, (room,) = await pair(world, "discord")
    bruno = await world.member("discord", "bruno")
    hold = room.paper.hold(creates(room))
    await world.hand_only(anna.command(group, "post one"))
    await hold.reached.wait()
    await world.hand_only(bruno.reaction(room.copies[0], "👍"))
    await world.execute("UPDATE parked SET event = '{}'")
    hold.release.set()
    await world.settled()
    await world.passes(HOUR)
    assert room.texts == ["one"]
    assert await state_of(world, room) == [(CopyState.LIVE, "")]
    assert await world.rows("SELECT kind FROM dead_letters") == [("Parked",)]


# -- what keeps failing ------------------------------------------------------------------------------------------


async def test_an_event_that_keeps_failing_becomes_a_dead_letter_and_the_others_go_on(world: World) -> None:
    anna, group, (room,) = await pair(world, "matrix")
    poison = anna.command(group, "post poison")
    healthy = world.engine.handle

    def handle(unit: SqlUnit, event: object) -> None:
        if event is poison:
            raise ZeroDivisionError("poison")
        healthy(unit, event)  # type: ignore[arg-type]

    world.engine.handle = handle  # type: ignore[method-assign, assignment]
    await world.hand(anna.command(group, "post before"), poison, anna.command(group, "post after"))
    assert room.texts == ["before", "after"]
    ((kind, payload, error),) = await world.rows("SELECT kind, payload, error FROM dead_letters")
    assert (kind, error) == ("CommandInvoked", "ZeroDivisionError: poison")
    assert codec.load(payload) == poison
    world.engine.handle = healthy  # type: ignore[method-assign]
    await world.hand(poison)
    assert room.texts == ["before", "after"], "it counts as handled"


async def test_an_unknown_outcome_of_an_answer_never_withholds_it(world: World) -> None:
    anna = world.person("telegram", "anna")
    anna.paper.fails(RetryLater("cut", unknown=True), when=lambda i: isinstance(i, Tell))
    await anna.runs(anna.private, "help")
    await world.passes(MINUTE)
    assert len(anna.private.spoken) == 1


async def test_withdrawals_pass_waiting_posts(world: World) -> None:
    anna, group, (room,) = await pair(world, "discord")
    own = [await anna.posts(group, f"post {i}") for i in range(12)]
    world.forget()
    await anna.deletes(own[0])
    assert isinstance(world.acts[0], Withdraw)
    assert "post 0" not in room.texts


async def test_a_chat_of_a_platform_that_is_not_configured_waits_quietly(world: World) -> None:
    anna, group, (room, other) = await pair(world, "matrix", "discord")
    paper = world.papers.pop(Platform("matrix"))
    await world.restart()
    await anna.posts(group, "one")
    assert other.texts == ["one"]
    world.papers[paper.platform] = paper
    await world.restart()
    assert room.texts == ["one"]
    assert room.ref == ChatRef(Platform("matrix"), "room0")


# -- giving up ---------------------------------------------------------------------------------------------------


async def test_what_no_attempt_delivers_for_a_day_ends_with_a_reason_and_can_be_tried_again(
    world: World,
) -> None:
    anna, group, (room, other) = await pair(world, "matrix", "discord")
    fault = room.paper.fails(RetryLater("error 500"), when=creates(room), times=10**6)
    await anna.posts(group, "one")
    await world.passes(23 * HOUR)
    assert await state_of(world, room) == [(CopyState.LIVE, "error 500")]
    await world.passes(2 * HOUR)
    assert await state_of(world, room) == [(CopyState.REFUSED, "late: error 500")]
    calls = len(room.paper.calls)
    await world.passes(24 * HOUR)
    assert len(room.paper.calls) == calls, "nothing is tried any more"
    world.forget()
    await anna.runs(group, "status")
    assert world.speech_of("refused.late") in anna.told_text
    fault.times = 0
    await anna.runs(group, "retry")
    assert room.texts == other.texts == ["one"]


async def test_a_pause_of_days_and_the_nights_make_nothing_too_late(world: World) -> None:
    world.rules = world.with_rules(quiet_hours=(22, 8), quiet_zone="Europe/Rome")
    await world.restart()
    anna, group, (room,) = await pair(world, "matrix")
    admin = world.person("matrix", "admin").leads(room)
    fault = room.paper.fails(RetryLater("error 500"), when=creates(room), times=2)
    await anna.posts(group, "one")
    await admin.runs(room, "pause")
    await world.passes(timedelta(days=3))
    fault.times = 1
    await admin.runs(room, "resume")
    await world.passes(24 * HOUR)
    assert room.texts == ["one"]


async def test_a_withdrawal_is_tried_for_ever(world: World) -> None:
    anna, group, (room,) = await pair(world, "matrix")
    own = await anna.posts(group, "one")
    fault = room.paper.fails(
        RetryLater("error 500"),
        when=lambda i: isinstance(i, Withdraw) and chat_of(i) == room.ref,
        times=10**6,
    )
    await anna.deletes(own)
    await world.passes(timedelta(days=3))
    assert room.texts == ["one"]
    fault.times = 0
    await world.passes(HOUR)
    assert room.texts == []


async def test_an_edit_that_was_given_up_is_followed_by_newer_words_and_by_a_withdrawal(world: World) -> None:
    anna, group, (room,) = await pair(world, "matrix")
    own = await anna.posts(group, "one")
    fault = room.paper.fails(RetryLater("error 500"), when=edits(room), times=10**6)
    await anna.edits(group, own, "/post two")
    await world.passes(25 * HOUR)
    assert await state_of(world, room) == [(CopyState.REFUSED, "late: error 500")]
    fault.times = 0
    await anna.edits(group, own, "/post three")
    assert room.texts == ["three"]
    fault.times = 10**6
    await anna.edits(group, own, "/post four")
    await world.passes(25 * HOUR)
    await anna.deletes(own)
    await world.passes(MINUTE)
    assert room.texts == []


async def test_a_tally_that_was_given_up_is_made_good_by_the_next(world: World) -> None:
    anna, group, (room,) = await pair(world, "matrix")
    own = await anna.posts(group, "one")
    bruno, carla = await world.member("telegram", "bruno"), await world.member("telegram", "carla")
    fault = room.paper.fails(RetryLater("error 500"), when=edits(room), times=10**6)
    await bruno.reacts(own, "👍")
    await world.passes(26 * HOUR)
    calls = len(room.paper.calls)
    await world.passes(24 * HOUR)
    assert len(room.paper.calls) == calls
    fault.times = 0
    await carla.reacts(own, "👍")
    await world.passes(HOUR)
    assert room.copies[0].footer == world.speech_of("footer.votes", n=2)


async def test_a_send_that_may_have_happened_is_listed_when_it_is_given_up(world: World) -> None:
    anna, group, (room,) = await pair(world, "matrix")
    room.paper.fails(RetryLater("cut", unknown=True), when=creates(room), times=10**6)
    world.rules = world.with_rules(give_up=HOUR)
    await world.restart()
    await anna.posts(group, "one")
    await world.passes(3 * HOUR)
    assert await state_of(world, room) == [(CopyState.REFUSED, "late: cut")]
    assert await world.rows("SELECT resolution FROM doubts") == [("may stand",)]
    assert await world.rows("SELECT * FROM tries") == []


async def test_talk_that_waited_for_days_is_not_poured_into_a_room_that_opens_again(world: World) -> None:
    group, channel = world.room("telegram", "group"), world.room("matrix", "channel")
    founder = await world.community(group, channel)
    await founder.runs(group, "relay on")
    await world.person("matrix", "admin-channel").leads(channel).runs(channel, "relay on")
    anna = await world.member("telegram", "anna")
    await anna.says(group, "first")
    await world.hand(place_now(channel.ref, Loss.MUTED))
    for n in range(5):
        await anna.says(group, f"old {n}")
    await world.passes(timedelta(hours=47))
    await anna.says(group, "new")
    await world.hand(place_now(channel.ref, None))
    assert channel.texts == ["first", "new"]
    late = await world.rows("SELECT count(*) FROM outbox WHERE state = 'refused' AND reason LIKE 'late:%'")
    assert late == [(5,)]
