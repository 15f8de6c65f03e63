"""Where the rules and the platforms meet: what adapters really hand over, and what must not come of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from core.courier import Courier
from core.errors import RetryLater
from core.events import CommandInvoked, MessageDeleted, PlaceChanged
from core.intents import Create, Edit, Tell
from core.lanes import Windows
from core.types import ChatRef, MessageRef, Platform
from tests.stories.world import MINUTE, World


async def test_start_in_a_group_says_no_private_answer_there(world: World) -> None:
    """Somebody's link code waits for their private chat; `/start` typed in the group must not bring it out."""
    group = world.room("telegram", "group")
    await world.community(group)
    anna = world.person("telegram", "anna")
    await anna.runs(group, "join")
    await anna.runs(group, "link")
    world.forget()
    await anna.runs(group, "start answer")
    assert "link.code" not in group.heard
    await anna.runs(anna.private, "start answer")
    assert "link.code" in anna.private.heard


async def test_a_private_button_without_deep_links_answers_its_presser_alone(world: World) -> None:
    """On Discord the button into the private chat is a command of its own, pressed in the channel."""
    channel = world.room("discord", "general")
    await world.community(channel)
    anna = world.person("discord", "anna")
    await anna.runs(channel, "join")
    typed = replace(anna.command(channel, "whoami"), handle="", message=MessageRef(channel.ref, "typed"))
    await world.hand(typed)
    world.forget()
    await anna.runs(channel, "start answer")
    assert "whoami.member" not in channel.heard
    assert "whoami.member" in anna.told


async def test_a_private_chat_that_others_entered_hears_no_personal_answer(world: World) -> None:
    group = world.room("matrix", "group")
    await world.community(group)
    anna = await world.member("matrix", "anna")
    once_private = anna.private
    shared = replace(once_private.place, private=False)
    world.forget()
    event = replace(anna.command(once_private, "help"), place=shared)
    await world.hand(event)
    world.forget()
    await anna.runs(group, "link")
    assert "link.code" not in once_private.heard


async def test_a_moved_group_mixes_up_no_message_numbers(world: World) -> None:
    """A supergroup numbers its messages anew: what stood in the group is not what has the number now."""
    group, channel = world.room("telegram", "-5"), world.room("discord", "general")
    await world.community(group, channel)
    await world.mirrors(group, "#news")
    anna = await world.member("discord", "anna")
    await anna.runs(channel, "post old #news")
    [old] = group.copies
    new = ChatRef(Platform("telegram"), "-1005")
    await world.hand(PlaceChanged(key="moved", chat=group.ref, moved_to=new))
    supergroup = world.room("telegram", "-1005")
    world.papers[Platform("telegram")]._number = int(old.ref.key[1:]) - 1
    await anna.runs(channel, "post new #news")
    await world.passes(MINUTE)
    assert [line.text for line in supergroup.copies] == ["new #news"]
    bert = await world.member("telegram", "bert")
    await bert.reacts(supergroup.copies[0], "👍")
    await world.passes(MINUTE)
    assert {line.text: line.footer for line in channel.copies} == {"old #news": "", "new #news": "1 vote"}
    assert supergroup.copies[0].footer == "1 vote"


async def test_a_group_whose_new_identity_was_heard_before_the_move_goes_on_there(world: World) -> None:
    group, channel = world.room("telegram", "-5"), world.room("discord", "general")
    await world.community(group, channel)
    await world.mirrors(group, "#news")
    supergroup = world.room("telegram", "-1005")
    early = world.person("telegram", "early")
    await early.runs(supergroup, "help")
    await world.hand(PlaceChanged(key="moved", chat=group.ref, moved_to=supergroup.ref))
    anna = await world.member("discord", "anna")
    await anna.runs(channel, "post new #news")
    await world.passes(MINUTE)
    assert [line.text for line in supergroup.copies] == ["new #news"]
    assert group.copies == []
