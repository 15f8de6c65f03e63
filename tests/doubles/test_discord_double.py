"""Our double, driven by the real, unpatched discord.py over sockets."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import discord
import pytest
import pytest_asyncio
import yarl
from discord import app_commands

from tests.doubles.discord import (
    ApiError,
    BotDidNotAnswer,
    Channel,
    ClientRefuses,
    DiscordDouble,
    Guild,
    Intent,
    Permission,
    Person,
    Rate,
)
from tests.doubles.discord.fixtures import discord_double

__all__ = ["discord_double"]

pytestmark = pytest.mark.peer


class Bot(discord.Client):
    """A bot as small as can be: it remembers what it heard."""

    def __init__(self, intents: discord.Intents | None = None, **options: Any) -> None:
        wanted = intents or _intents()
        none = discord.AllowedMentions.none()
        super().__init__(intents=wanted, guild_ready_timeout=0.05, allowed_mentions=none, **options)
        self.tree = app_commands.CommandTree(self)
        self.heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.log: list[tuple[str, Any]] = []

    def dispatch(self, event: str, /, *args: Any, **more: Any) -> None:
        self.log.append((event, args[0] if args else None))
        self.heard.put_nowait(self.log[-1])
        super().dispatch(event, *args, **more)

    async def hears(self, event: str, seconds: float = 10) -> Any:
        """The next event of this name; others before it are dropped."""
        async with asyncio.timeout(seconds):
            while True:
                name, value = await self.heard.get()
                if name == event:
                    return value


def _intents() -> discord.Intents:
    intents = discord.Intents.default()
    intents.message_content = True
    return intents


Start = Callable[..., Awaitable[Bot]]


@pytest_asyncio.fixture
async def start(discord_double: DiscordDouble, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Starts bots against the double and stops them afterwards."""
    monkeypatch.setattr(discord.http.Route, "BASE", discord_double.api_url)
    gateway = yarl.URL(discord_double.gateway_url)
    monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", gateway)
    monkeypatch.setattr(discord.Asset, "BASE", discord_double.cdn_url)
    running: list[tuple[Bot, asyncio.Task[None]]] = []

    async def run(bot: Bot | None = None) -> Bot:
        bot = bot or Bot()
        task = asyncio.create_task(bot.start(discord_double.token))
        running.append((bot, task))
        await bot.hears("ready")
        return bot

    yield run
    for bot, task in running:
        await bot.close()
        await asyncio.wait([task], timeout=5)


@pytest.fixture
def anna(discord_double: DiscordDouble) -> Person:
    return discord_double.person("Anna", username="anna", locale="it")


@pytest.fixture
def guild(discord_double: DiscordDouble, anna: Person) -> Guild:
    return discord_double.guild("Birds", owner=anna)


@pytest.fixture
def channel(guild: Guild) -> Channel:
    return guild.text_channel("general")


def seen(bot: Bot, channel: Channel) -> discord.TextChannel:
    found = bot.get_channel(channel.id)
    assert isinstance(found, discord.TextChannel)
    return found


async def test_a_bot_comes_in_and_knows_its_guilds(guild: Guild, channel: Channel, start: Start) -> None:
    bot = await start()
    assert bot.user is not None
    assert bot.user.name == "Stormo"
    assert [each.name for each in bot.guilds] == ["Birds"]
    assert seen(bot, channel).name == "general"
    assert bot.guilds[0].me.guild_permissions.manage_webhooks


async def test_a_person_writes_and_the_bot_answers_and_edits(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start
) -> None:
    bot = await start()
    said = await anna.say(channel, "hello")
    heard = await bot.hears("message")
    assert (heard.id, heard.content, heard.author.display_name) == (said.id, "hello", "Anna")
    answer = await heard.reply("hi **Anna**", mention_author=False)
    await answer.edit(content="hi!")
    shown = discord_double.visible(channel)
    assert [(each.author, each.content) for each in shown] == [("Anna", "hello"), ("Stormo", "hi!")]
    assert shown[1].reply_to == said.id
    await answer.delete()
    assert [each.id for each in discord_double.visible(channel)] == [said.id]


async def test_slash_command_is_synced_run_and_answered(
    anna: Person, channel: Channel, start: Start
) -> None:
    bot = Bot()

    @bot.tree.command(name="post", description="Post it")
    async def post(interaction: discord.Interaction, text: str) -> None:
        assert interaction.locale is discord.Locale.italian
        await interaction.response.send_message(f"posted: {text}", ephemeral=True)

    await start(bot)
    await bot.tree.sync()
    answer = await anna.slash(channel, "post", {"text": "hello"})
    assert answer.ephemeral
    assert answer.content == "posted: hello"
