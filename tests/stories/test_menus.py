"""What a menu on a message or on a person does, on platforms that have such menus."""

from __future__ import annotations

from dataclasses import replace

from core.events import CommandInvoked
from tests.doubles.paper import Line
from tests.stories.world import HOUR, MINUTE, Person, Room, World


def menu_post(person: Person, room: Room, line: Line, author: Person) -> CommandInvoked:
    command = person.command(room, "post")
    return replace(
        command,
        options={"text": line.text},
        source=line.text,
        message=line.ref,
        handle=f"h{person.world.new_key()}",
        words_of=author.actor(room),
    )


def menu_follow(person: Person, room: Room, chosen: Person) -> CommandInvoked:
    return replace(person.command(room, "follow"), options={}, chosen=chosen.ref)


async def birds(world: World) -> tuple[Room, Room]:
    room, group = world.room("discord", "room", title="Room"), world.room("telegram", "birds", title="Birds")
    await world.community(room, group)
    await world.mirrors(group, "room")
    return room, group


async def test_a_message_that_stands_already_becomes_a_post_once(world: World) -> None:
    room, group = await birds(world)
    anna = await world.member("discord", "anna")
    line = await anna.says(room, "Two swifts")
    await world.hand(menu_post(anna, room, line, anna))
    assert group.texts == ["Two swifts"]
    assert room.copies == [], "it stands there already"
    assert line.marks == {"👌"}
    world.forget()
    await world.hand(menu_post(anna, room, line, anna))
    assert anna.told == ["post.already"]
    await anna.edits(room, line, "Three swifts")
    assert group.texts == ["Three swifts"]


async def asked(world: World) -> tuple[Room, Room, Person, Person, Line, Line]:
    """Bruno asked in a Discord channel that something of Anna's may be posted; her message and the question."""
    room, group = await birds(world)
    anna, bruno = await world.member("discord", "anna"), await world.member("discord", "bruno")
    line = await anna.says(room, "Between us")
    world.forget()
    await world.hand(menu_post(bruno, room, line, anna))
    assert bruno.told == ["post.others_words", "post.shall_i_ask"]
    assert bruno.told_text.startswith("Only Anna can post these words")
    await bruno.presses(line, f"ask:{anna.key}:{line.ref.key}")
    (question,) = [one for one in room.spoken if "would like" in one.text]
    return room, group, anna, bruno, line, question


def agrees(anna: Person, room: Room, line: Line, question: Line) -> CommandInvoked:
    return replace(menu_post(anna, room, line, anna), question=question.ref)


async def test_others_words_become_a_post_with_their_authors_yes(world: World) -> None:
    room, group, anna, _, line, question = await asked(world)
    assert question.reply_to == line.ref
    assert group.texts == []
    await world.hand(agrees(anna, room, line, question))
    assert group.texts == ["Between us"]
    assert question.deleted


async def test_nobody_else_says_yes_or_no(world: World) -> None:
    room, group, anna, bruno, line, question = await asked(world)
    by_bruno = replace(menu_post(bruno, room, line, anna), question=question.ref)
    world.forget()
    await world.hand(by_bruno)
    await bruno.presses(question, f"refuse:{anna.key}:{line.ref.key}")
    assert bruno.told == ["post.others_words", "post.shall_i_ask", "post.not_asked"]
    assert group.texts == []
    assert not question.deleted


async def test_a_no_takes_the_question_away_and_it_is_not_asked_again(world: World) -> None:
    room, group, anna, bruno, line, question = await asked(world)
    await anna.presses(question, f"refuse:{anna.key}:{line.ref.key}")
    assert question.deleted
    world.forget()
    await bruno.presses(line, f"ask:{anna.key}:{line.ref.key}")
    assert bruno.told == ["post.asked_already"]
    assert not [one for one in room.spoken if "would like" in one.text]
    assert group.texts == []


async def test_an_unanswered_question_goes_after_an_hour(world: World) -> None:
    *_, question = await asked(world)
    await world.passes(HOUR + MINUTE)
    assert question.deleted


async def test_a_programs_words_are_nobodys_to_post(world: World) -> None:
    room, group = await birds(world)
    bruno, bot = await world.member("discord", "bruno"), world.person("discord", "helper", bot=True)
    line = room.paper.write(room.ref, bot.key, "Beep")
    world.forget()
    await world.hand(menu_post(bruno, room, line, bot))
    assert bruno.told == ["post.bots_words"]
    assert group.texts == []


async def test_a_message_that_was_passed_on_as_talk_or_taken_back_is_no_post_again(world: World) -> None:
    room, group = await birds(world)
    anna = await world.member("discord", "anna")
    line = await anna.says(room, "Two swifts")
    await world.hand(menu_post(anna, room, line, anna))
    await anna.runs(room, "delete", target=line)
    world.forget()
    await world.hand(menu_post(anna, room, line, anna))
    assert anna.told == ["post.taken_back"]
    for one in (room, group):
        admin = world.person(one.paper.platform, f"founder-{one.ref.key}").leads(one)
        await admin.runs(one, "relay on")
    talk = await anna.says(room, "Hello there")
    world.forget()
    await world.hand(menu_post(anna, room, talk, anna))
    assert anna.told == ["post.relayed"]


