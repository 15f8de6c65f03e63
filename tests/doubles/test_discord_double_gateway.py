"""The gateway of our double: intents, sessions, resume, compression; driven by the real discord.py."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import zlib
from typing import Any

import aiohttp
import discord
import pytest

from tests.doubles.discord import Channel, DiscordDouble, Guild, Intent, Permission, Person
from tests.doubles.discord_bot import Bot, Start, usual_intents

pytestmark = pytest.mark.peer


async def test_a_privileged_intent_must_be_switched_on(discord_double: DiscordDouble, pointed: None) -> None:
    discord_double.gateway.enabled_intents &= ~Intent.MESSAGE_CONTENT
    bot = Bot()
    with pytest.raises(discord.PrivilegedIntentsRequired):
        await bot.start(discord_double.token)
    await bot.close()
    assert discord_double.gateway.closed_with == [4014]


async def test_without_the_content_intent_words_are_missing(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start
) -> None:
    intents = usual_intents()
    intents.message_content = False
    bot = await start(Bot(intents))
    await anna.say(channel, "secret")
    assert (await bot.hears("message")).content == ""
    await anna.say(channel, f"<@{discord_double.bot.id}> hello")
    assert (await bot.hears("message")).content.endswith("hello")
    await anna.dm("private")
    assert (await bot.hears("message")).content == "private"
    await bot.text_channel(channel).send("own words")
    assert (await bot.hears("message")).content == "own words"


async def test_only_asked_for_events_of_visible_channels_come(
    guild: Guild, anna: Person, channel: Channel, start: Start
) -> None:
    intents = usual_intents()
    intents.guild_reactions = False
    bot = await start(Bot(intents))
    hidden = guild.text_channel("hidden")
    hidden.overwrite(guild.bot_role, deny=Permission.VIEW_CHANNEL)
    await anna.say(hidden, "unseen")
    said = await anna.say(channel, "seen")
    await anna.react(said, "👍")
    await anna.delete(said)
    assert (await bot.hears("message")).content == "seen"
    await bot.hears("raw_message_delete")
    assert "raw_reaction_add" not in bot.log


async def test_a_cut_line_is_resumed_and_what_was_missed_is_replayed(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start
) -> None:
    bot = await start()
    discord_double.gateway.drop()
    await discord_double.until(lambda: not discord_double.gateway.connected)
    await anna.say(channel, "meanwhile")
    assert (await bot.hears("message")).content == "meanwhile"
    await bot.hears("resumed")
    assert len(discord_double.gateway.identifies) == 1


@pytest.mark.parametrize("how", ["refused", "forgotten", "invalidated"])
async def test_a_session_that_is_gone_loses_what_was_missed(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start, how: str
) -> None:
    bot = await start()
    gateway = discord_double.gateway
    gateway.refuse_resume = how == "refused"
    if how == "invalidated":
        gateway.invalidate()
    else:
        if how == "forgotten":
            gateway.forget_sessions()
        gateway.drop()
    await discord_double.until(lambda: not gateway.connected)
    await anna.say(channel, "lost")
    await bot.hears("ready", seconds=20)
    await anna.say(channel, "heard")
    assert (await bot.hears("message")).content == "heard"
    assert len(gateway.identifies) == 2


async def test_a_reconnect_request_is_followed(
    discord_double: DiscordDouble, anna: Person, channel: Channel, start: Start
) -> None:
    bot = await start()
    discord_double.gateway.reconnect()
    await bot.hears("resumed")
    await anna.say(channel, "again")
    assert (await bot.hears("message")).content == "again"


async def test_a_malformed_payload_ends_the_client(discord_double: DiscordDouble, pointed: None) -> None:
    bot = Bot()
    task = asyncio.create_task(bot.start(discord_double.token))
    await bot.hears("ready")
    discord_double.gateway.send_raw("{not json")
    with pytest.raises(json.JSONDecodeError):
        await task
    await bot.close()


async def test_guilds_come_and_go(
    discord_double: DiscordDouble, anna: Person, guild: Guild, start: Start
) -> None:
    bot = await start()
    other = discord_double.guild("Fish", owner=anna, bot=False)
    other.add_bot()
    assert (await bot.hears("guild_join")).name == "Fish"
    other.set_available(available=False)
    await bot.hears("guild_unavailable")
    other.set_available(available=True)
    await bot.hears("guild_available")
    other.remove_bot()
    assert (await bot.hears("guild_remove")).id == other.id
    made = guild.text_channel("new")
    assert (await bot.hears("guild_channel_create")).id == made.id
    made.update(name="newer")
    assert (await bot.hears("guild_channel_update")).name == "new"
    made.remove()
    assert (await bot.hears("guild_channel_delete")).id == made.id


async def test_members_come_in_chunks_and_their_roles_change(
    discord_double: DiscordDouble, anna: Person, guild: Guild, start: Start
) -> None:
    role = guild.role("stewards", Permission.MANAGE_GUILD)
    intents = usual_intents()
    intents.members = True
    bot = await start(Bot(intents))
    assert {each.name for each in bot.guilds[0].members} == {"anna", "Stormo"}
    guild.give(anna, role)
    assert (await bot.hears("member_update")).id == anna.id
    fetched = await bot.guilds[0].fetch_member(anna.id)
    assert [each.name for each in fetched.roles] == ["@everyone", "stewards"]


class Wire:
    """A bare websocket client."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, compression: str = "zlib-stream") -> None:
        self.socket = socket
        if compression == "zstd-stream":
            zstandard: Any = importlib.import_module("zstandard")
            self._inflate: Any = zstandard.ZstdDecompressor().decompressobj()
        else:
            self._inflate = zlib.decompressobj()

    async def receive(self) -> Any:
        message = await self.socket.receive(timeout=5)
        if message.type is aiohttp.WSMsgType.BINARY:
            return json.loads(self._inflate.decompress(message.data))
        return json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else message

    async def identify(self, token: str, intents: object = 0, **more: object) -> Any:
        assert (await self.receive())["op"] == 10
        await self.socket.send_json({"op": 2, "d": {"token": token, "intents": intents, **more}})
        return await self.receive()


