"""Who is woken while a starting process still looks through what waits is not forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from core.counts import Counts
from core.courier import Courier
from core.errors import RetryLater
from core.leases import Leases
from core.stores.unit import Unit
from core.types import ChatId, Platform, ThingId
from storage.writer import Writer
from tests.stage import until
from tests.stories.world import World

DISCORD = Platform("discord")


class Late:
    """A writer whose answers reach who asked only with a permit each."""

    def __init__(self, writer: Writer) -> None:
        self.permits = asyncio.Semaphore(0)
        self.answered = 0
        self._writer = writer

    def submit(self, work: Callable[[Unit], Any], *_: Any, **__: Any) -> asyncio.Future[Any]:
        return asyncio.ensure_future(self._answer(self._writer.submit(work)))

    async def _answer(self, coming: asyncio.Future[Any]) -> Any:
        found = await coming
        self.answered += 1
        await self.permits.acquire()
        return found


async def test_what_is_set_free_while_stock_is_taken_goes_at_once(world: World) -> None:
    group, channel = world.room("telegram", "birds"), world.room("discord", "channel")
    await world.community(group, channel)
    await world.mirrors(channel, "birds")
    anna = await world.member("telegram", "anna")
    # Another process is to begin with this platform, so that the chat is new to it.
    world.courier.leave(DISCORD)
    await anna.posts(group, "They are back", anna.attaches("swifts.png", RetryLater("not yet")))
    ((chat, thing),) = await world.rows(
        "SELECT chat_id, thing_id FROM outbox WHERE kind = 'post' AND due = 1"
    )
    late = Late(world.writer)
    courier = Courier(
        adapters=world.adapters,
        writer=late,
        engine=world.engine,
        words=world.speech,
        clock=world.clock,
        counts=Counts(),
        leases=Leases(world.clock, alone=[DISCORD]),
    )
    running = asyncio.create_task(courier.run())
    for _ in range(2):
        late.permits.release()
    await until(lambda: late.answered == 3, "its stock, which says: held back for its file")
    await world.writer.submit(lambda unit: unit.media.release(ThingId(thing), unit.now))
    courier.wake(frozenset({ChatId(chat)}))
    for _ in range(100):
        late.permits.release()
    await until(lambda: channel.copies, "the copy, at once")
    await courier.drain()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
