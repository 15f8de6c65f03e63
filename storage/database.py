"""Connections with every setting that must not be missed, and the pool of readers."""

from __future__ import annotations

import asyncio
import math
import queue
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.errors import StormoError
from core.ports import Clock
from storage.statements import Runner
from storage.unit import Snowflakes, SqlUnit

T = TypeVar("T")

#: Seconds that one long read may take: while it lasts, no checkpoint shortens SQLite's log.
READ_SECONDS = 10.0
#: Seconds that a writer may think between two statements of one transaction.
TURN_SECONDS = 5.0
#: On PostgreSQL writers of several processes take turns, by an advisory lock of this arbitrary, fixed number.
_TURN = 0x53544F524D54
#: Seconds, and milliseconds for the last one: a server that is gone without a word is noticed before a lease ends.
_PATIENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
#: Virtual machine instructions between two looks at the clock, some tenths of a millisecond.
_INSTRUCTIONS = 20_000
#: Statements that SQLite's driver keeps compiled, with room for all forms of ours: some 220 statements, 20 look-ups for
#: one key and for seven numbers of keys, 30 changes, a dozen of them for three numbers of rows.
_COMPILED = 512


def is_broken(error: BaseException) -> bool:
    """Whether the connection, or the disk under it, can no longer be trusted.

    Anything else is the fault of what was asked: trying it again on a new connection cannot help, and it must not
    count as an outage, since whoever sends such a thing could stop everybody else's changes.
    """
    if isinstance(error, (DBAPIError, PoolTimeout)):
        return not isinstance(error, DBAPIError) or error.orig is None or is_broken(error.orig)
    if isinstance(error, sqlite3.DatabaseError):
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        operational = isinstance(error, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR
        return operational or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return _is_broken_postgres(error)


def _is_broken_postgres(error: BaseException) -> bool:
    # Who uses SQLite does not load the other driver: 9 MB.
    if (psycopg := sys.modules.get("psycopg")) is None:
        return False
    if isinstance(error, psycopg.errors.IdleInTransactionSessionTimeout):
        return True
    if isinstance(error, psycopg.OperationalError):
        # Class 54: what was asked is too long for an index or too complex.
        return not (error.sqlstate or "").startswith("54")
    return isinstance(error, psycopg.InterfaceError)


class StorageUnavailable(StormoError):
    """The database is away: nothing was read; nothing of a change was stored, or a repeat will find it stored."""


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
        engine = create_engine(
            parsed, connect_args={"check_same_thread": False, "timeout": 30, "cached_statements": _COMPILED}
        )
        event.listen(engine, "connect", _on_sqlite_connect)
        # With the driver's own BEGIN a released savepoint and a CREATE TABLE survive an outer ROLLBACK.
        event.listen(engine, "begin", _begin_immediate)
        return engine
    patience = {name: value for name, value in _PATIENCE.items() if name not in parsed.query}
    return create_engine(parsed, connect_args={"prepare_threshold": 3, **patience})


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
        self.driver = driver
        if self.dialect == "postgresql":
            driver.autocommit = True
        self.cursor = driver.cursor()
        self._until = math.inf
        if self.dialect == "sqlite":
            self._prepare_sqlite(driver, read_only)
        else:
            self._prepare_postgres(read_only)

    def _prepare_sqlite(self, driver: Any, read_only: bool) -> None:
        # BEGIN IMMEDIATE is for writers only: a reader that says it stops the writer.
        self._begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"
        driver.execute(f"PRAGMA query_only={'ON' if read_only else 'OFF'}")
        if read_only:
            driver.set_progress_handler(lambda: time.monotonic() > self._until, _INSTRUCTIONS)

    def _prepare_postgres(self, read_only: bool) -> None:
        if read_only:
            self._begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
            self.cursor.execute(f"SET statement_timeout = {round(READ_SECONDS * 1000)}")
        else:
            self._begin = f"BEGIN; SELECT pg_advisory_xact_lock({_TURN})"
            # Whoever stops in the middle of its turn keeps all others waiting until the server ends it.
            self.cursor.execute(f"SET idle_in_transaction_session_timeout = {round(TURN_SECONDS * 1000)}")

    @property
    def backend(self) -> int | None:
        """The server's number of this connection, where there is a server."""
        return self.driver.info.backend_pid if self.dialect == "postgresql" else None

    def begin(self) -> None:
        self._until = time.monotonic() + READ_SECONDS
        self.cursor.execute(self._begin)

    def commit(self) -> None:
        self.cursor.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """For what is no batch of jobs."""
        self.begin()
        try:
            yield
            self.commit()
        except BaseException:
            self.rollback()
            raise

    def rollback(self) -> bool:
        """Whether it worked; else the connection is in an unknown state and must be closed.

        Never raises: it runs where something worse is already on its way up.
        """
        try:
            self.cursor.execute("ROLLBACK")
        except Exception:  # noqa: BLE001
            return False
        return True

    def close(self) -> None:
        if self._proxy.is_valid:
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
        """Runs ``work`` over a snapshot. Raises what it raises, or ``StorageUnavailable`` without a database."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.read_now, work)

    def read_now(self, work: Callable[[SqlUnit], T]) -> T:
        """The same for callers that have no event loop."""
        with self._unit() as unit:
            return work(unit)

    @contextmanager
    def _unit(self) -> Iterator[SqlUnit]:
        link = self._links.get()
        try:
            link = link or self._opened()
            link.begin()
            unit = SqlUnit(Runner(link.cursor, link.dialect), self._clock, ids=None)
            yield unit
            link.rollback()
            unit.end()
        except BaseException as error:
            if link is not None:
                ended = link.rollback()
                if not ended or is_broken(error):
                    link.close()
                    link = None
                if not ended and is_broken(error):
                    raise _away(error) from error
            raise
        finally:
            self._links.put(link)

    def _opened(self) -> Link:
        try:
            return Link(self._engine, read_only=True)
        except Exception as error:
            if is_broken(error):
                raise _away(error) from error
            raise

    def close(self) -> None:
        self._threads.shutdown(wait=True)
        while not self._links.empty():
            link = self._links.get()
            if link is not None:
                link.close()


def _away(error: BaseException) -> StorageUnavailable:
    return StorageUnavailable(f"{type(error).__name__}: {error}")


__all__ = ["Link", "Readers", "Snowflakes", "StorageUnavailable", "is_broken", "normalised", "open_engine"]
