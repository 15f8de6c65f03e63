"""Whom a copy mentions: a member by their account there, as far as that tells nothing that is private."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.body import Body, Mention, Paragraph, Text, leaves
from core.types import AccountRef, Platform
from tests.stories.world import Person, Room, World


@pytest.fixture(autouse=True)
def mentions(world: World) -> None:
    """Discord shows a mention of one of its accounts as such."""
    paper = world.papers[Platform("discord")]
    paper.capabilities = replace(paper.capabilities, mentions=True)
    platforms = {p: other.capabilities for p, other in world.papers.items()}
    world.rules = world.with_rules(platforms=platforms)


async def rooms(world: World) -> tuple[Person, Room, Room, Room]:
    """A member in a Telegram group, which a Discord channel and a Matrix room mirror."""
    await world.restart()
    group, channel = world.room("telegram", "birds"), world.room("discord", "general")
    owls = world.room("matrix", "owls")
    await world.community(group, channel, owls)
    anna = await world.member("telegram", "anna")
    for room in (channel, owls):
        await world.mirrors(room, "@anna")
    return anna, group, channel, owls


def mentioned(room: Room) -> list[tuple[str, AccountRef | None]]:
    """The mentions of the newest copy."""
    view = room.copies[-1].view
    assert view is not None
    return [(leaf.text, leaf.account) for leaf in leaves(view.body.blocks) if isinstance(leaf, Mention)]


async def test_a_member_of_one_platform_is_mentioned_there_by_their_only_account(world: World) -> None:
    anna, group, channel, owls = await rooms(world)
    bruno = await world.member("discord", "bruno")
    await anna.posts(group, "with @Bruno, @nobody and #swifts")
    assert mentioned(channel) == [("@Bruno", bruno.ref), ("@nobody", None)]
    assert mentioned(owls) == [("@Bruno", None), ("@nobody", None)]
    assert channel.texts == owls.texts == ["with @Bruno, @nobody and #swifts"]


async def test_that_two_accounts_are_one_member_is_told_by_no_mention(world: World) -> None:
    anna, group, channel, _ = await rooms(world)
    bruno = await world.member("telegram", "bruno")
    other = world.person("discord", "birdy", name="Birdy")
    await world.link(bruno, other)
    await anna.posts(group, "with @bruno")
    assert mentioned(channel) == [("@bruno", None)]
    await bruno.runs(bruno.private, "name show")
    await anna.posts(group, "again with @bruno")
    assert mentioned(channel) == [("@bruno", None)], "the yes was to the name that they have on Telegram"
    await other.runs(other.private, "name show")
    await anna.posts(group, "now with @bruno")
    assert mentioned(channel) == [("@bruno", other.ref)]
    await other.runs(other.private, "name hide")
    await anna.posts(group, "no more with @bruno")
    assert mentioned(channel) == [("@bruno", None)]


async def test_an_account_that_was_named_on_another_platform_is_the_member_s_here(world: World) -> None:
    anna, group, channel, owls = await rooms(world)
    bruno = await world.member("telegram", "bruno", name="Bruno Surname", username="bruno")
    other = world.person("discord", "birdy", name="Birdy")
    await world.link(bruno, other)
    tree = Body((Paragraph((Text("with "), Mention("@Bruno Surname", account=bruno.ref))),))
    await world.hand(replace(anna.command(group, "post one"), body=tree))
    assert mentioned(channel) == mentioned(owls) == [("@bruno", None)]
    await other.runs(other.private, "name show")
    await world.hand(replace(anna.command(group, "post two"), body=tree))
    assert mentioned(channel) == [("@bruno", other.ref)]
    assert mentioned(owls) == [("@bruno", None)]


async def test_who_opted_out_is_mentioned_by_nothing(world: World) -> None:
    anna, group, channel, _ = await rooms(world)
    bruno = await world.member("discord", "bruno")
    await bruno.runs(bruno.private, "optout yes")
    await anna.posts(group, "with @bruno")
    assert mentioned(channel) == [("@bruno", None)]


async def test_an_account_at_home_stays_that_account(world: World) -> None:
    _, _, channel, _ = await rooms(world)
    carl = await world.member("discord", "carl")
    stranger = AccountRef(Platform("discord"), "77")
    tree = Body((Paragraph((Text("with "), Mention("@Stranger", account=stranger))),))
    await world.hand(replace(carl.command(channel, "post one"), body=tree))
    assert mentioned(channel) == [("@Stranger", stranger)]
