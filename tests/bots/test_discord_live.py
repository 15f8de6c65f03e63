"""A look at the real Discord, for who has a bot there: one message comes, changes, is marked, and goes again.

Give a bot's token as DISCORD_TEST_TOKEN and the id of a server of your own that it is in as DISCORD_TEST_GUILD. It
writes into the first text channel where it may, and leaves nothing behind but its slash commands.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bots.discord import slash
from bots.discord.bot import API_URL, DiscordAdapter, Settings
from bots.discord.permissions import missing
from bots.discord.rest import Refused, Rest, Route
from core.errors import RetryLater
from core.intents import Edit, Mark, Withdraw
from core.types import ChatRef
from stormo.clock import SystemClock
from stormo.words import Catalogue
from tests.bots.discord_scene import DISCORD, CollectingGate, create, view
from tests.conftest import NO_ACCOUNT

TOKEN, GUILD = os.environ.get("DISCORD_TEST_TOKEN", ""), os.environ.get("DISCORD_TEST_GUILD", "")
_WHY = f"{NO_ACCOUNT}: DISCORD_TEST_TOKEN and DISCORD_TEST_GUILD are not set"
pytestmark = pytest.mark.skipif(not (TOKEN and GUILD), reason=_WHY)
_TEXT_CHANNEL = 0


@pytest.fixture
async def rest() -> AsyncIterator[Rest]:
    rest = Rest(API_URL, TOKEN)
    yield rest
    await rest.close()


@pytest.fixture
async def adapter() -> AsyncIterator[DiscordAdapter]:
    settings = Settings(token=TOKEN, guild_ids=(GUILD,))
    adapter = DiscordAdapter(settings, Catalogue(), SystemClock())
    running = asyncio.create_task(adapter.run(CollectingGate()))
    yield adapter
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await adapter.close()


async def _channel(rest: Rest, adapter: DiscordAdapter) -> ChatRef:
    """The first one where the bot may write, as the gateway tells."""
    listed = await rest.call(Route("GET", "/guilds/{}/channels", (GUILD,)))
    chats = [ChatRef(DISCORD, str(one["id"])) for one in listed if one["type"] == _TEXT_CHANNEL]
    for _ in range(60):
        try:
            return next(iter([chat for chat in chats if await adapter.standing(chat) is None]))
        except RetryLater:
            await SystemClock().wait(asyncio.Event(), datetime.now(UTC) + timedelta(seconds=1))
    raise TimeoutError("the gateway told of no channel")


async def _read(rest: Rest, chat: ChatRef, message: str) -> Any:
    return await rest.call(Route("GET", "/channels/{}/messages/{}", (chat.key, message)))


async def test_a_message_comes_changes_is_marked_and_goes(rest: Rest, adapter: DiscordAdapter) -> None:
    chat = await _channel(rest, adapter)
    key = uuid.uuid4().hex
    receipt = await adapter.perform(create(chat, "A test of Stormo", key=key))
    again = await adapter.perform(create(chat, "A test of Stormo", key=key))
    assert receipt.message is not None
    assert again.message == receipt.message, "the nonce"
    try:
        await adapter.perform(Edit(f"{key}-2", receipt.message, view("A test of Stormo, edited")))
        await adapter.perform(Mark(f"{key}-3", receipt.message, "👌"))
        there = await _read(rest, chat, receipt.message.key)
        assert there["content"] == "A test of Stormo, edited"
        assert [one["emoji"]["name"] for one in there["reactions"]] == ["👌"]
    finally:
        await adapter.perform(Withdraw(f"{key}-4", receipt.message))
    with pytest.raises(Refused):
        await _read(rest, chat, receipt.message.key)


async def test_the_commands_are_taken_as_they_are(rest: Rest, adapter: DiscordAdapter) -> None:
    await _channel(rest, adapter)
    application = await rest.call(Route("GET", "/applications/@me"))
    path = f"/applications/{application['id']}/guilds/{GUILD}/commands"
    await rest.call(Route("PUT", path), slash.commands(Catalogue(), everywhere=False))
    there = await rest.call(Route("GET", path), query={"with_localizations": "true"})
    assert slash.same(slash.commands(Catalogue(), everywhere=False), there)


async def test_the_bot_has_what_it_needs(adapter: DiscordAdapter, rest: Rest) -> None:
    assert await adapter.check()
    guilds = await rest.call(Route("GET", "/users/@me/guilds"))
    bits = next(int(one["permissions"]) for one in guilds if str(one["id"]) == GUILD)
    assert missing(bits) == ()
