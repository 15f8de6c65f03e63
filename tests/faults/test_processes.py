"""kill -9 of who owns the tokens, at each step of taking, keeping, losing and giving back a lease: another one goes on.

Two machines are two data folders with one key: only on the same one is a death known at once.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from stormo.instance import KEY_FILE
from tests.faults.conftest import SEED, WHOLE, Note
from tests.faults.flock import PLATFORMS, FlockStage, Post
from tests.faults.matrix import ALONE, ENDING, KEEPING, LOSING, TAKING
from tests.peers.synapse import SynapseServer
from tests.stage import until

pytestmark = [pytest.mark.peer, pytest.mark.timeout(1800)]


class MachinesStage(FlockStage):
    """A flock whose program may be started on either of two machines."""

    def _write_config(self) -> None:
        super()._write_config()
        there = self.folder / "there.toml"
        there.write_text(
            self.config.read_text().replace(str(self.folder / "data"), str(self.folder / "there"))
        )
        self._other = there

    async def set_up(self) -> None:
        await super().set_up()
        (self.folder / "there").mkdir()
        shutil.copy(self.folder / "data" / KEY_FILE, self.folder / "there" / KEY_FILE)

    def move(self) -> None:
        """The next start is on the other machine, where nothing tells that the owner is dead: its leases run out."""
        assert not self.running
        self.config, self._other = self._other, self.config
        self._change("UPDATE leases SET expires_at = 0")

    def steal(self, platform: str) -> None:
        """Another process had the lease meanwhile."""
        self._change(
            f"UPDATE leases SET epoch = epoch + 1, site = '', expires_at = 0 WHERE name = '{platform}'"
        )

    def _change(self, sql: str) -> None:
        with psycopg.connect(self.database.replace("+psycopg", "")) as line:
            line.execute(sql.encode())

    def ask_to_end(self) -> None:
        assert self._process is not None
        self._process.terminate()


@dataclass(frozen=True)
class End:
    """Where a process ends, of which platform's lease it is, and on which machines the next ones are."""

    point: str
    platform: str
    moves: tuple[bool, bool]

    @property
    def trap(self) -> str:
        return (TAKING | KEEPING | LOSING | ENDING)[self.point].format(x=self.platform)

    def __str__(self) -> str:
        return f"{self.point} ({self.platform}), {self.moves}"


def ends(*, alone: bool) -> list[End]:
    """Every point; those of a take-over for each platform. ``alone``: where no other process could take over."""
    points = [one for one in _points() if not alone or one[0] in ALONE]
    return [
        End(point, platform, (not alone and n % 2 == 0, not alone and n // 2 % 2 == 0))
        for n, (point, platform) in enumerate(points)
    ]


def _points() -> Iterator[tuple[str, str]]:
    for point, trap in TAKING.items():
        yield from ((point, platform) for platform in (PLATFORMS if "@" in trap else PLATFORMS[:1]))
    for turn, point in enumerate((*KEEPING, *LOSING, *ENDING)):
        # What comes in meanwhile would find the loss first: nothing comes from Telegram.
        yield point, "telegram" if point == "lost" else PLATFORMS[turn % 3]


@pytest_asyncio.fixture
async def machines(
    homeserver: SynapseServer, tmp_path: Path, database_url: str
) -> AsyncIterator[MachinesStage]:
    async with MachinesStage(homeserver, tmp_path, database=database_url) as built:
        await built.set_up()
        yield built


def test_every_step_of_a_lease_is_an_end() -> None:
    assert {one.point for one in ends(alone=False)} == {*TAKING, *KEEPING, *LOSING, *ENDING}


@pytest.mark.faults
async def test_whoever_comes_next_goes_on(machines: MachinesStage, note: Note) -> None:
    alone = machines.database.startswith("sqlite")
    every = ends(alone=alone)
    for number, one in enumerate(every if WHOLE else random.Random(SEED).sample(every, 4)):
        post = Post("telegram", f"flight {number}a{number:04}")
        await _killed(machines, one, post)
        if one.moves[1]:
            machines.move()
        await machines.restart()
        await until(lambda post=post: machines.stored(post), f"{one}: the post in the database")  # type: ignore[misc]
        await machines.quiet()
        counted = await machines.count(post, str(one))
        note("processes", one.point, one.platform, "sqlite" if alone else "postgresql", counted)


async def _killed(stage: MachinesStage, one: End, post: Post) -> None:
    if one.point in TAKING:
        # It has something to settle: its owner ended amid a call.
        await stage.arm(f"inbound.received@telegram>outbound.call_answered@{one.platform}")
        await stage.publish(post)
        await stage.dead()
        if one.moves[0]:
            stage.move()
        stage.launch(one.trap)
    else:
        await stage.arm(one.trap)
        await stage.publish(post)
    if one.point in LOSING:
        await until(lambda: stage.stored(post), f"{one}: the post in the database")
        stage.steal(one.platform)
    elif one.point in ENDING:
        stage.ask_to_end()
    await stage.dead()
