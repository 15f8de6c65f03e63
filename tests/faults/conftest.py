"""A stage for each database: workers share the matrix between them by its database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.flock import FlockStage
from tests.peers.fixtures import started
from tests.peers.synapse import SynapseServer


@pytest.fixture(scope="session")
def homeserver() -> Iterator[SynapseServer]:
    """A running Synapse of this worker's own, also where others share one."""
    server = SynapseServer()
    yield started(server)
    server.close()


@pytest_asyncio.fixture
async def flock(homeserver: SynapseServer, tmp_path: Path, database_url: str) -> AsyncIterator[FlockStage]:
    async with FlockStage(homeserver, tmp_path, database=database_url) as built:
        await built.set_up()
        yield built
