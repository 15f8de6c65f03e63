"""Commands as Discord's own: menus on messages and people, forms for long texts, suggestions while somebody types."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.events import ButtonPressed, CommandInvoked
from core.intents import Button
from core.suggestions import Draft, Suggestion
from core.types import AccountRef
from tests.bots.discord_scene import DISCORD, Scene, a_scene, body, running
from tests.bots.test_discord_bot import answering
from tests.doubles.discord import ClientRefuses


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with a_scene() as made:
        made.gate.on_event = answering(made, "Done.")
        yield made


async def test_ones_own_message_is_posted_from_its_menu_with_its_files(scene: Scene) -> None:
    message = await scene.anna.say(scene.channel, "Two **swifts**", files={"swifts.png": b"png"})
    async with running(scene):
        answer = await scene.anna.menu(message, "menu.post in en")
    event = await scene.gate.until(CommandInvoked)
    assert (event.name, event.source, event.message) == ("post", "Two **swifts**", scene.ref(message))
    assert event.words_of is not None
    assert event.words_of.account == event.actor.account
    assert [file.name for file in event.files] == ["swifts.png"]
    assert (answer.content, answer.ephemeral) == ("Done.", True)


async def test_a_menu_works_without_the_message_content_intent(scene: Scene) -> None:
    scene.double.gateway.enabled_intents = 0
    async with running(scene, scene.another(message_content=False)):
        message = await scene.anna.say(scene.channel, "Unheard talk")
        await scene.anna.menu(message, "menu.post in en")
    event = await scene.gate.until(CommandInvoked)
    assert event.source == "Unheard talk"
    assert [type(one) for one in scene.gate.events] == [CommandInvoked]


async def test_somebody_elses_message_comes_with_its_author(scene: Scene) -> None:
    message = await scene.owner.say(scene.channel, "My words")
    async with running(scene):
        await scene.anna.menu(message, "menu.post in en")
    event = await scene.gate.until(CommandInvoked)
    assert event.words_of is not None
    assert (event.words_of.account.key, event.words_of.name) == (str(scene.owner.id), "Olga")
    assert event.actor.account.key == str(scene.anna.id)


async def test_others_words_do_not_come_along(scene: Scene) -> None:
    message = await scene.owner.say(scene.channel, "Not for you", files={"secret.png": b"png"})
    async with running(scene):
        await scene.anna.menu(message, "menu.post in en")
    event = await scene.gate.until(CommandInvoked)
    assert (event.source, event.body, event.files, dict(event.options or {})) == ("", None, (), {})


async def test_an_answer_to_a_copy_stays_one_when_its_menu_posts_it(scene: Scene) -> None:
    copy = scene.double.message(int((await scene.create("A copy")).key))
    reply = await scene.anna.say(scene.channel, "So true", reply_to=copy)
    async with running(scene):
        await scene.anna.menu(reply, "menu.post in en")
    event = await scene.gate.until(CommandInvoked)
    assert event.target == scene.ref(copy)


async def test_what_was_deleted_while_it_was_on_its_way_is_not_posted(scene: Scene) -> None:
    message = await scene.anna.say(scene.channel, "Oh no")
    async with running(scene):
        await scene.anna.say(scene.channel, "first")
        scene.double.fault("slow", method="POST", route="/interactions", seconds=0.5)
        chosen = asyncio.create_task(scene.anna.menu(message, "menu.post in en"))
        await scene.double.until(lambda: scene.double.world.interactions, 10, "the menu's act")
        await scene.anna.delete(message)
        await chosen
        event = await scene.gate.until(ButtonPressed)
    assert event.data == "agree"
    assert not [one for one in scene.gate.events if isinstance(one, CommandInvoked)]


async def test_a_webhooks_words_are_a_programs(scene: Scene) -> None:
    webhook = await scene.owner.make_webhook(scene.channel, "News")
    message = await scene.owner.speak_through(webhook, "Beep")
    async with running(scene):
        await scene.anna.menu(message, "menu.post in en")
    event = await scene.gate.until(CommandInvoked)
    assert event.words_of is not None
    assert event.words_of.bot


async def test_an_authors_yes_brings_the_words_of_the_message(scene: Scene) -> None:
    message = await scene.anna.say(scene.channel, "My **words**")
    agree = Button("Yes", data=f"agree:{scene.anna.id}:{message.id}")
    async with running(scene):
        question = scene.double.message(int((await scene.create("May I?", buttons=(agree,))).key))
        await scene.owner.press(question, "Yes")
        pressed = await scene.gate.until(ButtonPressed)
        assert pressed.data == agree.data, "nobody else's press brings anything"
        await scene.anna.press(question, "Yes")
        event = await scene.gate.until(CommandInvoked)
    assert (event.name, event.source, event.message) == ("post", "My **words**", scene.ref(message))
    assert event.question == scene.ref(question)
    assert event.words_of is not None


async def test_an_authors_yes_to_a_message_that_is_gone_says_so(scene: Scene) -> None:
    agree = Button("Yes", data=f"agree:{scene.anna.id}:17")
    async with running(scene):
        question = scene.double.message(int((await scene.create("May I?", buttons=(agree,))).key))
        await scene.anna.press(question, "Yes")
        pressed = await scene.gate.until(ButtonPressed)
    assert pressed.data == agree.data


async def test_a_person_is_followed_from_their_menu(scene: Scene) -> None:
    async with running(scene):
        await scene.anna.menu(scene.owner, "menu.follow in en", channel=scene.channel)
    event = await scene.gate.until(CommandInvoked)
    assert (event.name, event.chosen) == ("follow", AccountRef(DISCORD, str(scene.owner.id)))


async def test_a_post_without_words_opens_a_form_for_many(scene: Scene) -> None:
    text = "A long story.\n\n" + "It goes on. " * 300
    async with running(scene):
        opened = await scene.anna.slash(scene.channel, "post", {"visibility": "public"})
        (row,) = opened.modal["components"]
        (field,) = row["components"]
        answer = await scene.anna.submit(opened, {"text": text})
    assert (opened.modal["title"], field["label"]) == ("command.post in it", "command.post.arg.text in it")
    assert (field["style"], field["required"], field["max_length"]) == (2, True, 4000)
    event = await scene.gate.until(CommandInvoked)
    assert (event.name, dict(event.options or {})) == ("post", {"visibility": "public", "text": text})
    assert event.body is not None
    assert len(event.body.blocks) == 2
    assert answer.ephemeral


@pytest.mark.parametrize(("menu", "field"), [("quote", "text"), ("report", "reason")])
async def test_a_menu_whose_command_needs_words_opens_a_form_for_them(
    scene: Scene, menu: str, field: str
) -> None:
    message = await scene.owner.say(scene.channel, "A copy of a post")
    async with running(scene):
        opened = await scene.anna.menu(message, f"menu.{menu} in en")
        await scene.anna.submit(opened, {field: "Look at this"})
    event = await scene.gate.until(CommandInvoked)
    assert (event.name, dict(event.options or {})) == (menu, {field: "Look at this"})
    assert (event.target, event.message, event.words_of) == (scene.ref(message), None, None)


async def test_a_menu_whose_command_needs_none_is_done_at_once(scene: Scene) -> None:
    message = await scene.owner.say(scene.channel, "A copy of a post")
    async with running(scene):
        await scene.anna.menu(message, "menu.boost in en")
    event = await scene.gate.until(CommandInvoked)
    assert (event.name, event.target, dict(event.options or {})) == ("boost", scene.ref(message), {})


async def test_a_person_is_looked_up_from_their_menu(scene: Scene) -> None:
    async with running(scene):
        await scene.anna.menu(scene.owner, "menu.profile in en", channel=scene.channel)
    event = await scene.gate.until(CommandInvoked)
    assert (event.name, event.chosen) == ("profile", AccountRef(DISCORD, str(scene.owner.id)))


async def test_who_may_not_use_a_command_hears_so_before_writing(scene: Scene) -> None:
    scene.gate.drafted = None
    async with running(scene):
        answer = await scene.anna.slash(scene.channel, "post")
    assert (answer.kind, answer.content) == ("deferred", "Done.")
    event = await scene.gate.until(CommandInvoked)
    assert dict(event.options or {}) == {}


async def test_a_form_for_an_edit_begins_with_what_stands_there(scene: Scene) -> None:
    scene.gate.drafted = Draft({"post": "3k2"}, body("What stands"))
    long = "https://stormo.example/" + "a" * 100
    async with running(scene):
        opened = await scene.anna.slash(scene.channel, "edit", {"post": long})
        (row,) = opened.modal["components"]
        assert row["components"][0]["value"] == "What stands"
        await scene.anna.submit(opened, {"text": "What stands now"})
    event = await scene.gate.until(CommandInvoked)
    assert dict(event.options or {}) == {"post": "3k2", "text": "What stands now"}


async def test_a_fault_in_a_look_up_ends_nothing(scene: Scene) -> None:
    scene.gate.fault = RuntimeError("boom")
    async with running(scene):
        assert await scene.anna.autocomplete(scene.channel, "follow", {"feed": "x"}, focused="feed") == []
        opened = await scene.anna.slash(scene.channel, "post")
        assert opened.modal["title"] == "command.post in it"
        scene.gate.fault = None
        scene.gate.suggestions = [Suggestion("@bruno", "@bruno")]
        (choice,) = await scene.anna.autocomplete(scene.channel, "follow", {"feed": "b"}, focused="feed")
    assert choice["value"] == "@bruno"
    assert len(scene.double.gateway.identifies) == 1


async def test_a_message_is_quoted_through_a_form(scene: Scene) -> None:
    copy = scene.double.message(int((await scene.create("A copy")).key))
    async with running(scene):
        opened = await scene.anna.menu(copy, "menu.quote in en")
        await scene.anna.submit(opened, {"text": "So true"})
        await scene.anna.menu(copy, "menu.boost in en")
    event = await scene.gate.until(CommandInvoked, lambda one: one.name == "quote")
    assert (event.target, dict(event.options or {})) == (scene.ref(copy), {"text": "So true"})
    boost = await scene.gate.until(CommandInvoked, lambda one: one.name == "boost")
    assert boost.target == scene.ref(copy)


async def test_a_form_is_filled_after_a_restart(scene: Scene) -> None:
    async with running(scene):
        opened = await scene.anna.slash(scene.channel, "edit", {"post": "3k2"})
    async with running(scene, scene.another()):
        await scene.anna.submit(opened, {"text": "Better so"})
    event = await scene.gate.until(CommandInvoked)
    assert (event.name, dict(event.options or {})) == ("edit", {"post": "3k2", "text": "Better so"})


async def test_a_post_of_a_file_alone_needs_no_form(scene: Scene) -> None:
    async with running(scene):
        file = scene.double.file("swift.png", b"png")
        await scene.anna.slash(scene.channel, "post", {"file": file})
    event = await scene.gate.until(CommandInvoked)
    assert [one.name for one in event.files] == ["swift.png"]


async def test_what_is_typed_gets_suggestions_for_this_person_and_place(scene: Scene) -> None:
    scene.gate.suggestions = [Suggestion("@bruno", "@bruno"), Suggestion("3k2", "@bruno: " + "long " * 40)]
    async with running(scene):
        choices = await scene.owner.autocomplete(scene.channel, "mirror add", {"feed": "@br"}, focused="feed")
    asked = scene.gate.asked[-1]
    assert (asked.command, asked.arg, asked.typed, asked.chat) == ("mirror add", "feed", "@br", scene.chat)
    assert (asked.actor.account.key, asked.actor.rights.admin) == (str(scene.owner.id), True)
    assert choices[0] == {"name": "@bruno", "value": "@bruno"}
    assert len(choices[1]["name"]) <= 100
    assert scene.gate.events == []


async def test_admins_commands_are_offered_to_admins(scene: Scene) -> None:
    async with running(scene):
        with pytest.raises(ClientRefuses):
            await scene.anna.slash(scene.channel, "mirror list")
        await scene.owner.slash(scene.channel, "mirror list")
