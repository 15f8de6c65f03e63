"""Without the message-content intent: what still works, and how it is said what does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.events import CommandEdited, CommandInvoked, MessageReceived
from tests.bots.discord_scene import Scene, a_scene, running
from tests.doubles.discord import Intent

pytestmark = [pytest.mark.peer, pytest.mark.timeout(60)]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with a_scene() as scene:
        scene.double.gateway.enabled_intents &= ~Intent.MESSAGE_CONTENT
        yield scene


async def test_commands_mentions_and_answers_that_mention_the_bot_are_heard(scene: Scene) -> None:
    mention = f"<@{scene.double.bot.id}>"
    async with running(scene):
        copy = scene.double.message(int((await scene.create()).key))
        post = await scene.anna.say(scene.channel, f"{mention} post hello")
        await scene.anna.edit(post, f"{mention} post hello again")
        await scene.anna.say(scene.channel, "I saw them", reply_to=copy)
        await scene.anna.dm("whoami")
        asking = asyncio.create_task(scene.anna.slash(scene.channel, "post", {"text": "by slash"}))
        typed = await scene.gate.until(CommandInvoked, lambda event: event.text == "hello")
        edited = await scene.gate.until(CommandEdited)
        answer = await scene.gate.until(MessageReceived)
        private = await scene.gate.until(CommandInvoked, lambda event: event.place.private)
        slash = await scene.gate.until(CommandInvoked, lambda event: bool(event.handle))
        asking.cancel()
    assert (edited.text, answer.source, answer.reply_to) == ("hello again", "I saw them", scene.ref(copy))
    assert private.name == "whoami"
    assert (slash.options or {})["text"] == "by slash"
    assert ["message_content" in event.place.lacks for event in (typed, slash, private)] == [
        True,
        True,
        False,
    ]


async def test_what_mentions_nobody_is_not_heard(scene: Scene) -> None:
    async with running(scene):
        copy = scene.double.message(int((await scene.create()).key))
        await scene.anna.say(scene.channel, "among ourselves")
        await scene.anna.say(scene.channel, "an answer in silence", reply_to=copy, ping=False)
        await scene.anna.say(scene.channel, f"<@{scene.double.bot.id}> whoami")
        await scene.gate.until(CommandInvoked)
    assert not [event for event in scene.gate.events if isinstance(event, MessageReceived)]


async def test_with_the_intent_nothing_is_lacking(scene: Scene) -> None:
    scene.double.gateway.enabled_intents |= Intent.MESSAGE_CONTENT
    async with running(scene):
        await scene.anna.say(scene.channel, f"<@{scene.double.bot.id}> whoami")
        event = await scene.gate.until(CommandInvoked)
    assert "message_content" not in event.place.lacks


async def test_who_runs_it_reads_what_is_not_seen(scene: Scene) -> None:
    found = {finding.message.id: finding.ok for finding in await scene.adapter.check()}
    assert found["check.discord.content_off"] is False
