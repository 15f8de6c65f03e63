"""A homeserver and a database that are killed and started again in a burst, while the program goes on."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Note
from tests.faults.flock import FlockStage, Post, Room
from tests.peers.synapse import SynapseServer
from tests.postgres import PostgresServer
from tests.stage import until

pytestmark = [pytest.mark.peer, pytest.mark.faults, pytest.mark.timeout(900)]

BURST = 500
#: So many posts are enough to be in all states at once.
FEW = 60


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """To be killed."""
    with PostgresServer() as server:
        yield server


async def test_synapse_killed_in_a_burst(own_synapse: SynapseServer, tmp_path: Path, note: Note) -> None:
    """A Telegram group's talk is relayed into a Matrix room, whose homeserver dies in the middle."""
    async with FlockStage(own_synapse, tmp_path) as stage:
        await stage.set_up()
        await _relay(stage)
        there = _room(stage, "second")
        for number in range(BURST):
            await stage.anna.send(stage.group, f"talk {number:03}.")
        await until(lambda: _some(there, BURST // 5), "the first of them", 60)
        await asyncio.to_thread(own_synapse.restart, killed=True)
        await until(lambda: _some(there, BURST), "all of them", 300)
        await stage.quiet()
        said = [one for text in await there.texts() for one in re.findall(r"talk (\d{3})\.", text)]
        assert Counter(said) == Counter(f"{number:03}" for number in range(BURST))
        assert said == sorted(said), "first sends keep their order"
        counted = {
            "rounds": 1,
            "copies": len(said),
            "surplus": 0,
            "in doubt": len(stage.ask("SELECT 1 FROM doubts")),
        }
        assert counted["in doubt"] == 0
        note("servers", f"Synapse killed in a burst of {BURST}", "matrix", "sqlite", counted)


async def _relay(stage: FlockStage) -> None:
    await stage.anna.send(stage.group, "/relay on")
    await stage.chiara.say(stage.second, "!relay on")
    await until(lambda: stage.ask("SELECT count(*) FROM chats WHERE relay = 1") == [(2,)], "the relay on")
    await stage.quiet()


def _room(stage: FlockStage, name: str) -> Room:
    return next(room for room in stage.rooms if room.name == name)


async def _some(room: Room, number: int) -> bool:
    try:
        return sum("talk " in text for text in await room.texts()) >= number
    except Exception:  # noqa: BLE001  # its homeserver is away just now
        return False


async def test_postgresql_killed_in_a_burst(
    homeserver: SynapseServer, own_postgres: PostgresServer, tmp_path: Path, note: Note
) -> None:
    """Twice: while posts come in, and while copies go out. What was not committed was not acknowledged."""
    database = own_postgres.url(own_postgres.create_database())
    async with FlockStage(homeserver, tmp_path, database=database) as stage:
        await stage.set_up()
        posts = [Post("telegram", f"burst {number:03}.") for number in range(FEW)]
        for number, post in enumerate(posts):
            await stage.publish(post)
            if number in (FEW // 3, FEW - 1):
                await asyncio.to_thread(_restart, own_postgres)
        counted = await stage.counted(posts, "PostgreSQL killed")
        assert stage.ask("SELECT 1 FROM dead_letters WHERE kind <> 'Missed'") == []
        note("servers", f"PostgreSQL killed twice in a burst of {FEW}", "all", "postgresql", counted)


def _restart(server: PostgresServer) -> None:
    server.kill()
    server.start()
