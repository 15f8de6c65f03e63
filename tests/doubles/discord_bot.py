"""A bot as small as can be on the real discord.py, and fixtures that point it at our double."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import discord
import pytest
import pytest_asyncio
import yarl
from discord import app_commands

from tests.doubles.discord import Channel, DiscordDouble, Guild, Person


def usual_intents() -> discord.Intents:
    intents = discord.Intents.default()
    intents.message_content = True
    return intents


class Bot(discord.Client):
    """It remembers what it heard. `shard`: its number, and of how many."""

    def __init__(self, intents: discord.Intents | None = None, shard: tuple[int, int] = (0, 1)) -> None:
        super().__init__(
            intents=intents or usual_intents(),
            guild_ready_timeout=0.05,
            allowed_mentions=discord.AllowedMentions.none(),
            shard_id=shard[0],
            shard_count=shard[1],
        )
        self.tree = app_commands.CommandTree(self)
        self.log: list[str] = []
        self._heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        self.log.append(event)
        self._heard.put_nowait((event, args[0] if args else None))
        super().dispatch(event, *args, **kwargs)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Without the 5 s that the library leaves between two IDENTIFYs: the double wants none."""

    async def hears(self, event: str, seconds: float = 10) -> Any:
        """The value of the next event of this name; others before it are dropped."""
        async with asyncio.timeout(seconds):
            while True:
                name, value = await self._heard.get()
                if name == event:
                    return value

    def text_channel(self, channel: Channel) -> discord.TextChannel:
        found = self.get_channel(channel.id)
        assert isinstance(found, discord.TextChannel)
        return found


Start = Callable[..., Awaitable[Bot]]


@pytest.fixture
def pointed(discord_double: DiscordDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes discord.py in this process speak to the double."""
    monkeypatch.setattr(discord.http.Route, "BASE", discord_double.api_url)
    gateway = yarl.URL(discord_double.gateway_url)
    monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", gateway)
    monkeypatch.setattr(discord.Asset, "BASE", discord_double.cdn_url)


@pytest_asyncio.fixture
async def start(discord_double: DiscordDouble, pointed: None) -> AsyncIterator[Start]:
    """Starts bots against the double and stops them afterwards."""
    running: list[tuple[Bot, asyncio.Task[None]]] = []

    async def run(bot: Bot | None = None) -> Bot:
        bot = bot or Bot()
        running.append((bot, asyncio.create_task(bot.start(discord_double.token))))
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
