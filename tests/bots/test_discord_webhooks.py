"""People's posts in their own name on Discord, and sends whose answer was lost, against our own double."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bots.discord import render
from core.body import Quote
from core.errors import Rejected, RejectedWhy, RetryLater
from core.events import ButtonPressed, CommandInvoked, MessageReceived
from core.intents import ABOUT, Create, Edit, Form, NotAsAuthor, Receipt, Voice, Withdraw
from core.types import ChatRef, MessageRef
from tests.bots.discord_scene import DISCORD, Scene, a_scene, body, create, running, view
from tests.doubles.discord import Intent, Permission, Rate, Webhook, content
from tests.doubles.discord.faults import Kind

pytestmark = [pytest.mark.peer, pytest.mark.timeout(60)]

ANNA = "Anna (@anna · Telegram)"


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with a_scene() as scene:
        yield scene


def post(scene: Scene, text: str = "Hello", *, chat: ChatRef | None = None, **shown: object) -> Create:
    """A post that is to be shown in its author's name."""
    given = {"voice": Voice.PERSON, "author": ANNA, "about": "About", "as_author": True} | shown
    return replace(create(chat or scene.chat, text), view=view(text, **given))


async def sent(scene: Scene, intent: Create) -> MessageRef:
    receipt = await scene.adapter.perform(intent)
    assert receipt.not_as_author is None
    assert receipt.message is not None
    return receipt.message


def webhooks(scene: Scene) -> list[Webhook]:
    return list(scene.double.world.webhooks.values())


# In their own name


async def test_a_post_stands_there_as_its_author_said_it(scene: Scene) -> None:
    message = await sent(scene, post(scene, "Hello, *flock*", footer="3 votes"))
    (shown,) = scene.double.visible(scene.channel)
    (webhook,) = webhooks(scene)
    assert (shown.author, shown.webhook_id) == (ANNA, webhook.id)
    assert (shown.content, shown.embeds) == ("Hello, \\*flock\\*\n-# 3 votes", [])
    assert (message.key, message.via) == (str(shown.id), str(webhook.id))
    (button,) = scene.double.message(shown.id).buttons()
    assert (button["label"], button["custom_id"]) == ("About", render.sign("key of Hello, *flock*"))
    assert (webhook.name, webhook.application_id) == ("Stormo", scene.double.world.application_id)


async def test_one_webhook_serves_a_channel_and_its_threads_also_after_a_restart(scene: Scene) -> None:
    thread = await scene.anna.open_thread(scene.channel, "nests")
    await sent(scene, post(scene, "one"))
    inside = await sent(scene, post(scene, "two", chat=ChatRef(DISCORD, str(thread.id))))
    receipt = await scene.another().perform(post(scene, "three"))
    assert receipt.message is not None
    assert len(webhooks(scene)) == 1
    assert [each.text for each in scene.double.visible(scene.channel)] == ["one", "three"]
    edited = Edit(key="e", message=inside, view=post(scene, "two, again").view)
    await scene.another().perform(edited)
    assert [each.text for each in scene.double.visible(thread)] == ["two, again"]
    await scene.another().perform(Withdraw(key="w", message=inside))
    assert scene.double.visible(thread) == []


async def test_each_copy_is_edited_and_withdrawn_as_it_was_sent(scene: Scene) -> None:
    mine = await sent(scene, post(scene, "of the bot", as_author=False))
    theirs = await sent(scene, post(scene, "of the author"))
    for message in (mine, theirs):
        # What the room chose since does not matter.
        for as_author in (True, False):
            shown = post(scene, "again", as_author=as_author).view
            await scene.adapter.perform(Edit(key="e", message=message, view=shown))
    first, second = scene.double.visible(scene.channel)
    assert (first.embeds[0]["description"], first.webhook_id) == ("again", None)
    assert (second.content, second.embeds) == ("again", [])
    for message in (mine, theirs):
        await scene.adapter.perform(Withdraw(key="w", message=message))
    assert scene.double.visible(scene.channel) == []
    assert scene.double.errors == []


