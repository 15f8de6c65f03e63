"""Rooms that close, open and move, on a real Synapse and both doubles, with `stormo run` as a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.doubles.discord import Permission
from tests.peers.synapse import SynapseServer
from tests.stage import Stage, until

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

POWER_LEVELS = "m.room.power_levels"


@pytest_asyncio.fixture
async def stage(synapse: SynapseServer, tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(synapse, tmp_path) as built:
        await built.set_up()
        yield built


def lost(stage: Stage) -> set[str]:
    """Why rooms are closed, as the program wrote it down."""
    return {
        str(row[0]).partition(":")[0] for row in stage.ask("SELECT reason FROM chats WHERE state <> 'active'")
    }


async def test_rooms_that_close_pause_and_go_on_once_and_in_order_when_they_open(stage: Stage) -> None:
    news, role = stage.channels[1], stage.guild.bot_role
    levels = await stage.chiara.state(stage.room, POWER_LEVELS)
    await stage.anna.remove_bot(stage.mirror)
    news.overwrite(role, deny=Permission.SEND_MESSAGES)
    await _set_levels(stage, levels | {"events_default": 50})
    await until(lambda: lost(stage) == {"banned", "muted"}, "the losses")
    await until(lambda: len(stage.ask("SELECT 1 FROM chats WHERE state <> 'active'")) == 3, "all three")

    closed = {"discord news": 0, "telegram": 0, "matrix": 0}
    open_ = {"discord general": 1, "discord pictures": 1}
    await stage.anna.send(stage.group, "/post first words")
    await stage.shows("first words", open_ | closed)
    await stage.restart()
    await stage.anna.send(stage.group, "/post second words")
    await stage.shows("second words", open_ | closed)

    await stage.anna.add_bot(stage.mirror)
    news.overwrite(role)
    await _set_levels(stage, levels)
    await until(lambda: lost(stage) == set(), "the rooms to open")
    # Who put the bot out gets nothing of that time; where it only might not write, everything waited.
    waited = open_ | closed | {"discord news": 1, "matrix": 1}
    for words in ("first words", "second words"):
        await stage.shows(words, waited)
    await stage.anna.send(stage.group, "/post third words")
    await stage.shows("third words", dict.fromkeys(waited, 1))
    await stage.quiet()
    assert await stage.matrix_copies("first words") == await stage.matrix_copies("second words") == 1
    shown = [m.text for m in stage.discord.visible(news) if "words" in m.text]
    order = [word for text in shown for word in ("first", "second", "third") if word in text]
    assert order == ["first", "second", "third"]
    assert (lost(stage), stage.doubts(), stage.telegram.refused[429]) == (set(), 0, 0)


async def _set_levels(stage: Stage, levels: dict[str, object]) -> None:
    await stage.chiara.ask("PUT", f"/rooms/{stage.room}/state/{POWER_LEVELS}/", levels)


async def test_a_group_and_a_room_that_move_are_followed(stage: Stage) -> None:
    await stage.anna.send(stage.group, "/post before the move")
    before = dict.fromkeys(await stage.counts(""), 1)
    await stage.shows("before the move", before)
    old = stage.room
    answer = await stage.chiara.ask("POST", f"/rooms/{old}/upgrade", {"new_version": "12"})
    stage.room = str(answer["replacement_room"])
    await stage.chiara.invite(stage.room, stage.bot.user_id)
    stage.mirror = await stage.anna.upgrade(stage.mirror)
    await until(lambda: stage.ask(f"SELECT 1 FROM chats WHERE key = '{stage.room}'"), "the new room")
    await until(lambda: stage.ask(f"SELECT 1 FROM chats WHERE key = '{stage.mirror.id}'"), "the supergroup")
    await stage.anna.send(stage.group, "/post after the move")
    await stage.shows("after the move", before)
    assert await stage.in_matrix("before the move") == 0, "what stood in the old room stays there"
    assert stage.ask("SELECT 1 FROM chats WHERE state <> 'active'") == []
