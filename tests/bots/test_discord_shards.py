"""Many guilds: sessions on several shards through the real discord.py, one of them in trouble while others go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import discord
import pytest

from bots.discord.identify import Turns
from bots.discord.rest import Rest
from core.errors import RetryLater
from core.events import CommandInvoked, Loss, MessageReceived, PlaceChanged, ReactionChanged
from core.ports import WatchedMessage
from core.types import ChatRef
from tests.bots.discord_scene import DISCORD, Scene, a_scene, adapter_for, create, running
from tests.doubles.discord import Channel, DiscordDouble, Guild

pytestmark = [pytest.mark.peer, pytest.mark.timeout(60)]


@dataclass
class Flock:
    """Two shards: the scene's own guild is moved to the first, ``far`` is a channel of a guild on the second."""

    scene: Scene
    near: Channel
    far_guild: Guild
    far: Channel

    @property
    def double(self) -> DiscordDouble:
        return self.scene.double

    @property
    def heard(self) -> list[str]:
        return [event.source for event in self.scene.gate.events if isinstance(event, MessageReceived)]

    def chat(self, channel: Channel) -> ChatRef:
        return ChatRef(DISCORD, str(channel.id))

    async def hears(self, text: str) -> None:
        await self.scene.gate.until(MessageReceived, lambda event: event.source == text)

    async def begun(self, shards: int) -> None:
        began = self.double.gateway.began
        await self.double.until(lambda: len({shard for _, shard in began}) == shards, 20, "sessions began")


@pytest.fixture
async def flock() -> AsyncIterator[Flock]:
    async with a_scene() as scene:
        double = scene.double
        double.limits.shards, double.limits.max_concurrency = 2, 16
        near = double.guild("Near", owner=scene.owner, members=(scene.anna,), shard=(0, 2))
        far = double.guild("Far", owner=scene.owner, members=(scene.anna,), shard=(1, 2))
        yield Flock(scene, near.text_channel("general"), far, far.text_channel("general"))


async def test_all_guilds_are_heard_and_private_chats_too(flock: Flock) -> None:
    scene, anna = flock.scene, flock.scene.anna
    async with running(scene):
        await flock.begun(2)
        for channel in (flock.near, flock.far):
            message = await anna.say(channel, f"in {channel.guild.name}")  # type: ignore[union-attr]
            await anna.react(message, "👍")
        await anna.dm("whoami")
        asked = await scene.gate.until(CommandInvoked)
        for channel in (flock.near, flock.far):
            where = flock.chat(channel)
            await scene.gate.until(ReactionChanged, lambda event, where=where: event.message.chat == where)  # type: ignore[misc]
        copy = (await scene.adapter.perform(create(flock.chat(flock.far), "there"))).message
        assert copy is not None
        assert scene.adapter.link(copy).startswith(f"https://discord.com/channels/{flock.far_guild.id}/")
        assert await scene.adapter.standing(copy.chat) is None
    assert sorted(flock.heard) == ["in Far", "in Near"]
    assert asked.place.private
    assert sorted(each["shard"] for each in flock.double.gateway.identifies) == [[0, 2], [1, 2]]
    written = [route for method, route in flock.double.requests if method == "PUT" and "commands" in route]
    assert len(written) == 1


async def test_the_config_may_say_how_many(flock: Flock) -> None:
    async with running(flock.scene, flock.scene.another(shards=3)):
        await flock.begun(3)
    assert {each["shard"][1] for each in flock.double.gateway.identifies} == {3}


async def test_sessions_begin_in_their_turns(flock: Flock) -> None:
    """Two at once, each turn's next one only when its time has come, by the double's own clock."""
    limits, gateway = flock.double.limits, flock.double.gateway
    limits.shards, limits.max_concurrency, limits.identify_seconds = 6, 2, 0.3
    async with running(flock.scene, flock.scene.another(identify_seconds=0.6)):
        await flock.begun(6)
    assert gateway.too_soon == 0
    assert len(gateway.identifies) == 6
    for turn in (0, 1):
        times = [at for at, shard in gateway.began if shard % 2 == turn]
        assert [shard for _, shard in gateway.began if shard % 2 == turn] == [turn, turn + 2, turn + 4]
        assert all(later - at >= 0.3 for at, later in pairwise(times))
    first = {shard: at for at, shard in gateway.began}
    assert abs(first[0] - first[1]) < 0.6


async def test_a_wait_for_the_days_sake_outlives_its_connection(flock: Flock) -> None:
    """discord.py gives up a connection that does not identify within a minute, and makes another one."""
    gateway, rest = flock.double.gateway, Rest(flock.double.api_url, flock.double.token)
    gateway.identifies[:], gateway.sessions_reset_seconds = [{}] * 600, 300
    turns, loop = Turns(rest, 0), asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(turns.wait(0), 0.8)
    await turns.wait(0)
    await rest.close()
    # 300 of the day's sessions may be used yet: a second for each, and not another one for the second connection.
    assert 1 <= loop.time() - began < 1.8
    assert [route for _, route in flock.double.requests] == ["/gateway/bot"]


