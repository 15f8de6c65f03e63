"""Copies that answer: replies of the bot, quotes of webhooks, and what they answer gone meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from core.body import Body, Paragraph, Quote, Text
from core.errors import RetryLater
from core.intents import Create, Edit, Form, Voice
from core.types import ChatRef, MessageRef
from tests.bots.discord_scene import DISCORD, Scene, a_scene, body, create, running, view

pytestmark = [pytest.mark.peer, pytest.mark.timeout(60)]

WORDS = (Quote(body("@bruno who saw the swifts?").blocks),)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with a_scene() as scene:
        yield scene


def answer(scene: Scene, to: MessageRef, text: str = "I did", *, as_author: bool = False) -> Create:
    shown = view(text, voice=Voice.PERSON, author="Anna", as_author=as_author, parent=WORDS)
    return replace(create(scene.chat, text), view=shown, reply_to=to)


@pytest.mark.parametrize("as_author", [False, True])
async def test_an_answer_leads_to_what_it_answers_and_calls_nobody(scene: Scene, *, as_author: bool) -> None:
    asked = await scene.anna.say(scene.channel, "who saw the swifts?")
    receipt = await scene.adapter.perform(answer(scene, scene.ref(asked), as_author=as_author))
    assert receipt.message is not None
    shown = scene.double.message(int(receipt.message.key))
    assert not shown.pinged
    if as_author:
        assert (shown.reply_to, shown.content) == (None, "> @bruno who saw the swifts?\n\nI did")
    else:
        assert (shown.reply_to, shown.embeds[0]["description"]) == (asked, "I did")


@pytest.mark.parametrize("as_author", [False, True])
async def test_an_answer_to_what_is_gone_stands_there_all_the_same(scene: Scene, *, as_author: bool) -> None:
    asked = await scene.anna.say(scene.channel, "who saw the swifts?")
    await scene.anna.delete(asked)
    receipt = await scene.adapter.perform(answer(scene, scene.ref(asked), as_author=as_author))
    assert receipt.message is not None
    assert scene.double.message(int(receipt.message.key)).reply_to is None


async def test_an_answer_in_a_post_that_is_gone_waits_until_that_is_told(scene: Scene) -> None:
    forum = scene.guild.forum("birds")
    thread = (await scene.anna.begin_post(forum, "Owls", "who?")).channel
    to = MessageRef(ChatRef(DISCORD, str(forum.id)), f"{thread.id}/{thread.id}")
    async with running(scene):
        thread.remove()
        for as_author in (False, True):
            asked = answer(scene, to, as_author=as_author)
            with pytest.raises(RetryLater) as later:
                await scene.adapter.perform(replace(asked, chat=to.chat, keyed=False))
            assert not later.value.unknown
    assert forum.posts == []


async def test_a_quote_s_mentions_and_times_are_shown_and_call_nobody(scene: Scene) -> None:
    """What a post quotes stands in its words, in both looks, and an edit keeps it."""
    quoted = Quote(body("@everyone look").blocks)
    tree = Body((Paragraph((Text("true"),)), quoted))
    for as_author in (False, True):
        shown = replace(view("x", voice=Voice.PERSON, author="Anna", as_author=as_author), body=tree)
        receipt = await scene.adapter.perform(replace(create(scene.chat, f"{as_author}"), view=shown))
        assert receipt.message is not None
        await scene.adapter.perform(Edit(key="e", message=receipt.message, view=shown, form=Form.PLAIN))
        message = scene.double.message(int(receipt.message.key))
        assert message.content.endswith("true\n\n> @everyone look")
        assert not message.pinged
        assert not message.mention_everyone
