"""A migrated database is what `tables.py` says, newer ones are left alone, and a kill leaves the old version usable."""

from __future__ import annotations

import hashlib
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, text

from storage import migrate
from storage.database import normalised, open_engine
from storage.tables import metadata
from tests.conftest import ROOT
from tests.postgres import PostgresServer

PG_SCHEMA = (
    (
        "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns "
        "WHERE table_schema = 'public'"
    ),
    (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace"
    ),
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
)


def _schema(connection: Connection) -> set[tuple[object, ...]]:
    """Columns, constraints and indexes of a database, apart from Alembic's own table."""
    if connection.dialect.name == "postgresql":
        rows = [tuple(row) for query in PG_SCHEMA for row in connection.execute(text(query))]
        return {row for row in rows if row[0] != "alembic_version"}
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    found: set[tuple[object, ...]] = set()
    for table in metadata.tables:
        for what in ("table_info", "foreign_key_list"):
            found |= {(table, *row[1:]) for row in driver.execute(f"PRAGMA {what}({table})")}
        for _, index, unique, origin, partial in driver.execute(f"PRAGMA index_list({table})").fetchall():
            columns = tuple(row[2] for row in driver.execute(f"PRAGMA index_info({index})"))
            found.add((table, "" if origin != "c" else index, unique, partial, columns))
    sql = driver.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'")
    return found | {(name, text_.partition(" WHERE ")[2]) for name, text_ in sql}


def _names_of_constraints(connection: Connection) -> set[str]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    words = " ".join(row[0] for row in driver.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"))
    return {words_.split()[0].strip('"') for words_ in words.split("CONSTRAINT ")[1:]}


def _made_from_tables(url: str) -> Engine:
    engine = create_engine(normalised(url))
    metadata.create_all(engine)
    return engine


def test_the_migrated_sqlite_schema_is_that_of_the_tables(fresh_sqlite_url: str, tmp_path: Path) -> None:
    migrate.upgrade(fresh_sqlite_url)
    declared = _made_from_tables(f"sqlite:///{tmp_path / 'declared.sqlite'}")
    migrated = open_engine(fresh_sqlite_url)
    with migrated.connect() as one, declared.connect() as other:
        assert _schema(one) == _schema(other)
        own = {"pk_alembic_version", "alembic_version_pkc"}
        assert _names_of_constraints(one) - own == _names_of_constraints(other)
    migrated.dispose()
    declared.dispose()


def test_the_migrated_postgresql_schema_is_that_of_the_tables(
    fresh_postgres_url: str, postgres_server: PostgresServer
) -> None:
    migrate.upgrade(fresh_postgres_url)
    name = postgres_server.create_database()
    migrated, declared = open_engine(fresh_postgres_url), _made_from_tables(postgres_server.url(name))
    with migrated.connect() as one, declared.connect() as other:
        assert _schema(one) == _schema(other)
    migrated.dispose()
    declared.dispose()
    postgres_server.drop_database(name)


def test_an_empty_database_has_no_version_and_is_brought_to_the_newest_once(database_url: str) -> None:
    assert migrate.version(database_url) is None
    assert migrate.upgrade(database_url) == migrate.newest()
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO meta (name, value) VALUES ('kept', 'yes')"))
    assert migrate.upgrade(database_url) == migrate.version(database_url) == migrate.newest()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT value FROM meta")).scalar_one() == "yes"
    engine.dispose()


def _say_version(url: str, version: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})
    engine.dispose()


def test_a_newer_database_is_refused(database_url: str) -> None:
    migrate.upgrade(database_url)
    _say_version(database_url, "9999")
    for attempt in (migrate.version, migrate.upgrade):
        with pytest.raises(migrate.NewerDatabase, match="9999"):
            attempt(database_url)


def test_a_refused_newer_file_is_not_touched(fresh_sqlite_url: str) -> None:
    migrate.upgrade(fresh_sqlite_url)
    _say_version(fresh_sqlite_url, "9999")
    file = Path(fresh_sqlite_url.removeprefix("sqlite:///"))
    before = hashlib.sha256(file.read_bytes()).digest()
    with pytest.raises(migrate.NewerDatabase):
        migrate.upgrade(fresh_sqlite_url)
    assert hashlib.sha256(file.read_bytes()).digest() == before