async def test_a_shard_that_lost_its_session_is_read_back_while_the_other_goes_on(flock: Flock) -> None:
    scene, anna, gateway = flock.scene, flock.scene.anna, flock.double.gateway
    scene.gate.watched = [flock.chat(flock.near), flock.chat(flock.far)]

    async def meanwhile(method: str, route: str, _count: int) -> None:
        if method == "GET" and route.endswith("/messages"):
            await anna.say(flock.near, "meanwhile")
            await flock.hears("meanwhile")

    async with running(scene):
        await flock.begun(2)
        for channel in (flock.near, flock.far):
            await anna.say(channel, f"before {channel.id}")
            await flock.hears(f"before {channel.id}")
        reads = _reads(flock.double)
        gateway.forget_sessions(shard=1)
        gateway.drop(shard=1)
        await flock.double.until(lambda: len(gateway.connections) == 1 or gateway.resumes, 10, "cut off")
        await anna.say(flock.far, "missed")
        await anna.say(flock.near, "heard")
        await flock.hears("heard")
        assert "missed" not in flock.heard
        flock.double.on_request(meanwhile)
        await flock.hears("missed")
        await anna.say(flock.far, "live again")
        await flock.hears("live again")
    assert flock.heard.index("meanwhile") < flock.heard.index("missed")
    assert len(gateway.identifies) == 3
    assert _reads(flock.double) == reads + 1
    assert len(flock.heard) == len(set(flock.heard)) == 6


async def test_no_shards_session_ends_the_reading_back_of_another(flock: Flock) -> None:
    scene, anna, limits = flock.scene, flock.scene.anna, flock.double.limits
    scene.gate.watched = [flock.chat(flock.near), flock.chat(flock.far)]
    for channel in (flock.near, flock.far):
        message = await anna.say(channel, f"missed {channel.id}")
        scene.gate.bookmarks[f"discord:{channel.id}"] = str(message.id - 1)
        scene.gate.recent.append(WatchedMessage(scene.ref(message), ours=False))
        await anna.react(message, "👍")
    limits.max_concurrency = 1
    flock.double.fault("slow", method="GET", route="/messages", seconds=1.5)
    async with running(scene, scene.another(identify_seconds=0.2)):
        for channel in (flock.near, flock.far):
            where = flock.chat(channel)
            await flock.hears(f"missed {channel.id}")
            await scene.gate.until(ReactionChanged, lambda event, where=where: event.message.chat == where)  # type: ignore[misc]
        assert not [event for event in scene.gate.events if isinstance(event, PlaceChanged) and event.gone]
    assert flock.heard == [f"missed {flock.far.id}", f"missed {flock.near.id}"]


async def test_a_platform_is_no_more_alive_than_its_quietest_shard(flock: Flock) -> None:
    gateway, gate = flock.double.gateway, flock.scene.gate
    flock.double.limits.heartbeat_seconds, flock.double.limits.heartbeats_missed = 0.1, 100

    async def beats(more: int) -> int:
        """How many signs of life there are when the first shard has given so many more."""
        wanted = gateway.heartbeats[0] + more
        await flock.double.until(lambda: gateway.heartbeats[0] >= wanted, 20, "heartbeats")
        return gate.signs

    async with running(flock.scene, flock.scene.another(quiet_seconds=0.5)):
        await flock.double.until(lambda: gateway.heartbeats[1], 20, "both are alive")
        assert await beats(3) < await beats(3)
        gateway.mute(shard=1)
        before = await beats(10)
        assert await beats(10) == before
        gateway.drop(shard=1)
        await flock.double.until(lambda: gateway.resumes, 20, "it is there again")
        assert await beats(3) < await beats(3)


async def test_a_shard_that_does_not_begin_is_quiet_and_keeps_nobody_from_sending(flock: Flock) -> None:
    gateway, scene = flock.double.gateway, flock.scene
    flock.double.limits.heartbeat_seconds, flock.double.limits.heartbeats_missed = 0.1, 100
    flock.double.limits.max_concurrency = 1
    flock.double.fault("silent_before", method="GET", route="/users/@me", after=1, seconds=60)
    began = datetime.now(UTC)
    async with running(scene, adapter := scene.another(quiet_seconds=0.5)):
        await flock.double.until(lambda: gateway.heartbeats[0] >= 10, 20, "the first shard is alive")
        signs = scene.gate.signs
        await flock.double.until(lambda: gateway.heartbeats[0] >= 20, 20, "and goes on")
        assert scene.gate.signs == signs
        lost = create(flock.chat(flock.near), "lost on its way")
        assert await adapter.standing(lost.chat) is None
        assert await adapter.find_sent(lost, began) is None
        with pytest.raises(RetryLater):
            await adapter.standing(flock.chat(flock.far))


