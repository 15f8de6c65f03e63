"""The Discord adapter through the real discord.py, over sockets, against our own double."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from bots.discord.bot import Settings
from bots.discord.identify import patience
from bots.discord.rest import Rest
from core.errors import BadToken, Deaf, Rejected, RejectedWhy, RetryLater
from core.events import (
    ButtonPressed,
    CommandEdited,
    CommandInvoked,
    Inbound,
    Loss,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Missed,
    PlaceChanged,
    ReactionChanged,
    ReactorsFound,
)
from core.intents import Button, Create, Edit, Form, Mark, Tell, View, Voice, Withdraw
from core.parts import parted
from core.ports import WatchedMessage
from core.types import AccountRef, ChatRef, MessageRef
from storage.database import StorageUnavailable
from tests.bots.discord_scene import (
    DISCORD,
    Scene,
    a_scene,
    create,
    running,
    view,
)
from tests.core.bodies import long_body
from tests.doubles.discord import DiscordDouble, Intent, Permission, Rate

pytestmark = [pytest.mark.peer, pytest.mark.timeout(60)]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with a_scene() as scene:
        yield scene


# Listening


async def test_what_people_write_reaches_the_core_in_its_order(scene: Scene) -> None:
    async with running(scene):
        said = [await scene.anna.say(scene.channel, f"line {n}") for n in range(20)]
        await scene.gate.until(MessageReceived, lambda event: event.source == "line 19")
    got = [event for event in scene.gate.events if isinstance(event, MessageReceived)]
    assert [event.source for event in got] == [f"line {n}" for n in range(20)]
    assert got[0].message == scene.ref(said[0])
    assert (got[0].place.title, got[0].place.group) == ("general", str(scene.guild.id))
    assert (got[0].actor.name, got[0].actor.account.key) == ("Anna", str(scene.anna.id))


async def test_a_mention_with_a_command_word_is_a_command_with_the_authors_rights(scene: Scene) -> None:
    async with running(scene):
        mention = f"<@{scene.double.bot.id}>"
        await scene.anna.say(scene.channel, f"{mention} post Hello *you*")
        await scene.owner.say(scene.channel, f"{mention} pause")
        asked = await scene.gate.until(CommandInvoked, lambda event: event.name == "post")
        paused = await scene.gate.until(CommandInvoked, lambda event: event.name == "pause")
    assert (asked.text, asked.actor.rights.admin) == ("Hello *you*", False)
    assert paused.actor.rights.admin
    assert paused.actor.rights.moderator


async def test_a_channels_overwrite_makes_a_moderator_only_there(scene: Scene) -> None:
    other = scene.guild.text_channel("other")
    scene.channel.overwrite(scene.anna, allow=Permission.MANAGE_MESSAGES)
    async with running(scene):
        await scene.anna.say(scene.channel, "here")
        await scene.anna.say(other, "there")
        here = await scene.gate.until(MessageReceived, lambda event: event.source == "here")
        there = await scene.gate.until(MessageReceived, lambda event: event.source == "there")
    assert (here.actor.rights.moderator, there.actor.rights.moderator) == (True, False)


async def test_a_private_chat_takes_text_commands(scene: Scene) -> None:
    async with running(scene):
        await scene.anna.dm("whoami")
        event = await scene.gate.until(CommandInvoked)
    assert event.name == "whoami"
    assert event.place.private


async def test_an_edit_counts_once_and_previews_and_pins_not_at_all(scene: Scene) -> None:
    async with running(scene):
        message = await scene.anna.say(scene.channel, "see https://example.org")
        scene.double.preview_link(message, "https://example.org")
        await scene.anna.edit(message, "better")
        await scene.owner.pin(message)
        await scene.anna.say(scene.channel, "end")
        await scene.gate.until(MessageReceived, lambda event: event.source == "end")
    edits = [event.source for event in scene.gate.events if isinstance(event, MessageEdited)]
    assert edits == ["better"]


async def test_an_edited_command_is_still_a_command(scene: Scene) -> None:
    async with running(scene):
        mention = f"<@{scene.double.bot.id}>"
        message = await scene.anna.say(scene.channel, f"{mention} post one")
        await scene.anna.edit(message, f"{mention} post two")
        event = await scene.gate.until(CommandEdited)
    assert (event.name, event.text, event.message) == ("post", "two", scene.ref(message))


async def test_deletions_alone_and_in_bulk(scene: Scene) -> None:
    async with running(scene):
        one, two, three = [await scene.anna.say(scene.channel, text) for text in "abc"]
        await scene.anna.delete(one)
        await scene.owner.purge([two, three])
        for message in (one, two, three):
            ref = scene.ref(message)
            await scene.gate.until(MessageDeleted, lambda event, ref=ref: event.message == ref)  # type: ignore[misc]


async def test_reactions_name_their_owner_and_ours_are_no_event(scene: Scene) -> None:
    async with running(scene):
        copy = await scene.create()
        message = scene.double.message(int(copy.key))
        await scene.adapter.perform(Mark(key="m", message=copy, emoji="❤"))
        await scene.anna.react(message, "👍")
        await scene.anna.unreact(message, "👍")
        gone = await scene.gate.until(ReactionChanged, lambda event: bool(event.removed))
    reactions = [event for event in scene.gate.events if isinstance(event, ReactionChanged)]
    assert [(event.added, event.removed) for event in reactions] == [(("👍",), ()), ((), ("👍",))]
    assert gone.actor.name == "Anna"
    assert gone.message == copy
    assert message.reaction_counts == {"❤️": 1}


async def test_a_moderator_clears_reactions(scene: Scene) -> None:
    async with running(scene):
        message = scene.double.message(int((await scene.create("Hello")).key))
        for emoji in ("👍", "👍🏽", "🎉"):
            await scene.anna.react(message, emoji)
        await scene.owner.clear_reactions(message, "👍")
        await scene.owner.clear_reactions(message)
        await scene.gate.until(ReactorsFound, lambda event: not event.emoji)
    told = [event for event in scene.gate.events if isinstance(event, ReactorsFound)]
    assert [(event.emoji, event.accounts, event.began) for event in told] == [
        ("👍", (), None),
        ("", (), None),
    ]
    assert {event.message for event in told} == {scene.ref(message)}


async def test_a_thread_is_a_chat_of_its_own_in_the_same_guild(scene: Scene) -> None:
    async with running(scene):
        thread = await scene.anna.open_thread(scene.channel, "nests")
        await scene.anna.say(thread, "an egg")
        event = await scene.gate.until(MessageReceived)
    assert (event.place.chat.key, event.place.title) == (str(thread.id), "nests")
    assert event.place.group == str(scene.guild.id)


async def test_lost_channels_and_guilds_are_told(scene: Scene) -> None:
    other = scene.guild.text_channel("other")
    async with running(scene):
        scene.channel.remove()
        await scene.gate.until(PlaceChanged, lambda event: event.gone and event.chat == scene.chat)
        scene.guild.remove_bot()
        await scene.gate.until(PlaceChanged, lambda event: event.gone and event.chat.key == str(other.id))


async def test_a_channel_that_becomes_read_only_is_told_and_told_again_when_it_opens(scene: Scene) -> None:
    role = scene.guild.bot_role

    async def standing() -> str:
        event = await scene.gate.until(PlaceChanged, lambda event: event.chat == scene.chat)
        scene.gate.events.remove(event)
        assert await scene.adapter.standing(scene.chat) is (Loss(event.reason) if event.reason else None)
        return event.reason if event.muted else "open"

    async with running(scene):
        scene.channel.overwrite(role, deny=Permission.SEND_MESSAGES)
        assert await standing() == "muted"
        scene.channel.overwrite(role, deny=Permission.VIEW_CHANNEL)
        assert await standing() == "unseen"
        scene.channel.overwrite(role)
        assert await standing() == "open"
        before = role.permissions
        scene.guild.set_permissions(role, before & ~Permission.SEND_MESSAGES)
        scene.guild.set_permissions(scene.guild.everyone, 0)
        assert await standing() in ("muted", "unseen")
        scene.guild.set_permissions(role, before)
        await scene.gate.until(PlaceChanged, lambda event: not event.reason and event.chat == scene.chat)
        assert await scene.adapter.standing(ChatRef(DISCORD, "404")) is Loss.DELETED


async def test_what_was_taken_away_meanwhile_is_told_of_a_watched_channel(scene: Scene) -> None:
    scene.gate.watched = [scene.chat]
    scene.channel.overwrite(scene.guild.bot_role, deny=Permission.SEND_MESSAGES)
    with pytest.raises(RetryLater):
        await scene.adapter.standing(scene.chat)
    async with running(scene):
        event = await scene.gate.until(PlaceChanged, lambda event: event.muted)
    assert (event.chat, event.reason) == (scene.chat, "muted")


# Interactions


def answering(scene: Scene, *texts: str) -> Callable[[Inbound], Awaitable[None]]:
    async def answer(event: Inbound) -> None:
        if isinstance(event, CommandInvoked | ButtonPressed):
            for text in texts:
                await scene.adapter.perform(
                    Tell(
                        key=f"{event.key} {text}",
                        chat=event.place.chat,
                        to=event.actor.account,
                        view=view(text),
                        handle=event.handle,
                    )
                )

    return answer


async def test_a_slash_command_is_answered_to_its_asker_only(scene: Scene) -> None:
    scene.gate.on_event = answering(scene, "Posted.", "And more.")
    async with running(scene):
        answer = await scene.anna.slash(scene.channel, "post", {"text": "Hello", "visibility": "public"})
        await answer.until(lambda now: now.followups)
    event = await scene.gate.until(CommandInvoked)
    assert (event.name, dict(event.options or {})) == ("post", {"text": "Hello", "visibility": "public"})
    assert (event.actor.locale, event.place.title) == ("it", "general")
    assert answer.ephemeral
    assert answer.content == "Posted."
    assert [(each.content, each.ephemeral) for each in answer.followups] == [("And more.", True)]


async def test_a_verb_is_a_subcommand_and_rights_come_with_it(scene: Scene) -> None:
    scene.gate.on_event = answering(scene, "Added.")
    async with running(scene):
        await scene.owner.slash(scene.channel, "mirror add", {"feed": "#birds"})
    event = await scene.gate.until(CommandInvoked)
    assert (event.name, dict(event.options or {})) == ("mirror add", {"feed": "#birds"})
    assert event.actor.rights.admin


async def test_another_process_answers_with_the_handle_alone(scene: Scene) -> None:
    async with running(scene):
        asked = asyncio.create_task(scene.anna.slash(scene.channel, "whoami"))
        event = await scene.gate.until(CommandInvoked)
        other = scene.another()
        for text in ("first", "second"):
            await other.perform(
                Tell(
                    key=text,
                    chat=scene.chat,
                    to=AccountRef(DISCORD, "1"),
                    view=view(text),
                    handle=event.handle,
                )
            )
        answer = await asked
    assert (answer.content, [each.content for each in answer.followups]) == ("first", ["second"])


async def test_a_handle_that_grew_old_reaches_nobody(scene: Scene) -> None:
    old = int((datetime.now(UTC) - timedelta(minutes=16)).timestamp() * 1000)
    tell = Tell(
        key="k",
        chat=scene.chat,
        to=AccountRef(DISCORD, "1"),
        view=view("late"),
        handle=f"interaction:1:secret:{old}",
    )
    with pytest.raises(Rejected) as refused:
        await scene.adapter.perform(tell)
    assert refused.value.why is RejectedWhy.UNREACHABLE
    assert scene.double.requests == []


async def test_a_pressed_button_is_acknowledged_and_answered_in_private(scene: Scene) -> None:
    scene.gate.on_event = answering(scene, "Counted.")
    async with running(scene):
        copy = await scene.create(
            buttons=(Button("Yes", data="vote yes"), Button("Open", url="https://example.org"))
        )
        answer = await scene.anna.press(scene.double.message(int(copy.key)), "Yes")
        await answer.until(lambda now: now.followups)
    event = await scene.gate.until(ButtonPressed)
    assert (event.data, event.message) == ("vote yes", copy)
    assert [(each.content, each.ephemeral) for each in answer.followups] == [("Counted.", True)]
    assert scene.double.message(int(copy.key)).content == "Hello"


async def test_a_private_button_is_the_start_command(scene: Scene) -> None:
    scene.gate.on_event = answering(scene, "Welcome.")
    async with running(scene):
        copy = await scene.create(buttons=(Button("Join", private="join_17"),))
        await scene.anna.press(scene.double.message(int(copy.key)), "Join")
        event = await scene.gate.until(CommandInvoked)
    assert (event.name, event.text) == ("start", "join_17")


async def test_commands_are_written_once(scene: Scene) -> None:
    async with running(scene):
        pass
    async with running(scene, scene.another()):
        await scene.anna.say(scene.channel, "hello")
        await scene.gate.until(MessageReceived)
        await scene.double.until(lambda: _commands_read(scene.double) == 2, 10, "commands compared")
    written = [route for method, route in scene.double.requests if method == "PUT" and "commands" in route]
    assert len(written) == 1


def _commands_read(double: DiscordDouble) -> int:
    return sum(method == "GET" and "commands" in route for method, route in double.requests)


async def test_no_secret_reaches_the_log(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    scene.gate.on_event = answering(scene, "Posted.")
    async with running(scene):
        await scene.anna.slash(scene.channel, "post", {"text": "whisper"})
    event = await scene.gate.until(CommandInvoked)
    secret = event.handle.split(":")[2]
    logged = "\n".join(
        record.getMessage() for record in caplog.records if record.name.startswith(("discord", "bots"))
    )
    assert logged
    for hidden in (secret, scene.double.token, "whisper"):
        assert hidden not in logged
    assert scene.double.token not in repr(Settings(token=scene.double.token))


async def test_a_cancellation_ends_the_session_also_in_the_moment_in_which_it_is_connected(
    scene: Scene,
) -> None:
    session = asyncio.create_task(scene.adapter.run(scene.gate))
    connecting: list[asyncio.Task[object]] = []
    async with asyncio.timeout(10):
        while not connecting:
            await asyncio.sleep(0)
            connecting = [task for task in asyncio.all_tasks() if "from_client" in repr(task.get_coro())]
    connecting[0].add_done_callback(lambda _: session.cancel())
    await asyncio.wait({session}, timeout=10)
    assert session.cancelled()
    assert not scene.double.gateway.connected


# What was missed


async def test_a_new_session_reads_back_what_was_missed_in_order(scene: Scene) -> None:
    scene.gate.watched = [scene.chat]
    async with running(scene):
        await scene.anna.say(scene.channel, "before")
        await scene.gate.until(MessageReceived)
    for n in range(150):
        await scene.anna.say(scene.channel, f"missed {n}")
    async with running(scene, scene.another()):
        await scene.anna.say(scene.channel, "after")
        await scene.gate.until(MessageReceived, lambda event: event.source == "after")
    got = [event.source for event in scene.gate.events if isinstance(event, MessageReceived)]
    assert got == ["before", *(f"missed {n}" for n in range(150)), "after"]


async def test_what_is_too_old_or_too_much_to_be_read_back_is_said(scene: Scene) -> None:
    scene.gate.watched = [scene.chat]
    kept, older = await scene.create("kept"), await scene.create("older")
    scene.gate.recent = [WatchedMessage(kept, ours=True), WatchedMessage(older, ours=True)]
    scene.gate.bookmarks[f"discord:{scene.channel.id}"] = "1"
    await scene.anna.say(scene.channel, "new")
    async with running(scene, scene.another(catchup_things=1)):
        old = await scene.gate.until(Missed, lambda event: event.chat == scene.chat)
        many = await scene.gate.until(Missed, lambda event: event.chat is None)
        await scene.gate.until(MessageReceived, lambda event: event.source == "new")
    assert "older than 7 days" in old.reason
    assert old.since is not None
    assert old.since.year == 2015
    assert "1 of 2" in many.reason


async def test_a_channel_whose_history_may_not_be_read_is_said(scene: Scene) -> None:
    scene.gate.watched = [scene.chat]
    async with running(scene):
        await scene.anna.say(scene.channel, "before")
        await scene.gate.until(MessageReceived)
    scene.channel.overwrite(scene.guild.bot_role, deny=Permission.READ_MESSAGE_HISTORY)
    await scene.anna.say(scene.channel, "missed")
    async with running(scene, scene.another()):
        missed = await scene.gate.until(Missed)
    assert (missed.chat, missed.reason) == (scene.chat, "the bot may not read the channel's history")


async def test_sessions_of_a_day_are_never_used_up(scene: Scene) -> None:
    """At half of them they are spread over the rest of the day; the last tenth stays."""
    gateway, rest = scene.double.gateway, Rest(scene.double.api_url, scene.double.token)
    gateway.sessions_reset_seconds = 36_000
    waits = []
    for used in (0, 499, 500, 800, 899, 900, 1000):
        gateway.identifies[:] = [{}] * used
        waits.append(round(await patience(rest)))
    await rest.close()
    assert waits == [0, 0, 90, 360, 36_000, 36_000, 36_000]
    gateway.identifies[:] = [{}] * 600
    gateway.sessions_reset_seconds = 60
    began = asyncio.get_running_loop().time()
    async with running(scene):
        assert asyncio.get_running_loop().time() - began >= 60 / 300


async def test_a_channel_of_slash_commands_only_is_read_back_too(scene: Scene) -> None:
    """A reply written while we are away is found, though nobody ever wrote there while we listened."""
    scene.gate.watched = [scene.chat]
    scene.gate.on_event = answering(scene, "Set up.")
    async with running(scene):
        await scene.owner.slash(scene.channel, "setup")
        await scene.gate.until(CommandInvoked)
    await scene.anna.say(scene.channel, "missed")
    async with running(scene, scene.another()):
        event = await scene.gate.until(MessageReceived)
    assert event.source == "missed"


async def test_a_missed_command_has_its_authors_rights(scene: Scene) -> None:
    scene.gate.watched = [scene.chat]
    async with running(scene):
        await scene.anna.say(scene.channel, "before")
        await scene.gate.until(MessageReceived)
    await scene.owner.say(scene.channel, f"<@{scene.double.bot.id}> pause")
    async with running(scene, scene.another()):
        event = await scene.gate.until(CommandInvoked)
    assert (event.name, event.actor.rights.admin) == ("pause", True)


async def test_reactions_edits_and_deletions_are_found_again(scene: Scene) -> None:
    kept, gone = await scene.create("kept"), await scene.create("gone")
    origin = await scene.anna.say(scene.channel, "origin")
    scene.gate.recent = [
        WatchedMessage(kept, ours=True),
        WatchedMessage(gone, ours=True),
        WatchedMessage(scene.ref(origin), ours=False),
    ]
    message = scene.double.message(int(kept.key))
    await scene.anna.react(message, "❤️")
    await scene.anna.react(message, "👍🏽")
    await scene.owner.react(message, "🎉")
    await scene.anna.edit(origin, "origin, better")
    await scene.owner.delete(scene.double.message(int(gone.key)))
    async with running(scene):
        found = await scene.gate.until(ReactionChanged)
        edited = await scene.gate.until(MessageEdited)
        deleted = await scene.gate.until(MessageDeleted)
    assert (found.actor.account.key, set(found.added)) == (str(scene.anna.id), {"❤️", "👍🏽"})
    assert (found.whole, found.found, found.key) == (True, True, None)
    assert (edited.source, deleted.message) == ("origin, better", gone)
    assert len([event for event in scene.gate.events if isinstance(event, ReactionChanged)]) == 1


async def test_a_resumed_session_reads_nothing_back_and_a_lost_one_does(scene: Scene) -> None:
    scene.gate.watched = [scene.chat]
    async with running(scene):
        await scene.anna.say(scene.channel, "one")
        await scene.gate.until(MessageReceived)
        reads = _history_reads(scene.double)
        scene.double.gateway.drop()
        await scene.double.until(lambda: scene.double.gateway.resumes, 10, "resumed")
        await scene.anna.say(scene.channel, "two")
        await scene.gate.until(MessageReceived, lambda event: event.source == "two")
        assert _history_reads(scene.double) == reads
        scene.double.gateway.invalidate()
        await scene.anna.say(scene.channel, "three")
        await scene.gate.until(MessageReceived, lambda event: event.source == "three")
    assert _history_reads(scene.double) > reads


def _history_reads(double: DiscordDouble) -> int:
    return sum(method == "GET" and route.endswith("/messages") for method, route in double.requests)


async def test_a_watched_channel_that_went_meanwhile_is_told(scene: Scene) -> None:
    scene.gate.watched = [scene.chat]
    scene.gate.bookmarks[f"discord:{scene.channel.id}"] = "1"
    scene.channel.remove()
    async with running(scene):
        event = await scene.gate.until(PlaceChanged)
    assert (event.chat, event.gone) == (scene.chat, True)


# Ends of a session


async def test_a_wrong_token_is_named(scene: Scene) -> None:
    stranger = scene.another(token="wrong")
    with pytest.raises(BadToken) as bad:
        await stranger.run(scene.gate)
    assert bad.value.message.id == "platform.bad_token"
    with pytest.raises(BadToken):
        await stranger.perform(create(scene.chat, "x"))


async def test_without_message_content_it_runs_and_says_so_once(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.double.gateway.enabled_intents &= ~Intent.MESSAGE_CONTENT
    async with running(scene):
        await scene.anna.say(scene.channel, "not for us")
        await scene.anna.say(scene.channel, f"<@{scene.double.bot.id}> whoami")
        event = await scene.gate.until(CommandInvoked)
    assert event.name == "whoami"
    assert not [event for event in scene.gate.events if isinstance(event, MessageReceived)]
    assert sum("Message Content Intent" in record.getMessage() for record in caplog.records) == 1


async def test_what_the_core_could_not_take_is_read_back_though_later_messages_were_taken(
    scene: Scene,
) -> None:
    scene.gate.watched = [scene.chat]
    async with running(scene):
        await scene.anna.say(scene.channel, "before")
        await scene.gate.until(MessageReceived, lambda event: event.source == "before")
    task = asyncio.create_task(scene.adapter.run(scene.gate))
    await scene.double.gateway.wait_connected()
    await scene.anna.say(scene.channel, "heard")
    await scene.gate.until(MessageReceived, lambda event: event.source == "heard")
    scene.gate.refuses = "refused"
    for text in ("refused", "after it", "and more"):
        await scene.anna.say(scene.channel, text)
    with pytest.raises(StorageUnavailable):
        await asyncio.wait_for(task, 10)
    scene.gate.refuses = ""
    async with running(scene):
        await scene.gate.until(MessageReceived, lambda event: event.source == "refused")
        await scene.gate.until(MessageReceived, lambda event: event.source == "and more")
    heard = [event.source for event in scene.gate.events if isinstance(event, MessageReceived)]
    assert sorted(heard) == ["after it", "and more", "before", "heard", "refused"]


async def test_a_gateway_that_tells_nothing_more_ends_the_run_and_nothing_is_missing(scene: Scene) -> None:
    scene.gate.watched = [scene.chat]
    adapter = scene.another(canary_seconds=0.2, canary_grace=0.1)
    task = asyncio.create_task(adapter.run(scene.gate))
    await scene.anna.say(scene.channel, "before")
    await scene.double.gateway.wait_connected()
    await scene.anna.say(scene.channel, "heard")
    await scene.gate.until(MessageReceived, lambda event: event.source == "heard")
    looks = _looks(scene.double)
    await scene.double.until(lambda: _looks(scene.double) > looks + 2, 10, "looks at a channel that is heard")
    assert not task.done()
    scene.double.gateway.deafen()
    await scene.anna.say(scene.channel, "unheard")
    with pytest.raises(Deaf, match=str(scene.channel.id)):
        await asyncio.wait_for(task, 10)
    async with running(scene, adapter):
        await scene.gate.until(MessageReceived, lambda event: event.source == "unheard")


def _looks(double: DiscordDouble) -> int:
    return sum((method, route) == ("GET", "/channels/{channel_id}") for method, route in double.requests)


async def test_a_malformed_payload_ends_the_run_for_the_supervisor(scene: Scene) -> None:
    task = asyncio.create_task(scene.adapter.run(scene.gate))
    await scene.double.until(lambda: scene.double.world.commands[None], 10, "commands offered")
    scene.double.gateway.send_raw('{"op": 0, "t": "MESSAGE_CREATE", "s": 99, "d": {"id": []}}')
    async with asyncio.timeout(10):
        with pytest.raises(Exception) as ended:  # noqa: PT011 - whatever discord.py makes of it
            await task
    assert not isinstance(ended.value, BaseExceptionGroup)


# Acting


async def test_a_persons_post_is_an_embed_and_an_edit_may_change_the_form(scene: Scene) -> None:
    shown = {"voice": Voice.PERSON, "author": "Anna (@anna · Telegram)", "footer": "3 votes"}
    copy = await scene.create("Hello, *flock*", **shown)
    (embed,) = scene.double.message(int(copy.key)).embeds
    assert embed["author"]["name"] == "Anna (@anna · Telegram)"
    assert embed["footer"]["text"] == "3 votes"
    assert embed["description"] == "Hello, \\*flock\\*"
    await scene.adapter.perform(Edit(key="e", message=copy, view=view("Now", **shown), form=Form.PLAIN))
    message = scene.double.message(int(copy.key))
    assert (message.embeds, message.content) == ([], "**Anna (@anna · Telegram)**\nNow\n-# 3 votes")


async def test_a_long_text_stands_as_several_messages_none_of_them_too_long(scene: Scene) -> None:
    body = long_body(60)
    whole = View(Voice.PERSON, body, author="Anna (@anna · Telegram)", footer="3 votes")
    scene.double.limits.messages = (Rate(100, 1.0),)
    for form in (Form.FULL, Form.PLAIN):
        before = len(scene.double.visible(scene.channel))
        parts = parted(whole, form, scene.adapter.capabilities, lambda part, of: f"{part}/{of}")
        assert len(parts) > 3
        for number, part in enumerate(parts):
            await scene.adapter.perform(Create(f"{form}{number}", scene.chat, part, form))
        sent = scene.double.visible(scene.channel)[before:]
        assert len(sent) == len(parts)
        texts = [m.embeds[0]["description"] if m.embeds else m.content for m in sent]
        shown = [number for number in range(60) if any(f"@someone{number} " in text for text in texts)]
        assert shown == list(range(60))


async def test_nobody_is_ever_pinged(scene: Scene) -> None:
    text = f"@everyone <@{scene.anna.id}>"
    origin = await scene.anna.say(scene.channel, "hi")
    copy = await scene.create(text, reply_to=scene.ref(origin))
    message = scene.double.message(int(copy.key))
    assert not message.pinged
    assert message.reply_to is origin


async def test_a_repeated_send_is_one_message(scene: Scene) -> None:
    scene.double.fault("error_after", method="POST", route="/messages", status=502)
    with pytest.raises(RetryLater) as later:
        await scene.create()
    assert later.value.unknown
    assert later.value.after is None
    again = await scene.create()
    assert [shown.id for shown in scene.double.visible(scene.channel)] == [int(again.key)]


@pytest.mark.parametrize(
    ("fault", "unknown"),
    [("drop_after", True), ("drop_before", True), ("error_before", True), ("rate_limit", False)],
)
async def test_every_fault_comes_out_at_once(scene: Scene, fault: str, unknown: bool) -> None:
    order = scene.double.fault(fault, method="POST", route="/messages", seconds=0.05)  # type: ignore[arg-type]
    with pytest.raises(RetryLater) as later:
        await scene.create()
    assert later.value.unknown is unknown
    assert order.hits == 1
    assert (later.value.after is not None) is (fault == "rate_limit")


async def test_a_used_up_limit_is_not_tried(scene: Scene) -> None:
    for n in range(5):
        await scene.create(f"line {n}")
    with pytest.raises(RetryLater) as later:
        await scene.create("one too many")
    assert later.value.after is not None
    assert timedelta(0) < later.value.after <= timedelta(seconds=5)
    assert not later.value.whole_token
    assert scene.double.refused == []
    other = scene.guild.text_channel("other")
    await scene.adapter.perform(create(ChatRef(DISCORD, str(other.id)), "elsewhere"))


async def test_what_discord_tells_of_a_limit_comes_with_the_receipt(scene: Scene) -> None:
    quotas = [(await scene.adapter.perform(create(scene.chat, f"line {n}"))).quota for n in range(5)]
    assert [quota and (quota.limit, quota.remaining) for quota in quotas] == [
        (5, 4),
        (5, 3),
        (5, 2),
        (5, 1),
        (5, 0),
    ]
    assert all(quota is not None and 0 < quota.reset <= 5 for quota in quotas)


@pytest.mark.parametrize(("held", "counted"), [(True, False), (False, True)])
async def test_only_what_discord_refused_tells_that_our_count_was_wrong(
    scene: Scene, *, held: bool, counted: bool
) -> None:
    """A limit that is known to be used up is not tried: nobody counted one too many then."""
    scene.double.fault("rate_limit", method="POST", route="/messages", seconds=5)
    with pytest.raises(RetryLater) as later:
        await scene.create()
    if held:
        with pytest.raises(RetryLater) as later:
            await scene.create()
    assert later.value.too_many is counted


async def test_a_global_limit_holds_the_whole_token(scene: Scene) -> None:
    scene.double.fault("rate_limit", method="POST", seconds=5, everywhere=True)
    with pytest.raises(RetryLater) as later:
        await scene.create()
    assert later.value.whole_token
    with pytest.raises(RetryLater) as parked:
        await scene.adapter.perform(Withdraw(key="w", message=MessageRef(scene.chat, "1")))
    assert parked.value.whole_token


async def test_refusals_say_what_follows(scene: Scene) -> None:
    copy = await scene.create()
    await scene.owner.delete(scene.double.message(int(copy.key)))
    for intent in (
        Edit(key="e", message=copy, view=view("Now")),
        Withdraw(key="w", message=copy),
        Mark(key="m", message=copy, emoji="👍"),
    ):
        assert await why(scene, intent) is RejectedWhy.GONE
    nowhere = ChatRef(DISCORD, "12345")
    assert await why(scene, create(nowhere, "x")) is RejectedWhy.CHAT_GONE
    assert await why(scene, create(scene.chat, "x" * 5000)) is RejectedWhy.FORM
    scene.channel.overwrite(scene.guild.everyone, deny=Permission.EMBED_LINKS)
    scene.channel.overwrite(scene.guild.bot_role, deny=Permission.EMBED_LINKS)
    assert await why(scene, create(scene.chat, "x", voice=Voice.PERSON)) is RejectedWhy.FORM
    await scene.adapter.perform(create(scene.chat, "plain", voice=Voice.PERSON, form=Form.PLAIN))
    scene.channel.overwrite(scene.guild.bot_role, deny=Permission.SEND_MESSAGES)
    assert await why(scene, create(scene.chat, "x")) is RejectedWhy.FORBIDDEN


async def why(scene: Scene, intent: Create | Edit | Withdraw | Mark) -> RejectedWhy:
    with pytest.raises(Rejected) as refused:
        await scene.adapter.perform(intent)
    return refused.value.why


async def test_a_mark_just_set_is_not_taken_back_too_soon(scene: Scene) -> None:
    copy = await scene.create()
    await scene.adapter.perform(Mark(key="on", message=copy, emoji="✅"))
    with pytest.raises(RetryLater):
        await scene.adapter.perform(Mark(key="off", message=copy, emoji="✅", on=False))
    assert scene.double.refused == []


async def test_a_mark_and_a_withdrawal(scene: Scene) -> None:
    scene.double.limits.reactions = (Rate(10, 1.0),)
    copy = await scene.create()
    await scene.adapter.perform(Mark(key="on", message=copy, emoji="✅"))
    assert scene.double.message(int(copy.key)).reaction_counts == {"✅": 1}
    await scene.adapter.perform(Mark(key="off", message=copy, emoji="✅", on=False))
    assert scene.double.message(int(copy.key)).reaction_counts == {}
    await scene.adapter.perform(Withdraw(key="w", message=copy))
    assert scene.double.visible(scene.channel) == []


async def test_a_link_leads_to_the_message_once_the_channel_is_known(scene: Scene) -> None:
    copy = await scene.create()
    assert scene.adapter.link(copy) == ""
    async with running(scene):
        await scene.anna.say(scene.channel, "x")
        await scene.gate.until(MessageReceived)
        link = scene.adapter.link(copy)
    assert link == f"https://discord.com/channels/{scene.guild.id}/{scene.channel.id}/{copy.key}"


# Checking


async def test_check_names_what_is_missing(scene: Scene) -> None:
    found = {finding.message.id: finding.ok for finding in await scene.adapter.check()}
    assert found == {
        "check.discord.token": True,
        "check.discord.content_on": True,
        "check.discord.guild": True,
    }
    scene.double.gateway.enabled_intents = 0
    scene.guild.set_permissions(scene.guild.everyone, 0)
    scene.guild.set_permissions(scene.guild.bot_role, Permission.VIEW_CHANNEL | Permission.SEND_MESSAGES)
    found = {finding.message.id: finding.ok for finding in await scene.adapter.check()}
    assert found == {
        "check.discord.token": True,
        "check.discord.content_off": False,
        "check.discord.guild_lacks": False,
    }
    (bad,) = await scene.another(token="wrong").check()
    assert (bad.ok, bad.message.id) == (False, "platform.bad_token")
