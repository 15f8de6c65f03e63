"""Limits, failures on order and crashes: what our double does to a bot that is in trouble."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import aiohttp
import discord
import pytest

from tests.doubles.discord import Channel, DiscordDouble, Person, Rate
from tests.doubles.discord.faults import Kind
from tests.doubles.discord_bot import Start

pytestmark = pytest.mark.peer


class Raw:
    """Plain requests, without a client that waits for its buckets."""

    def __init__(self, double: DiscordDouble, session: aiohttp.ClientSession) -> None:
        self._double, self._session = double, session

    async def send(self, channel: Channel, text: str, **more: object) -> tuple[int, dict[str, str], object]:
        url = f"{self._double.api_url}/channels/{channel.id}/messages"
        headers = {"Authorization": f"Bot {self._double.token}"}
        body = {"content": text, **more}
        async with self._session.post(url, json=body, headers=headers) as answer:
            return answer.status, dict(answer.headers), await answer.json()


async def test_a_flood_is_refused_counted_and_told_in_headers(
    discord_double: DiscordDouble, channel: Channel
) -> None:
    async with aiohttp.ClientSession() as session:
        raw = Raw(discord_double, session)
        answers = [await raw.send(channel, str(number)) for number in range(6)]
    assert [status for status, _, _ in answers] == [200] * 5 + [429]
    assert [headers["X-RateLimit-Remaining"] for _, headers, _ in answers[:5]] == list("43210")
    _, headers, body = answers[5]
    assert headers["Via"]
    assert headers["Content-Type"] == "application/json"
    assert isinstance(body, dict)
    assert 0 < body["retry_after"] <= 5
    assert body["global"] is False
    assert len(discord_double.refused) == 1
    assert len(discord_double.visible(channel)) == 5


async def test_the_limit_over_everything(discord_double: DiscordDouble, channel: Channel) -> None:
    discord_double.limits.everything = Rate(2, 60)
    async with aiohttp.ClientSession() as session:
        raw = Raw(discord_double, session)
        answers = [await raw.send(channel, str(number)) for number in range(3)]
    _, headers, body = answers[2]
    assert headers["X-RateLimit-Scope"] == "global"
    assert isinstance(body, dict)
    assert body["global"] is True


async def test_discord_py_keeps_to_the_buckets(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start
) -> None:
    discord_double.limits.messages = (Rate(2, 0.2),)
    bot = await start()
    text = bot.text_channel(channel)
    for number in range(6):
        await text.send(str(number))
    message = await anna.say(channel, "react")
    for emoji in ("👍", "❤", "🐦"):
        await text.get_partial_message(message.id).add_reaction(emoji)
    assert [each.content for each in discord_double.visible(channel)[:6]] == list("012345")
    assert discord_double.refused == []


@pytest.mark.parametrize("kind", ["error_before", "error_after", "rate_limit"])
async def test_a_bot_send_tried_again_by_discord_py_is_stored_once(
    discord_double: DiscordDouble, channel: Channel, start: Start, kind: Kind
) -> None:
    bot = await start()
    fault = discord_double.fault(kind, method="POST", route="/messages", seconds=0.05)
    await bot.text_channel(channel).send("hello")
    assert fault.hits == 1
    assert len(discord_double.visible(channel)) == 1


@pytest.mark.parametrize(("kind", "stored"), [("error_before", 1), ("error_after", 2), ("rate_limit", 1)])
async def test_a_webhook_send_tried_again_by_discord_py_doubles_what_was_stored(
    discord_double: DiscordDouble, channel: Channel, start: Start, kind: Kind, stored: int
) -> None:
    bot = await start()
    webhook = await bot.text_channel(channel).create_webhook(name="Stormo")
    fault = discord_double.fault(kind, method="POST", route="/webhooks/", seconds=0.05)
    await webhook.send("hello", wait=True)
    assert fault.hits == 1
    assert len(discord_double.visible(channel)) == stored


@pytest.mark.parametrize(
    ("kind", "stored"),
    [("drop_before", 0), ("drop_after", 1), ("silent_before", 0), ("silent_after", 1)],
)
async def test_a_cut_line_leaves_the_sender_in_doubt(
    discord_double: DiscordDouble, channel: Channel, kind: Kind, stored: int
) -> None:
    discord_double.fault(kind, seconds=0.05)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await Raw(discord_double, session).send(channel, "hello")
        assert len(discord_double.visible(channel)) == stored
        status, _, _ = await Raw(discord_double, session).send(channel, "again")
    assert status == 200


async def test_a_429_without_via_raises_at_once(
    discord_double: DiscordDouble, channel: Channel, start: Start
) -> None:
    bot = await start()
    discord_double.limits.via_header = False
    discord_double.fault("rate_limit")
    with pytest.raises(discord.HTTPException) as refusal:
        await bot.text_channel(channel).send("hello")
    assert refusal.value.status == 429


async def test_hooks_see_the_act_before_its_answer(discord_double: DiscordDouble, channel: Channel) -> None:
    seen: list[tuple[str, str, int, int]] = []

    def note(method: str, route: str, count: int) -> None:
        seen.append((method, route, count, len(discord_double.visible(channel))))

    stop = discord_double.on_request(note)
    discord_double.on_stored(note)
    async with aiohttp.ClientSession() as session:
        raw = Raw(discord_double, session)
        await raw.send(channel, "one", nonce="n", enforce_nonce=True)
        stop()
        await raw.send(channel, "again", nonce="n", enforce_nonce=True)
    route = "/channels/{channel_id}/messages"
    assert seen == [("POST", route, 1, 0), ("POST", route, 1, 1)]


BOT = """
import os, discord, yarl
discord.http.Route.BASE = os.environ["API"]
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(os.environ["GATEWAY"])
client = discord.Client(intents=discord.Intents.default(), guild_ready_timeout=0.05)

@client.event
async def on_ready():
    body = {"content": "exactly once", "nonce": "derived", "enforce_nonce": True}
    route = discord.http.Route("POST", "/channels/{id}/messages", id=int(os.environ["CHANNEL"]))
    await client.http.request(route, json=body)
    await client.close()

client.run(os.environ["TOKEN"], log_handler=None)
"""


async def test_a_bot_killed_between_storing_and_answer_finds_its_message_again(
    discord_double: DiscordDouble, channel: Channel, tmp_path: Path
) -> None:
    script = tmp_path / "bot.py"
    script.write_text(BOT)
    settings = {
        "API": discord_double.api_url,
        "GATEWAY": discord_double.gateway_url,
        "TOKEN": discord_double.token,
        "CHANNEL": str(channel.id),
    }

    async def run() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(sys.executable, str(script), env=os.environ | settings)

    process = await run()
    stop = discord_double.on_stored(lambda _method, _route, _count: process.send_signal(signal.SIGKILL))
    assert await process.wait() == -signal.SIGKILL
    stop()
    process = await run()
    assert await process.wait() == 0
    assert [each.content for each in discord_double.visible(channel)] == ["exactly once"]
    assert discord_double.messages.deduplicated == 1
    assert len(discord_double.gateway.identifies) == 2
