"""The world of a story, on each database."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest

from tests.stories.world import World


@pytest.fixture
async def world(migrated_url: str) -> AsyncIterator[World]:
    world = World(migrated_url, made=True)
    await world.start()
    yield world
    await world.stop()
    shutil.rmtree(world.folder, ignore_errors=True)
