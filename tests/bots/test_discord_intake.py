"""The order in which events reach the core, where sessions follow each other faster than their reading back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from bots.discord.convert import bookmark_scope, chat
from bots.discord.intake import Intake
from core.events import Actor, Bookmark, MessageReceived, Place
from core.types import AccountRef, MessageRef
from tests.bots.discord_scene import DISCORD, CollectingGate, body

ROOM = chat("1")


def said(number: int) -> MessageReceived:
    return MessageReceived(
        key=f"message {number}",
        at=datetime.now(UTC),
        bookmark=Bookmark(scope=bookmark_scope(ROOM.key), value=str(number)),
        place=Place(chat=ROOM, title="general"),
        actor=Actor(account=AccountRef(DISCORD, "7"), name="Anna"),
        message=MessageRef(ROOM, str(number)),
        body=body("x"),
        source=str(number),
        dialect="discord",
    )


async def test_an_older_reading_back_lets_nothing_go_that_a_new_session_holds() -> None:
    """It read up to where its session ended: what came between that and the new one is not read yet."""
    gate = CollectingGate()
    async with asyncio.TaskGroup() as tasks:
        intake = Intake(gate, tasks)
        intake.hold()
        intake.hold_only({ROOM.key})
        intake.hold()
        intake.submit(ROOM.key, said(30))
        intake.release(ROOM.key, read_to="10")
        await asyncio.sleep(0)
        assert gate.bookmarks == {}
        intake.hold_only({ROOM.key})
        await intake.submit_read(said(20))
        intake.release(ROOM.key, read_to="20")
    assert [event.source for event in gate.events if isinstance(event, MessageReceived)] == ["20", "30"]