async def test_a_webhook_cannot_reply_and_quotes_and_pings_nobody(scene: Scene) -> None:
    asked = await scene.anna.say(scene.channel, "who saw the swifts?")
    parent = (Quote(body("@anna who saw…").blocks),)
    intent = post(scene, f"I did, @everyone {scene.anna.mention}", parent=parent)
    message = await sent(scene, replace(intent, reply_to=scene.ref(asked)))
    shown = scene.double.message(int(message.key))
    assert shown.content.startswith("> @anna who saw…\n")
    assert shown.reply_to is None
    assert not shown.pinged


async def test_a_long_post_is_an_embed_of_the_same_author(scene: Scene) -> None:
    message = await sent(scene, post(scene, "word " * 500, footer="3 votes"))
    shown = scene.double.message(int(message.key))
    (embed,) = shown.embeds
    assert (shown.content, "author" in embed, embed["footer"]["text"]) == ("", False, "3 votes")
    short = Edit(key="e", message=message, view=post(scene, "short").view, form=Form.LINK)
    await scene.adapter.perform(short)
    assert (shown.content, shown.embeds) == ("short", [])


async def test_names_keep_to_discord_s_rules(scene: Scene) -> None:
    for author, name in (
        ("Anna (@anna · Discord)", "Anna (@anna)"),
        ("@clyde_fan · Matrix", "@cly-de_fan · Matrix"),
        ("My DISCORD friend (@x · Telegram)", "My DIS-CORD friend (@x · Telegram)"),
        ("🐦" * 100 + " (@birds · Telegram)", "🐦" * 79 + "…"),
    ):
        await sent(scene, post(scene, author=author))
        assert scene.double.visible(scene.channel)[-1].author == name


async def test_a_name_that_discord_does_not_take_for_reasons_of_its_own_comes_from_the_bot(
    scene: Scene,
) -> None:
    receipt = await scene.adapter.perform(post(scene, author="everyone"))
    assert (receipt.message is not None, receipt.not_as_author) == (True, None)
    (shown,) = scene.double.visible(scene.channel)
    assert (shown.webhook_id, shown.embeds[0]["author"]["name"]) == (None, "everyone")


# Where it cannot be


async def bots(scene: Scene, intent: Create) -> Receipt:
    """Performed, and shown by the bot."""
    receipt = await scene.adapter.perform(intent)
    assert receipt.message is not None
    assert receipt.message.via == ""
    assert scene.double.visible(scene.channel)[-1].webhook_id is None
    return receipt


async def test_without_the_right_to_manage_webhooks_the_bot_speaks_and_says_why(scene: Scene) -> None:
    scene.channel.overwrite(scene.guild.bot_role, deny=Permission.MANAGE_WEBHOOKS)
    assert (await bots(scene, post(scene))).not_as_author is NotAsAuthor.FORBIDDEN


async def test_with_fifteen_webhooks_there_the_bot_speaks_and_says_why(scene: Scene) -> None:
    for number in range(15):
        await scene.owner.make_webhook(scene.channel, f"feed {number}")
    assert (await bots(scene, post(scene))).not_as_author is NotAsAuthor.FULL


async def test_in_a_private_chat_there_are_no_webhooks(scene: Scene) -> None:
    chat = ChatRef(DISCORD, str(scene.anna.direct_channel.id))
    receipt = await scene.adapter.perform(post(scene, chat=chat))
    assert receipt.not_as_author is NotAsAuthor.UNABLE


async def test_a_webhook_that_was_deleted_is_made_anew_once(scene: Scene) -> None:
    for text in ("one", "two"):
        await sent(scene, post(scene, text))
        await scene.owner.delete_webhook(webhooks(scene)[0])
    assert (await bots(scene, post(scene, "three"))).not_as_author is NotAsAuthor.TAKEN_AWAY
    assert webhooks(scene) == []
    await sent(scene, post(scene, "four, which an admin asked for again"))
    assert len(webhooks(scene)) == 1


async def test_what_a_deleted_webhook_said_can_be_taken_away_and_no_more_be_edited(scene: Scene) -> None:
    message = await sent(scene, post(scene))
    await scene.owner.delete_webhook(webhooks(scene)[0])
    with pytest.raises(Rejected, match="was deleted") as refused:
        await scene.adapter.perform(Edit(key="e", message=message, view=post(scene, "again").view))
    assert refused.value.why is RejectedWhy.FROZEN
    await scene.adapter.perform(Withdraw(key="w", message=message))
    assert scene.double.visible(scene.channel) == []


