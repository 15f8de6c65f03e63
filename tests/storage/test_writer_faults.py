"""Cut lines, full disks, lost answers: nobody is told "done" of what is not stored, nothing is there twice."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import Engine

from core.errors import Refusal
from storage import database
from storage.database import Link, Readers, StorageUnavailable, is_broken, open_engine
from storage.unit import SqlUnit
from storage.writer import Writer
from tests.storage.conftest import DEADLINE, FakeClock, count, no_settling, nobody_waits
from tests.storage.rows import a_post
from tests.storage.test_writer import claims, letter, together


def lost(engine: Engine) -> Exception:
    """What the driver raises when the database is not there any more."""
    if engine.dialect.name == "postgresql":
        return psycopg.OperationalError("the line was cut")
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return error


@pytest.fixture
def lose_answers(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> Callable[[int], None]:
    """The answers of so many COMMITs from now on are lost, although they took effect."""
    left = [0]
    commit = Link.commit

    def losing(link: Link) -> None:
        commit(link)
        if left[0]:
            left[0] -= 1
            raise lost(engine)

    monkeypatch.setattr(Link, "commit", losing)
    return lambda number: left.__setitem__(0, number)


async def test_a_commit_without_an_answer_is_repeated_through_the_inbox(
    writer: Writer, engine: Engine, lose_answers: Callable[[int], None]
) -> None:
    """Every caller hears of a success ("seen before"), and everything is stored once."""
    lose_answers(1)
    futures = [writer.submit(claims(str(n))) for n in range(256)]
    answers = await asyncio.wait_for(asyncio.gather(*futures), DEADLINE)
    assert len(answers) == 256
    assert count(engine, "inbox") == 256


async def test_each_caller_gets_an_exception_of_their_own(
    writer: Writer, engine: Engine, lose_answers: Callable[[int], None]
) -> None:
    # Armed inside the batch: both of its runs end that way.
    answers = await together(writer, [lambda _: lose_answers(1), *(claims(str(n)) for n in range(4))])
    errors = [a for a in answers if isinstance(a, StorageUnavailable)]
    assert len({id(error) for error in errors}) == 5
    assert await asyncio.wait_for(writer.submit(claims("0")), DEADLINE) is False
    assert count(engine, "inbox") == 4


async def test_an_outage_buries_nothing(
    writer: Writer, engine: Engine, lose_answers: Callable[[int], None]
) -> None:
    lose_answers(4)
    with pytest.raises(StorageUnavailable):
        await writer.submit(claims("a"), letter)
    lose_answers(0)
    assert await writer.submit(claims("b"), letter) is True
    assert count(engine, "dead_letters") == 0


async def test_a_bug_behind_a_cut_line_hurts_only_its_own_caller(
    writer: Writer, engine: Engine, lose_answers: Callable[[int], None]
) -> None:
    """The first run ends with the line, the second with the bug: the others are not told of an outage."""
    runs: list[int] = []

    def work(unit: SqlUnit) -> str:
        runs.append(1)
        if len(runs) > 1:
            raise ZeroDivisionError
        lose_answers(1)
        return "fine"

    answers = await together(writer, [claims("a"), work, claims("b")])
    assert answers[0] is False
    assert isinstance(answers[1], ZeroDivisionError)
    assert answers[2] is False
    assert count(engine, "inbox") == 2


async def test_a_terminated_backend_is_replaced(
    postgres_schema: Engine, migrated_postgres_url: str, clock: FakeClock
) -> None:
    """Between two statements of a batch: it is repeated on a new connection, and nobody notices."""
    engine = open_engine(migrated_postgres_url)
    writer = Writer(engine, clock, no_settling, nobody_waits)
    writer.start()
    killed: list[int] = []

    def cut(unit: SqlUnit) -> str:
        if not killed:
            unit._run.cursor.execute("SELECT pg_backend_pid()")
            row = unit._run.cursor.fetchone()
            assert row is not None
            killed.append(row[0])
            with psycopg.connect(
                str(migrated_postgres_url).replace("+psycopg", ""), autocommit=True
            ) as other:
                other.execute("SELECT pg_terminate_backend(%s, 10000)", row)
        return "cut"

    answers = await together(writer, [claims("a"), cut, claims("b")])
    assert answers == [True, "cut", True]
    assert count(engine, "inbox") == 2
    assert len(killed) == 1
    await asyncio.to_thread(writer.close)
    engine.dispose()


async def test_a_reader_gets_over_a_terminated_backend(migrated_postgres_url: str, clock: FakeClock) -> None:
    engine = open_engine(migrated_postgres_url)
    readers = Readers(engine, clock, size=1)

    def pid(unit: SqlUnit) -> int:
        unit._run.cursor.execute("SELECT pg_backend_pid()")
        row = unit._run.cursor.fetchone()
        assert row is not None
        return int(row[0])

    first = await readers.read(pid)
    with psycopg.connect(migrated_postgres_url.replace("+psycopg", ""), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", (first,))
    with pytest.raises(StorageUnavailable):
        await readers.read(pid)
    assert await readers.read(pid) != first
    readers.close()
    engine.dispose()


def fills(key: str) -> Callable[[SqlUnit], bool]:
    def work(unit: SqlUnit) -> bool:
        new = unit.intake.claim(key, unit.now)
        unit.intake.set_bookmark(key, key * 2000)
        return new

    return work


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """While it is full, every writing connection may take ten pages more and no more."""
    full = [False]
    begin = Link.begin

    def begin_on_a_full_disk(link: Link) -> None:
        if not getattr(link, "seen", False) and full[0]:
            link.seen = True  # type: ignore[attr-defined]
            link.cursor.execute("PRAGMA page_count")
            row = link.cursor.fetchone()
            assert row is not None
            link.cursor.execute(f"PRAGMA max_page_count = {row[0] + 10}")
        begin(link)

    monkeypatch.setattr(Link, "begin", begin_on_a_full_disk)
    return lambda flag: full.__setitem__(0, flag)


async def test_a_full_disk_ends_the_whole_transaction(
    migrated_sqlite_url: str, clock: FakeClock, full_disk: Callable[[bool], None]
) -> None:
    """SQLite may end the transaction behind everybody's back: what it took from the first jobs is gone too."""
    engine = open_engine(migrated_sqlite_url)
    full_disk(True)
    writer = Writer(engine, clock, no_settling, nobody_waits)
    writer.start()
    answers = await together(writer, [fills(f"key{n}") for n in range(126)])
    assert all(isinstance(answer, StorageUnavailable) for answer in answers)
    assert len({id(answer) for answer in answers}) == 126
    assert count(engine, "inbox") == 0
    assert count(engine, "bookmarks") == 0
    # Somebody made room: the same callers come again.
    full_disk(False)
    assert await together(writer, [fills(f"key{n}") for n in range(126)]) == [True] * 126
    assert count(engine, "inbox") == 126
    await asyncio.to_thread(writer.close)
    engine.dispose()


