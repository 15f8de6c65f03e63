"""A stage for each database, and the report of a whole run."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults import report
from tests.faults.flock import FlockStage
from tests.peers.fixtures import started
from tests.peers.synapse import SynapseServer

#: What is to be taken: everything, or a part that another seed chooses anew.
WHOLE = os.environ.get("STORMO_FAULTS") == "all"
SEED = os.environ.get("STORMO_FAULTS_SEED", "sample")
#: Takes a row of the report: section, name, platform, database, counts.
Note = Callable[[str, str, str, str, Mapping[str, int]], None]
_BEGAN = time.monotonic()


@pytest.fixture(scope="session")
def homeserver() -> Iterator[SynapseServer]:
    """A running Synapse of this worker's own: the matrix is shared between workers."""
    server = SynapseServer()
    yield started(server)
    server.close()


@pytest_asyncio.fixture
async def flock(homeserver: SynapseServer, tmp_path: Path, database_url: str) -> AsyncIterator[FlockStage]:
    async with FlockStage(homeserver, tmp_path, database=database_url) as built:
        await built.set_up()
        yield built


@pytest_asyncio.fixture
async def flock_on_sqlite(homeserver: SynapseServer, tmp_path: Path) -> AsyncIterator[FlockStage]:
    """For what has nothing to do with the database."""
    async with FlockStage(homeserver, tmp_path) as built:
        await built.set_up()
        yield built


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Note:
    """Takes what was counted, for the report."""

    def take(section: str, name: str, where: str, database: str, counted: Mapping[str, int]) -> None:
        record_property(report.ROWS, (section, name, where, database, dict(counted)))

    return take


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """The whole matrix has passed, or somebody named a file: the report is written."""
    passed = terminalreporter.getreports("passed")
    rows = [value for one in passed for name, value in one.user_properties if name == report.ROWS]
    if rows and ((WHOLE and exitstatus == 0) or "STORMO_FAULTS_REPORT" in os.environ):
        report.write(rows, time.monotonic() - _BEGAN)
        terminalreporter.write_line(f"faults: {len(rows)} rows in {report.REPORT}")
