"""A full disk: the program says so, acknowledges nothing that it has not stored, and goes on when there is room."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.conftest import Note
from tests.faults.flock import PLATFORMS, FlockStage, Post
from tests.peers.synapse import SynapseServer
from tests.stage import until

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

_COMPLAINT = "the database takes no changes"
_MEGABYTES = 32
#: What a file may grow to where there is no disk of our own: more than a log needs, less than a database.
_BYTES = 200_000
#: So many posts fit into no room that a database has kept in advance.
_MANY = 60


class Disk:
    """The program's disk: one of its own where the machine lets us have it, else a limit on the size of files.

    Either way it is the kernel that refuses a write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ballast = folder / "ballast"
        folder.mkdir()
        command = ("mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "stormo-test", str(folder))
        done = subprocess.run(command, check=False, capture_output=True) if os.geteuid() == 0 else None
        self._mounted = done is not None and done.returncode == 0

    def unmount(self) -> None:
        if self._mounted:
            subprocess.run(("umount", "--lazy", str(self._folder)), check=True)

    def fill(self, pid: int) -> None:
        if not self._mounted:
            self._limit(pid, _BYTES)
            return
        with suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def empty(self, pid: int | None) -> None:
        """``pid``: the program, if it still runs."""
        self._ballast.unlink(missing_ok=True)
        if not self._mounted and pid is not None:
            self._limit(pid, resource.RLIM_INFINITY)

    @staticmethod
    def _limit(pid: int, size: int) -> None:
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size if most == resource.RLIM_INFINITY else most, most))


@pytest_asyncio.fixture
async def disk_and_stage(homeserver: SynapseServer, tmp_path: Path) -> AsyncIterator[tuple[Disk, FlockStage]]:
    disk = Disk(tmp_path / "data")
    try:
        async with FlockStage(homeserver, tmp_path) as stage:
            await stage.set_up()
            yield disk, stage
    finally:
        disk.unmount()


async def test_a_full_disk(disk_and_stage: tuple[Disk, FlockStage], note: Note) -> None:
    disk, stage = disk_and_stage
    disk.fill(stage.program.pid)
    posts = await _written_until_it_complains(stage, "full")
    assert stage.running
    disk.empty(stage.program.pid)
    counted = await stage.counted(posts, "room again")

    disk.fill(stage.program.pid)
    posts = await _written_until_it_complains(stage, "full again")
    await stage.end()
    disk.empty(None)
    await stage.start()
    counted += await stage.counted(posts, "killed on a full disk")
    note("servers", "disk full, and killed on a full disk", "all", "sqlite", counted)


async def _written_until_it_complains(stage: FlockStage, words: str) -> list[Post]:
    """People write on, on all platforms, until the program has said that it cannot take it, and then once more."""
    posts: list[Post] = []
    said = stage.said.count(_COMPLAINT)

    def complains() -> bool:
        return stage.said.count(_COMPLAINT) > said

    while not complains():
        assert len(posts) < _MANY, stage.log()
        await _write(stage, posts, words)
        with suppress(AssertionError):
            await until(complains, "a complaint", 0.2)
    for _ in PLATFORMS:
        await _write(stage, posts, words)
    return posts


async def _write(stage: FlockStage, posts: list[Post], words: str) -> None:
    posts.append(Post(PLATFORMS[len(posts) % len(PLATFORMS)], f"{words} {len(posts):02}"))
    await stage.publish(posts[-1])
