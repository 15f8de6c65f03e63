"""Databases with every table and no row: migrating costs more than most tests, so it is done once and copied."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from storage.migrate import upgrade
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
