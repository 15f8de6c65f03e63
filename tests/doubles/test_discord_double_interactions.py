"""Commands, buttons, menus and forms of our double, answered by the real discord.py."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import aiohttp
import discord
import pytest
from discord import app_commands

from tests.doubles.discord import BotDidNotAnswer, Channel, ClientRefuses, DiscordDouble, Guild, Person
from tests.doubles.discord_bot import Bot, Start

pytestmark = pytest.mark.peer

Interaction = discord.Interaction[Bot]


@pytest.fixture
def bot() -> Bot:
    return Bot()


async def test_a_slash_command_is_synced_run_and_answered(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start, bot: Bot
) -> None:
    @bot.tree.command(name="post", description="Post it")
    @app_commands.rename(text="text")
    async def post(interaction: Interaction, text: app_commands.Range[str, 1, 10]) -> None:
        assert interaction.locale is discord.Locale.italian
        await interaction.response.send_message(f"posted: {text}", ephemeral=True)

    await start(bot)
    await bot.tree.sync()
    answer = await anna.slash(channel, "post", {"text": "hello"})
    assert (answer.kind, answer.ephemeral, answer.content) == ("message", True, "posted: hello")
    assert discord_double.visible(channel) == []
    for name, options in (("nope", {}), ("post", {}), ("post", {"text": "x" * 11}), ("post", {"text": 1})):
        with pytest.raises(ClientRefuses):
            await anna.slash(channel, name, options)


async def test_deferred_answers_edits_and_follow_ups_are_followed(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start, bot: Bot
) -> None:
    @bot.tree.command(name="slow", description="Takes its time")
    async def slow(interaction: Interaction) -> None:
        await interaction.response.defer(ephemeral=True)
        await interaction.edit_original_response(content="working")
        await interaction.followup.send("more", ephemeral=True)
        await interaction.edit_original_response(content="done")

    await start(bot)
    await bot.tree.sync()
    answer = await anna.slash(channel, "slow")
    await answer.until(lambda now: now.content == "done" and now.followups)
    assert (answer.kind, answer.text) == ("deferred", "done\nmore")
    await anna.say(channel, "still here")
    assert [each.content for each in discord_double.visible(channel)] == ["still here"]


async def test_the_first_follow_up_takes_the_place_of_thinking(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start, bot: Bot
) -> None:
    @bot.tree.command(name="slow", description="Takes its time")
    async def slow(interaction: Interaction) -> None:
        await interaction.response.defer()
        await interaction.followup.send("here it is")

    await start(bot)
    await bot.tree.sync()
    answer = await anna.slash(channel, "slow")
    assert answer.content == "here it is"
    shown = discord_double.visible(channel)
    assert [(each.content, each.edited) for each in shown] == [("here it is", False)]
    await answer.until(lambda now: not now.followups)


class Card(discord.ui.View):
    """Two buttons that change the message, one that opens a form."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @discord.ui.button(label="Yes", custom_id="yes")
    async def yes(self, interaction: Interaction, button: discord.ui.Button[Card]) -> None:
        button.disabled = True
        await interaction.response.edit_message(content="Yes 1", view=self)

    @discord.ui.button(label="Later", custom_id="later")
    async def later(self, interaction: Interaction, _button: discord.ui.Button[Card]) -> None:
        await interaction.response.defer()
        await interaction.followup.send("noted", ephemeral=True)

    @discord.ui.button(label="Why", custom_id="why")
    async def why(self, interaction: Interaction, _button: discord.ui.Button[Card]) -> None:
        await interaction.response.send_modal(Reason())


class Reason(discord.ui.Modal, title="Your reason"):
    text: discord.ui.TextInput[Reason] = discord.ui.TextInput(label="Reason", custom_id="reason")

    async def on_submit(self, interaction: discord.Interaction) -> None:
        await interaction.response.send_message(f"because {self.text.value}", ephemeral=True)


async def test_buttons_update_defer_and_open_forms(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start, bot: Bot
) -> None:
    await start(bot)
    sent = await bot.text_channel(channel).send("Vote", view=Card())
    card = discord_double.message(sent.id)
    later = await anna.press(card, "Later")
    assert later.kind == "deferred update"
    await later.until(lambda now: now.followups)
    assert later.followups[0].content == "noted"
    form = await anna.press(card, "why")
    assert (form.kind, form.modal["title"]) == ("modal", "Your reason")
    answer = await anna.submit(form, {"reason": "birds"})
    assert answer.content == "because birds"
    pressed = await anna.press(card, "Yes")
    assert (pressed.kind, pressed.content, card.content) == ("update", "Yes 1", "Yes 1")
    with pytest.raises(ClientRefuses, match="disabled"):
        await anna.press(card, "Yes")


