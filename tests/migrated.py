"""Databases with every table and no row: migrating costs more than most tests, so it is done once and copied."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg import sql

from storage.migrate import upgrade
from storage.tables import metadata
from tests.postgres import PostgresServer


@cache
def _file() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "empty.sqlite"
        upgrade(f"sqlite:///{file}")
        return file.read_bytes()


def migrated_file(file: Path) -> str:
    """Write a SQLite database there; returns SQLAlchemy's URL of it."""
    file.write_bytes(_file())
    return f"sqlite:///{file}"


def migrated_template(server: PostgresServer) -> str:
    """Make a database that others are copied from; returns its name. Nobody may be connected to it then."""
    name = server.create_database()
    upgrade(server.url(name))
    return name


_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
)


def empty(server: PostgresServer, name: str) -> None:
    """Take every row out of such a database, and whoever is still connected: a hundredth of what a new one takes."""
    tables = [sql.Identifier(table.name) for table in reversed(metadata.sorted_tables)]
    with psycopg.connect(
        host=str(server.folder), user="postgres", dbname=name, autocommit=True
    ) as connection:
        connection.execute(_OTHERS, (name,))
        connection.execute(sql.SQL("; ").join(sql.SQL("DELETE FROM {}").format(table) for table in tables))
