"""All that the program calls Discord for, together: sends to many rooms while what was missed is read back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stormo.app import Stormo
from stormo.config import Config, parse
from tests.doubles.discord import Channel, DiscordDouble, Person
from tests.stage import until
from tests.stalls import stalls

ROOMS, POSTS = 16, 7


@pytest.fixture
async def double() -> AsyncIterator[DiscordDouble]:
    async with DiscordDouble() as double:
        yield double
        assert double.violations == []


def config(folder: Path, double: DiscordDouble) -> Config:
    return parse(
        f"""
        [web]
        port = 0
        [room]
        quiet_hours = "off"
        hold_seconds = 0
        copies_an_hour = 1000
        copies_a_day = 1000
        [discord]
        token = "{double.token}"
        api_url = "{double.api_url}"
        gateway_url = "{double.gateway_url}"
        cdn_url = "{double.cdn_url}"
        guild_ready_timeout = 0.05
        """,
        {},
        base=folder,
    )


async def asks(who: Person, room: Channel, command: str, **options: str) -> None:
    answer = await who.slash(room, command, options)
    await answer.until(lambda now: now.content)


@pytest.mark.peer
@pytest.mark.timeout(120)
async def test_sends_and_reads_of_two_shards_stay_within_one_budget(
    tmp_path: Path, double: DiscordDouble
) -> None:
    double.limits.shards, double.limits.max_concurrency = 2, 16
    anna = double.person("Anna", username="anna")
    guilds = [double.guild(f"Guild {number}", owner=anna, shard=(number, 2)) for number in (0, 1)]
    rooms = [guild.text_channel(f"room-{number}") for guild in guilds for number in range(ROOMS // 2)]
    async with stalls() as late, Stormo(config(tmp_path, double)):
        await double.until(lambda: double.world.commands[None], 20, "commands offered")
        await double.until(lambda: len(double.gateway.sessions) == 2, 20, "two sessions")
        await asks(anna, rooms[0], "join")
        for room in rooms:
            await asks(anna, room, "setup")
            await asks(anna, room, "mirror add", feed="@anna")
        double.gateway.invalidate(shard=1)
        sessions = len(double.gateway.began)
        for number in range(POSTS):
            await asks(anna, rooms[0], "post", text=f"flight {number}.", visibility="public")
        await double.until(lambda: len(double.gateway.began) > sessions, 20, "the session begins anew")
        copies = [f"flight {number}." for number in range(POSTS)]
        await until(lambda: all(shown(double, room, copies) for room in rooms[1:]), "all copies")
    assert double.busiest(late.second) <= 40
    assert double.busiest(3.0) <= 160
    assert double.refused == []


def shown(double: DiscordDouble, room: Channel, copies: list[str]) -> bool:
    """Each of them once."""
    texts = [message.text for message in double.visible(room)]
    return all(sum(copy in text for text in texts) == 1 for copy in copies)
