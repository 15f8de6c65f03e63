"""A picture posted on one platform stands on the others as itself: a real Synapse, both doubles, `stormo run`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.peers.synapse import SynapseServer
from tests.stage import Stage, until

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]


def png(*rows: bytes) -> bytes:
    """A picture as far as its first bytes go."""
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (100).to_bytes(4) * 2 + b"".join(rows) + bytes(3000)


@pytest_asyncio.fixture
async def stage(synapse: SynapseServer, tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(synapse, tmp_path, limited=False) as built:
        await built.set_up()
        yield built


def on_discord(stage: Stage, data: bytes) -> int:
    channels = (stage.discord.visible(channel) for channel in stage.channels)
    return sum(data in shown.attachments.values() for messages in channels for shown in messages)


def on_telegram(stage: Stage, data: bytes) -> int:
    shown = stage.telegram.visible(stage.mirror)
    return sum(m.media is not None and m.media.data == data for m in shown if m.from_bot)


async def on_matrix(stage: Stage, data: bytes) -> int:
    shown = [m for m in await stage.chiara.visible(stage.room) if m.sender == stage.bot.user_id]
    uris = [m.content["url"] for m in shown if m.msgtype == "m.image"]
    return sum([await stage.chiara.download(uri) == data for uri in uris])


async def test_a_picture_from_each_platform_stands_on_all_others(stage: Stage) -> None:
    theirs, mine, hers = (png(bytes([number])) for number in range(3))
    await stage.anna.attach(stage.group, theirs, "/post From Telegram")
    await until(lambda: on_discord(stage, theirs) == 3 and on_telegram(stage, theirs), "Anna's picture")
    await until(lambda: _equals(on_matrix(stage, theirs), 1), "Anna's picture on Matrix")

    for channel in stage.channels:
        await stage.bruno.slash(channel, "mirror add", {"feed": "birds"})
    file = stage.discord.file("mine.png", mine)
    await stage.chiara.say(stage.room, "!mirror add birds")
    await stage.chiara.wait_message(stage.room, "birds")
    await stage.bruno.slash(stage.channels[0], "post", {"text": "From Discord", "file": file})
    await until(lambda: _equals(on_matrix(stage, mine), 1), "Bruno's picture on Matrix")

    await stage.chiara.attach(stage.room, hers, "hers.png", "!post From Matrix")
    await until(lambda: on_discord(stage, hers) == 3, "Chiara's picture")
    assert stage.ask("SELECT count(*) FROM blobs") == [(3,)]
    assert stage.doubts() == 0
    assert stage.telegram.violations == []
    assert stage.discord.violations == []


async def _equals(counted: Awaitable[int], wanted: int) -> bool:
    return await counted == wanted
