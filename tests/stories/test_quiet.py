"""Stormo speaks when spoken to, and says personal things in private."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.errors import Rejected, RejectedWhy
from core.intents import Tell
from tests.stories.world import MINUTE, World, code_in

PERSONAL = ("whoami", "link", "feed", "help", "follow #swifts", "name show")


@pytest.mark.parametrize("platform", ["telegram", "matrix"])
@pytest.mark.parametrize("command", PERSONAL)
async def test_personal_answers_never_print_in_a_group(world: World, platform: str, command: str) -> None:
    group = world.room(platform, "birds")
    anna = await world.member(platform, "anna")
    before = len(anna.private.spoken)
    await anna.runs(group, command)
    assert group.spoken == []
    assert len(anna.private.spoken) == before + 1


@pytest.mark.parametrize("platform", ["telegram", "matrix"])
async def test_without_a_private_chat_one_line_shows_the_way_and_goes_after_a_minute(
    world: World, platform: str
) -> None:
    group = world.room(platform, "birds")
    anna = world.person(platform, "anna")
    await anna.runs(group, "join")
    await world.passes(2 * MINUTE)
    command = await anna.runs(group, "link")
    assert command is not None
    assert group.heard == ["private.waiting"]
    line = group.spoken[0]
    assert line.view is not None
    assert [button.private for button in line.view.buttons] == ["answer"]
    await world.passes(timedelta(seconds=61))
    assert group.spoken == []
    assert command.deleted
    await anna.runs(anna.private, "start answer")
    assert [id_ for id_ in anna.private.heard if id_.startswith("link")] == ["link.code", "link.warning"]
    twin = world.person("discord", "twin")
    assert await twin.asks(twin.private, f"link {code_in(anna.private.spoken[-1].text)}") == [
        "link.claim",
        "link.confirm_warning",
    ]
    await anna.runs(anna.private, "start")
    assert anna.private.heard.count("link.code") == 1


@pytest.mark.parametrize("platform", ["telegram", "matrix", "discord"])
async def test_who_says_hello_in_private_hears_what_waited_or_how_to_begin(
    world: World, platform: str
) -> None:
    anna = world.person(platform, "anna")
    world.forget()
    await anna.says(anna.private, "hello", to_bot=True)
    assert anna.told == ["start.guest"]
    await anna.runs(anna.private, "join")
    world.forget()
    await anna.says(anna.private, "hello again", to_bot=True)
    assert anna.told == ["start.member"]
    bruno = world.person("telegram", "bruno")
    await bruno.runs(world.room("telegram", "birds"), "help")
    world.forget()
    await bruno.says(bruno.private, "hello", to_bot=True)
    assert bruno.told[0] == "help.title"
    assert "start.guest" not in bruno.told
    await anna.runs(anna.private, "optout yes")
    world.forget()
    await anna.says(anna.private, "and now?", to_bot=True)
    assert anna.told == [], "who opted out is left alone"


async def test_an_answer_that_waited_too_long_is_not_given(world: World) -> None:
    group = world.room("telegram", "birds")
    anna = world.person("telegram", "anna")
    await anna.runs(group, "help")
    await world.passes(11 * MINUTE)
    assert await anna.asks(anna.private, "start") == ["start.guest"]


async def test_discord_answers_only_to_who_asked(world: World) -> None:
    channel = world.room("discord", "channel")
    anna = world.person("discord", "anna")
    for command in ("join", *PERSONAL, "pots"):
        assert await anna.asks(channel, command) != []
    assert channel.lines == []
    assert {line.only_for for line in channel.paper.rooms["channel"]} == {"anna"}


@pytest.mark.parametrize("command", ["join", "pots", "post", "leave"])
async def test_brief_lines_vanish_with_their_command_after_a_minute(world: World, command: str) -> None:
    group = world.room("telegram", "birds")
    anna = world.person("telegram", "anna")
    line = await anna.runs(group, command)
    assert line is not None
    assert len(group.spoken) == 1
    await world.passes(timedelta(seconds=59))
    assert len(group.spoken) == 1
    await world.restart()
    await world.passes(timedelta(seconds=2))
    assert group.lines == []
    assert line.deleted


async def test_a_post_is_confirmed_by_one_mark_and_its_author_told_in_private_where_it_is_seen(
    world: World,
) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel", title="Swift watchers")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    anna = await world.member("telegram", "anna")
    world.forget()
    own = await anna.posts(group, "swifts")
    assert own.marks == {"👌"}
    assert group.heard == ["setup.started"]
    assert anna.told == ["post.done", "post.place", "post.untold"]
    assert "Swift watchers" in anna.told_text
    await world.passes(MINUTE * 5)
    assert not own.deleted


async def test_nobody_gets_a_private_message_who_never_opened_the_private_chat(world: World) -> None:
    group = world.room("telegram", "birds")
    await world.community(group)
    bruno = world.person("telegram", "bruno")
    await bruno.runs(group, "join")
    await bruno.posts(group, "swifts")
    await world.passes(MINUTE)
    assert bruno.private.lines == []


async def test_an_answer_whose_door_is_shut_goes_to_the_private_chat(world: World) -> None:
    channel = world.room("discord", "channel")
    anna = world.person("discord", "anna")
    await anna.runs(anna.private, "start")
    anna.paper.fails(
        Rejected("too old", why=RejectedWhy.UNREACHABLE),
        when=lambda i: isinstance(i, Tell) and bool(i.handle),
    )
    await anna.runs(channel, "whoami")
    assert anna.private.heard == ["whoami.guest"]


async def test_copies_are_silent_and_ping_nobody(world: World) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    anna = await world.member("telegram", "anna")
    await anna.posts(group, "Hello @bruno")
    view = channel.copies[0].view
    assert view is not None
    assert view.silent


async def test_a_room_reads_its_language_and_a_person_their_own(world: World) -> None:
    anna = world.person("telegram", "anna", locale="it")
    await anna.runs(anna.private, "pots")
    italian = anna.private.spoken[-1].text
    anna.locale = "en"
    await anna.runs(anna.private, "pots")
    assert anna.private.spoken[-1].text != italian
    anna.locale = "xx"
    await anna.runs(anna.private, "pots")
    assert anna.private.spoken[-1].text == anna.private.spoken[-2].text


async def test_matrix_people_read_their_own_prefix(world: World) -> None:
    anna = world.person("matrix", "anna")
    await anna.runs(anna.private, "help")
    text = anna.private.spoken[-1].text
    assert "!post" in text
    assert "/post" not in text
    assert len(anna.private.heard) <= 8


async def test_a_post_that_waits_is_read_nowhere_else_yet(world: World) -> None:
    group, perch = world.room("telegram", "group"), world.room("matrix", "perch")
    await world.community(group)
    await world.community(perch)
    anna, bruno = await world.member("telegram", "anna"), await world.member("discord", "bruno")
    await bruno.runs(bruno.private, "follow @anna")
    await world.person("telegram", "admin-group").leads(group).runs(group, "hold 5")
    await anna.posts(group, "visibility:public Eleven swifts")
    admin = world.person("matrix", "admin-perch").leads(perch)
    assert await bruno.asks(bruno.private, "feed") == ["feed.empty"]
    assert "profile.post" not in await bruno.asks(bruno.private, "profile @anna")
    assert await admin.asks(perch, "mirror add @anna") == ["mirror.added", "mirror.no_preview"]
    assert await anna.asks(anna.private, "feed") == ["feed.title", "feed.line"]
    await world.passes(6 * MINUTE)
    assert await bruno.asks(bruno.private, "feed") == ["feed.title", "feed.line"]
    assert "profile.post" in await bruno.asks(bruno.private, "profile @anna")
    assert await admin.asks(perch, "mirror remove @anna") == ["mirror.removed"]
    assert await admin.asks(perch, "mirror add @anna") == ["mirror.added", "mirror.preview"]
    await admin.runs(perch, "mirror remove @anna")
    await admin.runs(perch, "ban @anna")
    assert (await admin.asks(perch, "mirror add group"))[1:] == ["mirror.no_preview"]