async def test_menus_on_messages_and_people_and_autocomplete(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start, bot: Bot
) -> None:
    @bot.tree.context_menu(name="Post this")
    async def post_this(interaction: Interaction, message: discord.Message) -> None:
        await interaction.response.send_message(message.content.upper(), ephemeral=True)

    @bot.tree.context_menu(name="Who is it")
    async def who(interaction: Interaction, member: discord.Member) -> None:
        await interaction.response.send_message(member.display_name, ephemeral=True)

    group = app_commands.Group(name="feed", description="Feeds")

    @group.command(name="follow", description="Follow one")
    async def follow(interaction: Interaction, name: str, friend: discord.Member) -> None:
        await interaction.response.send_message(f"{name} with {friend.display_name}", ephemeral=True)

    @follow.autocomplete("name")
    async def names(_interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=f"{typed}rds", value="birds")]

    bot.tree.add_command(group)
    await start(bot)
    await bot.tree.sync()
    said = await anna.say(channel, "hello")
    assert (await anna.menu(said, "Post this")).content == "HELLO"
    assert (await anna.menu(anna, "Who is it", channel=channel)).content == "Anna"
    choices = await anna.autocomplete(channel, "feed follow", {"name": "bi"}, focused="name")
    assert [(each["name"], each["value"]) for each in choices] == [("birds", "birds")]
    answer = await anna.slash(channel, "feed follow", {"name": "birds", "friend": anna})
    assert answer.content == "birds with Anna"


async def test_commands_in_private(anna: Person, guild: Guild, start: Start, bot: Bot) -> None:
    @bot.tree.command(name="me", description="Who am I")
    async def me(interaction: Interaction) -> None:
        await interaction.response.send_message(f"{interaction.user.name} {interaction.guild}")

    @bot.tree.command(name="here", description="Only in guilds")
    @app_commands.guild_only()
    async def here(interaction: Interaction) -> None:
        await interaction.response.send_message("here")

    await start(bot)
    await bot.tree.sync()
    assert (await anna.slash(anna.direct_channel, "me")).content == "anna None"
    with pytest.raises(ClientRefuses):
        await anna.slash(anna.direct_channel, "here")


async def test_a_late_answer_is_refused_and_the_person_told(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start, bot: Bot
) -> None:
    discord_double.limits.answer_seconds = 0.1
    codes: list[int] = []
    told = asyncio.Event()

    @bot.tree.command(name="late", description="Sleeps")
    async def late(interaction: Interaction) -> None:
        await told.wait()
        try:
            await interaction.response.send_message("too late")
        except discord.NotFound as refusal:
            codes.append(refusal.code)
        discord_double.world.touch()

    await start(bot)
    await bot.tree.sync()
    with pytest.raises(BotDidNotAnswer):
        await anna.slash(channel, "late")
    told.set()
    await discord_double.until(lambda: codes == [10062])
    assert discord_double.visible(channel) == []


async def test_the_second_answer_and_the_one_after_fifteen_minutes_are_refused() -> None:
    clock = [datetime(2026, 1, 1, tzinfo=UTC)]
    async with DiscordDouble(now=lambda: clock[0]) as double, aiohttp.ClientSession() as session:

        async def ask(method: str, path: str, body: object, token: str = "") -> tuple[int, int]:
            headers = {"Authorization": f"Bot {token}"} if token else {}
            async with session.request(method, double.api_url + path, json=body, headers=headers) as reply:
                return reply.status, (await reply.json())["code"] if reply.status >= 400 else 0

        anna = double.person("Anna")
        channel = double.guild("Birds", owner=anna).text_channel("general")
        application = double.world.application_id
        commands = [{"name": "x", "description": "y"}]
        synced = await ask("PUT", f"/applications/{application}/commands", commands, double.token)
        assert synced == (200, 0)
        running = asyncio.create_task(anna.slash(channel, "x"))
        await double.until(lambda: double.world.interactions)
        found = next(iter(double.world.interactions.values()))
        callback = f"/interactions/{found.id}/{found.token}/callback"
        body = {"type": 4, "data": {"content": "hi", "flags": 64}}
        assert await ask("POST", callback, body) == (204, 0)
        assert await ask("POST", callback, body) == (400, 40060)
        assert (await running).content == "hi"
        clock[0] += timedelta(minutes=15, seconds=1)
        later = f"/webhooks/{application}/{found.token}/messages/@original"
        assert await ask("PATCH", later, {"content": "x"}) == (401, 50027)
        assert double.violations == []


async def test_commands_have_limits_and_unchanged_ones_keep_their_version(
    discord_double: DiscordDouble, channel: Channel, start: Start, bot: Bot
) -> None:
    @bot.tree.command(name="post", description="Post it")
    async def post(interaction: Interaction, text: str) -> None:
        await interaction.response.send_message(text)

    await start(bot)
    first = await bot.tree.sync()
    assert [(each.name, each.id) for each in await bot.tree.fetch_commands()] == [("post", first[0].id)]
    shelf = discord_double.world.commands[None]
    version = shelf[first[0].id]["version"]
    await bot.tree.sync()
    assert shelf[first[0].id]["version"] == version
    guild_id = channel.guild.id if channel.guild else 0
    application = discord_double.world.application_id
    for body in (
        {"name": "Post", "description": "x"},
        {"name": "post", "description": "x" * 101},
        {"name": "post", "description": "x", "name_localizations": {"xx": "y"}},
        {"name": "post", "description": "x", "options": [{"type": 3, "name": "a", "description": ""}]},
    ):
        with pytest.raises(discord.HTTPException) as refusal:
            await bot.http.bulk_upsert_guild_commands(application, guild_id, [body])
        assert refusal.value.code == 50035
