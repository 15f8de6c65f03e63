"""Forums as places: each thing is a post there, through the real discord.py, against our own double."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bots.discord import convert, render
from core.body import Body, Emphasis, Paragraph, Quote, Text
from core.errors import Rejected, RejectedWhy, RetryLater
from core.events import (
    ButtonPressed,
    CommandInvoked,
    Loss,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Missed,
    PlaceChanged,
    ReactionChanged,
    ReactorsFound,
)
from core.intents import Create, Edit, Mark, NotAsAuthor, Tell, View, Voice, Withdraw
from core.ports import WatchedMessage
from core.types import AccountRef, ChatRef, MessageRef
from tests.bots.discord_scene import DISCORD, Scene, a_scene, body, create, running, view
from tests.doubles.discord import Channel, Intent, Permission
from tests.doubles.discord.faults import Kind

pytestmark = [pytest.mark.peer, pytest.mark.timeout(60)]

ANNA = "Anna (@anna · Telegram)"


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with a_scene() as scene:
        yield scene


@pytest.fixture
def forum(scene: Scene) -> Channel:
    return scene.guild.forum("birds")


def chat(channel: Channel) -> ChatRef:
    return ChatRef(DISCORD, str(channel.id))


def post(forum: Channel, text: str = "Swifts are back", **shown: object) -> Create:
    """A post of the feed, as the courier asks for one where no key is known again."""
    given = {"voice": Voice.PERSON, "author": ANNA, "about": "About"} | shown
    return replace(create(chat(forum), text, keyed=False), view=view(text, **given))


async def sent(scene: Scene, intent: Create) -> MessageRef:
    receipt = await scene.adapter.perform(intent)
    assert receipt.message is not None
    return receipt.message


async def begun(scene: Scene, forum: Channel, text: str = "Swifts are back", **shown: object) -> MessageRef:
    """A post, told of by the gateway."""
    ref = await sent(scene, post(forum, text, **shown))
    thread = convert.address(ref)[0]
    # No change of the double tells when the SDK has heard of it.
    for _ in range(100_000):
        if scene.adapter._shards.channel(thread) is not None:
            break
        await asyncio.sleep(0)
    return ref


# Showing


@pytest.mark.parametrize("as_author", [False, True])
@pytest.mark.parametrize("media", [False, True])
async def test_a_post_of_the_feed_is_a_post_of_the_forum(
    scene: Scene, *, media: bool, as_author: bool
) -> None:
    forum = scene.guild.forum("birds", media=media)
    async with running(scene):
        ref = await sent(scene, post(forum, "Swifts are back @everyone", as_author=as_author))
    (thread,) = forum.posts
    (shown,) = scene.double.visible(thread)
    assert thread.name == "Swifts are back @everyone"
    assert ref == MessageRef(chat(forum), f"{thread.id}/{shown.id}")
    assert shown.id == thread.id
    assert shown.text.splitlines()[-1] == ("Swifts are back @everyone")
    assert not scene.double.message(shown.id).pinged
    if as_author:
        assert (shown.author, ref.via) == (ANNA, str(shown.webhook_id))
    else:
        assert (shown.embeds[0]["author"]["name"], ref.via) == (ANNA, "")
    assert scene.double.message(shown.id).buttons()[0]["custom_id"] == render.sign(
        "key of Swifts are back @everyone"
    )


@pytest.mark.parametrize(
    ("blocks", "title"),
    [
        (body("word " * 60).blocks, "word " * 19 + "word…"),
        ((Quote(body("@anna who saw…").blocks), *body("I\ndid").blocks), "I did"),
        ((Quote(body("only a quote").blocks),), "> only a quote"),
        ((Paragraph((Emphasis((Text("passed on by @bruno"),)),)), *body("Owls").blocks), "Owls"),
        ((), ANNA),
        ((Paragraph((Text("👩‍👩‍👧" * 40),)),), "👩‍👩‍👧" * 19 + "…"),
    ],
)
def test_a_title_is_the_first_words_of_a_post(blocks: tuple[Paragraph, ...], title: str) -> None:
    made = render.title(View(voice=Voice.PERSON, body=Body(blocks), author=ANNA))
    assert made == title
    assert len(made) <= 100


async def test_before_a_key_is_relied_on_where_none_is_known_nothing_is_asked(
    scene: Scene, forum: Channel
) -> None:
    async with running(scene):
        with pytest.raises(RetryLater) as later:
            await scene.adapter.perform(replace(post(forum), keyed=True))
        assert later.value.keyless
        assert not later.value.unknown
    assert forum.posts == []


async def test_a_forum_of_which_the_gateway_told_nothing_is_understood(scene: Scene, forum: Channel) -> None:
    with pytest.raises(RetryLater, match="forum"):
        await scene.adapter.perform(post(forum))
    await sent(scene, post(forum))
    assert [thread.name for thread in forum.posts] == ["Swifts are back"]


@pytest.mark.parametrize("as_author", [False, True])
async def test_further_parts_and_answers_stand_in_its_thread(
    scene: Scene, forum: Channel, *, as_author: bool
) -> None:
    async with running(scene):
        first = await begun(scene, forum, as_author=as_author)
        second = await sent(scene, replace(post(forum, "part two", as_author=as_author), follows=first))
        answer = await sent(scene, replace(post(forum, "I saw them", as_author=as_author), reply_to=first))
        (thread,) = forum.posts
        shown = scene.double.visible(thread)
        assert [each.text.splitlines()[-1] for each in shown] == ["Swifts are back", "part two", "I saw them"]
        assert [ref.key for ref in (second, answer)] == [f"{thread.id}/{each.id}" for each in shown[1:]]
        assert shown[2].reply_to == (None if as_author else shown[0].id)
        await scene.adapter.perform(Edit(key="e", message=second, view=post(forum, "part 2").view))
        await scene.adapter.perform(Withdraw(key="w", message=answer))
        assert [each.text.splitlines()[-1] for each in scene.double.visible(thread)][1:] == ["part 2"]
        assert thread.name == "Swifts are back"


@pytest.mark.parametrize("as_author", [False, True])
async def test_an_edit_changes_words_and_title_and_a_vote_no_title(
    scene: Scene, forum: Channel, *, as_author: bool
) -> None:
    async with running(scene):
        ref = await begun(scene, forum, as_author=as_author)
        scene.guild.set_permissions(
            scene.guild.bot_role, scene.guild.bot_role.permissions | Permission.MANAGE_THREADS
        )
        again = post(forum, "Swifts have left", footer="3 votes").view
        await scene.adapter.perform(Edit(key="e", message=ref, view=again))
        (thread,) = forum.posts
        assert thread.name == "Swifts have left"
        renames = scene.double.requests.count(("PATCH", "/channels/{channel_id}"))
        for votes in range(4, 8):
            more = post(forum, "Swifts have left", footer=f"{votes} votes").view
            await scene.adapter.perform(Edit(key=f"e{votes}", message=ref, view=more))
        assert scene.double.requests.count(("PATCH", "/channels/{channel_id}")) == renames
        assert "7 votes" in scene.double.visible(thread)[0].text


@pytest.mark.parametrize("as_author", [False, True])
async def test_what_moderators_called_a_post_stays_until_its_author_has_other_words(
    scene: Scene, forum: Channel, *, as_author: bool
) -> None:
    role = scene.guild.bot_role
    scene.guild.set_permissions(role, role.permissions | Permission.MANAGE_THREADS)

    scene.double.limits.enabled = False

    def edit(text: str, votes: int) -> Edit:
        return Edit(key=f"{text} {votes}", message=ref, view=post(forum, text, footer=f"{votes} votes").view)

    async with running(scene):
        ref = await begun(scene, forum, as_author=as_author)
        (thread,) = forum.posts
        thread.update(name="Swifts (solved)")
        restarted = scene.another()
        for votes, adapter in enumerate((scene.adapter, scene.adapter, restarted, restarted)):
            await adapter.perform(edit("Swifts are back", votes))
            assert thread.name == "Swifts (solved)"
        for adapter, text in ((restarted, "Owls"), (scene.another(), "Owls again")):
            await adapter.perform(edit(text, 5))
            assert thread.name == text


async def test_words_do_not_wait_for_their_title(scene: Scene, forum: Channel) -> None:
    async with running(scene):
        ref = await begun(scene, forum)
        (thread,) = forum.posts
        order = scene.double.fault("error_before", method="PATCH", route="/channels/{channel_id}")
        edit = Edit(key="e", message=ref, view=post(forum, "Owls").view)
        with pytest.raises(RetryLater):
            await scene.adapter.perform(edit)
        assert (thread.name, scene.double.visible(thread)[0].embeds[0]["description"]) == (
            "Swifts are back",
            "Owls",
        )
        assert order.hits == 1
        await scene.adapter.perform(edit)
        assert thread.name == "Owls"


async def test_a_title_that_may_not_be_changed_stays_and_the_words_follow(
    scene: Scene, forum: Channel
) -> None:
    async with running(scene):
        ref = await begun(scene, forum, as_author=True)
        await scene.adapter.perform(Edit(key="e", message=ref, view=post(forum, "Swifts have left").view))
    (thread,) = forum.posts
    assert (thread.name, scene.double.visible(thread)[0].text) == ("Swifts are back", "Swifts have left")


async def test_a_post_whose_webhook_was_deleted_can_be_taken_away_and_not_be_changed(
    scene: Scene, forum: Channel
) -> None:
    role = scene.guild.bot_role
    scene.guild.set_permissions(role, role.permissions | Permission.MANAGE_THREADS)
    async with running(scene):
        ref = await begun(scene, forum, as_author=True)
        (hook,) = scene.double.world.webhooks.values()
        await scene.owner.delete_webhook(hook)
        for adapter in (scene.adapter, scene.another()):
            with pytest.raises(Rejected) as refused:
                await adapter.perform(Edit(key="e", message=ref, view=post(forum, "Owls").view))
            assert refused.value.why is RejectedWhy.FROZEN
        await scene.adapter.perform(Withdraw(key="w", message=ref))
    assert forum.posts == []


# Taking away


@pytest.mark.parametrize("as_author", [False, True])
async def test_a_withdrawal_takes_the_whole_post_away(
    scene: Scene, forum: Channel, *, as_author: bool
) -> None:
    role = scene.guild.bot_role
    scene.guild.set_permissions(role, role.permissions | Permission.MANAGE_THREADS)
    async with running(scene):
        ref = await begun(scene, forum, as_author=as_author)
        await scene.adapter.perform(Withdraw(key="w", message=ref))
        assert forum.posts == []
        with pytest.raises(Rejected) as gone:
            await scene.adapter.perform(Withdraw(key="w2", message=ref))
        assert gone.value.why is RejectedWhy.GONE
        with pytest.raises(Rejected) as gone:
            await scene.adapter.perform(Edit(key="e", message=ref, view=view("x")))
        assert gone.value.why is RejectedWhy.GONE


async def test_without_the_right_to_manage_threads_a_withdrawn_post_loses_its_words_and_its_title(
    scene: Scene, forum: Channel
) -> None:
    async with running(scene):
        ref = await begun(scene, forum)
        await scene.adapter.perform(Withdraw(key="w", message=ref))
    (thread,) = forum.posts
    assert (thread.name, scene.double.visible(thread)) == (render.NOTHING, [])


@pytest.mark.parametrize("as_author", [False, True])
async def test_what_others_wrote_in_a_post_stays_when_its_words_go(
    scene: Scene, forum: Channel, *, as_author: bool
) -> None:
    role = scene.guild.bot_role
    scene.guild.set_permissions(role, role.permissions | Permission.MANAGE_THREADS)
    async with running(scene):
        ref = await begun(scene, forum, as_author=as_author)
        (thread,) = forum.posts
        await scene.anna.say(thread, "lovely")
        scene.double.fault("error_before", method="PATCH", route="/channels/{channel_id}")
        with pytest.raises(RetryLater) as later:
            await scene.adapter.perform(Withdraw(key="w", message=ref))
        assert later.value.unknown
        assert [shown.content for shown in scene.double.visible(thread)] == ["lovely"]
        with pytest.raises(Rejected, match="10008"):
            await scene.adapter.perform(Withdraw(key="w", message=ref))
        assert (forum.posts, thread.name) == ([thread], render.NOTHING)
        with pytest.raises(Rejected) as gone:
            await scene.adapter.perform(Withdraw(key="w2", message=ref))
        assert gone.value.why is RejectedWhy.GONE


async def test_a_post_that_somebody_else_began_is_never_taken_away_whole(
    scene: Scene, forum: Channel
) -> None:
    role = scene.guild.bot_role
    scene.guild.set_permissions(role, role.permissions | Permission.MANAGE_THREADS)
    theirs = await scene.anna.begin_post(forum, "Owls", "post hello")
    async with running(scene):
        await scene.adapter.perform(
            Withdraw(key="w", message=MessageRef(chat(forum), f"{theirs.id}/{theirs.id}"))
        )
    assert (forum.posts, scene.double.visible(theirs.channel)) == ([theirs.channel], [])


# Reading along


async def test_what_is_said_in_a_post_is_said_in_the_forum(scene: Scene, forum: Channel) -> None:
    async with running(scene):
        ref = await begun(scene, forum)
        thread = forum.posts[0]
        copy = scene.double.message(thread.id)
        said = await scene.anna.say(thread, "lovely", reply_to=copy)
        await scene.anna.say(thread, "a quiet word")
        await scene.anna.say(thread, f"<@{scene.double.bot.id}> post and I")
        await scene.anna.edit(said, "lovely!")
        await scene.anna.react(copy, "👍")
        await scene.anna.unreact(copy, "👍")
        await scene.anna.react(copy, "❤️")
        await scene.owner.clear_reactions(copy)
        answer = await scene.gate.until(MessageReceived, lambda event: event.source == "lovely")
        word = await scene.gate.until(MessageReceived, lambda event: event.source == "a quiet word")
        command = await scene.gate.until(CommandInvoked)
        edit = await scene.gate.until(MessageEdited)
        cleared = await scene.gate.until(ReactorsFound)
    where = chat(forum)
    assert answer.place.chat == answer.message.chat == edit.place.chat == where
    assert (answer.place.title, answer.place.group) == ("birds", str(scene.guild.id))
    assert (answer.reply_to, word.reply_to) == (ref, None)
    assert answer.message == edit.message == MessageRef(where, f"{thread.id}/{said.id}")
    assert (command.text, command.target) == ("and I", ref), "a command is about the post that it stands in"
    reactions = [event for event in scene.gate.events if isinstance(event, ReactionChanged)]
    assert {event.message for event in reactions} == {cleared.message} == {ref}
    assert len(reactions) == 3


async def test_slash_commands_and_buttons_in_a_post_are_about_it(scene: Scene, forum: Channel) -> None:
    async with running(scene):
        ref = await begun(scene, forum)
        thread = forum.posts[0]
        await scene.anna.press(scene.double.message(thread.id), "About")
        pressed = await scene.gate.until(ButtonPressed)
        asking = scene.anna.slash(thread, "whoami", patience=0.1)
        with pytest.raises(AssertionError):
            await asking
        asked = await scene.gate.until(CommandInvoked)
    assert (pressed.place.chat, pressed.message) == (chat(forum), ref)
    assert (asked.place.chat, asked.place.title, asked.target) == (chat(forum), "birds", ref)


async def test_who_sets_a_forum_up_learns_what_it_needs_besides(scene: Scene) -> None:
    forum = scene.guild.forum("birds", tags_required=True)
    async with running(scene):
        thread = forum.thread("Set up", scene.owner)
        for told in (("tags", "manage_threads"), ("manage_threads",), ()):
            await scene.owner.say(thread, f"<@{scene.double.bot.id}> setup")
            event = await scene.gate.until(CommandInvoked)
            scene.gate.events.remove(event)
            assert event.place.lacks == told
            if forum.flags:
                forum.update(flags=0)
            else:
                forum.overwrite(scene.guild.bot_role, allow=Permission.MANAGE_THREADS)


async def test_what_is_answered_openly_stands_in_the_post_and_nowhere_else(
    scene: Scene, forum: Channel
) -> None:
    thread = (await scene.anna.begin_post(forum, "Owls", "who?")).channel
    question = await scene.anna.say(thread, "well?")
    to, about = AccountRef(DISCORD, str(scene.anna.id)), MessageRef(chat(forum), f"{thread.id}/{question.id}")
    async with running(scene):
        said = await scene.adapter.perform(
            Tell(key="t", chat=chat(forum), to=to, view=view("you"), reply_to=about)
        )
        await scene.adapter.perform(Mark(key="m", message=about, emoji="👌"))
        with pytest.raises(Rejected) as shut:
            await scene.adapter.perform(Tell(key="u", chat=chat(forum), to=to, view=view("you")))
    shown = scene.double.visible(thread)[-1]
    assert (shown.text, shown.reply_to) == ("you", question.id)
    assert said.message == MessageRef(chat(forum), f"{thread.id}/{shown.id}")
    assert question.reaction_counts == {"👌": 1}
    assert shut.value.why is RejectedWhy.UNREACHABLE
    assert forum.posts == [thread]


async def test_a_post_that_goes_is_a_copy_that_goes(scene: Scene, forum: Channel) -> None:
    async with running(scene):
        whole, first = await begun(scene, forum, "one"), await begun(scene, forum, "two")
        one, two = forum.posts
        one.remove()
        await scene.owner.delete(scene.double.message(two.id))
        for ref in (whole, first):
            await scene.gate.until(MessageDeleted, lambda event, ref=ref: event.message == ref)  # type: ignore[misc]


async def test_what_people_wrote_in_a_post_goes_with_it(scene: Scene, forum: Channel) -> None:
    async with running(scene):
        await begun(scene, forum, "one")
        await begun(scene, forum, "two")
        one, two = forum.posts
        said = [await scene.anna.say(thread, "an answer") for thread in (one, two)]
        heard = await scene.gate.until(MessageReceived, lambda event: str(said[0].id) in event.message.key)
        other = await scene.gate.until(MessageReceived, lambda event: str(said[1].id) in event.message.key)
        scene.gate.recent = [WatchedMessage(one.message, ours=False) for one in (heard, other)]
        one.remove()
        await scene.gate.until(MessageDeleted, lambda event: event.message == heard.message)
    deleted = [event.message for event in scene.gate.events if isinstance(event, MessageDeleted)]
    assert other.message not in deleted


async def test_what_was_written_in_posts_meanwhile_is_read_back_in_one_order(
    scene: Scene, forum: Channel
) -> None:
    scene.gate.watched = [chat(forum)]
    async with running(scene):
        refs = [await begun(scene, forum, text) for text in ("one", "two")]
        await scene.anna.say(forum.posts[0], "before")
        await scene.gate.until(MessageReceived, lambda event: event.source == "before")
    one, two = forum.posts
    for number in range(6):
        await scene.anna.say((one, two)[number % 2], f"missed {number}")
    await scene.anna.react(scene.double.message(two.id), "👍")
    one.remove()
    scene.gate.recent = [WatchedMessage(ref, ours=True) for ref in refs]
    async with running(scene, scene.another()):
        found = await scene.gate.until(ReactionChanged)
        gone = await scene.gate.until(MessageDeleted)
        await scene.anna.say(two, "after")
        await scene.gate.until(MessageReceived, lambda event: event.source == "after")
    heard = [event.source for event in scene.gate.events if isinstance(event, MessageReceived)]
    assert heard == ["before", "missed 1", "missed 3", "missed 5", "after"]
    assert (found.message, gone.message) == (refs[1], refs[0])


async def test_only_posts_with_something_new_are_read_and_what_may_not_be_read_is_said(
    scene: Scene, forum: Channel
) -> None:
    scene.gate.watched = [chat(forum)]
    async with running(scene):
        for number in range(4):
            await scene.anna.begin_post(forum, f"post {number}", f"begin {number}")
        await scene.gate.until(MessageReceived, lambda event: event.source == "begin 3")
    await scene.anna.say(forum.posts[1], "missed")
    began = len(scene.double.requests)
    async with running(scene, scene.another()):
        await scene.gate.until(MessageReceived, lambda event: event.source == "missed")
        reads = [route for _, route in scene.double.requests[began:] if route.endswith("/messages")]
        assert len(reads) == 1
    forum.overwrite(scene.guild.bot_role, deny=Permission.READ_MESSAGE_HISTORY)
    await scene.anna.say(forum.posts[2], "unreadable")
    async with running(scene, scene.another()):
        missed = await scene.gate.until(Missed)
    assert (missed.chat, missed.reason) == (chat(forum), "the bot may not read the channel's history")


# What a forum does not take


async def test_a_forum_that_wants_tags_is_closed_and_says_why(scene: Scene) -> None:
    forum = scene.guild.forum("birds", tags_required=True)
    async with running(scene):
        told = await scene.gate.until(PlaceChanged, lambda event: event.muted)
        assert (told.chat, told.reason) == (chat(forum), Loss.TAGS)
        assert await scene.adapter.standing(chat(forum)) is Loss.TAGS
        for as_author in (False, True):
            with pytest.raises(Rejected, match="tag") as refused:
                await scene.adapter.perform(post(forum, as_author=as_author))
            assert refused.value.why is RejectedWhy.FORBIDDEN
        forum.update(flags=0)
        await scene.gate.until(PlaceChanged, lambda event: event.chat == chat(forum) and not event.reason)
        await sent(scene, post(forum))


async def test_without_the_right_to_write_it_is_closed_and_without_webhooks_the_bot_speaks(
    scene: Scene, forum: Channel
) -> None:
    role = scene.guild.bot_role
    async with running(scene):
        forum.overwrite(role, deny=Permission.MANAGE_WEBHOOKS)
        receipt = await scene.adapter.perform(post(forum, as_author=True))
        assert receipt.not_as_author is NotAsAuthor.FORBIDDEN
        assert [thread.name for thread in forum.posts] == ["Swifts are back"]
        forum.overwrite(role, deny=Permission.SEND_MESSAGES)
        told = await scene.gate.until(PlaceChanged, lambda event: event.muted)
        assert (told.chat, told.reason) == (chat(forum), Loss.MUTED)
        with pytest.raises(Rejected) as refused:
            await scene.adapter.perform(post(forum))
        assert refused.value.why in (RejectedWhy.FORM, RejectedWhy.FORBIDDEN)


async def test_a_webhook_that_was_moved_begins_no_post_where_nobody_asked(
    scene: Scene, forum: Channel
) -> None:
    other = scene.guild.forum("other")
    for target in (other, scene.channel):
        await sent(scene, post(forum, as_author=True))
        hook = next(each for each in scene.double.world.webhooks.values() if each.channel is forum)
        await scene.owner.move_webhook(hook, target)
        await sent(scene, post(forum, as_author=True))
    assert len(forum.posts) == 4
    assert scene.double.visible(scene.channel) == []
    assert [scene.double.visible(thread) for thread in other.posts] == [[]]


@pytest.mark.parametrize("as_author", [False, True])
async def test_a_locked_post_takes_no_answer_and_closes_no_forum(
    scene: Scene, forum: Channel, *, as_author: bool
) -> None:
    async with running(scene):
        first = await begun(scene, forum)
        (thread,) = forum.posts
        for archived in (False, True):
            thread.update(locked=True, archived=archived)
            with pytest.raises(Rejected) as refused:
                await scene.adapter.perform(replace(post(forum, "two", as_author=as_author), reply_to=first))
            assert refused.value.why is RejectedWhy.CLOSED
        await sent(scene, post(forum, "three", as_author=as_author))
    assert len(forum.posts) == 2


async def test_too_many_open_threads_are_waited_out(
    scene: Scene, forum: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.doubles.discord.acts.ACTIVE_THREADS", 1)
    async with running(scene):
        await sent(scene, post(forum, "one"))
        for as_author in (False, True):
            with pytest.raises(RetryLater, match="active threads") as later:
                await scene.adapter.perform(post(forum, "two", as_author=as_author))
            assert not later.value.unknown
        forum.posts[0].update(archived=True)
        await sent(scene, post(forum, "two"))


# A post whose answer was lost


@pytest.mark.parametrize("as_author", [True, False])
@pytest.mark.parametrize("kind", ["drop_after", "error_after"])
async def test_a_post_that_stands_there_is_found_by_its_button(
    scene: Scene, forum: Channel, kind: Kind, *, as_author: bool
) -> None:
    began, intent = datetime.now(UTC), post(forum, as_author=as_author)
    async with running(scene):
        route = "/webhooks/" if as_author else "/threads"
        scene.double.fault(kind, method="POST", route=route, seconds=0.1)
        with pytest.raises(RetryLater) as lost:
            await scene.adapter.perform(intent)
        assert lost.value.unknown
        (thread,) = forum.posts
        for archived in (False, True):
            thread.update(archived=archived)
            found = await scene.adapter.find_sent(intent, began)
            assert found == MessageRef(chat(forum), f"{thread.id}/{thread.id}")
            assert found is not None
            assert bool(found.via) is as_author
        assert await scene.adapter.find_sent(post(forum, "never sent"), began) is None


async def test_a_part_is_looked_for_in_its_thread(scene: Scene, forum: Channel) -> None:
    began = datetime.now(UTC)
    scene.double.gateway.enabled_intents &= ~Intent.MESSAGE_CONTENT
    async with running(scene):
        first = await begun(scene, forum, as_author=True)
        part = replace(post(forum, "part two", as_author=True), follows=first)
        ref = await sent(scene, part)
        assert await scene.adapter.find_sent(part, began) == ref
        assert await scene.adapter.find_sent(replace(part, key="other"), began) is None


async def test_what_would_stand_in_a_post_that_went_is_not_there_and_the_forum_stays(
    scene: Scene, forum: Channel
) -> None:
    began = datetime.now(UTC)
    async with running(scene):
        first = await begun(scene, forum)
        (thread,) = forum.posts
        thread.remove()
        for part in (replace(post(forum, "two"), follows=first), replace(post(forum, "two"), reply_to=first)):
            assert await scene.adapter.find_sent(part, began) is None