async def test_a_refusal_on_a_full_disk_is_not_an_answer_either(
    migrated_sqlite_url: str, clock: FakeClock, full_disk: Callable[[bool], None]
) -> None:
    engine = open_engine(migrated_sqlite_url)
    full_disk(True)
    writer = Writer(engine, clock, no_settling, nobody_waits)
    writer.start()

    def refuses(_: SqlUnit) -> object:
        raise Refusal("post.unknown")

    answers = await together(writer, [refuses, *(fills(f"key{n}") for n in range(60))])
    assert all(isinstance(answer, StorageUnavailable) for answer in answers)
    await asyncio.to_thread(writer.close)
    engine.dispose()


async def test_text_that_no_database_takes_becomes_a_readable_dead_letter(
    writer: Writer, engine: Engine
) -> None:
    """A lone surrogate (and on PostgreSQL a NUL) cannot be stored; the event is acknowledged all the same."""

    def work(unit: SqlUnit) -> str:
        unit.intake.set_meta("text", "\ud800")
        return "stored"

    def bury(unit: SqlUnit, error: BaseException) -> str:
        unit.intake.bury(unit.new_id(), "Test", '{"text": "\ud800"}', f"{error}\0", unit.now)
        return "buried"

    assert await writer.submit(work, bury) == "buried"
    letters = await writer.submit(lambda unit: unit.intake.dead_letters())
    assert letters[0][2] == '{"text": "\\ud800"}'


async def test_what_is_too_long_for_an_index_stops_only_its_own_event(writer: Writer, engine: Engine) -> None:
    """PostgreSQL calls it an operational error, as it does an outage; it is the event's own fault."""
    letters = random.Random(1)
    tag = "".join(chr(letters.randrange(0x4E00, 0x9FA0)) for _ in range(4000))

    def work(unit: SqlUnit) -> str:
        a_post(unit, tags=(tag,))
        return "stored"

    answers = await asyncio.wait_for(
        asyncio.gather(writer.submit(claims("a")), writer.submit(work, letter), writer.submit(claims("b"))),
        DEADLINE,
    )
    assert list(answers) == [True, "stored" if engine.dialect.name == "sqlite" else "buried", True]
    assert count(engine, "inbox") == 2


async def test_a_database_that_is_away_is_unavailable_until_it_is_back(
    writer: Writer, engine: Engine, monkeypatch: pytest.MonkeyPatch, lose_answers: Callable[[int], None]
) -> None:
    """No connection can be made for a while: an outage to every caller, never a dead letter."""
    assert await writer.submit(claims("before")) is True
    with monkeypatch.context() as away:
        away.setattr(engine, "raw_connection", lambda: (_ for _ in ()).throw(lost(engine)))
        lose_answers(1)
        for key in ("a", "b", "c"):
            with pytest.raises(StorageUnavailable):
                await writer.submit(claims(key), letter)
    assert await writer.submit(claims("after")) is True
    assert count(engine, "dead_letters") == 0


def test_what_counts_as_broken() -> None:
    """Only what a new connection may cure."""
    disk = sqlite3.OperationalError("disk I/O error")
    disk.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    rotten = sqlite3.DatabaseError("malformed")
    rotten.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    table = sqlite3.OperationalError("no such table")
    table.sqlite_errorcode = sqlite3.SQLITE_ERROR
    assert all(map(is_broken, (disk, rotten, psycopg.OperationalError(), psycopg.errors.DiskFull())))
    assert all(map(is_broken, (psycopg.errors.AdminShutdown(), psycopg.InterfaceError())))
    fine = (table, sqlite3.IntegrityError(), psycopg.errors.ProgramLimitExceeded(), psycopg.DataError())
    assert not any(map(is_broken, (*fine, ZeroDivisionError(), psycopg.errors.UniqueViolation())))


def test_a_reader_gives_up_a_read_that_lasts_too_long(
    engine: Engine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And serves the next one: its connection is a new one."""
    monkeypatch.setattr(database, "READ_SECONDS", 0.2)
    readers = Readers(engine, clock, size=1)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises((sqlite3.OperationalError, psycopg.errors.QueryCanceled)):
        readers.read_now(lambda unit: unit._run.cursor.execute(endless))
    assert readers.read_now(lambda unit: unit.intake.meta("anything")) is None
    readers.close()