async def test_a_copy_that_a_moderator_deleted_is_gone_also_for_its_webhook(scene: Scene) -> None:
    message = await sent(scene, post(scene))
    await scene.owner.delete(scene.double.message(int(message.key)))
    for act in (Edit(key="e", message=message, view=view("x")), Withdraw(key="w", message=message)):
        with pytest.raises(Rejected) as refused:
            await scene.adapter.perform(act)
        assert refused.value.why is RejectedWhy.GONE


async def test_a_webhook_that_was_moved_says_nothing_where_nobody_asked(scene: Scene) -> None:
    other = scene.guild.text_channel("other")
    await sent(scene, post(scene, "one"))
    await scene.owner.move_webhook(webhooks(scene)[0], other)
    await sent(scene, post(scene, "two"))
    assert scene.double.visible(other) == []
    assert [each.text for each in scene.double.visible(scene.channel)] == ["one", "two"]
    assert len(webhooks(scene)) == 2


async def test_an_admin_is_told_which_right_the_bot_lacks(scene: Scene) -> None:
    async with running(scene):
        scene.channel.overwrite(scene.guild.bot_role, deny=Permission.MANAGE_WEBHOOKS)
        await scene.owner.say(scene.channel, f"<@{scene.double.bot.id}> mirror look author")
        typed = await scene.gate.until(CommandInvoked)
        asking = asyncio.create_task(scene.owner.slash(scene.channel, "mirror look", {"name": "author"}))
        slash = await scene.gate.until(CommandInvoked, lambda event: bool(event.handle))
        asking.cancel()
        scene.channel.overwrite(scene.guild.bot_role)
        await scene.owner.say(scene.channel, f"<@{scene.double.bot.id}> mirror list")
        after = await scene.gate.until(CommandInvoked, lambda event: event.text == "list")
    assert typed.place.lacks == slash.place.lacks == ("manage_webhooks",)
    assert after.place.lacks == ()


# Guards


async def test_what_webhooks_say_is_no_event_ours_or_not(scene: Scene) -> None:
    async with running(scene):
        await sent(scene, post(scene))
        feed = await scene.owner.make_webhook(scene.channel, "feed")
        await scene.owner.speak_through(feed, "news")
        await scene.anna.say(scene.channel, "end")
        await scene.gate.until(MessageReceived, lambda event: event.source == "end")
    assert [event.source for event in scene.gate.events if isinstance(event, MessageReceived)] == ["end"]


async def test_the_button_of_a_copy_works_after_a_restart_and_names_its_message(scene: Scene) -> None:
    message = await sent(scene, post(scene))
    async with running(scene, scene.another()):
        pressing = await scene.anna.press(scene.double.message(int(message.key)), "About")
        event = await scene.gate.until(ButtonPressed)
    assert event.data.startswith(f"{ABOUT}:")
    assert event.message == message
    assert pressing.kind


