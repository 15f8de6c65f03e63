"""kill -9 of the owner of three tokens amid its sends, with a standby on another machine: an exact count."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from stormo.instance import KEY_FILE
from tests.peers.synapse import SynapseServer
from tests.program import Program
from tests.stage import Stage, until

pytestmark = [pytest.mark.peer, pytest.mark.timeout(400)]

PLATFORMS = ("telegram", "discord", "matrix")
POSTS = 6


class TwoMachines(Stage):
    """All three platforms on one machine; `standby` is the same program on another one."""

    owner: Program
    programs: list[Program]

    async def start(self) -> None:
        polls, readies = self.polls, len(self.discord.gateway.identifies)
        self.starts += 1
        self.owner = Program(self.config, "owner")
        self.programs = [self.owner]
        await self.owner.start()
        await until(lambda: self._heard(polls, readies), "the program's start")

    async def standby(self) -> Program:
        there = self.folder / "there"
        there.mkdir()
        (there / "data").mkdir()
        shutil.copy(self.folder / "data" / KEY_FILE, there / "data" / KEY_FILE)
        config = there / "config.toml"
        config.write_text(self.config.read_text().replace(f'"{self.folder / "data"}"', '"data"'))
        made = Program(config, "standby")
        self.programs.append(made)
        await made.start()
        for platform in PLATFORMS:
            await made.does(platform, "standby")
        return made

    @property
    def running(self) -> bool:
        return self.starts > 0 and self.owner.running

    def log(self) -> str:
        return self.owner.log()[-4000:]

    async def stop(self) -> None:
        for program in self.programs if self.starts else ():
            await program.kill()


@pytest_asyncio.fixture
async def stage(
    synapse: SynapseServer, tmp_path: Path, fresh_postgres_url: str
) -> AsyncIterator[TwoMachines]:
    async with TwoMachines(synapse, tmp_path, database=fresh_postgres_url, limited=False) as built:
        await built.set_up()
        yield built


async def test_nothing_is_lost_and_nothing_doubled_unsaid(stage: TwoMachines) -> None:
    standby = await stage.standby()
    stored = [5]

    def strike(*_: object) -> None:
        stored[0] -= 1
        if stored[0] == 0:
            stage.owner.kill_now()

    stage.discord.on_stored(strike)
    words = [f"flight {number}." for number in range(POSTS)]
    for one in words:
        await stage.anna.send(stage.group, f"/post {one}")
    await until(lambda: not stage.owner.running, "the owner's death")
    died = time.monotonic()
    for platform in PLATFORMS:
        await standby.does(platform, "running")
    assert time.monotonic() - died < 45, "30 s to be replaced, and the time to connect on a busy machine"

    everywhere = {"discord general": 1, "discord news": 1, "discord pictures": 1, "matrix": 1}
    surplus = 0
    for one in words:
        await until(lambda one=one: stage.in_telegram(stage.mirror, one), f"{one} on Telegram")  # type: ignore[misc]
        await stage.shows(one, everywhere | {"telegram": stage.in_telegram(stage.mirror, one)})
    await stage.quiet()
    for one in words:
        counts = await stage.counts(one)
        surplus += counts.pop("telegram") - 1
        assert counts == everywhere
        assert await stage.matrix_copies(one) == 1
    assert 0 <= surplus <= stage.doubts()
