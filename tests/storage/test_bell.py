"""What one process commits, another one hears of: quickly, once a batch, and never instead of looking itself."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Iterator

import psycopg
import pytest
from sqlalchemy import Engine

from core.types import ChatId, ThingId, ThingKind
from storage.bell import Bell
from storage.database import open_engine
from storage.unit import SqlUnit
from storage.writer import Writer
from tests.storage.conftest import DEADLINE, NOW, FakeClock, no_settling, nobody_waits
from tests.storage.rows import a_chat

Heard = queue.SimpleQueue[frozenset[ChatId]]
EVERYTHING: frozenset[ChatId] = frozenset()


class Processes:
    """Two writers on one database; the second one's process has a bell."""

    def __init__(self, engine: Engine, clock: FakeClock) -> None:
        self.url = engine.url.render_as_string().replace("+psycopg", "")
        self.writers = [Writer(engine, clock, no_settling, nobody_waits) for _ in range(2)]
        self.heard: Heard = queue.SimpleQueue()
        self.bell = Bell(engine, self.heard.put, lambda: self.writers[1].backend)

    async def hears(self) -> frozenset[ChatId]:
        return await asyncio.to_thread(self.heard.get, timeout=DEADLINE)


@pytest.fixture
def processes(migrated_postgres_url: str, clock: FakeClock) -> Iterator[Processes]:
    engine = open_engine(migrated_postgres_url)
    made = Processes(engine, clock)
    for writer in made.writers:
        writer.start()
    made.bell.start()
    yield made
    made.bell.close()
    for writer in made.writers:
        writer.close()
    engine.dispose()


def waking(*chats: int) -> Callable[[SqlUnit], None]:
    return lambda unit: unit.woken.update(map(ChatId, chats))


async def test_another_processs_batch_is_heard_as_one(processes: Processes) -> None:
    ours, others = processes.writers[1], processes.writers[0]
    assert await processes.hears() == EVERYTHING
    await asyncio.gather(*(others.submit(waking(chat)) for chat in (5, 6, 7)))
    heard: set[ChatId] = set()
    while len(heard) < 3:
        heard |= await processes.hears()
    assert heard == {5, 6, 7}
    await ours.submit(waking(8))
    await others.submit(waking(9))
    assert await processes.hears() == {9}, "its own batches are no news"


async def test_what_is_heard_is_committed(processes: Processes) -> None:
    def queue_up(unit: SqlUnit) -> ChatId:
        chat = a_chat(unit)
        unit.outbox.want(ThingId(5), ThingKind.POST, 1, [chat], rank=1, now=NOW, ready_at=NOW)
        return chat

    assert await processes.hears() == EVERYTHING
    chat = await processes.writers[0].submit(queue_up)
    assert await processes.hears() == {chat}
    rows = await processes.writers[1].submit(lambda unit: unit.outbox.deliveries(ThingId(5)))
    assert [row.chat_id for row in rows] == [chat]


async def test_too_many_are_everything(processes: Processes) -> None:
    assert await processes.hears() == EVERYTHING
    chats = [ChatId(2**63 - 1 - number) for number in range(391)]
    await processes.writers[0].submit(waking(*chats[:390]))
    assert await processes.hears() == frozenset(chats[:390])
    await processes.writers[0].submit(waking(*chats))
    assert await processes.hears() == EVERYTHING


async def test_a_new_connection_looks_at_everything(processes: Processes) -> None:
    assert await processes.hears() == EVERYTHING
    with psycopg.connect(processes.url, autocommit=True) as line:
        line.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    assert await processes.hears() == EVERYTHING
    await processes.writers[0].submit(waking(5))
    assert await processes.hears() == {5}