async def test_tokens_are_in_no_log_and_in_no_fault(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    scene.double.fault("drop_after", method="POST", route="/webhooks/")
    with pytest.raises(RetryLater) as lost:
        await scene.adapter.perform(post(scene, "one"))
    message = await sent(scene, post(scene, "two"))
    (webhook,) = webhooks(scene)
    await scene.owner.delete_webhook(webhook)
    with pytest.raises(Rejected) as refused:
        await scene.adapter.perform(Edit(key="e", message=message, view=view("x")))
    for told in (caplog.text, str(lost.value), str(refused.value), repr(scene.adapter._webhooks._hooks)):
        assert webhook.token not in told


async def test_a_burst_waits_for_its_window_and_earns_no_429(scene: Scene) -> None:
    scene.double.limits.webhooks = (Rate(2, 60.0),)
    await sent(scene, post(scene, "one"))
    await sent(scene, post(scene, "two"))
    with pytest.raises(RetryLater) as later:
        await scene.adapter.perform(post(scene, "three"))
    assert later.value.after is not None
    assert later.value.after > timedelta(seconds=50)
    assert not later.value.unknown
    assert scene.double.refused == []


# A send whose answer was lost


@pytest.mark.parametrize("as_author", [True, False])
@pytest.mark.parametrize("kind", ["drop_after", "error_after", "silent_after"])
async def test_a_message_that_stands_there_is_found_by_its_button(
    scene: Scene, kind: Kind, *, as_author: bool
) -> None:
    began, intent = datetime.now(UTC), post(scene, as_author=as_author)
    scene.double.fault(kind, method="POST", route="/webhooks/" if as_author else "/messages", seconds=0.1)
    with pytest.raises(RetryLater) as lost:
        await scene.adapter.perform(intent)
    assert lost.value.unknown
    async with running(scene):
        found = await scene.adapter.find_sent(intent, began)
        (shown,) = scene.double.visible(scene.channel)
        assert found == MessageRef(scene.chat, str(shown.id))
        assert found is not None
        assert found.via == (str(shown.webhook_id) if as_author else "")
        await scene.adapter.perform(Edit(key="e", message=found, view=post(scene, "again").view))
        assert await scene.adapter.find_sent(intent, began) is None, (
            "the button carries the key of the newest act"
        )
    assert [each.text.splitlines()[-1] for each in scene.double.visible(scene.channel)] == ["again"]


async def test_a_message_that_was_never_stored_is_not_found(scene: Scene) -> None:
    began = datetime.now(UTC)
    scene.double.fault("drop_before", method="POST", route="/webhooks/")
    with pytest.raises(RetryLater):
        await scene.adapter.perform(post(scene))
    await sent(scene, post(scene, "another"))
    await scene.anna.say(scene.channel, "Hello")
    async with running(scene):
        assert await scene.adapter.find_sent(post(scene), began) is None


async def test_nobody_s_forged_button_is_taken_for_ours(scene: Scene) -> None:
    began, intent = datetime.now(UTC), post(scene)
    feed = await scene.owner.make_webhook(scene.channel, "feed")
    forged = await scene.owner.speak_through(feed, "Hello")
    rows = render.message(intent.view, Form.FULL, key=intent.key)["components"]
    forged.components = content.rows_as_stored(rows)
    async with running(scene):
        assert await scene.adapter.find_sent(intent, began) is None


async def test_it_is_found_among_many_that_were_written_since(scene: Scene) -> None:
    began, intent = datetime.now(UTC), post(scene)
    for number in range(150):
        await scene.anna.say(scene.channel, f"before {number}")
    message = await sent(scene, intent)
    async with running(scene):
        assert await scene.adapter.find_sent(intent, began) == message
        for number in range(1000):
            await scene.anna.say(scene.channel, f"after {number}")
        assert await scene.adapter.find_sent(intent, began) == message
        with pytest.raises(Rejected, match="too much"):
            await scene.adapter.find_sent(post(scene, "never sent"), began)


async def test_without_message_content_our_own_webhook_is_asked_for_its_words(scene: Scene) -> None:
    scene.double.gateway.enabled_intents &= ~Intent.MESSAGE_CONTENT
    began, intent = datetime.now(UTC), post(scene)
    await sent(scene, post(scene, "another"))
    message = await sent(scene, intent)
    async with running(scene):
        assert await scene.adapter.find_sent(intent, began) == message
        assert await scene.adapter.find_sent(post(scene, "never sent"), began) is None


async def test_where_history_may_not_be_read_nothing_is_claimed(scene: Scene) -> None:
    began, intent = datetime.now(UTC), post(scene)
    await sent(scene, intent)
    with pytest.raises(RetryLater, match="not connected"):
        await scene.adapter.find_sent(intent, began)
    async with running(scene):
        scene.channel.overwrite(scene.guild.bot_role, deny=Permission.READ_MESSAGE_HISTORY)
        await scene.anna.say(scene.channel, "end")
        await scene.gate.until(MessageReceived, lambda event: event.source == "end")
        with pytest.raises(Rejected, match="history"):
            await scene.adapter.find_sent(intent, began)
