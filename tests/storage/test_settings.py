"""The settings without which things break in silence, each proved by what it prevents."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, column, select, table
from sqlalchemy.dialects import sqlite

from storage.database import TURN_SECONDS, Link, Readers, is_broken, normalised, open_engine
from storage.statements import Statement
from storage.tables import Instant, from_micros, to_micros
from storage.unit import SqlUnit
from storage.writer import Writer
from tests.storage.conftest import DEADLINE, NOW, FakeClock, count
from tests.storage.test_writer import claims

WRITE_REFUSED = (sqlite3.OperationalError, psycopg.errors.ReadOnlySqlTransaction)


# -- connections ---------------------------------------------------------------------------------------------------


def test_every_sqlite_connection_has_its_settings(fresh_sqlite_url: str) -> None:
    """Also the second one: a PRAGMA is of a connection, not of a file."""
    engine = open_engine(fresh_sqlite_url)
    links = [Link(engine, read_only=read_only) for read_only in (False, True, False)]
    for link in links:
        found = {}
        for pragma in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout"):
            link.cursor.execute(f"PRAGMA {pragma}")
            row = link.cursor.fetchone()
            assert row is not None
            found[pragma] = row[0]
        assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30000}
        assert link._proxy.driver_connection.isolation_level is None  # type: ignore[union-attr]
    for link in links:
        link.close()
    engine.dispose()


def test_a_rollback_reaches_over_a_released_savepoint(engine: Engine) -> None:
    link = Link(engine, read_only=False)
    link.begin()
    link.cursor.execute("SAVEPOINT one")
    link.cursor.execute("INSERT INTO bookmarks (scope, value) VALUES ('a', 'b')")
    link.cursor.execute("RELEASE SAVEPOINT one")
    assert link.rollback() is True
    link.close()
    assert count(engine, "bookmarks") == 0


def test_a_rollback_reaches_over_a_new_table(engine: Engine) -> None:
    link = Link(engine, read_only=False)
    link.begin()
    link.cursor.execute("CREATE TABLE nests (id INTEGER)")
    link.rollback()
    link.close()
    with engine.connect() as connection:
        assert not engine.dialect.has_table(connection, "nests")


def test_sqlalchemys_own_transactions_roll_back_too(engine: Engine) -> None:
    """Migrations run through these."""
    with engine.connect() as connection, connection.begin() as transaction:
        with connection.begin_nested():
            connection.exec_driver_sql("INSERT INTO bookmarks (scope, value) VALUES ('a', 'b')")
        connection.exec_driver_sql("CREATE TABLE nests (id INTEGER)")
        transaction.rollback()
    assert count(engine, "bookmarks") == 0
    with engine.connect() as connection:
        assert not engine.dialect.has_table(connection, "nests")


def test_a_foreign_key_holds(engine: Engine) -> None:
    link = Link(engine, read_only=False)
    link.begin()
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.ForeignKeyViolation)):
        link.cursor.execute("INSERT INTO mirror_blocks (chat_id, feed_kind, feed_key) VALUES (1, 'tag', 'x')")
    link.rollback()
    link.close()


def test_a_url_gets_our_drivers() -> None:
    assert normalised("sqlite:///x").drivername == "sqlite"
    assert normalised("postgresql://h/d").drivername == "postgresql+psycopg"
    with pytest.raises(ValueError, match="mysql"):
        normalised("mysql://h/d")


def test_the_folder_of_a_new_database_is_made(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'a' / 'b' / 'stormo.sqlite'}")
    assert count(engine, "sqlite_master") == 0
    engine.dispose()


def test_a_link_can_be_closed_twice(engine: Engine) -> None:
    link = Link(engine, read_only=False)
    link.close()
    link.close()
    assert link.rollback() is False


# -- readers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", ["INSERT INTO bookmarks (scope, value) VALUES ('a', 'b')", "DROP TABLE bookmarks"]
)
def test_a_reader_cannot_write(readers: Readers, engine: Engine, words: str) -> None:
    with pytest.raises(WRITE_REFUSED):
        readers.read_now(lambda unit: unit._run.cursor.execute(words))
    assert count(engine, "bookmarks") == 0


def test_a_reader_makes_no_ids(readers: Readers) -> None:
    with pytest.raises(RuntimeError):
        readers.read_now(lambda unit: unit.new_id())


def test_a_reader_works_after_an_error(engine: Engine, clock: FakeClock) -> None:
    """On PostgreSQL an error leaves a transaction that takes nothing more: it is ended."""
    readers = Readers(engine, clock, size=1)
    for words in ("SELECT nothing FROM nowhere", "SELEKT"):
        with pytest.raises((sqlite3.OperationalError, psycopg.ProgrammingError)):
            readers.read_now(lambda unit, words=words: unit._run.cursor.execute(words))  # type: ignore[misc]
        with pytest.raises(ZeroDivisionError):
            readers.read_now(lambda _: 1 // 0)
        assert readers.read_now(lambda unit: unit.intake.meta("x")) is None
    readers.close()


def test_a_postgres_reader_has_a_time_limit(fresh_postgres_url: str) -> None:
    engine = open_engine(fresh_postgres_url)
    link = Link(engine, read_only=True)
    link.cursor.execute("SHOW statement_timeout")
    assert link.cursor.fetchone() == ("10s",)
    link.close()
    engine.dispose()


async def test_a_long_read_does_not_stop_the_writer(writer: Writer, readers: Readers, engine: Engine) -> None:
    """And sees the same rows from its begin to its end, whatever is committed beside it."""
    inside, done = threading.Event(), threading.Event()
    assert await writer.submit(claims("before"))

    def keys(unit: SqlUnit) -> int:
        unit._run.cursor.execute("SELECT count(*) FROM inbox")
        row = unit._run.cursor.fetchone()
        assert row is not None
        return int(row[0])

    def long(unit: SqlUnit) -> tuple[int, int]:
        first = keys(unit)
        inside.set()
        assert done.wait(DEADLINE)
        return first, keys(unit)

    reading = asyncio.ensure_future(readers.read(long))
    assert await asyncio.to_thread(inside.wait, DEADLINE)
    assert await asyncio.wait_for(writer.submit(claims("beside")), DEADLINE) is True
    assert count(engine, "inbox") == 2
    assert not reading.done()
    done.set()
    assert await reading == (1, 1)
    assert await readers.read(keys) == 2


async def test_more_reads_than_threads_wait_their_turn(readers: Readers) -> None:
    answers = await asyncio.gather(*(readers.read(lambda unit: unit.now) for _ in range(20)))
    assert answers == [NOW] * 20


# -- times ---------------------------------------------------------------------------------------------------------

TIMES = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.sampled_from(
        [UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-11))]
    ),
)
_AT = Statement(lambda _: select(column("at", Instant)).select_from(table("inbox")))


@given(TIMES)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_time_comes_back_exactly(unit: SqlUnit, at: datetime) -> None:
    """Far past and future, every microsecond, and always aware and in UTC."""
    unit.savepoint("example")
    unit.intake.claim("key", at)
    found = unit._run.scalar(_AT)
    unit.undo("example")
    assert found == at
    assert found.utcoffset() == timedelta(0)
    assert from_micros(to_micros(at)) == at


def test_a_naive_time_is_refused(unit: SqlUnit) -> None:
    with pytest.raises(ValueError, match="naive"):
        unit.intake.claim("key", datetime(2026, 1, 1))  # noqa: DTZ001


def test_sqlalchemys_own_statements_keep_times_too(unit: SqlUnit) -> None:
    kind = Instant()

    dialect = sqlite.dialect()
    stored = kind.process_bind_param(NOW, dialect)
    assert stored == 1777896000123456
    assert kind.process_result_value(stored, dialect) == NOW
    assert kind.process_bind_param(None, dialect) is None
    assert kind.process_result_value(None, dialect) is None


# -- turns of several processes' writers on PostgreSQL ---------------------------------------------------------------


@pytest.fixture
def two_links(migrated_postgres_url: str) -> Iterator[tuple[Link, Link]]:
    engine = open_engine(migrated_postgres_url)
    links = Link(engine, read_only=False), Link(engine, read_only=False)
    yield links
    for link in links:
        link.close()
    engine.dispose()


async def test_writers_take_turns(two_links: tuple[Link, Link]) -> None:
    first, second = two_links
    first.begin()
    waiting = asyncio.create_task(asyncio.to_thread(second.begin))
    first.cursor.execute("INSERT INTO bookmarks (scope, value) VALUES ('a', 'b')")
    assert not waiting.done()
    first.commit()
    await asyncio.wait_for(waiting, DEADLINE)
    second.cursor.execute("SELECT value FROM bookmarks WHERE scope = 'a'")
    assert second.cursor.fetchone() == ("b",), "what was committed before its turn is seen in it"
    second.rollback()


def test_readers_wait_for_no_turn(two_links: tuple[Link, Link], migrated_postgres_url: str) -> None:
    two_links[0].begin()
    engine = open_engine(migrated_postgres_url)
    reader = Link(engine, read_only=True)
    reader.begin()
    reader.cursor.execute("SELECT count(*) FROM bookmarks")
    assert reader.cursor.fetchone() == (0,)
    reader.close()
    engine.dispose()


async def test_who_stops_in_the_middle_of_its_turn_loses_it(two_links: tuple[Link, Link]) -> None:
    stopped, other = two_links
    stopped.cursor.execute("SHOW idle_in_transaction_session_timeout")
    assert stopped.cursor.fetchone() == (f"{TURN_SECONDS:.0f}s",)
    stopped.cursor.execute("SET idle_in_transaction_session_timeout = 100")
    stopped.begin()
    stopped.cursor.execute("INSERT INTO bookmarks (scope, value) VALUES ('a', 'b')")
    await asyncio.wait_for(asyncio.to_thread(other.begin), DEADLINE)
    with pytest.raises(psycopg.Error) as ended:
        stopped.commit()
    assert is_broken(ended.value), "its batch is repeated on a new connection"
    assert not stopped.rollback()
    other.cursor.execute("SELECT count(*) FROM bookmarks")
    assert other.cursor.fetchone() == (0,)
    other.rollback()
