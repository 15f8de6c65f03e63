"""The schema's versions: what a database has, and the way to the newest one, all in one transaction.

A new revision is drafted by comparing ``tables.py`` with what the revisions so far make:
``python -m storage.migrate "what changes"``. Read it before it is committed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection as Connector
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import InternalError, OperationalError, ProgrammingError

from core.errors import StormoError, message
from storage.database import normalised, open_engine
from storage.tables import metadata

if TYPE_CHECKING:
    # A program that has nothing to migrate does not load it: 7 MB for as long as it serves.
    from alembic.config import Config

_FOLDER = Path(__file__).parent / "migrations"
#: Two programs that start at once on one PostgreSQL must not both migrate it. An arbitrary, fixed number.
_PG_LOCK = 0x53544F524D4F


class NewerDatabase(StormoError):
    """The database has a version that this program does not know: a newer program made it."""

    def __init__(self, found: str) -> None:
        self.version = found
        self.message = message("database.newer", version=found, newest=newest())
        super().__init__(f"the database has version {found}, which is newer than this program's {newest()}")


class ForeignDatabase(StormoError):
    """There are tables with our names that no version of ours made."""

    def __init__(self) -> None:
        self.message = message("database.foreign")
        super().__init__("the database holds tables of something else with the names of ours")


class StillServed(StormoError):
    """Processes of an older version are at work on it, and would go on with tables that they do not know."""

    def __init__(self, reason: str = "processes of an older version serve this database") -> None:
        self.message = message("database.served")
        super().__init__(reason)


class BrokenReferences(StormoError):
    """A revision left rows that point nowhere: it was undone."""


def newest() -> str:
    """The version that this program works with."""
    return max(_revisions(), default="")


def known(version: str) -> bool:
    """Whether this program knows the way from that version."""
    return version in _revisions()


def _revisions() -> set[str]:
    """What the files of the revisions are named after."""
    return {file.name.partition("_")[0] for file in (_FOLDER / "versions").glob("[0-9]*_*.py")}


def version(url: str) -> str | None:
    """The version of a database, ``None`` for one without our tables. Raises ``NewerDatabase``, ``ForeignDatabase``."""
    address = normalised(url)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        # Looking must not make a file.
        return None
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            return _version(connection)
    finally:
        engine.dispose()


def writable(url: str) -> bool:
    """Whether changes are taken; none is made. Raises what the driver says where there is no connection at all."""
    engine = open_engine(url)
    try:
        with engine.connect() as connection, connection.begin() as change:
            connection.execute(text("UPDATE meta SET value = value"))
            change.rollback()
    except (OperationalError, InternalError, ProgrammingError):
        return False
    finally:
        engine.dispose()
    return True


def upgrade(url: str, to: str = "head") -> str:
    """Brings a database to a version, the newest unless told, and returns it. Nothing happens where it is there.

    Raises ``NewerDatabase``, ``ForeignDatabase`` or ``StillServed`` before anything is touched; any error undoes
    everything.
    """
    engine = open_engine(url)
    try:
        if version(url) == (newest() if to == "head" else to):
            return newest() if to == "head" else to
        with transaction(engine) as connection:
            if _served(connection):
                raise StillServed
            return upgrade_on(connection, to)
    finally:
        engine.dispose()


def _served(connection: Connection) -> bool:
    """Whether some process owns a lease; on SQLite the lock of the file says so."""
    if connection.dialect.name != "postgresql" or not inspect(connection).has_table("leases"):
        return False
    now = "extract(epoch FROM clock_timestamp()) * 1000000"
    return bool(connection.execute(text(f"SELECT count(*) FROM leases WHERE expires_at > {now}")).scalar())  # noqa: S608


def upgrade_apart(url: str) -> None:
    """The same in a process of its own: what a migration loads is not kept by a program that then serves for weeks.

    That process ends by itself, also where this one is killed meanwhile: a pool's would wait for more work for ever.
    """
    if version(url) == newest():
        return
    apart = get_context("spawn")
    ours, theirs = apart.Pipe(duplex=False)
    process = apart.Process(target=_upgrade_and_tell, args=(url, theirs))
    process.start()
    theirs.close()
    try:
        error: BaseException | None = ours.recv()
    except EOFError:
        error = RuntimeError("the process that migrates the database was ended")
    process.join()
    if error is not None:
        raise error


def _upgrade_and_tell(url: str, parent: Connector) -> None:
    """Sends what went wrong, or ``None``. Nobody may be there to hear it."""
    error: BaseException | None = None
    try:
        upgrade(url)
    except Exception as found:  # noqa: BLE001
        error = found
    with suppress(BrokenPipeError):
        parent.send(error)


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction in which tables may be rebuilt. Raises ``BrokenReferences`` where rows then point nowhere."""
    with engine.connect() as connection:
        sqlite = engine.dialect.name == "sqlite"
        driver = connection.connection.driver_connection
        assert driver is not None
        if sqlite:
            # Inside a transaction this is ignored, and a rebuild of a table would then break its children.
            driver.execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                if not sqlite:
                    connection.execute(text(f"SELECT pg_advisory_xact_lock({_PG_LOCK})"))
                yield connection
                if sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
                    raise BrokenReferences(f"{len(broken)} rows point nowhere, the first in {broken[0][0]}")
        finally:
            if sqlite:
                driver.execute("PRAGMA foreign_keys=ON")


def upgrade_on(connection: Connection, to: str = "head") -> str:
    """The same inside a ``transaction`` of the caller."""
    from alembic import command

    _version(connection)
    command.upgrade(_config(connection), to)
    return _version(connection) or ""


def _version(connection: Connection) -> str | None:
    there = set(inspect(connection).get_table_names())
    found: str | None = None
    if "alembic_version" in there:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found is None:
        if there & set(metadata.tables):
            raise ForeignDatabase
        return None
    if not known(found):
        raise NewerDatabase(found)
    return found


def _config(connection: Connection | None = None) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def draft(what: str) -> Path:
    """Writes the revision from what the revisions so far make to ``tables.py``. Returns its file."""
    from alembic import command

    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/draft.sqlite"
        if newest():
            upgrade(url)
        engine = open_engine(url)
        with transaction(engine) as connection:
            number = len(_revisions()) + 1
            script = command.revision(
                _config(connection), what, autogenerate=True, rev_id=f"{number:04d}", head="head"
            )
        engine.dispose()
    assert script is not None
    assert not isinstance(script, list)
    return Path(script.path)


if __name__ == "__main__":
    print(draft(" ".join(sys.argv[1:]).capitalize()))  # noqa: T201