#: zstd is tried where its package is installed; discord.py too asks for it only then.
COMPRESSIONS = ["none", "zlib-stream"] + ["zstd-stream"] * bool(importlib.util.find_spec("zstandard"))


@pytest.mark.parametrize("compression", COMPRESSIONS)
async def test_payloads_with_and_without_compression(
    discord_double: DiscordDouble, guild: Guild, compression: str
) -> None:
    url = f"{discord_double.gateway_url}?v=10&encoding=json"
    url += "" if compression == "none" else f"&compress={compression}"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        wire = Wire(socket, compression)
        ready = await wire.identify(discord_double.token, int(Intent.GUILDS))
        assert (ready["t"], ready["s"]) == ("READY", 1)
        assert ready["d"]["guilds"] == [{"id": str(guild.id), "unavailable": True}]
        created = await wire.receive()
        assert (created["t"], created["d"]["id"]) == ("GUILD_CREATE", str(guild.id))


@pytest.mark.parametrize(
    ("token", "intents", "more", "code"),
    [
        ("wrong", 0, {}, 4004),
        (None, 1 << 40, {}, 4013),
        (None, 0, {"shard": [2, 2]}, 4010),
    ],
)
async def test_bad_identifies_are_closed_with_their_code(
    discord_double: DiscordDouble, token: str | None, intents: int, more: dict[str, object], code: int
) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(discord_double.gateway_url) as socket:
        closed = await Wire(socket).identify(token or discord_double.token, intents, **more)
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, code)


async def test_a_silent_client_is_closed_and_its_session_gone(discord_double: DiscordDouble) -> None:
    discord_double.limits.heartbeat_seconds = 0.05
    async with aiohttp.ClientSession() as session, session.ws_connect(discord_double.gateway_url) as socket:
        wire = Wire(socket)
        assert (await wire.identify(discord_double.token))["t"] == "READY"
        closed = await wire.receive()
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 4009)
        assert discord_double.gateway.sessions == {}


# Shards


async def test_each_shard_hears_its_own_guilds_and_the_first_one_private_chats(
    discord_double: DiscordDouble, anna: Person, start: Start
) -> None:
    first = await start(Bot(shard=(0, 2)))
    second = await start(Bot(shard=(1, 2)))
    channels = []
    for number in (0, 1, 0, 1):
        guild = discord_double.guild(f"Guild {number}", owner=anna, shard=(number, 2))
        assert (guild.id >> 22) % 2 == number
        channels.append(guild.text_channel("general"))
    for bot, number in ((first, 0), (second, 1)):
        assert (await bot.hears("guild_join")).name == f"Guild {number}"
        assert (await bot.hears("guild_join")).name == f"Guild {number}"
    for number, channel in enumerate(channels):
        await anna.say(channel, f"in {number}")
    await anna.dm("private")
    assert [(await first.hears("message")).content for _ in range(3)] == ["in 0", "in 2", "private"]
    assert [(await second.hears("message")).content for _ in range(2)] == ["in 1", "in 3"]


async def test_one_shard_loses_its_session_and_the_other_keeps_its_own(
    discord_double: DiscordDouble, anna: Person, start: Start
) -> None:
    gateway = discord_double.gateway
    near = discord_double.guild("Near", owner=anna, shard=(0, 2)).text_channel("general")
    first, second = await start(Bot(shard=(0, 2))), await start(Bot(shard=(1, 2)))
    gateway.forget_sessions(shard=1)
    gateway.drop(shard=1)
    await second.hears("ready", seconds=20)
    await anna.say(near, "heard")
    assert (await first.hears("message")).content == "heard"
    assert "disconnect" not in first.log
    assert [each["shard"][0] for each in gateway.identifies] == [0, 1, 1]


async def test_who_begins_a_session_before_its_turn_is_told_that_it_is_invalid(
    discord_double: DiscordDouble, start: Start
) -> None:
    limits, gateway = discord_double.limits, discord_double.gateway
    limits.max_concurrency, limits.identify_seconds = 2, 1.0
    await start(Bot(shard=(0, 4)))
    await start(Bot(shard=(1, 4)))
    assert gateway.too_soon == 0
    await start(Bot(shard=(2, 4)))
    assert gateway.too_soon > 0
    (zero, _), (_, one), (two, number) = gateway.began
    assert (one, number) == (1, 2)
    assert two - zero >= 1.0


async def test_it_is_advised_how_many_shards_and_how_many_at_once(
    discord_double: DiscordDouble, start: Start
) -> None:
    limits = discord_double.limits
    limits.shards, limits.max_concurrency = 5, 16
    bot = await start()
    shards, _, told = await bot.http.get_bot_gateway()
    assert (shards, told["max_concurrency"], told["remaining"]) == (5, 16, 999)


async def test_too_many_guilds_for_one_shard_are_refused(
    discord_double: DiscordDouble, guild: Guild, pointed: None
) -> None:
    discord_double.limits.guilds_per_shard = 1
    bot = Bot()
    with pytest.raises(discord.ConnectionClosed) as closed:
        await bot.start(discord_double.token)
    await bot.close()
    assert closed.value.code == 4011
