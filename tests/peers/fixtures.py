"""Fixtures of the real peers, for every test: a Synapse for each worker, people on it, a proxy before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack
from typing import Protocol

import pytest
import pytest_asyncio

from tests.peers.environment import PeerUnavailable
from tests.peers.matrix_person import MatrixPerson
from tests.peers.matrix_proxy import MatrixProxy
from tests.peers.synapse import SynapseServer


class NewPerson(Protocol):
    """Makes a person on the shared homeserver, who is logged out when the test ends."""

    def __call__(
        self, name: str, *, homeserver: str | None = None, patience: int = 10
    ) -> Awaitable[MatrixPerson]: ...


def started(server: SynapseServer) -> SynapseServer:
    """Start the server, or skip the test where Synapse cannot be installed."""
    try:
        server.start()
    except PeerUnavailable as missing:
        pytest.skip(str(missing))
    return server


@pytest.fixture(scope="session")
def synapse() -> Iterator[SynapseServer]:
    """A running homeserver without rate limits that the tests of a worker share: never stop or restart it."""
    server = SynapseServer()
    yield started(server)
    server.close()


@pytest.fixture(scope="session")
def limited_synapse() -> Iterator[SynapseServer]:
    """The same with the rate limits that a plain account has by default."""
    server = SynapseServer(limits="default")
    yield started(server)
    server.close()


@pytest.fixture
def own_synapse() -> Iterator[SynapseServer]:
    """A running homeserver for this test alone, which it may stop, kill and start again."""
    server = SynapseServer()
    yield started(server)
    server.close()


@pytest_asyncio.fixture
async def matrix_proxy(synapse: SynapseServer) -> AsyncIterator[MatrixProxy]:
    """A proxy before the shared homeserver."""
    async with MatrixProxy(synapse.url) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def matrix_person(synapse: SynapseServer) -> AsyncIterator[NewPerson]:
    """Makes new people on the shared homeserver; `homeserver=` lets them go through a proxy."""
    async with AsyncExitStack() as stack:

        async def new(name: str, *, homeserver: str | None = None, patience: int = 10) -> MatrixPerson:
            person = await MatrixPerson.register(synapse, name, homeserver=homeserver, patience=patience)
            return await stack.enter_async_context(person)

        yield new