async def test_a_guild_that_was_left_meanwhile_is_told_by_its_shard(flock: Flock) -> None:
    scene, gateway = flock.scene, flock.double.gateway
    scene.gate.watched = [flock.chat(flock.near), flock.chat(flock.far)]
    scene.gate.bookmarks[f"discord:{flock.far.id}"] = "1"
    async with running(scene):
        await flock.begun(2)
        await scene.gate.until(PlaceChanged, lambda event: event.chat == flock.chat(flock.far))
        scene.gate.events.clear()
        gateway.forget_sessions(shard=1)
        flock.far_guild.remove_bot()
        gateway.drop(shard=1)
        gone = await scene.gate.until(PlaceChanged, lambda event: event.gone)
    assert (gone.chat, gone.reason) == (flock.chat(flock.far), Loss.REMOVED)
    assert all(event.chat == gone.chat for event in scene.gate.events if isinstance(event, PlaceChanged))


async def test_where_nothing_was_written_nothing_is_read(flock: Flock) -> None:
    scene, anna = flock.scene, flock.scene.anna
    scene.gate.watched = [flock.chat(flock.near), flock.chat(flock.far)]
    last = await anna.say(flock.near, "heard before")
    missed = await anna.say(flock.far, "missed")
    scene.gate.bookmarks[f"discord:{flock.near.id}"] = str(last.id)
    scene.gate.bookmarks[f"discord:{flock.far.id}"] = str(missed.id - 1)
    async with running(scene):
        await flock.hears("missed")
        await scene.gate.until(PlaceChanged, lambda event: event.chat == flock.chat(flock.near))
        await anna.say(flock.near, "live")
        await flock.hears("live")
    assert _reads(flock.double) == 1
    assert sorted(flock.heard) == ["live", "missed"]


async def test_an_archived_thread_is_found_by_the_shard_of_its_channel(flock: Flock) -> None:
    asleep = [await flock.scene.anna.open_thread(room, "nests") for room in (flock.near, flock.far)]
    for thread in asleep:
        thread.update(archived=True)
    flock.scene.gate.watched = [flock.chat(flock.near), flock.chat(flock.far)]
    async with running(flock.scene):
        for where in flock.scene.gate.watched:
            await flock.scene.gate.until(PlaceChanged, lambda event, where=where: event.chat == where)  # type: ignore[misc]
        for thread in asleep:
            assert await flock.scene.adapter.standing(flock.chat(thread)) is None


async def test_a_guild_that_comes_late_is_read_back_too(flock: Flock) -> None:
    """Its shard has begun without it, and nobody else has asked yet for what no shard knows."""
    scene, anna = flock.scene, flock.scene.anna
    also = flock.near.guild.text_channel("also")  # type: ignore[union-attr]
    late = flock.double.guild("Late", owner=scene.owner, members=(anna,), shard=(0, 2))
    room = late.text_channel("general")
    scene.gate.watched = [flock.chat(also), flock.chat(room), flock.chat(flock.far)]
    missed = await anna.say(room, "missed")
    scene.gate.bookmarks[f"discord:{room.id}"] = str(missed.id - 1)
    late.set_available(False)
    flock.double.limits.max_concurrency = 1
    flock.double.fault("silent_before", method="GET", route="/users/@me", after=1, seconds=60)
    async with running(scene):
        await scene.gate.until(PlaceChanged, lambda event: event.chat == flock.chat(also))
        late.set_available(True)
        await anna.say(room, "live")
        await flock.hears("live")
        assert flock.heard == ["missed", "live"]
        reads = _reads(flock.double)
        late.set_available(False)
        late.set_available(True)
        await anna.say(room, "after an outage")
        await flock.hears("after an outage")
    assert _reads(flock.double) == reads
    assert [shard for _, shard in flock.double.gateway.began] == [0]


async def test_too_few_shards_end_the_run_and_the_next_one_asks_again(flock: Flock) -> None:
    limits = flock.double.limits
    limits.shards, limits.guilds_per_shard = 1, 2
    with pytest.raises(discord.ConnectionClosed):
        await asyncio.wait_for(flock.scene.adapter.run(flock.scene.gate), 20)
    assert flock.double.gateway.closed_with == [4011]
    limits.shards = 2
    async with running(flock.scene):
        await flock.begun(2)


async def test_a_gateway_that_cannot_be_reached_is_called_so(flock: Flock) -> None:
    away = flock.scene.another(gateway_url="ws://127.0.0.1:9/")
    with pytest.raises(ConnectionError, match="gateway cannot be reached"):
        await asyncio.wait_for(away.run(flock.scene.gate), 20)


async def test_one_that_was_refused_the_content_intent_is_all_of_them(flock: Flock) -> None:
    flock.double.gateway.enabled_intents, flock.double.limits.max_concurrency = 0, 1
    adapter = adapter_for(flock.double)
    flock.scene.others.append(adapter)
    async with running(flock.scene, adapter):
        await flock.double.until(lambda: len(flock.double.gateway.sessions) == 2, 20, "both without it")


def _reads(double: DiscordDouble) -> int:
    return sum(method == "GET" and route.endswith("/messages") for method, route in double.requests)
