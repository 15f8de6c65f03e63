"""Connections with every setting that must not be missed, and the pool of readers."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

from core.errors import StormoError
from core.ports import Clock
from storage.statements import Runner
from storage.unit import Snowflakes, SqlUnit

T = TypeVar("T")

#: Errors after which the connection, or the disk under it, can no longer be trusted.
BROKEN = (sqlite3.OperationalError, psycopg.OperationalError, psycopg.InterfaceError)


class StorageUnavailable(StormoError):
    """The database could not take the change; nothing of it was stored, or a repeat will find it stored."""


def normalised(url: str) -> URL:
    """``sqlite:///file`` or ``postgresql://...`` with our drivers. Raises ``ValueError`` for anything else."""
    parsed = make_url(url)
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        return parsed.set(drivername="sqlite")
    if kind == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    raise ValueError(f"neither SQLite nor PostgreSQL: {kind}")


def open_engine(url: str) -> Engine:
    """A SQLAlchemy engine whose every connection says BEGIN itself and nothing behind its back."""
    parsed = normalised(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, connect_args={"check_same_thread": False, "timeout": 30})
        event.listen(engine, "connect", _on_sqlite_connect)
        # With the driver's own BEGIN a released savepoint and a CREATE TABLE survive an outer ROLLBACK.
        event.listen(engine, "begin", _begin_immediate)
        return engine
    return create_engine(parsed, connect_args={"prepare_threshold": 3})


def _on_sqlite_connect(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


class Link:
    """One driver connection in autocommit mode with one cursor; transactions are said in words."""

    def __init__(self, engine: Engine, *, read_only: bool) -> None:
        self.dialect = engine.dialect.name
        self._proxy = engine.raw_connection()
        driver: Any = self._proxy.driver_connection
        if self.dialect == "postgresql":
            driver.autocommit = True
        self.cursor = driver.cursor()
        # BEGIN IMMEDIATE is for writers only: a reader that says it stops the writer.
        self._begin = "BEGIN" if read_only or self.dialect == "postgresql" else "BEGIN IMMEDIATE"
        self._read_only(driver, read_only)

    def _read_only(self, driver: Any, read_only: bool) -> None:
        if self.dialect == "sqlite":
            driver.execute(f"PRAGMA query_only={'ON' if read_only else 'OFF'}")
        elif read_only:
            self._begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
            self.cursor.execute("SET statement_timeout = '10s'")

    def begin(self) -> None:
        self.cursor.execute(self._begin)

    def commit(self) -> None:
        self.cursor.execute("COMMIT")

    def rollback(self) -> None:
        """Never raises: it runs where something worse is already on its way up."""
        with suppress(Exception):
            self.cursor.execute("ROLLBACK")

    def close(self) -> None:
        self._proxy.invalidate()
        self._proxy.close()


class Readers:
    """A small pool of threads, each read in its own short transaction on a connection that cannot write."""

    def __init__(self, engine: Engine, clock: Clock, *, size: int = 2) -> None:
        self._engine = engine
        self._clock = clock
        self._links: queue.SimpleQueue[Link | None] = queue.SimpleQueue()
        for _ in range(size):
            self._links.put(None)
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="reader")

    async def read(self, work: Callable[[SqlUnit], T]) -> T:
        """Runs ``work`` over a snapshot. Raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.read_now, work)

    def read_now(self, work: Callable[[SqlUnit], T]) -> T:
        """The same for callers that have no event loop."""
        with self._unit() as unit:
            return work(unit)

    @contextmanager
    def _unit(self) -> Iterator[SqlUnit]:
        link = self._links.get()
        try:
            link = link or Link(self._engine, read_only=True)
            link.begin()
            yield SqlUnit(Runner(link.cursor, link.dialect), self._clock, ids=None)
            link.rollback()
        except BaseException as error:
            if link is not None:
                link.rollback()
                if isinstance(error, BROKEN):
                    link.close()
                    link = None
            raise
        finally:
            self._links.put(link)

    def close(self) -> None:
        self._threads.shutdown(wait=True)
        while not self._links.empty():
            link = self._links.get()
            if link is not None:
                link.close()


__all__ = ["BROKEN", "Link", "Readers", "Snowflakes", "StorageUnavailable", "normalised", "open_engine"]
