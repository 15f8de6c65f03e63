"""Threads as places, and what changes around channels, through the real discord.py, against our own double."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bots.discord.refusals import rejected
from bots.discord.rest import Refused
from core.errors import Rejected, RejectedWhy, RetryLater
from core.events import CommandInvoked, Loss, MessageReceived, PlaceChanged
from core.intents import Create, Edit, Mark, Voice, Withdraw
from core.types import ChatRef, MessageRef
from tests.bots.discord_scene import DISCORD, Scene, a_scene, create, running, view
from tests.doubles.discord import Channel, Permission, Rate

pytestmark = [pytest.mark.peer, pytest.mark.timeout(60)]

ANNOUNCEMENT, TEXT, PRIVATE = 5, 0, 12


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with a_scene() as scene:
        yield scene


@pytest.fixture
async def thread(scene: Scene) -> Channel:
    return await scene.anna.open_thread(scene.channel, "nests")


def chat(channel: Channel) -> ChatRef:
    return ChatRef(DISCORD, str(channel.id))


def post(channel: Channel, text: str = "Hello", *, as_author: bool = False) -> Create:
    shown = view(text, voice=Voice.PERSON, author="Anna (@anna · Telegram)", as_author=as_author)
    return replace(create(chat(channel), text), view=shown)


async def sent(scene: Scene, intent: Create) -> MessageRef:
    receipt = await scene.adapter.perform(intent)
    assert receipt.message is not None
    return receipt.message


async def told(scene: Scene, channel: Channel) -> str:
    """The next word of how we stand in a channel, empty where it is open."""
    event = await scene.gate.until(PlaceChanged, lambda event: event.chat == chat(channel))
    scene.gate.events.remove(event)
    return event.reason


# Archived and locked


@pytest.mark.parametrize("as_author", [False, True])
async def test_a_new_copy_opens_an_archived_thread(scene: Scene, thread: Channel, *, as_author: bool) -> None:
    async with running(scene):
        thread.update(archived=True)
        await sent(scene, post(thread, as_author=as_author))
    assert (thread.archived, len(scene.double.visible(thread))) == (False, 1)


@pytest.mark.parametrize("as_author", [False, True])
async def test_an_edit_or_a_withdrawal_leaves_an_archived_thread_where_it_was(
    scene: Scene, thread: Channel, *, as_author: bool
) -> None:
    thread.owner_id = scene.double.bot.id
    async with running(scene):
        ref = await sent(scene, post(thread, as_author=as_author))
        thread.update(archived=True)
        await scene.adapter.perform(Edit(key="e", message=ref, view=post(thread, "again").view))
        assert (thread.archived, scene.double.visible(thread)[0].text.splitlines()[-1]) == (True, "again")
        await scene.adapter.perform(Withdraw(key="w", message=ref))
        assert (thread.archived, scene.double.visible(thread)) == (True, [])


async def test_a_thread_that_may_not_be_archived_again_stays_open(scene: Scene, thread: Channel) -> None:
    scene.double.limits.reactions = (Rate(10, 1.0),)
    async with running(scene):
        ref = await sent(scene, post(thread))
        thread.update(archived=True)
        await scene.adapter.perform(Mark(key="m", message=ref, emoji="👌"))
    assert (thread.archived, scene.double.message(int(ref.key)).reaction_counts) == (False, {"👌": 1})


async def test_a_locked_thread_is_closed_with_its_reason_until_it_is_unlocked(
    scene: Scene, thread: Channel
) -> None:
    async with running(scene):
        ref = await sent(scene, post(thread))
        thread.update(locked=True)
        assert await told(scene, thread) == Loss.LOCKED
        for as_author in (False, True):
            with pytest.raises(Rejected, match="locked") as refused:
                await scene.adapter.perform(post(thread, "two", as_author=as_author))
            assert refused.value.why is RejectedWhy.FORBIDDEN
        thread.update(archived=True)
        await scene.anna.say(scene.channel, "meanwhile")
        await scene.gate.until(MessageReceived)
        assert await scene.adapter.standing(chat(thread)) is Loss.LOCKED
        with pytest.raises(Rejected) as refused:
            await scene.adapter.perform(Edit(key="e", message=ref, view=post(thread, "x").view))
        assert refused.value.why is RejectedWhy.FORBIDDEN
        thread.update(locked=False)
        assert await told(scene, thread) == ""
        assert await scene.adapter.standing(chat(thread)) is None
        await sent(scene, post(thread, "two"))
    assert [each.embeds[0]["description"] for each in scene.double.visible(thread)] == ["Hello", "two"]


async def test_who_manages_threads_may_write_in_a_locked_one(scene: Scene, thread: Channel) -> None:
    role = scene.guild.bot_role
    scene.guild.set_permissions(role, role.permissions | Permission.MANAGE_THREADS)
    async with running(scene):
        thread.update(locked=True)
        await sent(scene, post(thread))
        assert await scene.adapter.standing(chat(thread)) is None


# Names and ends


async def test_a_thread_that_was_renamed_is_called_so(scene: Scene, thread: Channel) -> None:
    async with running(scene):
        thread.update(name="eggs")
        await scene.anna.say(thread, "three")
        event = await scene.gate.until(MessageReceived)
    assert (event.place.title, event.place.chat) == ("eggs", chat(thread))


async def test_a_thread_goes_alone_and_with_its_channel(scene: Scene, thread: Channel) -> None:
    other = await scene.anna.open_thread(scene.channel, "eggs")
    another = scene.guild.text_channel("another")
    async with running(scene):
        other.remove()
        assert await told(scene, other) == Loss.DELETED
        # Of the threads of a channel that goes nothing need be told.
        del scene.double.world.channels[thread.id]
        scene.channel.remove()
        assert await told(scene, thread) == Loss.DELETED
        assert await told(scene, scene.channel) == Loss.DELETED
        another.overwrite(scene.guild.bot_role, deny=Permission.SEND_MESSAGES)
        assert await told(scene, another) == Loss.MUTED


async def test_a_private_thread_is_lost_with_its_membership_and_found_with_it(scene: Scene) -> None:
    thread = scene.channel.thread("whispers", scene.owner, kind=PRIVATE)
    async with running(scene):
        thread.let_in(scene.double.bot)
        await scene.anna.say(scene.channel, "let in")
        await scene.gate.until(MessageReceived)
        assert await scene.adapter.standing(chat(thread)) is None
        await sent(scene, post(thread))
        thread.put_out(scene.double.bot)
        assert await told(scene, thread) == Loss.REMOVED
        assert await scene.adapter.standing(chat(thread)) is Loss.REMOVED
        thread.let_in(scene.double.bot)
        assert await told(scene, thread) == ""
        await sent(scene, post(thread, "back"))


# Channels


async def test_a_channel_that_becomes_age_restricted_is_closed_from_then_on(
    scene: Scene, thread: Channel
) -> None:
    async with running(scene):
        scene.channel.update(nsfw=True)
        for number, where in enumerate((scene.channel, thread)):
            await scene.anna.say(where, f"<@{scene.double.bot.id}> post {number}")
        events = [
            await scene.gate.until(CommandInvoked, lambda event, number=number: event.text == str(number))  # type: ignore[misc]
            for number in range(2)
        ]
    assert [event.place.closed for event in events] == [True, True]


async def test_a_channel_that_becomes_one_of_announcements_goes_on(scene: Scene) -> None:
    async with running(scene):
        for kind in (ANNOUNCEMENT, TEXT):
            scene.channel.update(kind=kind)
            for as_author in (False, True):
                await sent(scene, post(scene.channel, f"{kind} {as_author}", as_author=as_author))
        await scene.anna.say(scene.channel, "end")
        await scene.gate.until(MessageReceived, lambda event: event.source == "end")
    assert len(scene.double.visible(scene.channel)) == 5
    assert not [event for event in scene.gate.events if isinstance(event, PlaceChanged)]


async def test_an_announcement_channel_and_its_threads_are_places(scene: Scene) -> None:
    news = scene.guild.announcement_channel("news")
    thread = await scene.anna.open_thread(news, "eggs")
    async with running(scene):
        for where in (news, thread):
            for as_author in (False, True):
                ref = await sent(scene, post(where, f"{where.name} {as_author}", as_author=as_author))
                await scene.adapter.perform(Edit(key="e", message=ref, view=post(where, "again").view))
    for where in (news, thread):
        assert [each.text.splitlines()[-1] for each in scene.double.visible(where)] == ["again", "again"]


async def test_a_thread_whose_webhook_was_moved_gets_another_and_one_that_is_gone_is_gone(
    scene: Scene, thread: Channel
) -> None:
    other = scene.guild.text_channel("other")
    async with running(scene):
        await sent(scene, post(thread, "one", as_author=True))
        (hook,) = scene.double.world.webhooks.values()
        await scene.owner.move_webhook(hook, other)
        await sent(scene, post(thread, "two", as_author=True))
        assert [each.text for each in scene.double.visible(thread)] == ["one", "two"]
        thread.remove()
        with pytest.raises(Rejected) as refused:
            await scene.adapter.perform(post(thread, "three", as_author=True))
        assert refused.value.why is RejectedWhy.CHAT_GONE
    assert scene.double.visible(other) == []


# Guilds, and the bot itself


async def test_an_outage_loses_nothing_and_its_end_tells_what_changed_meanwhile(scene: Scene) -> None:
    other = scene.guild.text_channel("other")
    async with running(scene):
        scene.guild.set_available(False)
        scene.channel.overwrites[scene.guild.bot_role.id] = (0, int(Permission.SEND_MESSAGES))
        scene.guild.set_available(True)
        assert await told(scene, scene.channel) == Loss.MUTED
        await scene.anna.say(other, "still here")
        await scene.gate.until(MessageReceived)
    assert not [event for event in scene.gate.events if isinstance(event, PlaceChanged)]


async def test_a_bot_in_time_out_waits_and_is_asked_about_when_it_ends(scene: Scene, thread: Channel) -> None:
    async with running(scene):
        scene.guild.time_out(scene.double.bot, datetime.now(UTC) + timedelta(hours=1))
        for where in (scene.channel, thread):
            assert await told(scene, where) == Loss.MUTED
        with pytest.raises(Rejected) as refused:
            await scene.adapter.perform(create(scene.chat, "x"))
        assert refused.value.why is RejectedWhy.FORBIDDEN
        scene.guild.time_out(scene.double.bot, None)
        assert await told(scene, scene.channel) == ""
        assert await scene.adapter.standing(scene.chat) is None
        await scene.create("again")


async def test_rights_that_go_while_it_runs_are_told_where_they_go(scene: Scene, thread: Channel) -> None:
    role = scene.guild.role("flock", int(Permission.SEND_MESSAGES_IN_THREADS))
    async with running(scene):
        scene.guild.give(scene.double.bot, role)
        scene.channel.overwrite(scene.guild.everyone, deny=Permission.SEND_MESSAGES_IN_THREADS)
        assert await told(scene, thread) == Loss.MUTED
        assert await scene.adapter.standing(scene.chat) is None
        scene.channel.overwrite(role, allow=Permission.SEND_MESSAGES_IN_THREADS)
        assert await told(scene, thread) == ""
        scene.guild.take(scene.double.bot, role)
        assert await told(scene, thread) == Loss.MUTED


@pytest.mark.parametrize("code", [20016, 30046, 160006])
def test_a_limit_that_ends_is_waited_out(code: int) -> None:
    with pytest.raises(RetryLater, match=str(code)):
        rejected(Refused(400, code, "later"))