def test_tables_of_somebody_else_are_left_alone(database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE members (number INTEGER)"))
    with pytest.raises(migrate.ForeignDatabase):
        migrate.upgrade(database_url)
    with engine.connect() as connection:
        assert "posts" not in engine.dialect.get_table_names(connection)
    engine.dispose()


KILLED = """
import os, signal, sys
from alembic import op
from storage import migrate
made = op.create_table
def create(name, *columns, **options):
    if name == "posts":
        os.kill(os.getpid(), signal.SIGKILL)
    return made(name, *columns, **options)
op.create_table = create
migrate.upgrade(sys.argv[1])
"""


@pytest.mark.slow
def test_a_kill_inside_a_revision_leaves_the_version_before_it(database_url: str) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, database_url], cwd=ROOT, check=False, timeout=50)
    assert ended.returncode == -signal.SIGKILL
    assert migrate.version(database_url) is None
    assert migrate.upgrade(database_url) == migrate.newest()


#: Ends as soon as the process that migrates for it is there.
KILLED_BESIDE = """
import os, signal, sys, threading
from multiprocessing import active_children
from storage import migrate
if __name__ == "__main__":
    threading.Thread(target=migrate.upgrade_apart, args=(sys.argv[1],), daemon=True).start()
    while not active_children():
        pass
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_the_process_that_migrates_outlives_nobody_for_long(database_url: str) -> None:
    # The pipe ends with the last process that holds it, which is the one that migrates.
    ended = subprocess.run(
        [sys.executable, "-c", KILLED_BESIDE, database_url],
        cwd=ROOT,
        check=False,
        timeout=50,
        stdout=subprocess.PIPE,
    )
    assert ended.returncode == -signal.SIGKILL
    assert migrate.version(database_url) in (None, migrate.newest())
    migrate.upgrade_apart(database_url)
    assert migrate.version(database_url) == migrate.newest()


def test_a_revision_that_fails_leaves_nothing_behind(database_url: str) -> None:
    engine = open_engine(database_url)
    with pytest.raises(ZeroDivisionError), migrate.transaction(engine) as connection:  # noqa: PT012
        migrate.upgrade_on(connection)
        connection.execute(text("SELECT 1"))
        raise ZeroDivisionError
    assert migrate.version(database_url) is None
    engine.dispose()


def test_a_table_can_be_rebuilt_under_its_children_and_dangling_rows_are_refused(
    fresh_sqlite_url: str,
) -> None:
    migrate.upgrade(fresh_sqlite_url)
    engine = open_engine(fresh_sqlite_url)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO members (id, handle, skeleton, joined_at) VALUES (1, 'a', 'a', 0)")
        )
        connection.execute(
            text("INSERT INTO accounts (id, platform, key, member_id, seen_at) VALUES (2, 'x', 'y', 1, 0)")
        )
    with migrate.transaction(engine) as connection:
        connection.execute(text("CREATE TABLE rebuilt AS SELECT * FROM members"))
        connection.execute(text("DROP TABLE members"))
        connection.execute(text("CREATE TABLE members (id BIGINT NOT NULL PRIMARY KEY, handle TEXT)"))
        connection.execute(text("INSERT INTO members SELECT id, handle FROM rebuilt"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT member_id FROM accounts")).scalar_one() == 1
    with pytest.raises(migrate.BrokenReferences), migrate.transaction(engine) as connection:
        connection.execute(text("DELETE FROM members"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM members")).scalar_one() == 1
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
    engine.dispose()


def test_the_versions_that_the_files_are_named_after_are_those_of_the_revisions() -> None:
    scripts = ScriptDirectory(str(ROOT / "storage" / "migrations"))
    assert scripts.get_heads() == [migrate.newest()], "one line of revisions, and its end"
    assert all(migrate.known(script.revision) for script in scripts.walk_revisions())


def test_a_database_that_older_processes_serve_is_not_changed_under_them(fresh_postgres_url: str) -> None:
    last = sorted(migrate._revisions())[-2]
    migrate.upgrade(fresh_postgres_url, to=last)
    engine = open_engine(fresh_postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO leases VALUES ('telegram', 1, 'perch', '', 9000000000000000)")
    for upgrade in (migrate.upgrade, migrate.upgrade_apart):
        with pytest.raises(migrate.StillServed):
            upgrade(fresh_postgres_url)
    assert migrate.version(fresh_postgres_url) == last
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE leases SET expires_at = 0")
    assert migrate.upgrade(fresh_postgres_url) == migrate.newest()
    engine.dispose()