async def test_nothing_is_asked_where_it_is_not_wanted(world: World) -> None:
    room, _ = await birds(world)
    anna, bruno = await world.member("discord", "anna"), await world.member("discord", "bruno")
    olga = world.person("discord", "olga").leads(room).moderates(room)

    async def told(where: Room) -> list[str]:
        line = await anna.says(where, "Between us")
        world.forget()
        await world.hand(menu_post(bruno, where, line, anna))
        return bruno.told

    assert await told(world.room("discord", "not-set-up")) == ["post.others_words"]
    olga = world.person("discord", "olga").leads(room)
    await olga.runs(room, "pause")
    assert await told(room) == ["post.others_words"]
    await olga.runs(room, "resume")
    await olga.runs(room, "ban @bruno")
    assert await told(room) == ["post.others_words"]
    await olga.runs(room, "unban @bruno")
    assert await told(room) == ["post.others_words", "post.shall_i_ask"]
    await anna.runs(anna.private, "optout yes")
    assert await told(room) == ["post.others_words"]


async def test_a_question_that_was_not_offered_is_not_put(world: World) -> None:
    room, _ = await birds(world)
    bruno = await world.member("discord", "bruno")
    line = room.paper.write(room.ref, "anna", "Between us")
    world.forget()
    await bruno.presses(line, f"ask:anna:{line.ref.key}")
    await bruno.presses(line, f"refuse:{bruno.key}:x")
    assert bruno.told == ["button.unknown", "button.unknown"]
    assert not line.deleted


async def test_a_question_that_was_offered_is_not_put_into_a_room_that_pauses_since(world: World) -> None:
    room, _ = await birds(world)
    anna, bruno = await world.member("discord", "anna"), await world.member("discord", "bruno")
    line = await anna.says(room, "Between us")
    await world.hand(menu_post(bruno, room, line, anna))
    await world.person("discord", "olga").leads(room).runs(room, "pause")
    world.forget()
    await bruno.presses(line, f"ask:{anna.key}:{line.ref.key}")
    assert bruno.told == ["button.unknown"]
    assert not [one for one in room.spoken if "would like" in one.text]


async def test_a_member_has_three_questions_a_day(world: World) -> None:
    room, _ = await birds(world)
    anna, bruno = await world.member("discord", "anna"), await world.member("discord", "bruno")
    for number in range(4):
        line = await anna.says(room, f"Between us {number}")
        await world.hand(menu_post(bruno, room, line, anna))
        world.forget()
        await bruno.presses(line, f"ask:{anna.key}:{line.ref.key}")
        assert bruno.told == ["post.asked" if number < 3 else "post.asked_enough"]


async def test_who_is_known_by_this_account_can_be_followed_by_it(world: World) -> None:
    room, _ = await birds(world)
    anna, bruno = await world.member("discord", "anna"), await world.member("discord", "bruno")
    await anna.runs(room, "post Hello")
    world.forget()
    await world.hand(menu_follow(bruno, room, anna))
    assert bruno.told == ["follow.done"]


async def test_a_copy_s_menu_shares_quotes_and_reports_the_post_that_it_shows(world: World) -> None:
    room, group = await birds(world)
    anna, bruno = await world.member("telegram", "anna"), await world.member("discord", "bruno")
    await world.mirrors(room, "@anna")
    await anna.posts(group, "Two swifts")
    (copy,) = room.copies
    for name, options, told in (
        ("boost", {}, "boost.followers"),
        ("report", {"reason": "Not swifts"}, "report.done"),
        ("quote", {"text": "Swallows!"}, "post.done"),
    ):
        world.forget()
        await world.hand(replace(bruno.command(room, name, target=copy), options=options))
        assert bruno.told[0] == told
    assert group.texts == ["Swallows!\n\n> @anna Two swifts"]


async def test_the_profile_behind_an_account_is_told_as_whom_to_follow_is(world: World) -> None:
    room, _ = await birds(world)
    anna, bruno = await world.member("discord", "anna"), await world.member("discord", "bruno")
    asked = replace(bruno.command(room, "profile"), options={}, chosen=anna.ref)
    world.forget()
    await world.hand(asked)
    assert bruno.told == ["member.not_known_here"]
    await anna.runs(room, "post Hello")
    world.forget()
    await world.hand(replace(asked, key=world.new_key()))
    assert bruno.told[0] == "profile.handle"


async def test_a_post_that_the_asker_may_not_see_tells_nobody(world: World) -> None:
    room, _ = await birds(world)
    closed = world.room("discord", "closed")
    anna, bruno = await world.member("discord", "anna"), await world.member("discord", "bruno")
    await anna.runs(closed, "post Hidden")
    world.forget()
    await world.hand(menu_follow(bruno, room, anna))
    assert bruno.told == ["member.not_known_here"]


async def test_an_account_that_never_posted_does_not_tell_its_member(world: World) -> None:
    room, group = await birds(world)
    anna, bruno = await world.member("telegram", "anna"), await world.member("discord", "bruno")
    await anna.posts(group, "Hello")
    there = world.person("discord", "anna-there")
    await world.link(anna, there)
    for stranger in (there, world.person("discord", "nobody")):
        world.forget()
        await world.hand(menu_follow(bruno, room, stranger))
        assert bruno.told == ["member.not_known_here"]
