"""A database of each kind with every table, and one transaction of it that is never committed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from core.types import ChatId
from storage.database import Link, Readers, open_engine
from storage.statements import Runner
from storage.unit import Snowflakes, SqlUnit
from storage.writer import Writer
from tests.migrated import migrated_file
from tests.postgres import PostgresServer

NOW = datetime(2026, 5, 4, 12, 0, 0, 123456, tzinfo=UTC)
#: Seconds after which a wait that ends by an event counts as a failure.
DEADLINE = 30.0


class FakeClock:
    """A clock that a test sets."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return time.monotonic()

    async def wait(self, woken: asyncio.Event, until: datetime | None) -> None:
        await woken.wait()


def no_settling(_: SqlUnit) -> None:
    """Nothing is derived."""


def nobody_waits(_: frozenset[ChatId]) -> None:
    """No courier listens."""


@contextmanager
def open_unit(engine: Engine, clock: FakeClock) -> Iterator[SqlUnit]:
    """One transaction of a writer's connection, rolled back at its end."""
    link = Link(engine, read_only=False)
    link.begin()
    run = Runner(link.cursor, link.dialect)
    try:
        yield SqlUnit(run, clock, Snowflakes(0))
    finally:
        link.rollback()
        link.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(migrated_url: str) -> Iterator[Engine]:
    """An engine on a database of its own with every table."""
    engine = open_engine(migrated_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def sqlite_schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(migrated_file(tmp_path_factory.mktemp("schema") / "stormo.sqlite"))
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def postgres_schema(postgres_server: PostgresServer, postgres_template: str) -> Iterator[Engine]:
    name = postgres_server.create_database(postgres_template)
    engine = open_engine(postgres_server.url(name))
    yield engine
    engine.dispose()
    postgres_server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgres"])
def schema(request: pytest.FixtureRequest) -> Engine:
    """A database that holds nothing: what its tests write is rolled back."""
    engine = request.getfixturevalue(f"{request.param}_schema")
    assert isinstance(engine, Engine)
    return engine


@pytest.fixture
def unit(schema: Engine, clock: FakeClock) -> Iterator[SqlUnit]:
    with open_unit(schema, clock) as unit:
        yield unit


@pytest.fixture
async def writer(engine: Engine, clock: FakeClock) -> AsyncIterator[Writer]:
    writer = Writer(engine, clock, no_settling, nobody_waits)
    writer.start()
    yield writer
    await asyncio.to_thread(writer.close)


@pytest.fixture
def readers(engine: Engine, clock: FakeClock) -> Iterator[Readers]:
    readers = Readers(engine, clock)
    yield readers
    readers.close()


def count(engine: Engine, table: str, where: str = "1 = 1") -> int:
    """Committed rows, seen by a connection of its own."""
    with engine.connect() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table} WHERE {where}").scalar_one())


def later(seconds: float, at: datetime = NOW) -> datetime:
    return at + timedelta(seconds=seconds)
